// A sweep gives back, from any thread, what is free inside pages of arenas whose threads go on without a lock: never a
// byte of a live block, nothing twice, and all that rests.
#include "core/sweep.h"

#include <sys/mman.h>

#include <atomic>
#include <thread>

#include "core/made_arena.h"
#include "core/purge.h"
#include "core/run_list.h"
#include "core/thread_arena.h"
#include "heap.h"
#include "os/background.h"
#include "os/fault.h"
#include "threads.h"

namespace pagerun {
namespace {

size_t sweep_all(SweepWhich which) {
  Sweep sweep;
  EXPECT(sweep.go_on(which, UINT64_MAX));
  return sweep.given_bytes();
}

// Many blocks of one size, and the same with all but one of `one_kept_in` freed.
std::vector<void*> take_many(size_t bytes, size_t count) {
  std::vector<void*> blocks;
  for (size_t i = 0; i < count; i++) {
    blocks.push_back(allocate(bytes));
    fill_pattern(blocks.back(), bytes, i);
  }
  return blocks;
}

void thin_out(std::vector<void*>& blocks, size_t one_kept_in) {
  for (size_t i = 0; i < blocks.size(); i++) {
    if (i % one_kept_in != 0) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  }
}

void expect_kept(const std::vector<void*>& blocks, size_t bytes, size_t one_kept_in) {
  for (size_t i = 0; i < blocks.size(); i += one_kept_in) EXPECT(has_pattern(blocks[i], bytes, i));
}

void free_kept(const std::vector<void*>& blocks, size_t one_kept_in) {
  for (size_t i = 0; i < blocks.size(); i += one_kept_in) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
}

constexpr size_t kBytes = 1024, kMany = 4096, kOneIn = 16;

TEST("another thread's arena gives back what is free in its pages, while its thread sleeps, and only once") {
  std::vector<void*> blocks = take_many(kBytes, kMany);
  thin_out(blocks, kOneIn);
  harness::on_other_thread([] {
    // Three of four OS pages have no block that was kept; the page that blocks are taken from is left alone.
    EXPECT(sweep_all(SweepWhich::kAll) > kMany * kBytes / 2);
    uint64_t calls = os::call_count();
    EXPECT_EQ(sweep_all(SweepWhich::kAll), 0u);
    EXPECT_EQ(os::call_count(), calls);  // no page was claimed for it
  });
  expect_kept(blocks, kBytes, kOneIn);
  free_kept(blocks, kOneIn);
  EXPECT_VERIFIED();
}

TEST("what another thread freed is given back though its owner has not drained it") {
  std::vector<void*> blocks = take_many(kBytes, kMany);
  harness::on_other_thread([&] {
    thin_out(blocks, kOneIn);
    EXPECT(sweep_all(SweepWhich::kAll) > kMany * kBytes / 2);
  });
  expect_kept(blocks, kBytes, kOneIn);
  std::vector<void*> more = take_many(kBytes, kMany);
  expect_kept(more, kBytes, 1);
  free_kept(more, 1);
  free_kept(blocks, kOneIn);
  EXPECT_VERIFIED();
}

TEST("a page rests when nobody has freed into it between two looks") {
  std::vector<void*> blocks = take_many(kBytes, kMany);
  thin_out(blocks, kOneIn);
  sweep_all(SweepWhich::kChanged);  // what other tests left
  std::vector<void*> others = take_many(2 * kBytes, kMany);
  thin_out(others, 4);
  EXPECT_EQ(sweep_all(SweepWhich::kQuiet), 0u);
  EXPECT_EQ(deallocate(others[0]), Misuse::kNone);  // its page does not rest
  size_t all = sweep_all(SweepWhich::kQuiet);
  EXPECT(all > kMany * kBytes / 2);
  size_t last = sweep_all(SweepWhich::kQuiet);
  EXPECT(last > 0 && last <= kPageBytes);
  EXPECT_EQ(sweep_all(SweepWhich::kQuiet), 0u);
  for (size_t i = 4; i < others.size(); i += 4) EXPECT_EQ(deallocate(others[i]), Misuse::kNone);
  free_kept(blocks, kOneIn);
  EXPECT_VERIFIED();
}

TEST("what was given back and is used again is counted, page by page, and can be given back again") {
  std::vector<void*> blocks = take_many(kBytes, kMany);
  thin_out(blocks, kOneIn);
  size_t given = sweep_all(SweepWhich::kAll);
  uint64_t before = purge_counters.retaken_bytes.load();
  std::vector<void*> again = take_many(kBytes, 2 * kMany);
  EXPECT(purge_counters.retaken_bytes.load() - before >= given);
  free_kept(again, 1);
  EXPECT(sweep_all(SweepWhich::kAll) + run_list.give_back(0) * kPageBytes >= given);
  expect_kept(blocks, kBytes, kOneIn);
  free_kept(blocks, kOneIn);
  EXPECT_VERIFIED();
}

TEST("a sweep ends when its time is up, and goes on where it ended") {
  std::vector<void*> blocks = take_many(kBytes, 4 * kMany);
  thin_out(blocks, kOneIn);
  Sweep sweep;
  size_t calls = 1;
  while (!sweep.go_on(SweepWhich::kAll, 0)) calls++;
  EXPECT(calls >= 4 * kMany * kBytes / kPageBytes / kMaxClaims);
  EXPECT(sweep.given_bytes() > 2 * kMany * kBytes);
  expect_kept(blocks, kBytes, kOneIn);
  free_kept(blocks, kOneIn);
  EXPECT_VERIFIED();
}

TEST("a sweep that the kernel refuses gives back nothing, hurts nobody, and is not tried again at once") {
  std::vector<void*> blocks = take_many(kBytes, kMany);
  thin_out(blocks, kOneIn);
  EXPECT_EQ(sweep_all(SweepWhich::kQuiet), 0u);  // and now there is a table to remember pages in
  os::fail_call(1, 100000);
  EXPECT_EQ(sweep_all(SweepWhich::kAll), 0u);
  uint64_t calls = os::call_count();
  EXPECT_EQ(sweep_all(SweepWhich::kChanged), 0u);
  EXPECT_EQ(os::call_count(), calls);
  os::fail_call(0, 0);
  EXPECT(sweep_all(SweepWhich::kAll) > 0);
  expect_kept(blocks, kBytes, kOneIn);
  free_kept(blocks, kOneIn);
  EXPECT_VERIFIED();
}

// Blocks that a thread holds: each with a pattern that nobody else writes.
class Shadow {
 public:
  explicit Shadow(uint64_t seed) : random_(seed) {}

