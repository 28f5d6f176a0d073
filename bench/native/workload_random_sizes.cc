// Random sizes. Two questions. Skewed: what do sizes up to 1 KiB cost when most blocks are short-lived and few live
// long, both by a power law, alone and on two threads that share nothing? Crossed: what do blocks of 16 bytes to 16,000
// cost on threads that free some of their own and give others, in lists, to the next thread to free?
#include "threads.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kPlaces = 16'384;  // of one thread
constexpr unsigned kPlaceDoublings = 14;
constexpr uint64_t kSkewedMinBytes = 16;
constexpr unsigned kSkewedDoublings = 6;

struct Places {
  void* blocks[kPlaces];
};

// A place is picked by the power law: the first ones change all the time, the last ones hardly ever.
template <class Probe>
void skew(Run* run, Places* places, uint64_t seed, uint64_t rounds) {
  Worker<Probe> worker(run);
  Random random(seed);
  for (uint64_t round = 0; round < rounds; round++) {
    void*& ptr = places->blocks[random.power_law(1, kPlaceDoublings) % kPlaces];
    if (ptr != nullptr) {
      worker.sum += *bytes_of(ptr);
      worker.heap.release(ptr);
      ptr = nullptr;
      continue;
    }
    uint64_t bytes = random.power_law(kSkewedMinBytes, kSkewedDoublings);
    touch(ptr = worker.heap.allocate(bytes), bytes, static_cast<uint8_t>(round));
  }
  for (void* ptr : places->blocks) free(ptr);
  worker.finish();
}

template <class Probe, size_t kThreads>
void skew_all(Run* run) {
  MappedArray<Places> places(kThreads);
  const uint64_t rounds = run->rounds(kThreads);
  run->start_memory();
  run_threads(
      kThreads, [&] { run->start_clock(); },
      [&](size_t index) { skew<Probe>(run, &places[index], index + 1, rounds); });
  run->stop_clock();
  run->read_peak();
}

constexpr size_t kCrossThreads = 3;
constexpr size_t kCrossPlaces = 2048;  // of one thread
constexpr uint64_t kCrossMinBytes = 16;
constexpr unsigned kCrossDoublings = 10;
constexpr uint64_t kGiveEvery = 4;
constexpr uint64_t kListBlocks = 64;

// What others gave a thread to free: blocks linked through their first bytes.
struct alignas(64) Gifts {
  std::atomic<void*> first;  // acq_rel: who frees a block sees what was written to it
};

struct List {
  void* first;
  void** last;
  uint64_t count;
};

void give(Gifts* gifts, List* list) {
  void* before = gifts->first.load(std::memory_order_relaxed);
  do {
    *list->last = before;
  } while (!gifts->first.compare_exchange_weak(before, list->first, std::memory_order_acq_rel));
  *list = {};
}

void link_block(List* list, void* ptr) {
  void** place = static_cast<void**>(ptr);
  if (list->first == nullptr) list->last = place;
  *place = list->first;
  list->first = ptr;
  list->count++;
}

template <class Probe>
void release_list(Worker<Probe>* worker, void* first) {
  while (first != nullptr) {
    void* next = *static_cast<void**>(first);
    worker->heap.release(first);
    first = next;
  }
}

template <class Probe>
void cross(Run* run, Gifts* own, Gifts* next, uint64_t seed, uint64_t rounds) {
  Worker<Probe> worker(run);
  Random random(seed);
  List list = {};
  void* blocks[kCrossPlaces] = {};
  for (uint64_t round = 0; round < rounds; round++) {
    void*& ptr = blocks[random.between(0, kCrossPlaces - 1)];
    if (ptr != nullptr && random.between(1, kGiveEvery) == 1) {
      link_block(&list, ptr);
      if (list.count == kListBlocks) give(next, &list);
    } else if (ptr != nullptr) {
      worker.heap.release(ptr);
    }
    uint64_t bytes = random.power_law(kCrossMinBytes, kCrossDoublings);
    touch(ptr = worker.heap.allocate(bytes), bytes, static_cast<uint8_t>(round));
    if (round % kListBlocks == 0) release_list(&worker, own->first.exchange(nullptr, std::memory_order_acq_rel));
  }
  release_list(&worker, list.first);
  for (void* ptr : blocks) worker.heap.release(ptr);
  worker.finish();
}

template <class Probe>
void cross_all(Run* run) {
  MappedArray<Gifts> gifts(kCrossThreads);
  const uint64_t rounds = run->rounds(2 * kCrossThreads);
  run->start_memory();
  run_threads(
      kCrossThreads, [&] { run->start_clock(); },
      [&](size_t index) { cross<Probe>(run, &gifts[index], &gifts[(index + 1) % kCrossThreads], index + 1, rounds); });
  run->stop_clock();
  run->read_peak();
  Worker<NoProbe> last(run);
  for (Gifts& rest : gifts) release_list(&last, rest.first.load(std::memory_order_acquire));
}

constexpr const char* kSkewedSource = "OLogN Technologies, Testing Memory Allocators, 2018 (alloc-test)";

constexpr Workload kWorkloads[] = {
    {"skewed-sizes", "What do sizes of 16 B to 1 KiB cost with sizes and lifetimes by a power law?", 1, kSkewedSource,
     20'000'000, skew_all<NoProbe, 1>, skew_all<SampleProbe, 1>},
    {"skewed-sizes-2", "What does the same cost on 2 threads that share nothing?", 2, kSkewedSource, 20'000'000,
     skew_all<NoProbe, 2>, skew_all<SampleProbe, 2>},
    {"crossed-sizes",
     "What do blocks of 16 B to 16 KiB cost on 3 threads that give each fourth block to the next thread to free?",
     kCrossThreads, "Jansson, rpmalloc-benchmark, 2017 (random sizes, cross-thread frees)", 10'000'000,
     cross_all<NoProbe>, cross_all<SampleProbe>},
};

}  // namespace

WorkloadList random_sizes_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
