// A mutual exclusion lock of one word: free, held, or held with sleepers. Waits with futex(2) after a short spin.
// Fair to nobody, allocates nothing, may be held across fork when fork handlers take and give it.
// Counts how often it was taken, so that "no shared lock on a hot path" can be shown by a figure.
#pragma once

#include <atomic>
#include <cstdint>

namespace pagerun {

class Lock {
 public:
  constexpr Lock() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void take() {
    uint32_t expected = kFree;
    // acquire: pairs with the release in give()
    if (!word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire, std::memory_order_relaxed))
      take_slow();
    taken_++;
  }

  /// Takes it when it comes free within so many milliseconds: for a signal's handler, whose own thread may hold it.
  bool take_within(int64_t milliseconds);

  void give() {
    // release: pairs with the acquire in take() and take_slow()
    if (word_.exchange(kFree, std::memory_order_release) == kContended) wake_one();
  }

  /// Forgets holder and sleepers: for the child of a fork, where neither exists.
  void reset() { word_.store(kFree, std::memory_order_relaxed); }

  /// True when some thread sleeps on one of these locks. It has said so before it went to sleep.
  static bool is_anybody_asleep();

  /// For the child of a fork, where nobody does.
  static void forget_sleepers();

  /// How often the lock was taken so far; read while it is held.
  uint64_t taken() const { return taken_; }

 private:
  static constexpr uint32_t kFree = 0, kHeld = 1, kContended = 2;

  void take_slow();
  void wake_one();

  std::atomic<uint32_t> word_{kFree};
  uint64_t taken_ = 0;  // guarded by the lock itself
};

class LockGuard {
 public:
  explicit LockGuard(Lock& lock) : lock_(lock) { lock_.take(); }
  ~LockGuard() { lock_.give(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace pagerun
