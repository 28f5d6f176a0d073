#include "purger.h"

#include "../base/settings.h"
#include "../os/background.h"
#include "../os/memory.h"
#include "arena.h"
#include "lent_arena.h"
#include "mapping_table.h"
#include "purge.h"
#include "run_list.h"
#include "sweep.h"
#include "thread_arena.h"

namespace pagerun {

constinit Purger purger;

namespace {

constexpr int64_t kDelayOfSettings = -2;
constexpr uint64_t kLooksPerDelay = 2;
constexpr uint64_t kWorkShare = 32;
constexpr uint64_t kLeastWorkMilliseconds = 8;   // the clock is coarse
constexpr uint64_t kEagerShare = 10;             // near the budget the delay is this part,
constexpr uint64_t kMostEagerMilliseconds = 50;  // and at most so much lies between two looks
constexpr uint64_t kBudgetMilliseconds = 250;    // between two readings of what is resident, where there is a budget
constexpr uint64_t kNearBudgetShare = 8;         // near: less than this part of it is left
constexpr uint64_t kMostPatience = 8;
constexpr uint64_t kLooksPerJudgement = 8;
constexpr uint64_t kLeastJudgedBytes = 4 << 20;
constexpr size_t kMostSurplusPages = (128 << 20) / kPageBytes;
constexpr size_t kLeftAlonePages = 8;  // not worth staying awake for
constexpr uint64_t kQuietTakes = 64;   // of the run list's lock, in the time between two looks without patience
constexpr uint32_t kMostLoansInARow = 4;
constexpr size_t kAloneShare = 16;  // of all pages: when so many have changed by frees of a child without a thread

int64_t delay() {
  int64_t milliseconds = purger.delay_ms.load(std::memory_order_relaxed);
  return milliseconds == kDelayOfSettings ? settings().purge_delay_ms : milliseconds;
}

bool is_in_state(PurgerState state) {
  return purger.state.load(std::memory_order_relaxed) == static_cast<uint32_t>(state);
}

bool change_state(PurgerState from, PurgerState to) {
  auto expected = static_cast<uint32_t>(from);
  return purger.state.compare_exchange_strong(expected, static_cast<uint32_t>(to), std::memory_order_seq_cst);
}

// As many of `surplus` dirty pages as one look gives back. Bytes given back.
size_t give_back_surplus(size_t surplus) {
  size_t dirty = 0;
  {
    LockGuard guard(run_list.lock());
    dirty = run_list.dirty_pages();
  }
  if (surplus > dirty) surplus = dirty;
  size_t most = dirty / 2 > kMostSurplusPages ? dirty / 2 : kMostSurplusPages;
  if (surplus > most) surplus = most;
  return surplus == 0 ? 0 : run_list.give_back(dirty - surplus) * kPageBytes;
}

// The background thread's own.
class Looks {
 public:
  void run() {
    for (;;) {
      rest();
      bool is_done = look();
      purge_counters.passes.fetch_add(1, std::memory_order_relaxed);
      judge();
      if (is_done) sleep();
    }
  }

 private:
  uint64_t milliseconds_between(uint64_t patience) const {
    int64_t wanted = delay();
    if (wanted < 0) return UINT32_MAX;
    uint64_t between = static_cast<uint64_t>(wanted) * patience / kLooksPerDelay;
    if (purger_is_eager()) between /= kEagerShare;
    if (purger_is_eager() && between > kMostEagerMilliseconds) between = kMostEagerMilliseconds;
    return between == 0 ? 1 : between;
  }

  // Until it is time for the next look. Patience is with a program that wants its pages again: it ends when hardly any
  // come and go, and what is dirty then has rested.
  void rest() {
    surplus_ = SIZE_MAX;
    is_quiet();
    for (uint64_t waits = patience_; waits > 0; waits--) {
      bool is_due = !rest_once();
      size_t surplus = run_list.surplus_pages();
      bool is_resting = is_quiet();
      if (is_resting || surplus < surplus_) surplus_ = surplus;
      if (is_resting || is_due) return;
    }
  }

