// The clocks of the bench: seconds for whole runs, ticks for single operations.
// Owns the choice of the tick counter. Does not convert ticks (latency.h does). Thread rule: any thread.
#pragma once

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace pagerun::bench {

inline double seconds_of(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

inline double seconds_now() { return seconds_of(CLOCK_MONOTONIC); }

/// What all threads of the process have worked, in their own code and in the kernel's.
inline double worked_seconds_now() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

#if defined(__x86_64__)

/// Ticks of a counter of constant rate. Earlier instructions have ended when it is read.
inline uint64_t ticks_now() {
  unsigned core = 0;
  uint64_t ticks = __rdtscp(&core);
  _mm_lfence();
  return ticks;
}

#else

inline uint64_t ticks_now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

#endif

}  // namespace pagerun::bench
