// Threads of a workload. Owns their start at one moment and their end. Thread rule: called by one thread.
#pragma once

#include <pthread.h>

#include <atomic>

#include "mapped.h"
#include "wait.h"

namespace pagerun::bench {

/// Makes `count` threads that run `prepare(index)` and wait; calls `start()` when all do, lets them run `work(index)`,
/// and returns when the last has ended. `work` and `start` must not allocate by malloc on their own account.
template <class Prepare, class Start, class Work>
void run_threads(size_t count, Prepare prepare, Start start, Work work) {
  struct Job {
    pthread_t id;
    size_t index;
    Prepare* prepare;
    Work* work;
    std::atomic<size_t>* waiting;
    std::atomic<bool>* may_go;
  };
  std::atomic<size_t> waiting{0};
  std::atomic<bool> may_go{false};
  MappedArray<Job> jobs(count);
  auto job_main = [](void* argument) -> void* {
    Job* job = static_cast<Job*>(argument);
    (*job->prepare)(job->index);
    job->waiting->fetch_add(1, std::memory_order_release);  // release: pairs with the wait below
    wait_until([job] { return job->may_go->load(std::memory_order_acquire); });
    (*job->work)(job->index);
    return nullptr;
  };
  for (size_t index = 0; index < count; index++) {
    jobs[index].index = index;
    jobs[index].prepare = &prepare;
    jobs[index].work = &work;
    jobs[index].waiting = &waiting;
    jobs[index].may_go = &may_go;
    if (pthread_create(&jobs[index].id, nullptr, job_main, &jobs[index]) != 0) die("cannot make a thread");
  }
  wait_until([&] { return waiting.load(std::memory_order_acquire) == count; });
  start();
  may_go.store(true, std::memory_order_release);  // release: pairs with the wait of job_main
  for (Job& job : jobs) pthread_join(job.id, nullptr);
}

/// The same for threads that have nothing to prepare.
template <class Start, class Work>
void run_threads(size_t count, Start start, Work work) {
  run_threads(count, [](size_t) {}, start, work);
}

}  // namespace pagerun::bench
