// False sharing. Question: does the allocator put blocks of two threads on one cache line, so that each write of the
// one takes the line away from the other? Active (thrash): a thread makes a block of 8 bytes, writes it a thousand
// times, frees it, and makes the next one. Passive (scratch): the same, but the first block of each thread was made by
// the main thread, next to the other's; an allocator that gives a freed block to whoever freed it keeps the line shared
// for ever.
#include "threads.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kThreads = 2;
constexpr uint64_t kBytes = 8;
constexpr uint64_t kWrites = 1000;

inline void write_often(volatile uint64_t* word) {
  for (uint64_t write = 0; write < kWrites; write++) *word = *word + 1;
}

template <class Probe>
void write_blocks(Run* run, void* first, uint64_t rounds) {
  Worker<Probe> worker(run);
  void* ptr = first;
  for (uint64_t round = 0; round < rounds; round++) {
    if (ptr != nullptr) worker.heap.release(ptr);
    ptr = worker.heap.allocate(kBytes);
    volatile uint64_t* word = static_cast<volatile uint64_t*>(ptr);
    *word = round;
    write_often(word);
    worker.sum += *word;
  }
  worker.heap.release(ptr);
  worker.finish();
}

template <class Probe, bool kIsPassive>
void share_lines(Run* run) {
  void* first[kThreads] = {};
  run->start_memory();
  if constexpr (kIsPassive) {
    for (void*& ptr : first) touch(ptr = Heap<NoProbe>(nullptr).allocate(kBytes), kBytes, 1);
  }
  const uint64_t rounds = run->rounds(2 * kThreads);
  run_threads(
      kThreads, [&] { run->start_clock(); }, [&](size_t index) { write_blocks<Probe>(run, first[index], rounds); });
  run->stop_clock();
  run->read_peak();
}

constexpr const char* kSource = "Berger et al., Hoard, ASPLOS 2000 (active-false and passive-false)";

constexpr Workload kWorkloads[] = {
    {"cache-thrash", "Do two threads that make and write small blocks get blocks on the same cache line?", kThreads,
     kSource, 3'000'000, share_lines<NoProbe, false>, share_lines<SampleProbe, false>},
    {"cache-scratch", "Does a line stay shared when two threads free neighbouring blocks and make new ones?", kThreads,
     kSource, 3'000'000, share_lines<NoProbe, true>, share_lines<SampleProbe, true>},
};

}  // namespace

WorkloadList false_sharing_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
