// Scaling. Question: does a thread that keeps to its own blocks pay for the other threads? The same total of work on 2
// and on 64 threads: with no sharing between them, the throughput should be the same as long as there are no more cores
// than 2, and should follow the cores where there are. Each thread replaces random ones of its 256 blocks, which are
// made before the clock starts.
#include "threads.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kLive = 256;
constexpr uint64_t kMinBytes = 8;
constexpr uint64_t kMaxBytes = 512;

struct Own {
  void* live[kLive];
};

template <class Probe>
void fill(Own* own) {
  Heap<NoProbe> filler(nullptr);
  Random random(23);
  for (void*& ptr : own->live) {
    uint64_t bytes = random.between(kMinBytes, kMaxBytes);
    touch(ptr = filler.allocate(bytes), bytes, 1);
  }
}

template <class Probe>
void churn_own(Run* run, Own* own, size_t index, uint64_t rounds) {
  Worker<Probe> worker(run);
  Random random(index + 1);
  for (uint64_t round = 0; round < rounds; round++) {
    void*& ptr = own->live[random.between(0, kLive - 1)];
    worker.sum += *bytes_of(ptr);
    worker.heap.release(ptr);
    uint64_t bytes = random.between(kMinBytes, kMaxBytes);
    touch(ptr = worker.heap.allocate(bytes), bytes, static_cast<uint8_t>(round));
  }
  for (void* ptr : own->live) worker.heap.release(ptr);
  worker.finish();
}

template <class Probe, size_t kThreads>
void scale(Run* run) {
  MappedArray<Own> all(kThreads);
  const uint64_t rounds = run->rounds(2 * kThreads);
  run->start_memory();
  run_threads(
      kThreads, [&](size_t index) { fill<Probe>(&all[index]); }, [&] { run->start_clock(); },
      [&](size_t index) { churn_own<Probe>(run, &all[index], index, rounds); });
  run->stop_clock();
  run->read_peak();
}

template <size_t kThreads>
constexpr Workload make(const char* name, const char* question) {
  return {name,
          question,
          kThreads,
          "Berger et al., Hoard, ASPLOS 2000 (scalability of threads that share nothing)",
          40'000'000,
          scale<NoProbe, kThreads>,
          scale<SampleProbe, kThreads>};
}

constexpr Workload kWorkloads[] = {
    make<2>("scaling-2", "What do 2 threads cost that each keep to their own blocks?"),
    make<64>("scaling-64", "What does the same total of work cost on 64 threads, more than there are cores?"),
};

}  // namespace

WorkloadList scaling_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
