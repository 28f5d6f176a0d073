// A thread that waits lends its arena, so that the pages that it takes blocks from rest like all others: only where it
// can be in the middle of nothing, and without its noticing when it wakes up in the midst of that.
#include "core/lent_arena.h"

#include <semaphore.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <ctime>

#include "core/arena_list.h"
#include "core/run_list.h"
#include "core/sweep.h"
#include "heap.h"
#include "os/background.h"
#include "threads.h"

namespace pagerun {
namespace {

// A semaphore is waited for with futex(2), and passed without a lock of the C++ library.
class Gate {
 public:
  Gate() { sem_init(&semaphore_, 0, 0); }
  ~Gate() { sem_destroy(&semaphore_); }
  void open() { sem_post(&semaphore_); }
  void pass() {
    while (sem_wait(&semaphore_) != 0) {
    }
  }
  void pass_within(long nanoseconds) {
    timespec until = {};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += nanoseconds;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    sem_timedwait(&semaphore_, &until);
  }

 private:
  sem_t semaphore_;
};

template <class Condition>
bool comes_true(Condition condition) {
  for (int i = 0; i < 3000 && !condition(); i++) usleep(1000);
  return condition();
}

constexpr size_t kSizes[] = {16, 48, 200, 700, 2000, 5000, 12000, 30000, 40000};  // the last is a run
constexpr size_t kClasses = std::size(kSizes) - 1;

void* take(size_t bytes, uint64_t tag) {
  void* block = allocate(bytes);
  fill_pattern(block, bytes, tag);
  return block;
}

void give(void* block, size_t bytes, uint64_t tag) {
  EXPECT(has_pattern(block, bytes, tag));
  EXPECT_EQ(deallocate(block), Misuse::kNone);
}

// A thread that takes two blocks of each size, frees one, waits as it is told, and then takes and frees more.
class Sleeper {
 public:
  template <class Wait>
  explicit Sleeper(Wait wait) : thread_([this, wait] { run(wait); }) {}
  ~Sleeper() { thread_.join(); }
  void reach_wait() { ready_.pass(); }
  uint32_t spare_runs() const { return arena_->spare_count; }
  uint32_t current_pages() const {
    uint32_t count = 0;
    for (const Bucket& bucket : arena_->buckets) count += load_relaxed(bucket.page) != &no_page;
    return count;
  }
  bool is_waiting() const { return os::is_waiting(load_relaxed(arena_->thread), load_relaxed(arena_->on_stack)); }

 private:
  template <class Wait>
  void run(Wait wait) {
    void* kept[std::size(kSizes)];
    for (size_t i = 0; i < std::size(kSizes); i++) {
      kept[i] = take(kSizes[i], i);
      give(take(kSizes[i], i), kSizes[i], i);
    }
    arena_ = arena_now();
    ready_.open();
    wait();
    EXPECT(arena_now() == arena_);
    for (size_t i = 0; i < std::size(kSizes); i++) {
      void* more = take(kSizes[i], i + 1);
      give(kept[i], kSizes[i], i);
      give(more, kSizes[i], i + 1);
    }
  }

