// The hardened profile's policies, and which of them the process has chosen. docs/hardened.md says of each
// what it does, what it costs and what it catches. Owns the choice, which is made once, at the first allocation; does
// not apply a policy (core/ does). Thread rule: any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../base/settings.h"

namespace pagerun {

enum Policy : uint32_t {
  kCanary = kHardenCanary,
  kZero = kHardenZero,
  kQuarantine = kHardenQuarantine,
  kRandom = kHardenRandom,
  kGuards = kHardenGuards,
  kUnmap = kHardenUnmap,
  kSizeZero = kHardenSize0,
  kSized = kHardenSized,
  kAllPolicies = kHardenAll,
  kHardened = kHardenAll + 1,  // set whenever the profile is, so that one without any policy is not 0
};

/// 0 in the fast profile; in the hardened one kHardened and its policies.
extern uint32_t process_policies [[gnu::visibility("hidden")]];

/// Chooses the process's policies by its settings; any number of times, of which the first counts.
void policies_choose();

}  // namespace pagerun
