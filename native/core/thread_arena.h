// Which arena the calling thread uses: made or adopted at its first malloc, abandoned when the thread ends.
// Owns the thread-local pointer, the thread-end hook and the fork handlers. Thread rule: each thread its own.
//
// The pointer lies in thread-local storage of the general kind, which any library can have at any time. In nearly every
// process the loader has put it into the static part all the same: at a distance from the thread pointer that is the
// same in all threads. Then the fast paths read it there. A library that was opened when the static part was used up
// has no such distance: its fast paths serve nothing, and what they fall back on asks the loader each time.
#pragma once

#include <cstddef>

#include "../base/relaxed.h"
#include "arena.h"

namespace pagerun {

/// An arena that owns nothing: what a thread points at before its first malloc, so that no fast path tests for null.
extern Arena empty_arena;

/// The same for a thread whose end has been seen: what it still allocates comes from the late arena.
extern Arena ended_arena;

/// The same for a thread whose arena is lent (lent_arena.h): it waits for the end of that as soon as it wants a block.
extern Arena lent_arena;

/// True of these three: such an arena has no pages, nor shall it have any. Every other has an id.
inline bool is_stand_in(const Arena* arena) { return load_relaxed(arena->id) == 0; }

/// The calling thread's arena. The loader is asked for its place, which is a call, and may allocate: arena_now() is
/// not.
extern __thread Arena* current_arena;

/// Distance of current_arena from the thread pointer, and the end of the sizes that malloc's fast path serves. Both are
/// 0 until arena_place_find() has run, which it has when the library is loaded, and remain 0 where there is no
/// distance; the end does in the hardened profile as well, where no call is the fast path's.
extern size_t arena_distance [[gnu::visibility("hidden")]];
extern size_t direct_end [[gnu::visibility("hidden")]];

/// The same for the hardened profile's fast paths (hardened.h): 0 in the fast profile.
extern size_t hardened_end [[gnu::visibility("hidden")]];

/// End of the sizes that a bucket has blocks for, and calloc clears; 0 where direct_end is.
extern size_t bucket_end [[gnu::visibility("hidden")]];

/// Chooses the profile, and finds the distance; true when there is one. Any number of times.
bool arena_place_find();

/// The place of current_arena when there is a distance; some readable word while there is none.
#ifdef __x86_64__
inline Arena** arena_place_near() {
  return reinterpret_cast<Arena**>(static_cast<char*>(__builtin_thread_pointer()) + load_shared(arena_distance));
}
#else
inline Arena** arena_place_near() { return &current_arena; }
#endif

/// Asks the loader for the place. A call, so that no compiler asks before it is known that it must: the loader may
/// allocate, and would end up here again.
Arena** arena_place_far();

/// The same, always; does not allocate where there is a distance.
inline Arena** arena_place() { return load_shared(arena_distance) != 0 ? arena_place_near() : arena_place_far(); }

inline Arena* arena_now() { return *arena_place(); }

/// The same, when nobody has it who gives back what it does not need: lent_arena is never the answer.
Arena* arena_own();

/// The calling thread's arena, set up if it has none; null when memory is exhausted or the thread has ended.
Arena* thread_arena();

/// Has fork() hold the heap's locks: the first malloc sees to it, and preload/ before anybody else registers handlers.
/// Others may allocate only where they were registered later, and so run while no lock is held.
void fork_handlers_set_up();

/// An arena for a runtime that allocates by itself, on one thread, what the core's calls on that thread do not serve:
/// its buckets change under nobody's hand but its own. Null when memory is exhausted. arena_abandon() ends it.
Arena* arena_open();

/// Makes `arena` the calling thread's; returns the one that was. Until it is switched back, within one call of the
/// core.
Arena* arena_switch(Arena* arena);

/// A block from the thread's bucket of the class when the fast path found none; sets the thread's arena up first if it
/// has none. Null when memory is exhausted.
void* thread_take_slow(Arena* arena, uint32_t size_class);

}  // namespace pagerun
