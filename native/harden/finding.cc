#include "finding.h"

#include "../base/lock.h"

namespace pagerun {

std::atomic<bool> has_finding{false};
std::atomic<void (*)(const Finding&)> finding_handler{nullptr};

namespace {

Lock lock;
Finding last = {Misuse::kNone, nullptr, 0};

}  // namespace

void finding_note(const Finding& finding) {
  auto handler = finding_handler.load(std::memory_order_relaxed);
  if (handler != nullptr) return handler(finding);
  LockGuard guard(lock);
  last = finding;
  has_finding.store(true, std::memory_order_release);
}

bool finding_take(Finding* finding) {
  if (!has_finding.load(std::memory_order_acquire)) return false;
  LockGuard guard(lock);
  bool is_there = has_finding.exchange(false, std::memory_order_relaxed);
  *finding = last;
  return is_there;
}

}  // namespace pagerun
