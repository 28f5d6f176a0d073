// The list of all arenas that were ever made, and the memory of their records, which are never given back: whoever has
// found an arena may follow it. Owns arenas_lock, under which arenas change hands (arena.h).
// Thread rule: as each call says.
#pragma once

#include <cstddef>

#include "../base/lock.h"

namespace pagerun {

struct Arena;

extern Lock arenas_lock;  // lock order: arenas -> run list

/// Memory for records, which is never given back: a mapping, or where a limit on address space was set so late that
/// there is none to be had, a run. Null when refused. Under arenas_lock.
void* records_map(size_t bytes);

/// Gives a record an id that was never used. Under arenas_lock.
void arena_identify(Arena* arena);

/// Puts a new record on the list of all arenas. Under arenas_lock.
void arena_enlist(Arena* arena);

/// A new arena with an id, on the list. Null when memory is exhausted. Under arenas_lock.
Arena* arena_new();

/// Every arena that was ever made, newest first, linked by `next`. Any thread.
Arena* arena_first();

/// True when there is such an arena, or was: it may be followed. O(arenas). Any thread.
bool arena_is_known(const Arena* arena);

/// For the child of a fork: every active arena but these two becomes an orphan. Under arenas_lock.
void arenas_orphan(const Arena* mine, const Arena* late);

}  // namespace pagerun
