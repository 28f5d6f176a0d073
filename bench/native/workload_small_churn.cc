// Small churn. Question: what do a free and a malloc of a small block cost, when 1, 256, 16 thousand or 262 thousand
// blocks are alive? A random one of the live blocks is freed and another, of 8 to 512 bytes, takes its place. With few
// blocks all is in the cache and the instructions count; with many, how many cache misses an allocator adds to the
// caller's own.
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr uint64_t kMinBytes = 8;
constexpr uint64_t kMaxBytes = 512;

template <class Probe, size_t kLive>
void churn(Run* run) {
  MappedArray<void*> live(kLive);
  Worker<Probe> worker(run);
  Random random(kLive);
  Heap<NoProbe> filler(nullptr);
  auto fill = [&](void* ptr, uint64_t bytes) { touch(ptr, bytes, static_cast<uint8_t>(bytes)); };
  run->start_memory();
  for (void*& ptr : live) {
    uint64_t bytes = random.between(kMinBytes, kMaxBytes);
    fill(ptr = filler.allocate(bytes), bytes);
  }
  run->start_clock();
  for (uint64_t round = 0, rounds = run->rounds(2); round < rounds; round++) {
    void*& ptr = live[random.between(0, kLive - 1)];
    worker.sum += *bytes_of(ptr);
    worker.heap.release(ptr);
    uint64_t bytes = random.between(kMinBytes, kMaxBytes);
    fill(ptr = worker.heap.allocate(bytes), bytes);
  }
  run->stop_clock();
  run->read_peak();
  for (void* ptr : live) filler.release(ptr);
  worker.finish();
}

template <size_t kLive>
constexpr Workload make(const char* name, const char* question, uint64_t operations) {
  return {name, question, 1, "this project", operations, churn<NoProbe, kLive>, churn<SampleProbe, kLive>};
}

constexpr Workload kWorkloads[] = {
    make<1>("small-churn-1", "What does a free and malloc of 8 to 512 bytes cost with 1 live block?", 60'000'000),
    make<256>("small-churn-256", "What does a free and malloc of 8 to 512 bytes cost with 256 live blocks?",
              40'000'000),
    make<16'384>("small-churn-16k", "What does a free and malloc of 8 to 512 bytes cost with 16,384 live blocks?",
                 20'000'000),
    make<262'144>("small-churn-262k", "What does a free and malloc of 8 to 512 bytes cost with 262,144 live blocks?",
                  6'000'000),
};

}  // namespace

WorkloadList small_churn_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
