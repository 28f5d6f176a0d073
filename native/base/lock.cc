#include "lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace pagerun {

namespace {

constexpr int kSpins = 100;

std::atomic<uint32_t> sleepers{0};  // threads that are about to sleep on a lock, or do

// Tells the core that this is a spin; a compiler barrier where there is no such instruction.
#ifdef __x86_64__
inline void spin_pause() { __builtin_ia32_pause(); }
#else
inline void spin_pause() { __asm__ volatile("" ::: "memory"); }
#endif

// free() must keep errno, and it may end up here.
void futex(std::atomic<uint32_t>& word, int operation, uint32_t value) {
  int saved = errno;
  syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
  errno = saved;
}

}  // namespace

// Three states after Ulrich Drepper, "Futexes Are Tricky" (2011), mutex 2: whoever may have slept leaves the word
// contended, so that no wake is lost.
void Lock::take_slow() {
  for (int i = 0; i < kSpins; i++) {
    uint32_t expected = kFree;
    if (word_.load(std::memory_order_relaxed) == kFree &&
        word_.compare_exchange_weak(expected, kHeld, std::memory_order_acquire, std::memory_order_relaxed))
      return;
    spin_pause();
  }
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (word_.exchange(kContended, std::memory_order_acquire) != kFree) futex(word_, FUTEX_WAIT, kContended);
  sleepers.fetch_sub(1, std::memory_order_relaxed);
}

bool Lock::take_within(int64_t milliseconds) {
  int saved = errno;
  bool is_taken = false;
  for (int64_t waited = 0; !is_taken; waited++) {
    uint32_t expected = kFree;
    // acquire: as in take()
    is_taken = word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire, std::memory_order_relaxed);
    if (is_taken || waited == milliseconds) break;
    constexpr timespec kMillisecond = {0, 1000000};
    nanosleep(&kMillisecond, nullptr);
  }
  errno = saved;
  if (is_taken) taken_++;
  return is_taken;
}

bool Lock::is_anybody_asleep() { return sleepers.load(std::memory_order_seq_cst) != 0; }

void Lock::forget_sleepers() { sleepers.store(0, std::memory_order_relaxed); }

void Lock::wake_one() { futex(word_, FUTEX_WAKE, 1); }

}  // namespace pagerun
