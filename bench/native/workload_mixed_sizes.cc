// Mixed sizes. Question: what does an allocator cost on sizes as programs mix them, many small and few large, and how
// much memory does its rounding of sizes take? 16 bytes to 64 KiB, each doubling half as likely as the one before,
// 8,192 live blocks, random lifetimes.
#include "churn_sizes.h"

namespace pagerun::bench {
namespace {

constexpr size_t kLive = 8192;
constexpr uint64_t kMinBytes = 16;
constexpr unsigned kDoublings = 12;

template <class Probe>
void mix(Run* run) {
  churn_sizes<Probe, kLive>(run, 1, [](Random* random) { return random->power_law(kMinBytes, kDoublings); });
}

constexpr Workload kWorkloads[] = {
    {"mixed-sizes",
     "What do sizes from 16 B to 64 KiB cost, small ones most often, and what does their rounding cost in memory?", 1,
     "this project", 20'000'000, mix<NoProbe>, mix<SampleProbe>},
};

}  // namespace

WorkloadList mixed_sizes_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
