// Waiting for another thread, on few cores. Owns how long is spun before the core is given away. Thread rule: any
// thread.
#pragma once

#include <sched.h>

namespace pagerun::bench {

#if defined(__x86_64__)
inline void pause_core() { __builtin_ia32_pause(); }
#elif defined(__aarch64__)
inline void pause_core() { __asm__ volatile("yield"); }
#else
inline void pause_core() {}
#endif

/// Returns when `is_done()` is true. It is asked often, so it should be one load.
template <class IsDone>
inline void wait_until(IsDone is_done) {
  constexpr int kSpins = 64;
  for (int spin = 0; spin < kSpins; spin++) {
    if (is_done()) return;
    pause_core();
  }
  while (!is_done()) sched_yield();
}

}  // namespace pagerun::bench
