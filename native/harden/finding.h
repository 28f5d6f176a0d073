// What the heap finds that is nobody's answer: a freed block that was written to; one that two threads freed at the
// same moment, neither of which could see the other. Goes to the handler, if there is one (preload/, which tells C
// programs); else the last such finding is kept until somebody takes it (node/, which throws). Thread rule: any thread;
// of two findings at once one is kept.
#pragma once

#include <atomic>
#include <cstddef>

#include "misuse.h"

namespace pagerun {

struct Finding {
  Misuse misuse;  // kWriteAfterFree: the block is never handed out again; kDoubleFree
  const void* block;
  size_t bytes;  // of it
};

extern std::atomic<bool> has_finding;  // release: pairs with finding_take()

/// Called from any allocation or free, under no lock but that of the arenas or of a made one.
extern std::atomic<void (*)(const Finding&)> finding_handler;

void finding_note(const Finding& finding);

/// Takes the finding, if there is one.
bool finding_take(Finding* finding);

}  // namespace pagerun
