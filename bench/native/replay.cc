// See replay.h. Thread 0 of the trace runs on the main thread, and a trace of one thread makes no other: allocators
// treat both cases in their own way. The other threads are made for each pass, before its clock starts, and end when
// their steps do.
#include "replay.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "replay_plan.h"
#include "run.h"
#include "wait.h"

namespace pagerun::bench {
namespace {

void futex_wait(std::atomic<uint32_t>* word, uint32_t seen) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}

void futex_wake(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

template <class Probe>
class Replayer {
 public:
  Replayer(ReplayPlan* plan, Run* run) : plan_(plan), run_(run), jobs_(plan->threads()) {}

  void pass() {
    prepare();
    run_->start_clock();
    started_.store(1, std::memory_order_release);  // release: pairs with job_main()
    futex_wake(&started_);
    work(0);
    while (uint32_t left = working_.load(std::memory_order_acquire)) futex_wait(&working_, left);
    run_->stop_clock();
    for (uint32_t thread = 1; thread < plan_->threads(); thread++) pthread_join(jobs_[thread].id, nullptr);
    run_->read_peak();
    free_left_overs();
  }

  /// The first pass takes its memory baseline when its threads exist and wait.
  void start_memory_at_next_pass() { starts_memory_ = true; }

 private:
  struct Job {
    Replayer* replayer;
    uint32_t thread;
    pthread_t id;
  };

  void prepare() {
    plan_->rewind();
    phases_left_.store(0, std::memory_order_relaxed);
    started_.store(0, std::memory_order_relaxed);
    waiting_.store(0, std::memory_order_relaxed);
    working_.store(plan_->threads(), std::memory_order_relaxed);
    for (uint32_t thread = 1; thread < plan_->threads(); thread++) {
      jobs_[thread] = {this, thread, {}};
      if (pthread_create(&jobs_[thread].id, nullptr, job_main, &jobs_[thread]) != 0) die("cannot make a thread");
    }
    wait_until([this] { return waiting_.load(std::memory_order_acquire) == plan_->threads() - 1; });
    if (starts_memory_) run_->start_memory();
    starts_memory_ = false;
  }

  static void* job_main(void* argument) {
    Job* job = static_cast<Job*>(argument);
    Replayer* replayer = job->replayer;
    replayer->waiting_.fetch_add(1, std::memory_order_release);  // release: pairs with prepare()
    while (replayer->started_.load(std::memory_order_acquire) == 0) futex_wait(&replayer->started_, 0);
    replayer->work(job->thread);
    return nullptr;
  }

  void work(uint32_t thread) {
    Worker<Probe> worker(run_);
    ThreadPlan& plan = plan_->thread(thread);
    for (const Step *step = plan.steps, *end = step + plan.step_count; step != end; step++) take(&worker, &plan, *step);
    uint32_t left = working_.fetch_sub(1, std::memory_order_acq_rel) - 1;  // release: pairs with pass()
    if (left == 0) futex_wake(&working_);
    if (worker.sum != plan.expected_sum)
      die("a block did not hold what was written to it, or memory of calloc was not zero");
    worker.finish();
  }

  void take(Worker<Probe>* worker, ThreadPlan* plan, const Step& step) {
    if (static_cast<StepKind>(step.kind) == StepKind::kPhase) return change_phase(step.place, step.old_units);
    if (step.is_shared) return take_shared(worker, step);
    apply(worker, step, &plan->places[step.place]);
  }

  void take_shared(Worker<Probe>* worker, const Step& step) {
    SharedPlace& place = plan_->shared_places()[step.place];
    wait_until([&] { return (place.turn.load(std::memory_order_acquire) & kTurnMask) == step.turn; });
    apply(worker, step, &place.ptr);
    place.turn.fetch_add(1, std::memory_order_release);  // release: pairs with the wait of the next event's thread
  }

  void apply(Worker<Probe>* worker, const Step& step, void** ptr) {
    uint8_t fill = fill_of(step.place);
    switch (static_cast<StepKind>(step.kind)) {
      case StepKind::kMalloc:
        *ptr = worker->heap.allocate(step.bytes);
        return touch(*ptr, step.bytes, fill);
      case StepKind::kCalloc:
        *ptr = worker->heap.allocate_zeroed(step.bytes);
        worker->sum += sum_touched(*ptr, step.bytes);
        return touch(*ptr, step.bytes, fill);
      case StepKind::kAligned:
        *ptr = worker->heap.allocate_aligned(size_t{1} << step.alignment_log2, step.bytes);
        return touch(*ptr, step.bytes, fill);
      case StepKind::kRealloc:
        return resize(worker, step, ptr, fill);
      case StepKind::kFree:
        if (step.old_units != 0) worker->sum += *bytes_of(*ptr);
        return worker->heap.release(*ptr);
      case StepKind::kPhase:
        return;
    }
  }

  void resize(Worker<Probe>* worker, const Step& step, void** ptr, uint8_t fill) {
    *ptr = worker->heap.reallocate(*ptr, step.bytes);
    if (step.old_units != 0) worker->sum += *bytes_of(*ptr);
    uint64_t old_bytes = step.old_units * kOldUnitBytes;
    touch(*ptr, step.bytes, fill, (old_bytes + kTouchBytes - 1) & ~(kTouchBytes - 1));
  }

  void change_phase(uint32_t enter, uint32_t leave) {
    if (leave != kNoPhase) leave_phase(leave);
    if (enter == kNoPhase || enter < 2) return;
    // All phases before enter - 1 must have been left by everyone.
    for (;;) {
      uint32_t left = phases_left_.load(std::memory_order_acquire);
      if (left >= enter - 1) return;
      futex_wait(&phases_left_, left);
    }
  }

  void leave_phase(uint32_t phase) {
    // All of these are seq_cst: of two threads that leave neighbouring phases at once, one must see both as left.
    auto& threads = plan_->phase_threads();
    if (threads[phase].fetch_sub(1) != 1) return;
    bool has_moved = false;
    uint32_t left = phases_left_.load();
    while (left < threads.size() && threads[left].load() == 0) {
      if (!phases_left_.compare_exchange_weak(left, left + 1)) continue;
      left++;
      has_moved = true;
    }
    if (has_moved) futex_wake(&phases_left_);
  }

  void free_left_overs() {
    for (const LeftOver& block : plan_->left_overs()) {
      free(block.is_shared ? plan_->shared_places()[block.place].ptr : plan_->thread(block.thread).places[block.place]);
    }
  }

  ReplayPlan* plan_;
  Run* run_;
  MappedArray<Job> jobs_;
  bool starts_memory_ = false;
  std::atomic<uint32_t> waiting_{0};
  std::atomic<uint32_t> started_{0};
  std::atomic<uint32_t> working_{0};
  std::atomic<uint32_t> phases_left_{0};  // how many phases, from the first on, all threads have left
};

template <class Probe>
void replay_all(ReplayPlan* plan, Run* run, uint64_t passes) {
  Replayer<Probe> replayer(plan, run);
  replayer.start_memory_at_next_pass();
  for (uint64_t pass = 0; pass < passes; pass++) replayer.pass();
}

}  // namespace

void replay(const char* path, uint64_t passes, bool samples_latency) {
  ReplayPlan plan(path);
  Run run(plan.events(), plan.threads(), samples_latency);
  if (samples_latency) {
    replay_all<SampleProbe>(&plan, &run, passes);
  } else {
    replay_all<NoProbe>(&plan, &run, passes);
  }
  run.read_rest();
  run.print(plan.name());
}

}  // namespace pagerun::bench
