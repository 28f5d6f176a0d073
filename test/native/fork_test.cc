// fork in a process with many threads: the child, which has one, allocates, frees what the parent's threads left, makes
// threads of its own and ends; the parent goes on. No hang, no loss.
//
// What sanitizers cannot do is left to the plain build: their own malloc may be locked for ever in the child, so
// nothing here asks libc for memory around a fork, and threads begin in the child, or end in the parent, only where
// they may.
#include "core/arena.h"
#include "core/arena_list.h"
#include "heap.h"
#include "threads.h"

namespace pagerun {
namespace {

constexpr int kChildSecondsHere = 60;
constexpr size_t kMostBlocks = 64;

// A few blocks, without help from libc's malloc.
class Blocks {
 public:
  void take(size_t bytes) {
    blocks_[count_] = allocate_zeroed(1, bytes);
    EXPECT(blocks_[count_] != nullptr && is_zero(blocks_[count_], bytes < 5000 ? bytes : 5000));
    if (blocks_[count_] != nullptr) count_++;
  }
  void give_all() {
    while (count_ > 0) EXPECT_EQ(deallocate(blocks_[--count_]), Misuse::kNone);
  }
  size_t count() const { return count_; }

 private:
  void* blocks_[kMostBlocks];
  size_t count_ = 0;
};

// Threads of the child: AddressSanitizer's malloc may be locked for ever there, and ThreadSanitizer takes the numbers
// of the parent's threads for used.
template <class Body>
void on_threads_of_child(size_t count, Body body) {
  if (!harness::kSanitized) harness::on_threads(count, body);
}

// Threads that allocate and free, and end and begin, until told to stop.
class Churn {
 public:
  explicit Churn(size_t threads) {
    for (size_t i = 0; i < threads; i++) threads_.emplace_back([this, i] { run(harness::seed() + i); });
  }
  ~Churn() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void run(uint64_t seed) {
    harness::Random random(seed);
    while (!is_over_) {
      uint64_t next = random.next();
      if (harness::kSanitized) {
        turn(next);
      } else {
        harness::on_other_thread([next] { turn(next); });
      }
    }
  }

  static void turn(uint64_t seed) {
    harness::Random random(seed);
    Blocks blocks;
    for (int i = 0; i < 400; i++) {
      blocks.take(random.between(1, random.one_in(30) ? 200000 : 3000));
      if (random.one_in(200)) blocks.take(33 << 20);
      if (blocks.count() > 40) blocks.give_all();
    }
    blocks.give_all();
  }

  std::atomic<bool> is_over_{false};
  std::vector<std::thread> threads_;
};

// What a child does with the heap that it was given.
void use_heap() {
  Blocks blocks;
  for (size_t bytes : {size_t{10}, size_t{100}, size_t{1000}, size_t{9000}, size_t{30000}, size_t{100000},
                       size_t{1} << 20, size_t{33} << 20}) {
    for (int i = 0; i < 5; i++) blocks.take(bytes);
  }
  blocks.give_all();
}

void free_inherited(const std::vector<void*>& blocks) {
  for (size_t i = 0; i < blocks.size(); i++) {
    EXPECT(has_pattern(blocks[i], 300, i));
    EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
    EXPECT_EQ(deallocate(blocks[i]), Misuse::kDoubleFree);
  }
}

// Blocks of 300 bytes of this thread, of a thread that waits, and of one that has ended.
class Inheritance {
 public:
  Inheritance() {
    take(20);
    harness::on_other_thread([this] { take(20); });
    waiting_ = std::thread([this] {
      take(20);
      ready_.wait();
      done_.wait();
    });
    ready_.wait();
  }
  ~Inheritance() {
    done_.wait();
    waiting_.join();
    free_all(blocks_);
  }
  const std::vector<void*>& blocks() const { return blocks_; }

 private:
  void take(int count) {
    for (int i = 0; i < count; i++) {
      blocks_.push_back(allocate(300));
      fill_pattern(blocks_.back(), 300, blocks_.size() - 1);
    }
  }

  std::vector<void*> blocks_;
  harness::Barrier ready_{2}, done_{2};
  std::thread waiting_;
};

TEST("five hundred forks while four threads churn: every child uses the heap, makes threads and ends") {
  Inheritance inheritance;
  {
    Churn churn(4);
    for (uint64_t i = 0; i < harness::rounds(500) && harness::failed_checks == 0; i++) {
      harness::ChildEnd end = harness::run_in_child(
          [&] {
            use_heap();
            free_inherited(inheritance.blocks());
            if (i % 5 == 0) on_threads_of_child(2, [&](size_t) { use_heap(); });
            EXPECT_VERIFIED();
          },
          kChildSecondsHere);
      EXPECT_CLEAN(end);
      if (i % 50 == 0) use_heap();
    }
  }
  for (size_t i = 0; i < inheritance.blocks().size(); i++) EXPECT(has_pattern(inheritance.blocks()[i], 300, i));
  EXPECT_VERIFIED();
}

TEST("a child of a child of a process with threads works as well, and so does the parent afterwards") {
  Inheritance inheritance;
  harness::ChildEnd end = harness::run_in_child([&] {
    on_threads_of_child(2, [&](size_t) { use_heap(); });
    harness::ChildEnd inner = harness::run_in_child([&] {
      free_inherited(inheritance.blocks());
      on_threads_of_child(2, [&](size_t) { use_heap(); });
      EXPECT_VERIFIED();
    });
    EXPECT_CLEAN(inner);
    free_inherited(inheritance.blocks());
    EXPECT_VERIFIED();
  });
  EXPECT_CLEAN(end);
  use_heap();
  EXPECT_VERIFIED();
}

TEST("in the child the arenas of threads that were not taken along are touched by nobody") {
  Inheritance inheritance;
  harness::ChildEnd end = harness::run_in_child([&] {
    uint64_t orphans = 0;
    for (const Arena* arena = arena_first(); arena != nullptr; arena = arena->next) {
      if (arena->state.load() == ArenaState::kOrphaned) orphans++;
    }
    EXPECT_EQ(orphans, 1u);
    for (int i = 0; i < 100; i++) on_threads_of_child(1, [](size_t) { use_heap(); });
    EXPECT_AT_MOST(memory_totals().arenas, 6u);
    EXPECT_VERIFIED();
  });
  EXPECT_CLEAN(end);
}

TEST("what parent and child do after the fork is not seen by the other") {
  void* block = allocate(1000);
  memset(block, 1, 1000);
  harness::ChildEnd end = harness::run_in_child([&] {
    memset(block, 2, 1000);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    EXPECT_VERIFIED();
  });
  EXPECT_CLEAN(end);
  EXPECT_EQ(*static_cast<char*>(block), 1);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("a fork by a thread that never allocated, and one before any allocation, leave usable heaps") {
  harness::ChildEnd first = harness::run_in_child([] {
    use_heap();
    EXPECT_VERIFIED();
  });
  EXPECT_CLEAN(first);
  Inheritance inheritance;
  harness::on_other_thread([&] {
    harness::ChildEnd end = harness::run_in_child([&] {
      free_inherited(inheritance.blocks());
      EXPECT_VERIFIED();
    });
    EXPECT_CLEAN(end);
  });
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
