// Makers and takers. Question: what do blocks cost that are all made by one half of the threads and all freed by the
// other half, in batches over one shared list? Two threads make batches of 120 blocks; the batch is a block itself. Two
// others take the batches and free everything. A cache of free blocks in each thread is of no use here: the makers'
// caches are always empty, the takers' always full.
#include "threads.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kMakers = 2;
constexpr size_t kBatchBlocks = 120;
constexpr size_t kMostWaiting = 64;
constexpr uint64_t kSizes[] = {8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072};
constexpr size_t kSizeCount = sizeof(kSizes) / sizeof(kSizes[0]);

struct Batch {
  Batch* next;
  void* blocks[kBatchBlocks];
};

// A list of batches with a lock and a bound, as such a program would have it.
class Exchange {
 public:
  // A mutex of zero bytes is a free one.
  bool put(Batch* batch) {
    pthread_mutex_lock(&lock_);
    bool has_room = waiting_ < kMostWaiting;
    if (has_room) {
      batch->next = first_;
      first_ = batch;
      waiting_++;
    }
    pthread_mutex_unlock(&lock_);
    return has_room;
  }
  Batch* take() {
    pthread_mutex_lock(&lock_);
    Batch* batch = first_;
    if (batch != nullptr) {
      first_ = batch->next;
      waiting_--;
    }
    pthread_mutex_unlock(&lock_);
    return batch;
  }

 private:
  pthread_mutex_t lock_;
  Batch* first_;
  size_t waiting_;
};

template <class Probe>
void make_batches(Run* run, Exchange* exchange, uint64_t seed, uint64_t batches) {
  Worker<Probe> worker(run);
  Random random(seed);
  for (uint64_t count = 0; count < batches; count++) {
    Batch* batch = static_cast<Batch*>(worker.heap.allocate(sizeof(Batch)));
    for (void*& ptr : batch->blocks) {
      uint64_t bytes = kSizes[random.between(0, kSizeCount - 1)];
      ptr = worker.heap.allocate(bytes);
      touch(ptr, bytes, static_cast<uint8_t>(count));
    }
    while (!exchange->put(batch)) sched_yield();
  }
  worker.finish();
}

template <class Probe>
void free_batches(Run* run, Exchange* exchange, uint64_t batches) {
  Worker<Probe> worker(run);
  for (uint64_t count = 0; count < batches; count++) {
    Batch* batch = nullptr;
    while ((batch = exchange->take()) == nullptr) sched_yield();
    for (void* ptr : batch->blocks) {
      worker.sum += *bytes_of(ptr);
      worker.heap.release(ptr);
    }
    worker.heap.release(batch);
  }
  worker.finish();
}

template <class Probe>
void exchange_batches(Run* run) {
  MappedArray<Exchange> exchange(1);
  const uint64_t batches = run->rounds(2 * kMakers * (kBatchBlocks + 1));
  run->start_memory();
  run_threads(
      2 * kMakers, [&] { run->start_clock(); },
      [&](size_t index) {
        if (index < kMakers) {
          make_batches<Probe>(run, &exchange[0], index + 1, batches);
        } else {
          free_batches<Probe>(run, &exchange[0], batches);
        }
      });
  run->stop_clock();
  run->read_peak();
}

constexpr Workload kWorkloads[] = {
    {"makers-takers", "What do blocks cost that 2 threads make and 2 others free, in batches over a shared list?",
     2 * kMakers, "Lever and Boreham, malloc() Performance in a Multithreaded Linux Environment, USENIX 2000 (xmalloc)",
     8'000'000, exchange_batches<NoProbe>, exchange_batches<SampleProbe>},
};

}  // namespace

WorkloadList batch_exchange_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