  void turn() {
    if (held_.size() > 3000 || (random_.one_in(2) && !held_.empty())) return give(random_.below(held_.size()));
    size_t bytes = random_.between(1, random_.one_in(30) ? 30000 : 3000);
    held_.push_back({allocate(bytes), bytes, random_.next()});
    fill_pattern(held_.back().ptr, bytes, held_.back().tag);
  }
  // Nearly all: pages become partial, empty, and current again.
  void give_most() {
    for (size_t i = 0; i < held_.size();) random_.one_in(20) ? static_cast<void>(i++) : give(i);
  }
  void give_all() {
    while (!held_.empty()) give(0);
  }
  struct Held {
    void* ptr;
    size_t bytes;
    uint64_t tag;
  };
  Held hand_over() {
    Held last = held_.back();
    held_.pop_back();
    return last;
  }
  bool is_empty() const { return held_.empty(); }
  static void check_and_free(const Held& one) {
    EXPECT(has_pattern(one.ptr, one.bytes, one.tag));
    EXPECT_EQ(deallocate(one.ptr), Misuse::kNone);
  }

 private:
  void give(size_t i) {
    check_and_free(held_[i]);
    held_[i] = held_.back();
    held_.pop_back();
  }

  harness::Random random_;
  std::vector<Held> held_;
};

// What one thread leaves for the next to free.
struct Mailbox {
  Lock lock;
  std::vector<Shadow::Held> blocks;
};

TEST("threads churn, free each other's blocks and end, while sweeps never stop: every byte stays what it is") {
  constexpr size_t kThreads = 4;
  uint64_t seed = harness::seed();
  std::atomic<size_t> running{kThreads};
  std::atomic<uint64_t> swept{0};
  Mailbox boxes[kThreads];
  auto churn = [&](size_t me) {
    harness::Random random(seed + me);
    for (uint64_t round = 0; round < harness::rounds(12); round++) {
      harness::on_other_thread([&, own_seed = random.next()] {
        Shadow shadow(own_seed);
        for (int i = 0; i < 12000; i++) {
          shadow.turn();
          if (i % 3000 == 2999) shadow.give_most();
          if (i % 7 != 0 || shadow.is_empty()) continue;
          LockGuard guard(boxes[(me + 1) % kThreads].lock);
          boxes[(me + 1) % kThreads].blocks.push_back(shadow.hand_over());
        }
        std::vector<Shadow::Held> mine;
        {
          LockGuard guard(boxes[me].lock);
          mine.swap(boxes[me].blocks);
        }
        for (const Shadow::Held& one : mine) Shadow::check_and_free(one);
        shadow.give_all();
      });
    }
    running--;
  };
  auto sweeper = [&] {
    while (running.load() > 0) {
      Sweep sweep;
      sweep.go_on(SweepWhich::kChanged, UINT64_MAX);
      swept += sweep.given_bytes();
      run_list.give_back(32);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; i++) threads.emplace_back(churn, i);
  for (int i = 0; i < 2; i++) threads.emplace_back(sweeper);
  for (std::thread& thread : threads) thread.join();
  for (Mailbox& box : boxes)
    for (const Shadow::Held& one : box.blocks) Shadow::check_and_free(one);
  EXPECT(swept.load() > (1u << 20));
  EXPECT_VERIFIED();
}

TEST("made arenas are reset and destroyed under the hands of a sweep") {
  std::atomic<bool> is_over{false};
  std::thread sweeper([&] {
    while (!is_over) sweep_all(SweepWhich::kChanged);
  });
  harness::Random random(harness::seed());
  for (uint64_t round = 0; round < harness::rounds(60); round++) {
    MadeArena* arena = made_arena_make(kNoLimit, "swept", 5);
    Refusal refusal;
    for (int life = 0; life < 3; life++) {
      std::vector<Shadow::Held> held;
      for (int i = 0; i < 1500; i++) {
        size_t bytes = random.between(1, 4000);
        held.push_back({made_arena_take(arena, bytes, kMaxAlignBytes, &refusal), bytes, random.next()});
        fill_pattern(held.back().ptr, bytes, held.back().tag);
      }
      for (const Shadow::Held& one : held) {
        EXPECT(has_pattern(one.ptr, one.bytes, one.tag));
        if (!random.one_in(10)) EXPECT_EQ(deallocate(one.ptr), Misuse::kNone);
      }
      made_arena_reset(arena);
      // What becomes of the pages at once.
      Shadow shadow(random.next());
      for (int i = 0; i < 500; i++) shadow.turn();
      shadow.give_all();
    }
    made_arena_destroy(arena);
  }
  is_over = true;
  sweeper.join();
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
