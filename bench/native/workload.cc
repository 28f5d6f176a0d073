// See workload.h.
#include "workload.h"

#include <stdio.h>
#include <string.h>

#include "json.h"

namespace pagerun::bench {
namespace {

using ListFunction = WorkloadList (*)();

constexpr ListFunction kFamilies[] = {
    factoring_workloads,      logic_workloads,         n_body_workloads,         binary_trees_workloads,
    key_value_workloads,      small_churn_workloads,   mixed_sizes_workloads,    random_sizes_workloads,
    bursts_workloads,         large_runs_workloads,    realloc_growth_workloads, producer_consumer_workloads,
    batch_exchange_workloads, hand_off_workloads,      stress_workloads,         short_threads_workloads,
    scaling_workloads,        false_sharing_workloads, fragmentation_workloads,  calloc_workloads,
    aligned_workloads,
};

const Workload* find_workload(const char* name) {
  for (ListFunction family : kFamilies) {
    WorkloadList list = family();
    for (size_t index = 0; index < list.count; index++) {
      if (strcmp(list.first[index].name, name) == 0) return &list.first[index];
    }
  }
  return nullptr;
}

}  // namespace

bool run_workload(const char* name, uint64_t operations, bool samples_latency) {
  const Workload* workload = find_workload(name);
  if (workload == nullptr) return false;
  Run run(operations == 0 ? workload->default_operations : operations, workload->threads, samples_latency);
  (samples_latency ? workload->run_sampled : workload->run)(&run);
  run.read_rest();
  run.print(workload->name);
  return true;
}

void print_workloads() {
  JsonPrinter json;
  json.open('[');
  for (ListFunction family : kFamilies) {
    WorkloadList list = family();
    for (size_t index = 0; index < list.count; index++) {
      const Workload& workload = list.first[index];
      json.open('{');
      json.text("name", workload.name);
      json.text("question", workload.question);
      json.number("threads", workload.threads);
      json.text("source", workload.source);
      json.number("operations", workload.default_operations);
      json.close('}');
    }
  }
  json.close(']');
  puts("");
}

}  // namespace pagerun::bench
