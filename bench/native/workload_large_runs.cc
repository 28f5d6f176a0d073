// Large runs. Two questions. What does a block of 64 KiB to 8 MiB cost with the page faults that come with it: does the
// allocator keep and reuse such memory, or does it ask the system each time, and how much does keeping it cost? 24 live
// blocks. And what of blocks of 5 to 25 MiB, which most allocators take from the system one by one? 12 live blocks.
// One byte is written in each OS page.
#include "churn_sizes.h"

namespace pagerun::bench {
namespace {

constexpr uint64_t kSeed = 2;

template <class Probe>
void churn_runs(Run* run) {
  constexpr unsigned kDoublings = 7;
  churn_sizes<Probe, 24>(run, kSeed, [](Random* random) { return random->log_even(uint64_t{64} << 10, kDoublings); });
}

template <class Probe>
void churn_huge(Run* run) {
  churn_sizes<Probe, 12>(run, kSeed,
                         [](Random* random) { return random->between(uint64_t{5} << 20, uint64_t{25} << 20); });
}

constexpr Workload kWorkloads[] = {
    {"large-runs", "What do blocks of 64 KiB to 8 MiB cost, the page faults of their memory included?", 1,
     "this project", 10'000, churn_runs<NoProbe>, churn_runs<SampleProbe>},
    {"huge-blocks", "What do blocks of 5 to 25 MiB cost, the page faults of their memory included?", 1,
     "Leijen, mimalloc-bench, 2019 (malloc-large)", 600, churn_huge<NoProbe>, churn_huge<SampleProbe>},
};

}  // namespace

WorkloadList large_runs_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
