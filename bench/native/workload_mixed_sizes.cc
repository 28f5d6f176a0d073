// Mixed sizes. Question: what does an allocator cost on sizes as programs mix them, many small and few large, and how
// much memory does its rounding of sizes take? 16 bytes to 64 KiB, each doubling half as likely as the one before,
// 8,192 live blocks, random lifetimes.
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kLive = 8192;
constexpr uint64_t kMinBytes = 16;
constexpr unsigned kDoublings = 12;

template <class Probe>
void mix(Run* run) {
  MappedArray<void*> live(kLive);
  Worker<Probe> worker(run);
  Random random(1);
  run->start_memory();
  run->start_clock();
  for (uint64_t round = 0, rounds = run->rounds(2); round < rounds; round++) {
    void*& ptr = live[random.between(0, kLive - 1)];
    if (ptr != nullptr) {
      worker.sum += *bytes_of(ptr);
      worker.heap.release(ptr);
    }
    uint64_t bytes = random.power_law(kMinBytes, kDoublings);
    ptr = worker.heap.allocate(bytes);
    touch(ptr, bytes, static_cast<uint8_t>(round));
  }
  run->stop_clock();
  run->read_peak();
  for (void* ptr : live) free(ptr);
  worker.finish();
}

constexpr Workload kWorkloads[] = {
    {"mixed-sizes",
     "What do sizes from 16 B to 64 KiB cost, small ones most often, and what does their rounding cost in memory?", 1,
     "this project", 20'000'000, mix<NoProbe>, mix<SampleProbe>},
};

}  // namespace

WorkloadList mixed_sizes_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
