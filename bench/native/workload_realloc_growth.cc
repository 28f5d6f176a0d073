// Growth by realloc. Two questions. Vectors: what does an array cost that grows by half its size, again and again, from
// 16 bytes to 2 MiB, while 64 others do the same beside it: is it moved or extended in place? Strings: what does
// appending cost a program that resizes to the exact length each time, from 1 byte to 4 KiB: does every byte cost a
// move?
#include "workload.h"

namespace pagerun::bench {
namespace {

struct Growing {
  void* ptr;
  uint64_t bytes;
};

template <class Probe>
void grow(Worker<Probe>* worker, Growing* item, uint64_t bytes) {
  item->ptr = worker->heap.reallocate(item->ptr, bytes);
  if (item->bytes != 0) worker->sum += *bytes_of(item->ptr);
  touch(item->ptr, bytes, static_cast<uint8_t>(bytes), (item->bytes + kTouchBytes - 1) & ~(kTouchBytes - 1));
  item->bytes = bytes;
}

template <class Probe>
void drop(Worker<Probe>* worker, Growing* item) {
  worker->sum += *bytes_of(item->ptr);
  worker->heap.release(item->ptr);
  *item = {};
}

template <class Probe, size_t kItems, uint64_t kMaxBytes, class NextSize>
void grow_all(Run* run, uint64_t seed, NextSize next_size) {
  MappedArray<Growing> items(kItems);
  Worker<Probe> worker(run);
  Random random(seed);
  run->start_memory();
  run->start_clock();
  for (uint64_t round = 0, rounds = run->rounds(1); round < rounds; round++) {
    Growing* item = &items[random.between(0, kItems - 1)];
    uint64_t bytes = next_size(&random, item->bytes);
    if (bytes > kMaxBytes) {
      drop(&worker, item);
    } else {
      grow(&worker, item, bytes);
    }
  }
  run->stop_clock();
  run->read_peak();
  for (Growing& item : items) free(item.ptr);
  worker.finish();
}

template <class Probe>
void grow_vectors(Run* run) {
  constexpr uint64_t kFirstBytes = 16;
  auto next_size = [](Random*, uint64_t bytes) { return bytes == 0 ? kFirstBytes : bytes + bytes / 2; };
  grow_all<Probe, 64, uint64_t{2} << 20>(run, 3, next_size);
}

template <class Probe>
void grow_strings(Run* run) {
  auto next_size = [](Random* random, uint64_t bytes) { return bytes + random->between(1, 64); };
  grow_all<Probe, 1024, 4096>(run, 4, next_size);
}

constexpr Workload kWorkloads[] = {
    {"realloc-vectors", "What do 64 arrays cost that grow by half their size up to 2 MiB, side by side?", 1,
     "this project", 60'000, grow_vectors<NoProbe>, grow_vectors<SampleProbe>},
    {"realloc-strings", "What does appending cost when 1,024 strings are resized to their exact length up to 4 KiB?", 1,
     "this project", 5'000'000, grow_strings<NoProbe>, grow_strings<SampleProbe>},
};

}  // namespace

WorkloadList realloc_growth_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
