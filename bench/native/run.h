// One measured run, of a workload or of a trace. Owns its clock, its memory reading and what its threads add to it.
// Thread rule: add() from any thread; the rest from the thread that made it.
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "heap.h"
#include "lock_count.h"
#include "mapped.h"
#include "memory_reading.h"

namespace pagerun::bench {

class Run {
 public:
  /// `operations`: how many mallocs, frees, ... a workload is to make, about. `threads`: how many make them.
  /// `samples_latency`: the probes will time some.
  Run(uint64_t operations, uint32_t threads, bool samples_latency);

  /// How many rounds of `operations_of_round` make up the run; at least one.
  uint64_t rounds(uint64_t operations_of_round) const {
    return wanted_operations_ < operations_of_round ? 1 : wanted_operations_ / operations_of_round;
  }
  uint64_t wanted_operations() const { return wanted_operations_; }

  /// Begins the memory reading. Tables of the bench may be made before and after; they do not count.
  void start_memory() { memory_.start(); }

  /// The part between these two is what `time` means; it may be several parts. One thread has no reason to wait: its
  /// time is what the process has worked, so that it does not depend on what else the machine does. That of several
  /// threads is the time that has passed.
  void start_clock();
  void stop_clock();

  /// The peak so far is kept, if it is the highest; then the memory may be freed.
  void read_peak();
  /// To be called when everything is freed.
  void read_rest();

  /// Adds the operations and the latencies of one thread, and a sum over what it read.
  template <class Probe>
  void add(const Heap<Probe>& heap, uint64_t sum, const Histogram* histogram) {
    add_counts(heap.operations(), sum, histogram);
  }
  uint64_t sum() const { return sum_; }

  /// Prints the JSON line that the orchestrator reads.
  void print(const char* name) const;

 private:
  void add_counts(uint64_t operations, uint64_t sum, const Histogram* histogram);
  double nanoseconds(double quantile_ticks) const;

  double time() const { return threads_ == 1 ? worked_seconds_ : seconds_; }

  const uint64_t wanted_operations_;
  const uint32_t threads_;
  MemoryReading memory_;
  MappedArray<Histogram> histogram_;  // one, or none
  pthread_mutex_t lock_ = {};
  uint64_t operations_ = 0;
  uint64_t sum_ = 0;
  double started_ = 0;
  double seconds_ = 0;
  double worked_from_ = 0;
  double worked_seconds_ = 0;
  uint64_t started_ticks_ = 0;
  uint64_t ticks_ = 0;
  LockCount lock_count_;
  size_t peak_bytes_ = 0;
  size_t rest_bytes_ = 0;
};

/// What one thread of a run works with: its heap, its histogram if latencies are sampled, and its sum.
template <class Probe>
class Worker {
 public:
  explicit Worker(Run* run) : run_(run), histogram_(Probe::kSamples ? 1 : 0), heap(histogram_.begin()) {}

  /// Hands the results to the run. To be called once, after the measured part.
  void finish() { run_->add(heap, sum, histogram_.begin()); }

 private:
  Run* run_;
  MappedArray<Histogram> histogram_;

 public:
  Heap<Probe> heap;
  uint64_t sum = 0;
};

}  // namespace pagerun::bench
