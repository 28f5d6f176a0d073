// Threads on the textbook's arenas: what the measurement counts, and that each kind of lock is one.
#include "textbook/contention.h"

#include <pthread.h>

#include <atomic>

#include "harness.h"
#include "textbook/timed_locks.h"

using namespace pagerun;
using namespace pagerun::textbook;

namespace {

constexpr uint32_t kThreads = 4;
constexpr uint64_t kRounds = harness::rounds(20'000);

// A number that is right only if no two threads ever change it at the same time.
template <class LockUnderTest>
struct Shared {
  LockUnderTest lock;
  uint64_t number = 0;
};

template <class LockUnderTest>
void* add_many(void* argument) {
  auto* shared = static_cast<Shared<LockUnderTest>*>(argument);
  for (uint64_t i = 0; i < kRounds; i++) {
    shared->lock.take();
    shared->number++;
    shared->lock.give();
  }
  return nullptr;
}

template <class LockUnderTest>
void check_lock() {
  Shared<LockUnderTest> shared;
  pthread_t ids[kThreads] = {};
  for (pthread_t& id : ids) EXPECT_EQ(pthread_create(&id, nullptr, add_many<LockUnderTest>, &shared), 0);
  for (pthread_t id : ids) pthread_join(id, nullptr);
  EXPECT_EQ(shared.number, kThreads * kRounds);
  EXPECT_EQ(shared.lock.counts().takes, kThreads * kRounds);
  EXPECT(shared.lock.counts().waits <= shared.lock.counts().takes);
}

struct Held {
  MutexLock lock;
  std::atomic<bool> is_asked_for{false};
};

void* take_held(void* argument) {
  auto* held = static_cast<Held*>(argument);
  held->is_asked_for = true;
  held->lock.take();
  held->lock.give();
  return nullptr;
}

ContentionResult measure(const ContentionPlan& plan) {
  ContentionResult result;
  EXPECT(measure_contention(plan, &result));
  return result;
}

}  // namespace

TEST("a mutex lets one thread in at a time and counts every take") { check_lock<MutexLock>(); }
TEST("an adaptive lock lets one thread in at a time and counts every take") { check_lock<AdaptiveLock>(); }
TEST("a spin lock lets one thread in at a time and counts every take") { check_lock<SpinLock>(); }
TEST("a ticket lock lets one thread in at a time and counts every take") { check_lock<TicketLock>(); }

TEST("the time is counted that a thread waits for a held lock") {
  constexpr uint64_t kHeldNanoseconds = 200'000'000;
  Held held;
  held.lock.take();
  pthread_t id = {};
  EXPECT_EQ(pthread_create(&id, nullptr, take_held, &held), 0);
  while (!held.is_asked_for) sched_yield();
  const uint64_t from = nanoseconds_now();
  while (nanoseconds_now() - from < kHeldNanoseconds) sched_yield();
  held.lock.give();
  pthread_join(id, nullptr);
  EXPECT_EQ(held.lock.counts().takes, 2u);
  EXPECT_EQ(held.lock.counts().waits, 1u);
  EXPECT(held.lock.counts().waited_nanoseconds > kHeldNanoseconds / 10);
}

TEST("one thread waits for no lock") {
  for (LockKind lock : {LockKind::kMutex, LockKind::kAdaptive, LockKind::kSpin, LockKind::kTicket}) {
    ContentionResult result = measure({.threads = 1, .arenas = 2, .lock = lock, .milliseconds = 10});
    EXPECT(result.operations > 0);
    EXPECT_EQ(result.waits, 0u);
    EXPECT(result.waited_seconds == 0);
  }
}

TEST("every operation takes two locks, a free's and a malloc's, whatever the choice and the origin") {
  for (Choice choice : {Choice::kModulo, Choice::kRandom, Choice::kLeastContended}) {
    for (Origin origin : {Origin::kHeader, Origin::kAddress}) {
      ContentionPlan plan = {.threads = 3, .arenas = 4, .choice = choice, .origin = origin, .milliseconds = 10};
      ContentionResult result = measure(plan);
      // And a few more: each thread's first blocks.
      EXPECT(result.takes > 2 * result.operations);
      EXPECT(result.takes <= 2 * result.operations + 24);
      EXPECT(result.waits <= result.takes);
      EXPECT(result.waited_seconds <= result.seconds * 3 + 1);
    }
  }
}

TEST("the time of a measurement is at least what was asked for") {
  EXPECT(measure({.threads = 2, .milliseconds = 25}).seconds >= 0.025);
}

TEST("no threads, no arenas, or more than there may be are refused") {
  ContentionResult result;
  EXPECT(!measure_contention({.threads = 0}, &result));
  EXPECT(!measure_contention({.threads = kMostContentionThreads + 1}, &result));
  EXPECT(!measure_contention({.arenas = 0}, &result));
  EXPECT(!measure_contention({.arenas = kMostArenas + 1}, &result));
  EXPECT_EQ(result.operations, 0u);
}
