// Stress with shared places. Question: what do blocks cost that wander between threads by chance, some freed soon, some
// living on, while the threads themselves come and go? In each phase four threads make blocks of 16 bytes to 32 KiB,
// free some of their own, and put others into shared places, taking out, and then owning, what lay there. At the end of
// a phase the threads free what they have and end; what lies in the places outlives them.
#include "threads.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kThreads = 4;
constexpr size_t kPlaces = 1024;
constexpr size_t kOwn = 512;
constexpr uint64_t kMinBytes = 16;
constexpr unsigned kDoublings = 11;
constexpr uint64_t kRoundsOfPhase = 20'000;  // of one thread
constexpr uint32_t kExchangeEvery = 4;

struct Shared {
  std::atomic<void*> places[kPlaces];  // acq_rel: who takes a block sees what its maker wrote
};

template <class Probe>
void take_part(Run* run, Shared* shared, uint64_t seed, uint64_t rounds) {
  Worker<Probe> worker(run);
  Random random(seed);
  void* own[kOwn] = {};
  auto drop = [&](void* ptr) {
    if (ptr == nullptr) return;
    worker.sum += *bytes_of(ptr);
    worker.heap.release(ptr);
  };
  for (uint64_t round = 0; round < rounds; round++) {
    void*& mine = own[random.between(0, kOwn - 1)];
    if (random.between(1, kExchangeEvery) == 1) {
      mine = shared->places[random.between(0, kPlaces - 1)].exchange(mine, std::memory_order_acq_rel);
      continue;
    }
    drop(mine);
    uint64_t bytes = random.power_law(kMinBytes, kDoublings);
    mine = worker.heap.allocate(bytes);
    touch(mine, bytes, static_cast<uint8_t>(round));
  }
  for (void* ptr : own) drop(ptr);
  worker.finish();
}

template <class Probe>
void stress(Run* run) {
  MappedArray<Shared> shared(1);
  // A round makes three mallocs in four, and in the long run as many frees.
  uint64_t rounds_left = run->rounds(2 * kThreads) * kExchangeEvery / (kExchangeEvery - 1);
  run->start_memory();
  for (uint64_t phase = 0; rounds_left != 0; phase++) {
    uint64_t rounds = rounds_left < kRoundsOfPhase ? rounds_left : kRoundsOfPhase;
    rounds_left -= rounds;
    run_threads(
        kThreads, [&] { run->start_clock(); },
        [&](size_t index) { take_part<Probe>(run, &shared[0], phase * kThreads + index + 1, rounds); });
    run->stop_clock();
  }
  run->read_peak();
  for (std::atomic<void*>& place : shared[0].places) free(place.load(std::memory_order_relaxed));
}

constexpr Workload kWorkloads[] = {
    {"stress", "What do blocks of 16 B to 32 KiB cost that wander between 4 threads, which come and go?", kThreads,
     "Leijen, Zorn and de Moura, Mimalloc: Free List Sharding in Action, APLAS 2019 (mstress)", 8'000'000,
     stress<NoProbe>, stress<SampleProbe>},
};

}  // namespace

WorkloadList stress_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
