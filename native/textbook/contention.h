// How much threads get in each other's way on teaching allocator B: so many threads, arenas, a rule of choice, a kind
// of lock, for so long. Owns the threads and the arenas of one measurement; nothing is left of it afterwards. Thread
// rule: any thread; it is busy until the measurement ends, and one measurement should run at a time.
//
// Each thread keeps a few blocks of its own and replaces one at a time: an operation is one free and one malloc, each
// under the lock of one arena. No thread touches a block of another, so all that is waited for is locks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arenas.h"

namespace pagerun::textbook {

enum class LockKind : uint8_t { kMutex, kAdaptive, kSpin, kTicket };

struct ContentionPlan {
  uint32_t threads = 1;  // 1 to kMostContentionThreads
  uint32_t arenas = 1;   // 1 to kMostArenas
  Choice choice = Choice::kModulo;
  LockKind lock = LockKind::kMutex;
  Origin origin = Origin::kHeader;
  uint32_t milliseconds = 100;
};

inline constexpr uint32_t kMostContentionThreads = 256;

/// Sums over all threads.
struct ContentionResult {
  double seconds = 0;       // that passed
  uint64_t operations = 0;  // frees with a malloc
  uint64_t takes = 0;       // of locks
  uint64_t waits = 0;       // of them, those that were not had at once
  double waited_seconds = 0;
};

/// False when the system has no memory or no more threads; then nothing was measured.
bool measure_contention(const ContentionPlan& plan, ContentionResult* result);

}  // namespace pagerun::textbook
