// The lock of base/: one holder at a time, no lost wake, and its own count of takings.
#include "base/lock.h"

#include <pthread.h>
#include <sched.h>

#include <memory>
#include <thread>

#include "harness.h"

namespace pagerun {
namespace {

constexpr int kThreads = 8;

template <class Body>
void on_threads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; i++) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

TEST("a plain counter under the lock loses no increment between eight threads") {
  Lock lock;
  uint64_t counter = 0;
  uint64_t each = harness::rounds(100000);
  on_threads(kThreads, [&](int) {
    for (uint64_t i = 0; i < each; i++) {
      LockGuard guard(lock);
      counter++;
    }
  });
  EXPECT_EQ(counter, each * kThreads);
  LockGuard guard(lock);
  EXPECT_EQ(lock.taken(), each * kThreads + 1);
}

TEST("two threads are never inside at once, also when the holder sleeps") {
  Lock lock;
  std::atomic<int> inside{0}, most{0};
  on_threads(4, [&](int) {
    for (int i = 0; i < 50; i++) {
      lock.take();
      int now = inside.fetch_add(1) + 1;
      if (now > most) most = now;
      usleep(100);
      inside.fetch_sub(1);
      lock.give();
    }
  });
  EXPECT_EQ(most.load(), 1);
}

TEST("a sleeper is woken each time: the lock is handed around a ring of waiters without a lost wake") {
  Lock lock;
  uint64_t turns = harness::rounds(20000);
  uint64_t turn = 0;  // guarded by the lock
  on_threads(3, [&](int me) {
    for (;;) {
      lock.take();
      uint64_t now = turn;
      if (now < turns && now % 3 == static_cast<uint64_t>(me)) turn++;
      lock.give();
      if (now >= turns) return;
      sched_yield();
    }
  });
  EXPECT_EQ(turn, turns);
}

TEST("what was written under the lock is seen by the next holder") {
  Lock lock;
  auto shared = std::make_unique<uint64_t[]>(64);
  on_threads(4, [&](int) {
    for (uint64_t i = 0; i < harness::rounds(20000); i++) {
      LockGuard guard(lock);
      uint64_t first = shared[0];
      for (size_t w = 0; w < 64; w++) EXPECT_EQ(shared[w], first);
      for (size_t w = 0; w < 64; w++) shared[w] = first + 1;
    }
  });
}

TEST("the lock keeps errno while it waits") {
  Lock lock;
  on_threads(4, [&](int me) {
    for (uint64_t i = 0; i < 200; i++) {
      errno = 1000 + me;
      lock.take();
      if (i % 50 == 0) usleep(50);
      errno = 1000 + me;
      lock.give();
      EXPECT_EQ(errno, 1000 + me);
    }
  });
}

TEST("the lock keeps errno when a signal interrupts the wait") {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  EXPECT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  Lock lock;
  lock.take();
  std::atomic<bool> is_through{false};
  int seen = 0;
  std::thread waiter([&] {
    errno = 1234;
    lock.take();
    seen = errno;
    lock.give();
    is_through = true;
  });
  for (int i = 0; i < 50; i++) {
    usleep(1000);
    pthread_kill(waiter.native_handle(), SIGUSR1);
  }
  EXPECT(!is_through);
  lock.give();
  waiter.join();
  EXPECT_EQ(seen, 1234);
}

TEST("everyone who sleeps on a lock comes through, one after the other, once it is given") {
  constexpr int kSleepers = 6;
  Lock lock;
  lock.take();
  std::atomic<int> through{0};
  std::vector<std::thread> sleepers;
  for (int i = 0; i < kSleepers; i++) {
    sleepers.emplace_back([&] {
      lock.take();
      through++;
      lock.give();
    });
  }
  usleep(100000);  // time to fall asleep; who has not yet is no failure
  EXPECT_EQ(through.load(), 0);
  lock.give();
  for (std::thread& sleeper : sleepers) sleeper.join();
  EXPECT_EQ(through.load(), kSleepers);
}

TEST("take_within takes a free lock at once, one that is given in time, and gives up on one that is not") {
  Lock lock;
  EXPECT(lock.take_within(0));
  errno = 1234;
  EXPECT(!lock.take_within(0));
  EXPECT(!lock.take_within(20));
  EXPECT_EQ(errno, 1234);
  std::thread giver([&] {
    usleep(20000);
    lock.give();
  });
  EXPECT(lock.take_within(60000));
  giver.join();
  EXPECT_EQ(lock.taken(), 2u);
  lock.give();
}

TEST("reset makes a held lock free again, for the child of a fork") {
  harness::ChildEnd end = harness::run_in_child([] {
    Lock lock;
    lock.take();
    lock.reset();
    lock.take();
    lock.give();
  });
  EXPECT_CLEAN(end);
}

}  // namespace
}  // namespace pagerun
