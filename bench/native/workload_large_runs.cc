// Large runs. Question: what does a block of 64 KiB to 8 MiB cost with the page faults that come with it: does the
// allocator keep and reuse such memory, or does it ask the system each time, and how much does keeping it cost? 24 live
// blocks, one byte written in each OS page.
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kLive = 24;
constexpr uint64_t kMinBytes = uint64_t{64} << 10;
constexpr unsigned kDoublings = 7;

template <class Probe>
void churn_large(Run* run) {
  MappedArray<void*> live(kLive);
  Worker<Probe> worker(run);
  Random random(2);
  run->start_memory();
  run->start_clock();
  for (uint64_t round = 0, rounds = run->rounds(2); round < rounds; round++) {
    void*& ptr = live[random.between(0, kLive - 1)];
    if (ptr != nullptr) {
      worker.sum += *bytes_of(ptr);
      worker.heap.release(ptr);
    }
    uint64_t bytes = random.log_even(kMinBytes, kDoublings);
    ptr = worker.heap.allocate(bytes);
    touch(ptr, bytes, static_cast<uint8_t>(round));
  }
  run->stop_clock();
  run->read_peak();
  for (void* ptr : live) free(ptr);
  worker.finish();
}

constexpr Workload kWorkloads[] = {
    {"large-runs", "What do blocks of 64 KiB to 8 MiB cost, the page faults of their memory included?", 1,
     "this project", 10'000, churn_large<NoProbe>, churn_large<SampleProbe>},
};

}  // namespace

WorkloadList large_runs_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
