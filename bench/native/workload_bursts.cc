// Bursts. Question: what does memory cost that is made in bursts of one size and freed in orders that differ: the
// newest first, the oldest first, and some left for later? A burst is 60 blocks of one size of 1 byte to 1 KiB. A third
// of it is freed at once, from the last to the first; of every eight bursts that were kept the oldest four are then
// freed from the first to the last. In the variant for two threads, each of them leaves its old bursts to the other
// one.
#include "threads.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kBurst = 60;
constexpr size_t kFreedAtOnce = kBurst / 3;
constexpr size_t kBlocksKept = kBurst - kFreedAtOnce;
constexpr size_t kBurstsKept = 8;
constexpr size_t kBurstsFreed = kBurstsKept / 2;
constexpr uint64_t kMaxBytes = 1024;
constexpr size_t kThreads = 2;

struct Bursts {
  void* blocks[kBurstsKept][kBlocksKept];
  size_t count;
};

struct Left {
  alignas(64) std::atomic<bool> is_full;  // acquire, release: pairs between the two threads
  void* blocks[kBurstsFreed][kBlocksKept];
};

template <class Probe>
void release_bursts(Worker<Probe>* worker, void* (*bursts)[kBlocksKept]) {
  for (size_t burst = 0; burst < kBurstsFreed; burst++) {
    for (void* ptr : bursts[burst]) {
      worker->sum += *bytes_of(ptr);
      worker->heap.release(ptr);
    }
  }
}

template <class Probe>
void make_burst(Worker<Probe>* worker, Random* random, void** kept) {
  void* blocks[kBurst];
  uint64_t bytes = random->between(1, random->between(1, kMaxBytes));  // small sizes more often
  for (void*& ptr : blocks) touch(ptr = worker->heap.allocate(bytes), bytes, 1);
  for (size_t index = kBurst; index > kBlocksKept; index--) worker->heap.release(blocks[index - 1]);
  for (size_t index = 0; index < kBlocksKept; index++) kept[index] = blocks[index];
}

// The oldest bursts leave through `pass_on`; the others move to the front.
template <class Probe, class PassOn>
void make_bursts(Run* run, uint64_t seed, uint64_t count, PassOn pass_on) {
  Worker<Probe> worker(run);
  Random random(seed);
  Bursts kept = {};
  for (uint64_t burst = 0; burst < count; burst++) {
    make_burst(&worker, &random, kept.blocks[kept.count++]);
    if (kept.count < kBurstsKept) continue;
    pass_on(&worker, kept.blocks);
    for (size_t index = kBurstsFreed; index < kBurstsKept; index++) {
      for (size_t place = 0; place < kBlocksKept; place++) {
        kept.blocks[index - kBurstsFreed][place] = kept.blocks[index][place];
      }
    }
    kept.count = kBurstsKept - kBurstsFreed;
  }
  for (size_t burst = 0; burst < kept.count; burst++) {
    for (void* ptr : kept.blocks[burst]) worker.heap.release(ptr);
  }
  worker.finish();
}

template <class Probe>
void burst_alone(Run* run) {
  run->start_memory();
  run->start_clock();
  make_bursts<Probe>(run, 29, run->rounds(2 * kBurst), release_bursts<Probe>);
  run->stop_clock();
  run->read_peak();
}

// What the other thread has left is freed here; then there is room to leave what is old here.
template <class Probe>
void swap_bursts(Worker<Probe>* worker, Left* mine, Left* others, void* (*old)[kBlocksKept]) {
  if (others->is_full.load(std::memory_order_acquire)) {
    release_bursts(worker, others->blocks);
    others->is_full.store(false, std::memory_order_release);
  }
  if (mine->is_full.load(std::memory_order_acquire)) return release_bursts(worker, old);
  for (size_t burst = 0; burst < kBurstsFreed; burst++) {
    for (size_t place = 0; place < kBlocksKept; place++) mine->blocks[burst][place] = old[burst][place];
  }
  mine->is_full.store(true, std::memory_order_release);
}

template <class Probe>
void burst_for_each_other(Run* run) {
  MappedArray<Left> left(kThreads);
  const uint64_t bursts = run->rounds(2 * kBurst * kThreads);
  run->start_memory();
  run_threads(
      kThreads, [&] { run->start_clock(); },
      [&](size_t index) {
        auto pass_on = [&](Worker<Probe>* worker, void*(*old)[kBlocksKept]) {
          swap_bursts(worker, &left[index], &left[1 - index], old);
        };
        make_bursts<Probe>(run, index + 1, bursts, pass_on);
      });
  run->stop_clock();
  run->read_peak();
  Worker<NoProbe> last(run);
  for (Left& place : left) {
    if (place.is_full.load(std::memory_order_acquire)) release_bursts(&last, place.blocks);
  }
}

constexpr Workload kWorkloads[] = {
    {"bursts", "What do bursts of 60 blocks of one size cost, freed in part backwards, in part forwards and later?", 1,
     "MicroQuill, SmartHeap's shbench (sh6bench)", 30'000'000, burst_alone<NoProbe>, burst_alone<SampleProbe>},
    {"bursts-shared", "What do such bursts cost on 2 threads, each of which frees the old blocks of the other?",
     kThreads, "MicroQuill, SmartHeap's shbench (sh8bench)", 30'000'000, burst_for_each_other<NoProbe>,
     burst_for_each_other<SampleProbe>},
};

}  // namespace

WorkloadList bursts_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
