#include "policy.h"

#include <atomic>

#include "../os/memory.h"
#include "fill.h"

namespace pagerun {

uint32_t process_policies = 0;
uint64_t canary_secret = 0;

void policies_choose() {
  static std::atomic<bool> is_chosen{false};
  if (is_chosen.load(std::memory_order_relaxed) || is_chosen.exchange(true, std::memory_order_relaxed)) return;
  canary_secret = os::random_bits();
  fill_choose();
  if (settings().profile == Profile::kHardened) process_policies = kHardened | settings().harden_policies;
}

}  // namespace pagerun
