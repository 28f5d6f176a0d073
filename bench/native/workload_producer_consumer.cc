// Producer and consumer. Question: what does a block cost that one thread makes and another one frees, always in the
// same direction: does the memory find its way back to the producer, or does the process grow? A ring of 4,096 pointers
// lies between the two threads.
#include "threads.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kRing = 4096;
constexpr uint64_t kMinBytes = 16;
constexpr uint64_t kMaxBytes = 512;

struct Ring {
  alignas(64) std::atomic<uint64_t> made;   // release: pairs with the consumer's acquire
  alignas(64) std::atomic<uint64_t> taken;  // release: pairs with the producer's acquire
  alignas(64) void* places[kRing];
};

template <class Probe>
void produce(Ring* ring, Run* run) {
  Worker<Probe> worker(run);
  Random random(5);
  uint64_t taken = 0;
  for (uint64_t round = 0, rounds = run->rounds(2); round < rounds; round++) {
    if (round - taken == kRing) {
      wait_until([&] { return (taken = ring->taken.load(std::memory_order_acquire)) + kRing != round; });
    }
    uint64_t bytes = random.between(kMinBytes, kMaxBytes);
    void* ptr = worker.heap.allocate(bytes);
    touch(ptr, bytes, static_cast<uint8_t>(round));
    ring->places[round % kRing] = ptr;
    ring->made.store(round + 1, std::memory_order_release);
  }
  worker.finish();
}

template <class Probe>
void consume(Ring* ring, Run* run) {
  Worker<Probe> worker(run);
  uint64_t made = 0;
  for (uint64_t round = 0, rounds = run->rounds(2); round < rounds; round++) {
    if (round == made) {
      wait_until([&] { return (made = ring->made.load(std::memory_order_acquire)) != round; });
    }
    void* ptr = ring->places[round % kRing];
    worker.sum += *bytes_of(ptr);
    worker.heap.release(ptr);
    ring->taken.store(round + 1, std::memory_order_release);
  }
  worker.finish();
}

template <class Probe>
void produce_and_consume(Run* run) {
  MappedArray<Ring> ring(1);
  auto start = [&] {
    run->start_memory();
    run->start_clock();
  };
  run_threads(2, start, [&](size_t index) { (index == 0 ? produce<Probe> : consume<Probe>)(&ring[0], run); });
  run->stop_clock();
  run->read_peak();
}

constexpr Workload kWorkloads[] = {
    {"producer-consumer",
     "What does a block cost that one thread makes and another frees, and does its memory come back?", 2,
     "Berger et al., Hoard, ASPLOS 2000 (blow-up of producer and consumer)", 16'000'000, produce_and_consume<NoProbe>,
     produce_and_consume<SampleProbe>},
};

}  // namespace

WorkloadList producer_consumer_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
