// The churn that workloads of large, huge, mixed and aligned blocks share: a random one of the live blocks is freed,
// and one of another size takes its place. Owns nothing. Thread rule: one thread.
#pragma once

#include "workload.h"

namespace pagerun::bench {

/// `next_size(&random)` gives the bytes of each block, and `take(&heap, &random, bytes)` the block. One byte is read
/// before a block is freed, and one is written in each OS page of a new one.
template <class Probe, size_t kLive, class NextSize, class Take>
void churn_sizes(Run* run, uint64_t seed, NextSize next_size, Take take) {
  MappedArray<void*> live(kLive);
  Worker<Probe> worker(run);
  Random random(seed);
  run->start_memory();
  run->start_clock();
  for (uint64_t round = 0, rounds = run->rounds(2); round < rounds; round++) {
    void*& ptr = live[random.between(0, kLive - 1)];
    if (ptr != nullptr) {
      worker.sum += *bytes_of(ptr);
      worker.heap.release(ptr);
    }
    uint64_t bytes = next_size(&random);
    ptr = take(&worker.heap, &random, bytes);
    touch(ptr, bytes, static_cast<uint8_t>(round));
  }
  run->stop_clock();
  run->read_peak();
  for (void* ptr : live) free(ptr);
  worker.finish();
}

/// The same with malloc.
template <class Probe, size_t kLive, class NextSize>
void churn_sizes(Run* run, uint64_t seed, NextSize next_size) {
  churn_sizes<Probe, kLive>(run, seed, next_size,
                            [](auto* heap, Random*, uint64_t bytes) { return heap->allocate(bytes); });
}

}  // namespace pagerun::bench
