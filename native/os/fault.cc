#include "fault.h"

#include <atomic>

#include "background.h"

namespace pagerun::os {

namespace {

std::atomic<uint64_t> calls{0};
std::atomic<uint64_t> fail_first{0};  // number of the first call to fail; 0: none
std::atomic<uint64_t> fail_end{0};    // number behind the last one

}  // namespace

void fail_call(uint64_t n, uint64_t count) {
  uint64_t now = calls.load(std::memory_order_relaxed);
  fail_end.store(n == 0 ? 0 : now + n + count, std::memory_order_relaxed);
  fail_first.store(n == 0 ? 0 : now + n, std::memory_order_relaxed);
}

bool should_fail() {
  if (is_background()) return false;
  uint64_t number = calls.fetch_add(1, std::memory_order_relaxed) + 1;
  uint64_t first = fail_first.load(std::memory_order_relaxed);
  return first != 0 && number >= first && number < fail_end.load(std::memory_order_relaxed);
}

uint64_t call_count() { return calls.load(std::memory_order_relaxed); }

}  // namespace pagerun::os
