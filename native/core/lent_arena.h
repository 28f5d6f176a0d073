// An idle thread's arena, lent to whoever gives memory back: a thread that sleeps has no slow path in which it could
// retire the pages that it takes blocks from (arena.h), and what is free in them would stay for as long as it sleeps.
// Owns no state but lent_arena (thread_arena.h) and the fields of an arena that say whose it is.
//
//   1. S: the owner's pointer to its arena = &lent_arena, which has no pages         under arenas_lock, up to step 5
//   2. S: passes a fence on every running thread (membarrier(2))
//   3. S: the owner sleeps in a wait, and not for a lock of this heap: else step 5
//   4. S: retires the arena's current pages, puts its spare runs back; the fence again
//   5. S: the owner's pointer = the arena
//
// Why the owner never meets it. Its fast paths read the pointer first, and wait for nothing. The owner is in no fast
// path at step 3, because it sleeps in a system call of its program's; nor in a slow path, where it could only sleep
// for one of our locks. Whatever it begins after that reads the pointer of step 1, or of step 5 with all of step 4:
// with the former it finds no block and waits for arenas_lock (arena_own()), and what it frees is left in the page's
// remote bits, as by any other thread. A handler of a signal may have interrupted a fast path: so a wait counts only
// where handlers must not wait (neither futex(2)'s users nor epoll_wait(2) are async-signal-safe), on the thread's own
// stack. Not lent are arenas that a runtime serves by itself, made ones, and those of the hardened profile. Thread
// rule: as each call says. Lock order: arenas -> run list.
#pragma once

#include <cstdint>

#include "arena.h"

namespace pagerun {

/// From now on the calling thread's arena can be lent. The thread is in the middle of nothing that is the arena's.
void arena_allow_loan(Arena* arena);

/// The same in the child of a fork, where the thread has another number. Under arenas_lock.
void arena_renew_loan(Arena* arena);

/// Retires the current pages of all threads that wait, and puts their spare runs back. Returns the pages retired.
/// O(arenas), a file of /proc for each that has such pages, and two fences for each that waits. Any thread, which keeps
/// its own.
uint32_t idle_arenas_retire();

}  // namespace pagerun