  Gate ready_;
  Arena* arena_ = nullptr;
  std::thread thread_;
};

TEST("a thread that waits gives up the pages that it takes blocks from, and takes up its work where it left it") {
  Gate gate;
  {
    Sleeper sleeper([&] { gate.pass(); });
    sleeper.reach_wait();
    EXPECT(sleeper.current_pages() >= kClasses && sleeper.spare_runs() == 1);
    uint32_t retired = 0;
    EXPECT(comes_true([&] { return (retired += idle_arenas_retire()) > 0; }));
    EXPECT(retired >= kClasses);
    EXPECT_EQ(sleeper.current_pages(), 0u);
    EXPECT_EQ(sleeper.spare_runs(), 0u);
    EXPECT_EQ(idle_arenas_retire(), 0u);
    Sweep sweep;
    EXPECT(sweep.go_on(SweepWhich::kAll, UINT64_MAX));
    EXPECT(sweep.given_bytes() > 0);
    gate.open();
  }
  EXPECT_VERIFIED();
}

TEST("a thread that wakes up in the midst of a loan takes no block before its arena is back") {
  if (harness::kThreadSanitizer) return;  // it does not know the fence that this stands on
  Gate gate;
  std::atomic<bool> is_awake{false}, has_block{false}, is_over{false};
  {
    Sleeper sleeper([&] {
      gate.pass();
      is_awake = true;
      void* block = take(kSizes[0], 0);
      has_block = true;
      give(block, kSizes[0], 0);
    });
    sleeper.reach_wait();
    std::thread lender;
    {
      // The lender has retired the pages by then, and cannot put the spare run back.
      LockGuard guard(run_list.lock());
      lender = std::thread([&] {
        while (!is_over && idle_arenas_retire() == 0) usleep(1000);
      });
      EXPECT(comes_true([&] { return sleeper.current_pages() == 0; }));
      gate.open();
      EXPECT(comes_true([&] { return is_awake && (has_block || sleeper.is_waiting()); }));
      EXPECT(!has_block);
    }
    is_over = true;
    lender.join();
  }
  EXPECT(has_block);
  EXPECT_VERIFIED();
}

TEST("a thread that works, or sleeps where a handler of signals may sleep as well, keeps its pages") {
  std::atomic<bool> is_over{false};
  {
    Sleeper works([&] {
      while (!is_over) {
      }
    });
    Sleeper sleeps([&] {
      while (!is_over) usleep(1000);
    });
    works.reach_wait();
    sleeps.reach_wait();
    for (int i = 0; i < 200; i++) {
      EXPECT_EQ(idle_arenas_retire(), 0u);
      usleep(100);
    }
    EXPECT(works.current_pages() >= kClasses && sleeps.current_pages() >= kClasses);
    is_over = true;
  }
  EXPECT_VERIFIED();
}

Gate* handler_gate;
std::atomic<bool> is_handler_entered{false}, is_handler_left{false};

TEST("a thread whose handler of a signal waits on a stack of its own keeps its pages") {
  if (harness::kThreadSanitizer) return;  // it runs handlers later, on the thread's stack
  Gate gate, reached, in_handler;
  handler_gate = &in_handler;
  struct sigaction action = {};
  action.sa_handler = [](int) {
    is_handler_entered = true;
    handler_gate->pass();
    is_handler_left = true;
  };
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, nullptr);
  {
    pthread_t thread = {};
    Sleeper sleeper([&] {
      constexpr size_t kStackBytes = 64 << 10;
      stack_t stack = {};
      stack.ss_sp = allocate(kStackBytes);
      stack.ss_size = kStackBytes;
      sigaltstack(&stack, nullptr);
      thread = pthread_self();
      reached.open();
      while (!is_handler_left) {
      }
      gate.pass();
      stack.ss_flags = SS_DISABLE;
      sigaltstack(&stack, nullptr);
      EXPECT_EQ(deallocate(stack.ss_sp), Misuse::kNone);
    });
    sleeper.reach_wait();
    reached.pass();
    pthread_kill(thread, SIGUSR1);
    while (!is_handler_entered) usleep(1000);
    for (int i = 0; i < 200; i++) EXPECT_EQ(idle_arenas_retire(), 0u);
    EXPECT(sleeper.current_pages() >= kClasses);
    in_handler.open();
    uint32_t retired = 0;
    EXPECT(comes_true([&] { return (retired += idle_arenas_retire()) > 0; }));
    gate.open();
  }
  EXPECT_VERIFIED();
}

TEST("threads that wait a moment, work a moment and end lose no block to lenders that never stop") {
  if (harness::kThreadSanitizer) return;  // it does not know the fence that this stands on
  constexpr size_t kThreads = 4;
  std::atomic<size_t> running{kThreads};
  std::atomic<uint64_t> retired{0};
  uint64_t seed = harness::seed();
  auto work = [&](size_t me) {
    Gate never;
    harness::Random random(seed + me);
    for (uint64_t life = 0; life < harness::rounds(8); life++) {
      harness::on_other_thread([&] {
        void* held[64] = {};
        size_t bytes[64] = {};
        for (int i = 0; i < 3000; i++) {
          size_t at = random.below(64);
          if (held[at] != nullptr) give(held[at], bytes[at], at);
          bytes[at] = random.between(1, random.one_in(8) ? 30000 : 600);
          held[at] = take(bytes[at], at);
          if (random.one_in(16)) never.pass_within(static_cast<long>(random.below(200000)));
        }
        for (size_t at = 0; at < 64; at++)
          if (held[at] != nullptr) give(held[at], bytes[at], at);
      });
    }
    running--;
  };
  auto lend = [&] {
    while (running.load() > 0) {
      retired += idle_arenas_retire();
      Sweep sweep;
      sweep.go_on(SweepWhich::kChanged, UINT64_MAX);
      run_list.give_back(32);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; i++) threads.emplace_back(work, i);
  threads.emplace_back(lend);
  for (std::thread& thread : threads) thread.join();
  EXPECT(retired.load() > 0);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
