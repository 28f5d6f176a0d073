// Zeroed memory. Question: what does calloc cost over malloc: is memory cleared that is known to be fresh, and how fast
// is the rest cleared? Small: 16 bytes to 2 KiB, 4,096 live blocks. Large: 64 KiB to 2 MiB, 16 live blocks. What comes
// back is read, and must be zero.
#include "workload.h"

namespace pagerun::bench {
namespace {

template <class Probe, size_t kLive, uint64_t kMinBytes, unsigned kDoublings>
void churn_zeroed(Run* run) {
  MappedArray<void*> live(kLive);
  Worker<Probe> worker(run);
  Random random(6);
  uint64_t not_zero = 0;
  run->start_memory();
  run->start_clock();
  for (uint64_t round = 0, rounds = run->rounds(2); round < rounds; round++) {
    void*& ptr = live[random.between(0, kLive - 1)];
    if (ptr != nullptr) worker.heap.release(ptr);
    uint64_t bytes = random.log_even(kMinBytes, kDoublings);
    ptr = worker.heap.allocate_zeroed(bytes);
    not_zero += sum_touched(ptr, bytes);
    touch(ptr, bytes, 1);
  }
  run->stop_clock();
  run->read_peak();
  for (void* ptr : live) free(ptr);
  if (not_zero != 0) die("memory of calloc was not zero");
  worker.finish();
}

constexpr Workload kWorkloads[] = {
    {"calloc-small", "What does calloc of 16 B to 2 KiB cost, with 4,096 live blocks?", 1, "this project", 10'000'000,
     churn_zeroed<NoProbe, 4096, 16, 7>, churn_zeroed<SampleProbe, 4096, 16, 7>},
    {"calloc-large", "What does calloc of 64 KiB to 2 MiB cost: is memory cleared that the system has just cleared?", 1,
     "this project", 16'000, churn_zeroed<NoProbe, 16, 65'536, 5>, churn_zeroed<SampleProbe, 16, 65'536, 5>},
};

}  // namespace

WorkloadList calloc_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