  // False when somebody calls for the next look meanwhile, or the budget is nearly used up.
  bool rest_once() {
    for (uint64_t left = milliseconds_between(1); left > 0;) {
      bool has_budget = purger.budget_bytes.load(std::memory_order_relaxed) != 0;
      uint64_t step = has_budget && left > kBudgetMilliseconds ? kBudgetMilliseconds : left;
      os::wait_while(purger.calls, calls_, static_cast<int64_t>(step));
      left -= step;
      uint32_t called = purger.calls.load(std::memory_order_relaxed) - calls_;
      calls_ += called;
      if (has_budget) find_eager();
      if (called != 0 || purger_is_eager()) return false;
    }
    return true;
  }

  // True when hardly any pages came and went since it was asked last.
  bool is_quiet() {
    LockGuard guard(run_list.lock());
    uint64_t takes = run_list.lock().taken() - seen_takes_;
    seen_takes_ += takes;
    return takes <= kQuietTakes;
  }

  // True when all that rests was given back, and what does not rest is not worth another look.
  bool look() {
    if (delay() < 0) return true;
    find_eager();
    give_back_surplus(purger_is_eager() ? SIZE_MAX : surplus_);
    uint64_t work = milliseconds_between(patience_) / kWorkShare;
    if (work < kLeastWorkMilliseconds) work = kLeastWorkMilliseconds;
    bool is_all = purger_is_eager() || delay() == 0;
    bool is_at_end = sweep_.go_on(is_all ? SweepWhich::kChanged : SweepWhich::kQuiet, os::milliseconds() + work);
    bool is_lent = retire_idle();
    LockGuard guard(run_list.lock());
    return is_at_end && !is_lent && sweep_.pending_pages() <= kLeftAlonePages &&
           run_list.dirty_pages() <= kLeftAlonePages;
  }

  // True when that gave the next look something to do. A thread that wakes up now and then is no reason to stay awake
  // for ever.
  bool retire_idle() {
    loans_ = idle_arenas_retire() > 0 ? loans_ + 1 : 0;
    return loans_ > 0 && loans_ <= kMostLoansInARow;
  }

  void find_eager() {
    uint64_t budget = purger.budget_bytes.load(std::memory_order_relaxed);
    purger.is_eager.store(budget != 0 && os::resident_bytes() > budget - budget / kNearBudgetShare,
                          std::memory_order_relaxed);
  }

  // The delay follows from what became of what was given back.
  void judge() {
    if (++looks_ % kLooksPerJudgement != 0) return;
    uint64_t purged = purge_counters.purged_bytes.load(std::memory_order_relaxed);
    uint64_t retaken = purge_counters.retaken_bytes.load(std::memory_order_relaxed);
    uint64_t more = purged - purged_, again = retaken - retaken_;
    purged_ = purged;
    retaken_ = retaken;
    bool is_wrong = again > kLeastJudgedBytes && again * 2 > more;
    if (is_wrong && patience_ < kMostPatience) patience_ *= 2;
    if (!is_wrong && patience_ > 1) patience_ /= 2;
  }

  // Whoever frees before this thread is known to be asleep is seen by one more look; whoever frees later sees the
  // state.
  void sleep() {
    purger.freed_pages.store(0, std::memory_order_relaxed);
    if (!change_state(PurgerState::kAwake, PurgerState::kAsleep)) return;
    // seq_cst: a fence of this thread alone, where there is none of all
    if (!os::fence_all_threads()) purger.freed_pages.fetch_add(0, std::memory_order_seq_cst);
    if (look() || delay() < 0) {
      while (is_in_state(PurgerState::kAsleep))
        os::wait_while(purger.state, static_cast<uint32_t>(PurgerState::kAsleep), -1);
    }
    change_state(PurgerState::kAsleep, PurgerState::kAwake);
  }

