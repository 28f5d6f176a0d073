// What an allocation finds that is nobody's answer: a freed block that was written to. Goes to the handler, if there is
// one (preload/, which tells C programs); else the last such finding is kept until somebody takes it (node/, which
// throws).
// Thread rule: any thread; of two findings at once one is kept.
#pragma once

#include <atomic>
#include <cstddef>

namespace pagerun {

struct Finding {
  const void* block;  // it was written to while it was free, and is never handed out again
  size_t bytes;       // of it
};

extern std::atomic<bool> has_finding;  // release: pairs with finding_take()

/// Called from any allocation, with no lock held.
extern std::atomic<void (*)(const Finding&)> finding_handler;

void finding_note(const Finding& finding);

/// Takes the finding, if there is one.
bool finding_take(Finding* finding);

}  // namespace pagerun
