// The background thread, which gives back what has rested, and the calls by which a program gives back itself.
// Owns the thread, when it works and how much, and the budget; what can be given back is the business of sweep.h
// (bucket pages) and run_list.h (free runs).
//
//   none     no thread: the process is small, or a child of fork; started by malloc beyond kStartPages
//   awake    looks round every half delay; when all that rests is given back it goes to sleep
//   asleep   no wake-ups; whoever frees kWakePages pages, or some of each, wakes it
//   off      none is wanted, or the system refused one: a thread gives back by its own slow paths, as far as they come
//
// What rests is what did not change from one look to the next: bucket pages into which nobody freed, and as many free
// pages as were not needed at any moment in between. When much of what was given back is taken again, the delay grows,
// up to kMostPatience times; it shrinks again when little is, and does not count while nobody takes or frees pages. One
// look takes at most 1 / kWorkShare of the time between two, and gives back kMostSurplusPages or half of what rests in
// free runs.
//
// The thread is started where memory is allocated, never where it is freed: the C library allocates for it, and frees
// memory under locks that starting a thread takes. A child of fork that only frees has none, therefore, and nobody who
// would give back later: it does so by its frees, all that is free each time that much more is.
// Thread rule: any thread; the words below are atomic.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "region.h"

namespace pagerun {

enum class PurgerState : uint32_t { kNone, kAwake, kAsleep, kOff };

constexpr size_t kStartPages = (8 << 20) / kPageBytes;  // of the primary region, used ever
constexpr uint32_t kWakePages = (1 << 20) / kPageBytes;

struct Purger {
  std::atomic<uint32_t> state{0};         // PurgerState
  std::atomic<uint32_t> freed_pages{0};   // since it fell asleep
  std::atomic<uint32_t> calls{0};         // to look round at once
  std::atomic<int64_t> delay_ms{-2};      // -2: as settings.h says; kPurgeNever: no thread
  std::atomic<uint64_t> budget_bytes{0};  // 0: none
  std::atomic<bool> is_eager{false};      // the budget is nearly used up, or it is such a child:
  std::atomic<bool> is_alone{false};      // of fork, large, and without a malloc that could start a thread so far
};

extern Purger purger;

/// Counts pages that a thread has just freed, in whole or in part. A load, but for a sleeping background thread.
[[gnu::cold]] void purger_note_slow(uint32_t pages);

inline void purger_note(uint32_t pages) {
  if (purger.state.load(std::memory_order_relaxed) == static_cast<uint32_t>(PurgerState::kAsleep)) [[unlikely]]
    purger_note_slow(pages);
}

/// Starts the background thread if it is time to. May allocate: the calling thread's arena is in the middle of nothing,
/// and no lock is held, unless the thread has ended.
[[gnu::cold]] void purger_start();

inline void purger_consider() {
  bool is_none = purger.state.load(std::memory_order_relaxed) == static_cast<uint32_t>(PurgerState::kNone);
  if (is_none && load_relaxed(region_table.regions[0].used_pages) >= kStartPages) [[unlikely]]
    purger_start();
}

/// False where memory is not to be given back because it has rested for a while.
bool purger_is_wanted();

/// Gives back in place of the thread that a child of fork does not have. The calling thread's arena is in the middle of
/// nothing, and no lock is held but a made arena's.
[[gnu::cold]] void purger_stand_in();

/// To be called after the state of a page has changed by a free.
inline void purger_serve() {
  if (purger.is_alone.load(std::memory_order_relaxed)) [[unlikely]]
    purger_stand_in();
}

inline bool purger_is_eager() { return purger.is_eager.load(std::memory_order_relaxed); }

/// How long memory rests until it is given back, in milliseconds; kPurgeNever: the thread does nothing from now on.
void purger_set_delay(int64_t milliseconds);

/// Bytes of resident memory of the process near which purging becomes eager; 0: none.
void purger_set_budget(uint64_t bytes);

/// Gives back what the calling thread's arena and everybody's free memory have to give: all of it when `force`, else
/// what has rested since the last call or look of the background thread. Of other threads' arenas all but the pages
/// that they take blocks from now. At most `keep_pages` of free runs stay. Returns the bytes. O(pages), system calls.
size_t purge(bool force, size_t keep_pages = 0);

/// For the child of a fork, which has no such thread.
void purger_fork();

}  // namespace pagerun