  Sweep sweep_;
  uint32_t calls_ = 0;
  uint64_t looks_ = 0;
  uint32_t loans_ = 0;
  uint64_t patience_ = 1;
  size_t surplus_ = 0;  // dirty pages that were not needed since the last look
  uint64_t seen_takes_ = 0;
  uint64_t purged_ = 0;
  uint64_t retaken_ = 0;
};

void run_background() {
  os::become_background("pagerun-purge");
  static constinit Looks looks;
  looks = Looks();  // a parent's, in whatever it was doing
  looks.run();
}

void end_alone() {
  if (!purger.is_alone.exchange(false, std::memory_order_relaxed)) return;
  purger.is_eager.store(false, std::memory_order_relaxed);
}

void wake() {
  if (change_state(PurgerState::kAsleep, PurgerState::kAwake)) os::wake(purger.state);
}

// The thread's own arena: what others freed of it, and with `is_all` what it keeps for itself, is there for a sweep.
void prepare_own(bool is_all) {
  Arena* arena = arena_own();
  if (is_stand_in(arena)) return;
  is_all ? arena_rest(arena) : arena_drain(arena);
}

// What the thread gives back of its own pages where there are no sweeps.
size_t purge_own() {
  Arena* arena = arena_own();
  if (is_stand_in(arena)) return 0;
  size_t given = 0;
  for (Bucket& bucket : arena->buckets) {
    for (PageHeader* page = bucket.partial.first(); page != nullptr; page = page->next)
      given += page_purge_free_blocks(page);
  }
  return given;
}

}  // namespace

bool purger_is_wanted() { return delay() >= 0; }

void purger_note_slow(uint32_t pages) {
  if (purger.freed_pages.fetch_add(pages, std::memory_order_relaxed) + pages >= kWakePages) wake();
}

void purger_start() {
  Arena* arena = thread_arena();  // a program of large blocks alone may have none so far
  if (arena == nullptr || arena->state.load(std::memory_order_relaxed) != ArenaState::kActive) return;
  uint64_t budget = settings().rss_target_bytes;
  if (purger.budget_bytes.load(std::memory_order_relaxed) == 0)
    purger.budget_bytes.store(budget, std::memory_order_relaxed);
  if (!change_state(PurgerState::kNone, delay() < 0 ? PurgerState::kOff : PurgerState::kAwake)) return;
  end_alone();
  if (delay() < 0) return;
  if (!os::start_thread(run_background)) change_state(PurgerState::kAwake, PurgerState::kOff);
}

void purger_set_delay(int64_t milliseconds) {
  purger.delay_ms.store(milliseconds, std::memory_order_relaxed);
  if (milliseconds < 0) end_alone();
  change_state(PurgerState::kOff, PurgerState::kNone);
  purger.calls.fetch_add(1, std::memory_order_relaxed);
  os::wake(purger.calls);
  wake();
}

void purger_set_budget(uint64_t bytes) {
  purger.budget_bytes.store(bytes, std::memory_order_relaxed);
  if (bytes == 0) purger.is_eager.store(false, std::memory_order_relaxed);
  purger.calls.fetch_add(1, std::memory_order_relaxed);
  os::wake(purger.calls);
  wake();
}

size_t purge(bool force, size_t keep_pages) {
  prepare_own(force);
  if (force) mapping_table.give_back_kept();
  Sweep sweep;
  sweep.go_on(force ? SweepWhich::kAll : SweepWhich::kQuiet, UINT64_MAX);
  size_t given = sweep.given_bytes();
  if (force && !os::fence_all_threads()) given += purge_own();
  return given + (force ? run_list.give_back(keep_pages) * kPageBytes : give_back_surplus(run_list.surplus_pages()));
}

void purger_stand_in() {
  size_t used_pages = load_relaxed(region_table.regions[0].used_pages);
  size_t step = used_pages / kAloneShare > kWakePages ? used_pages / kAloneShare : kWakePages;
  if (purger.freed_pages.fetch_add(1, std::memory_order_relaxed) + 1 < step) return;
  purger.freed_pages.store(0, std::memory_order_relaxed);
  Sweep sweep;
  sweep.go_on(SweepWhich::kChanged, UINT64_MAX);
  run_list.give_back_excess();
}

void purger_fork() {
  os::forget_background();
  sweep_claims.count.store(0, std::memory_order_relaxed);
  if (!is_in_state(PurgerState::kOff)) purger.state.store(0, std::memory_order_relaxed);
  bool is_alone = is_in_state(PurgerState::kNone) && purger_is_wanted() &&
                  load_relaxed(region_table.regions[0].used_pages) >= kStartPages;
  purger.freed_pages.store(0, std::memory_order_relaxed);
  purger.is_alone.store(is_alone, std::memory_order_relaxed);
  purger.is_eager.store(is_alone, std::memory_order_relaxed);
}

}  // namespace pagerun
