// Which arena the calling thread uses: made or adopted at its first malloc, abandoned when the thread ends.
// Owns the thread-local pointer (one word: a library that is loaded late has no room for more), the thread-end hook and
// the fork handlers. Thread rule: each thread its own.
#pragma once

#include <cstddef>

#include "arena.h"

namespace pagerun {

/// An arena that owns nothing: what a thread points at before its first malloc, so that no fast path tests for null.
extern Arena empty_arena;

/// The same for a thread whose end has been seen: what it still allocates comes from the late arena.
extern Arena ended_arena;

/// The calling thread's arena.
extern __thread Arena* current_arena;

/// A block from the thread's bucket of the class when the fast path found none; sets the thread's arena up first if it
/// has none. Null when memory is exhausted.
void* thread_take_slow(Arena* arena, uint32_t size_class);

}  // namespace pagerun
