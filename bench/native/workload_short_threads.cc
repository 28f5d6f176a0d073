// Short threads. Question: what does a thread pay for its first blocks, and does what it leaves behind come back? Two
// threads at a time are born, make 64 blocks each, free half of them, leave the others to the main thread, and end. If
// an allocator keeps what a dead thread had, its peak grows with the number of threads.
#include <pthread.h>

#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kThreads = 2;
constexpr size_t kBlocks = 64;
constexpr uint64_t kMinBytes = 16;
constexpr uint64_t kMaxBytes = 1024;

struct Life {
  pthread_t id;
  Run* run;
  uint64_t seed;
  void* left[kBlocks / 2];
};

template <class Probe>
void* live_shortly(void* argument) {
  Life* life = static_cast<Life*>(argument);
  Worker<Probe> worker(life->run);
  Random random(life->seed++);
  void* blocks[kBlocks];
  for (void*& ptr : blocks) {
    uint64_t bytes = random.between(kMinBytes, kMaxBytes);
    touch(ptr = worker.heap.allocate(bytes), bytes, 1);
  }
  for (size_t index = 0; index < kBlocks; index += 2) {
    worker.heap.release(blocks[index]);
    life->left[index / 2] = blocks[index + 1];
  }
  worker.finish();
  return nullptr;
}

template <class Probe>
void make_short_threads(Run* run) {
  MappedArray<Life> lives(kThreads);
  for (Life& life : lives) {
    life.run = run;
    life.seed = 1'000'000 * static_cast<uint64_t>(&life - lives.begin()) + 1;
  }
  Worker<Probe> worker(run);
  const uint64_t generations = run->rounds(2 * kThreads * kBlocks);
  run->start_memory();
  run->start_clock();
  for (uint64_t generation = 0; generation < generations; generation++) {
    for (Life& life : lives) {
      if (pthread_create(&life.id, nullptr, live_shortly<Probe>, &life) != 0) die("cannot make a thread");
    }
    for (Life& life : lives) {
      pthread_join(life.id, nullptr);
      for (void* ptr : life.left) {
        worker.sum += *bytes_of(ptr);
        worker.heap.release(ptr);
      }
    }
  }
  run->stop_clock();
  run->read_peak();
  worker.finish();
}

constexpr Workload kWorkloads[] = {
    {"short-threads", "What do a thread's first 64 blocks cost, and does what dead threads had come back?", kThreads,
     "Leijen, mimalloc-bench, 2019 (mleak)", 1'000'000, make_short_threads<NoProbe>, make_short_threads<SampleProbe>},
};

}  // namespace

WorkloadList short_threads_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
