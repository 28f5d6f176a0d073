// What a synthetic workload is, and the list of them. Owns no workload: each family has a file workload_<family>.cc.
//
// A new workload: write its file after the pattern of the others, declare its list below, name it in workload.cc and
// the file in native/sources.json. A workload
// - makes its tables (MappedArray), calls run->start_memory(), and fills what must be there beforehand;
// - puts the measured part between run->start_clock() and run->stop_clock();
// - calls run->read_peak() while its memory is as it was, frees everything, and finishes its workers.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "random.h"
#include "run.h"

namespace pagerun::bench {

struct Workload {
  const char* name;
  const char* question;
  uint32_t threads;             // that call malloc at the same time
  const char* source;           // of the idea: literature, or this project
  uint64_t default_operations;  // about; made for a third to one second on glibc
  void (*run)(Run*);
  void (*run_sampled)(Run*);
};

struct WorkloadList {
  const Workload* first;
  size_t count;
};

template <size_t kCount>
constexpr WorkloadList list_of(const Workload (&workloads)[kCount]) {
  return {workloads, kCount};
}

WorkloadList small_churn_workloads();
WorkloadList mixed_sizes_workloads();
WorkloadList large_runs_workloads();
WorkloadList realloc_growth_workloads();
WorkloadList producer_consumer_workloads();
WorkloadList hand_off_workloads();
WorkloadList fragmentation_workloads();
WorkloadList calloc_workloads();
WorkloadList aligned_workloads();
WorkloadList factoring_workloads();
WorkloadList logic_workloads();
WorkloadList n_body_workloads();
WorkloadList binary_trees_workloads();
WorkloadList key_value_workloads();
WorkloadList scaling_workloads();
WorkloadList false_sharing_workloads();
WorkloadList stress_workloads();
WorkloadList batch_exchange_workloads();
WorkloadList bursts_workloads();
WorkloadList random_sizes_workloads();
WorkloadList short_threads_workloads();

/// Runs one by name and prints its JSON line; `operations` 0 means its default. False if there is none of that name.
bool run_workload(const char* name, uint64_t operations, bool samples_latency);

/// Prints a JSON array of all.
void print_workloads();

}  // namespace pagerun::bench
