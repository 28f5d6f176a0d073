// Locks that differ in how a thread waits, and that tell how long all threads have waited for them. For the comparison
// of locks only (contention.h); the production core has one lock, native/base/lock.h.
//
//   MutexLock     sleeps at once when it is held
//   AdaptiveLock  tries some times, then sleeps
//   SpinLock      tries until it has it, and gives the core away now and then
//   TicketLock    like it, but in the order of arrival
//
// The wait is the time between the first refusal and the moment that the lock is had: a thread that the system has
// stopped meanwhile, because others run, waits as well. A lock that is free at once costs one try and reads no clock.
// Thread rule: any thread; the counts are guarded by the lock itself.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <cstdint>

namespace pagerun::textbook {

inline uint64_t nanoseconds_now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

/// One step of waiting while another core works: cheap at first, then the core is given away.
class Patience {
 public:
  void wait_a_little() {
    if (++tries_ % kTriesBeforeYield == 0) sched_yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
  }

 private:
  static constexpr uint32_t kTriesBeforeYield = 64;
  uint32_t tries_ = 0;
};

template <int kPthreadKind>
class PthreadLock {
 public:
  PthreadLock() {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, kPthreadKind);
    pthread_mutex_init(&mutex_, &kind);
    pthread_mutexattr_destroy(&kind);
  }
  ~PthreadLock() { pthread_mutex_destroy(&mutex_); }
  PthreadLock(const PthreadLock&) = delete;
  PthreadLock& operator=(const PthreadLock&) = delete;

  bool try_take() { return pthread_mutex_trylock(&mutex_) == 0; }
  void take() { pthread_mutex_lock(&mutex_); }
  void give() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_;
};

class BareSpinLock {
 public:
  // acquire: pairs with the release in give()
  bool try_take() {
    return !is_held_.load(std::memory_order_relaxed) && !is_held_.exchange(true, std::memory_order_acquire);
  }
  void take() {
    Patience patience;
    while (!try_take()) patience.wait_a_little();
  }
  void give() { is_held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> is_held_{false};
};

class BareTicketLock {
 public:
  bool try_take() {
    uint32_t served = served_.load(std::memory_order_acquire);  // acquire: pairs with the release in give()
    uint32_t expected = served;
    return next_.compare_exchange_strong(expected, served + 1, std::memory_order_relaxed);
  }
  void take() {
    const uint32_t own = next_.fetch_add(1, std::memory_order_relaxed);
    Patience patience;
    // acquire: pairs with the release in give()
    while (served_.load(std::memory_order_acquire) != own) patience.wait_a_little();
  }
  // Only the holder writes `served_`.
  void give() { served_.store(served_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

 private:
  std::atomic<uint32_t> next_{0};
  std::atomic<uint32_t> served_{0};
};

struct LockCounts {
  uint64_t takes = 0;
  uint64_t waits = 0;  // of them, those that did not have the lock at once
  uint64_t waited_nanoseconds = 0;
};

template <class Bare>
class TimedLock {
 public:
  void take() {
    if (!bare_.try_take()) take_waiting();
    counts_.takes++;
  }
  void give() { bare_.give(); }

  /// To be read while no thread uses the lock.
  const LockCounts& counts() const { return counts_; }

 private:
  __attribute__((noinline)) void take_waiting() {
    const uint64_t from = nanoseconds_now();
    bare_.take();
    counts_.waits++;
    counts_.waited_nanoseconds += nanoseconds_now() - from;
  }

  Bare bare_;
  LockCounts counts_;  // guarded by bare_
};

using MutexLock = TimedLock<PthreadLock<PTHREAD_MUTEX_NORMAL>>;
using AdaptiveLock = TimedLock<PthreadLock<PTHREAD_MUTEX_ADAPTIVE_NP>>;
using SpinLock = TimedLock<BareSpinLock>;
using TicketLock = TimedLock<BareTicketLock>;

}  // namespace pagerun::textbook
