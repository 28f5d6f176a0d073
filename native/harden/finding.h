// What an allocation finds that is nobody's answer: a freed block that was written to. Owns the last such finding until
// somebody takes it: the calls of malloc in preload/, which stop the program, or of node/, which throw.
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

void finding_note(const Finding& finding);

/// Takes the finding, if there is one.
bool finding_take(Finding* finding);

}  // namespace pagerun
