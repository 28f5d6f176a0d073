// Fragmentation. Question: when a program frees 63 of 64 blocks and then wants blocks of another size, how much of the
// freed memory serves them? The heap grows to 24 MiB of one size, keeps every 64th block, and grows again with the next
// size. An allocator that can use none of the holes ends at the sum of all sizes; its peak and its rest tell.
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr uint64_t kMaxBytesOfSize = uint64_t{24} << 20;
constexpr uint64_t kSizes[] = {48, 112, 240, 80, 496, 176, 1008, 32};
constexpr size_t kKeepEvery = 64;

constexpr uint64_t smallest_size() {
  uint64_t smallest = kSizes[0];
  for (uint64_t size : kSizes) smallest = size < smallest ? size : smallest;
  return smallest;
}

constexpr uint64_t blocks_of_round(uint64_t bytes_of_size) {
  uint64_t blocks = 0;
  for (uint64_t size : kSizes) blocks += bytes_of_size / size;
  return blocks;
}

constexpr uint64_t kOperationsOfRound = 2 * blocks_of_round(kMaxBytesOfSize);

template <class Probe>
void grow_and_thin(Worker<Probe>* worker, MappedArray<void*>* blocks, uint64_t size, uint64_t count, void*** kept) {
  for (size_t index = 0; index < count; index++) {
    void* ptr = worker->heap.allocate(size);
    touch(ptr, size, static_cast<uint8_t>(index));
    (*blocks)[index] = ptr;
  }
  for (size_t index = 0; index < count; index++) {
    void* ptr = (*blocks)[index];
    worker->sum += *bytes_of(ptr);
    if (index % kKeepEvery == kKeepEvery - 1) {
      *(*kept)++ = ptr;
    } else {
      worker->heap.release(ptr);
    }
  }
}

template <class Probe>
void fragment(Run* run) {
  // Less than a round is a round of a smaller heap.
  uint64_t operations = run->wanted_operations();
  uint64_t bytes_of_size = kMaxBytesOfSize;
  if (operations < kOperationsOfRound) bytes_of_size = kMaxBytesOfSize * operations / kOperationsOfRound;
  MappedArray<void*> blocks(bytes_of_size / smallest_size() + 1);
  MappedArray<void*> kept(blocks_of_round(bytes_of_size) / kKeepEvery + 1);
  Worker<Probe> worker(run);
  run->start_memory();
  run->start_clock();
  for (uint64_t round = 0, rounds = run->rounds(kOperationsOfRound); round < rounds; round++) {
    void** kept_end = kept.begin();
    for (uint64_t size : kSizes) grow_and_thin(&worker, &blocks, size, bytes_of_size / size, &kept_end);
    for (void** ptr = kept.begin(); ptr != kept_end; ptr++) worker.heap.release(*ptr);
  }
  run->stop_clock();
  run->read_peak();
  worker.finish();
}

constexpr Workload kWorkloads[] = {
    {"fragmentation",
     "When 63 of 64 blocks are freed and another size follows, how much of the freed memory serves it?", 1,
     "Wilson et al., Dynamic Storage Allocation: A Survey and Critical Review, IWMM 1995", 13'200'000,
     fragment<NoProbe>, fragment<SampleProbe>},
};

}  // namespace

WorkloadList fragmentation_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
