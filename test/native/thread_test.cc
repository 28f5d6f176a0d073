// Threads: blocks that outlive them, arenas that are taken over, frees from elsewhere that race the end of a thread,
// and many threads at once.
#include <climits>

#include "core/arena.h"
#include "core/arena_list.h"
#include "core/run_list.h"
#include "heap.h"
#include "process_memory.h"
#include "threads.h"

namespace pagerun {
namespace {

uint64_t arena_count() { return memory_totals().arenas; }

uint64_t arenas_in_state(ArenaState state) {
  uint64_t count = 0;
  for (const Arena* arena = arena_first(); arena != nullptr; arena = arena->next) {
    if (arena->state.load() == state) count++;
  }
  return count;
}

TEST("a thread's blocks outlive it, keep their content, and are freed by another thread") {
  std::vector<void*> blocks;
  const size_t sizes[] = {16, 300, 5000, 30000, 100000, 33 << 20};
  harness::on_other_thread([&] {
    for (int i = 0; i < 60; i++) {
      blocks.push_back(allocate(sizes[i % 6]));
      fill_pattern(blocks.back(), sizes[i % 6], static_cast<uint64_t>(i));
    }
  });
  EXPECT_VERIFIED();
  for (size_t i = 0; i < blocks.size(); i++) EXPECT(has_pattern(blocks[i], sizes[i % 6], i));
  free_all(blocks);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("the pages of an ended thread come back when the last of its blocks is freed") {
  constexpr size_t kBlocks = 20000, kBytes = 200;
  std::vector<void*> blocks;
  harness::on_other_thread([&] {
    for (size_t i = 0; i < kBlocks; i++) blocks.push_back(allocate(kBytes));
  });
  EXPECT(memory_totals().free_run_bytes < kBlocks * kBytes);
  free_all(blocks);
  EXPECT_EQ(live_blocks(), 0u);
  // All pages but those that this thread keeps for its next block are in free runs.
  SnapshotTotals totals = memory_totals();
  EXPECT_AT_MOST(kBlocks * kBytes - 4 * kPageBytes, totals.free_run_bytes);
  EXPECT_VERIFIED();
}

TEST("a new thread takes over the arena of an ended one, with its live blocks") {
  std::vector<void*> blocks;
  harness::on_other_thread([&] {
    for (int i = 0; i < 1000; i++) blocks.push_back(allocate(64));
  });
  uint64_t arenas = arena_count();
  EXPECT(arenas_in_state(ArenaState::kAbandoned) >= 1);
  harness::on_other_thread([&] {
    std::vector<void*> more;
    for (int i = 0; i < 1000; i++) more.push_back(allocate(64));
    EXPECT_EQ(arena_count(), arenas);
    free_all(blocks);
    free_all(more);
  });
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("ten thousand short threads, each leaving a block behind, make neither arenas nor memory grow") {
  uint64_t threads = harness::rounds(10000);
  std::vector<void*> left;
  size_t resident = 0, committed = 0;
  for (uint64_t i = 0; i < threads; i++) {
    harness::on_other_thread([&] {
      std::vector<void*> own;
      for (size_t bytes : {size_t{24}, size_t{500}, size_t{9000}, size_t{70000}}) own.push_back(allocate(bytes));
      left.push_back(allocate(100));
      free_all(own);
    });
    if (left.size() > 20) {
      EXPECT_EQ(deallocate(left.front()), Misuse::kNone);
      left.erase(left.begin());
    }
    if (i == threads / 10) {
      resident = resident_bytes();
      committed = memory_totals().committed_bytes;
    }
  }
  EXPECT_AT_MOST(arena_count(), 4u);
  EXPECT_EQ(memory_totals().committed_bytes, committed);
  if (!harness::kSanitized) EXPECT_AT_MOST(resident_bytes(), resident + (2 << 20));
  free_all(left);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("a producer allocates, a consumer frees: nothing is lost and memory is used again") {
  harness::Channel<void*> channel(2000);
  std::atomic<uint64_t> received{0};
  uint64_t count = harness::rounds(500000);
  std::thread consumer([&] {
    void* block = nullptr;
    while (channel.receive(&block)) {
      EXPECT_EQ(*static_cast<uint64_t*>(block), reinterpret_cast<uintptr_t>(block));
      EXPECT_EQ(deallocate(block), Misuse::kNone);
      received++;
    }
  });
  harness::Random random(harness::seed());
  for (uint64_t i = 0; i < count; i++) {
    void* block = allocate(random.between(8, random.one_in(50) ? 20000 : 400));
    *static_cast<uint64_t*>(block) = reinterpret_cast<uintptr_t>(block);
    channel.send(block);
  }
  channel.close();
  consumer.join();
  EXPECT_EQ(received.load(), count);
  // At most what the channel holds, in every class that was asked for: far less than was allocated in all.
  EXPECT_AT_MOST(memory_totals().committed_bytes, size_t{96} << 20);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("frees from elsewhere race the end of the owner: every block is freed exactly once") {
  for (uint64_t round = 0; round < harness::rounds(400); round++) {
    std::vector<void*> blocks;
    harness::Barrier ready(3);
    std::thread owner([&] {
      for (int i = 0; i < 600; i++) blocks.push_back(allocate(i % 3 == 0 ? 40 : i % 3 == 1 ? 3000 : 20000));
      ready.wait();
      for (size_t i = 0; i < 50; i++) EXPECT_EQ(deallocate(blocks[i * 3]), Misuse::kNone);
    });
    auto freer = [&](size_t remainder) {
      ready.wait();
      for (size_t i = 0; i < blocks.size(); i++) {
        bool is_owners = i < 150 && i % 3 == 0;
        if (!is_owners && i % 2 == remainder) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
      }
    };
    std::thread first(freer, 0), second(freer, 1);
    owner.join();
    first.join();
    second.join();
    EXPECT_EQ(live_blocks(), 0u);
    EXPECT_EQ(pages_left_behind(), 0u);
  }
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_AT_MOST(arena_count(), 8u);
  EXPECT_VERIFIED();
}

TEST("blocks that are freed elsewhere in the very moment in which their thread ends leave no page behind") {
  harness::Random random(harness::seed());
  for (uint64_t round = 0; round < harness::rounds(4000); round++) {
    constexpr size_t kBlocks = 24;
    std::atomic<void*> blocks[kBlocks] = {};
    std::thread owner([&] {
      for (size_t i = 0; i < kBlocks; i++) blocks[i].store(allocate(i * 700), std::memory_order_release);
    });
    // Some rounds begin with the first block, some wait for the last one, some until the end has begun.
    size_t first = random.below(kBlocks);
    while (blocks[first].load(std::memory_order_acquire) == nullptr) std::this_thread::yield();
    for (uint64_t spins = random.below(3000); spins > 0; spins--) first += blocks[0].load() == nullptr;
    for (std::atomic<void*>& block : blocks) {
      while (block.load(std::memory_order_acquire) == nullptr) std::this_thread::yield();
      EXPECT_EQ(deallocate(block.load(std::memory_order_acquire)), Misuse::kNone);
    }
    owner.join();
    if (!EXPECT_EQ(pages_left_behind(), 0u)) break;
  }
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("frees that end in an arena while a new thread takes it over are not lost") {
  for (uint64_t round = 0; round < harness::rounds(300); round++) {
    std::vector<void*> blocks;
    harness::on_other_thread([&] {
      for (int i = 0; i < 300; i++) blocks.push_back(allocate(100));
    });
    harness::Barrier ready(2);
    std::thread adopter([&] {
      ready.wait();
      std::vector<void*> own;
      for (int i = 0; i < 300; i++) own.push_back(allocate(100));
      free_all(own);
    });
    ready.wait();
    free_all(blocks);
    adopter.join();
  }
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("sixty-four threads at once: no block is given twice, and all come back") {
  constexpr size_t kThreads = 64;
  std::vector<std::vector<void*>> left(kThreads);
  harness::on_threads(kThreads, [&](size_t me) {
    harness::Random random(harness::seed() + me);
    std::vector<void*> own;
    for (uint64_t i = 0; i < harness::rounds(4000); i++) {
      size_t bytes = random.between(8, 2000);
      own.push_back(allocate(bytes));
      *static_cast<uint64_t*>(own.back()) = me;
      if (random.one_in(2)) continue;
      size_t at = random.below(own.size());
      EXPECT_EQ(*static_cast<uint64_t*>(own[at]), me);
      EXPECT_EQ(deallocate(own[at]), Misuse::kNone);
      own[at] = own.back();
      own.pop_back();
    }
    left[me] = own;
  });
  EXPECT_AT_MOST(arena_count(), kThreads + 1);
  EXPECT_VERIFIED();
  for (size_t i = 0; i < kThreads; i++) {
    for (void* block : left[i]) EXPECT_EQ(*static_cast<uint64_t*>(block), i);
    free_all(left[i]);
  }
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("a thread that never allocated may free, resize and look up the blocks of others") {
  auto* block = static_cast<char*>(allocate(100));
  void* other = allocate(100);
  fill_pattern(block, 100, 1);
  harness::on_other_thread([&] { EXPECT_EQ(usable_bytes(block) >= 100, true); });
  harness::on_other_thread([&] { EXPECT_EQ(deallocate(other), Misuse::kNone); });
  void* moved = nullptr;
  harness::on_other_thread([&] { moved = resized(block, 5000); });
  EXPECT(has_pattern(moved, 100, 1));
  EXPECT_EQ(deallocate(moved), Misuse::kNone);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

// Destructors of thread-specific data run after the thread's function, in rounds; some of them allocate and free.
pthread_key_t late_key;
std::atomic<int> late_calls{0};
// ThreadSanitizer takes its own state of the thread away before the last round.
constexpr int kLateRounds = harness::kThreadSanitizer ? 2 : PTHREAD_DESTRUCTOR_ITERATIONS;

void allocate_late(void* block) {
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  void* next = allocate(2000);
  EXPECT(next != nullptr);
  if (late_calls.fetch_add(1) % kLateRounds != kLateRounds - 1) {
    pthread_setspecific(late_key, next);
  } else {
    EXPECT_EQ(deallocate(next), Misuse::kNone);
  }
}

TEST("what destructors of thread-specific data allocate and free at a thread's end is sound") {
  EXPECT_EQ(pthread_key_create(&late_key, allocate_late), 0);
  for (uint64_t i = 0; i < harness::rounds(200); i++) {
    harness::on_other_thread([] { pthread_setspecific(late_key, allocate(2000)); });
  }
  EXPECT(late_calls > 0);
  EXPECT_AT_MOST(arena_count(), 4u);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("large runs and mappings are allocated and freed by all threads at once") {
  harness::on_threads(6, [&](size_t me) {
    harness::Random random(harness::seed() + me);
    for (uint64_t i = 0; i < harness::rounds(3000); i++) {
      void* block = allocate(random.one_in(40) ? 33 << 20 : random.between(33000, 900000));
      *static_cast<uint64_t*>(block) = i;
      void* grown = resized(block, random.between(33000, 900000));
      EXPECT_EQ(*static_cast<uint64_t*>(grown), i);
      EXPECT_EQ(deallocate(grown), Misuse::kNone);
    }
  });
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
