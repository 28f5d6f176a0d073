// Aligned memory. Question: what does posix_memalign cost in time and in memory, for alignments from 16 bytes to an OS
// page? Sizes from 16 bytes to 4 KiB, both with small values more often, 4,096 live blocks. Blocks that are not
// aligned as asked are counted and told on stderr; the run goes on, because an installed contender may have that fault
// (mimalloc 2.0.9 has).
#include <inttypes.h>
#include <stdio.h>

#include "churn_sizes.h"

namespace pagerun::bench {
namespace {

constexpr size_t kLive = 4096;
constexpr uint64_t kMinBytes = 16;
constexpr unsigned kDoublings = 8;
constexpr unsigned kMinAlignmentLog2 = 4;
constexpr unsigned kMaxAlignmentLog2 = 12;

template <class Probe>
void churn_aligned(Run* run) {
  uint64_t misaligned = 0;
  auto next_size = [](Random* random) { return random->power_law(kMinBytes, kDoublings); };
  churn_sizes<Probe, kLive>(run, 7, next_size, [&](auto* heap, Random* random, uint64_t bytes) {
    auto rise = static_cast<unsigned>(__builtin_ctz(random->next() | 1u << (kMaxAlignmentLog2 - kMinAlignmentLog2)));
    size_t alignment = size_t{1} << (kMinAlignmentLog2 + rise);
    void* ptr = heap->allocate_aligned(alignment, bytes);
    misaligned += (reinterpret_cast<uintptr_t>(ptr) & (alignment - 1)) != 0;
    return ptr;
  });
  if (misaligned != 0) fprintf(stderr, "pagerun_bench: %" PRIu64 " blocks were not aligned as asked\n", misaligned);
}

constexpr Workload kWorkloads[] = {
    {"aligned", "What does posix_memalign cost in time and memory for alignments of 16 to 4,096 bytes?", 1,
     "this project", 10'000'000, churn_aligned<NoProbe>, churn_aligned<SampleProbe>},
};

}  // namespace

WorkloadList aligned_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
