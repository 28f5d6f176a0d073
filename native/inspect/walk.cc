#include "walk.h"

#include "../core/arena.h"
#include "../core/arena_list.h"
#include "../core/block_hold.h"
#include "../core/mapping_table.h"
#include "../core/range_table.h"
#include "../core/unreadable_blocks.h"

namespace pagerun {

namespace {

constexpr size_t kLockCount = 6;

Lock& lock_at(size_t place) {
  Lock* const in_order[kLockCount] = {&arenas_lock,        &run_list.lock(), &mapping_table.lock(),
                                      &range_table.lock(), &holds_lock(),    &unreadable_blocks.lock()};
  return *in_order[place];
}

}  // namespace

HeapLock::HeapLock() {
  for (; held_ < kLockCount; held_++) lock_at(held_).take();
}

HeapLock::HeapLock(int64_t patience_ms) {
  while (held_ < kLockCount && lock_at(held_).take_within(patience_ms)) held_++;
}

HeapLock::~HeapLock() {
  while (held_ > 0) lock_at(--held_).give();
}

bool HeapLock::is_held() const { return held_ == kLockCount; }

}  // namespace pagerun
