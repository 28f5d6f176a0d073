// Held blocks: freed while held they are free for everyone who asks, and their memory stays what it is until the last
// hold goes, on whatever thread.
#include "core/block_hold.h"

#include "core/made_arena.h"
#include "core/thread_arena.h"
#include "heap.h"
#include "threads.h"

namespace pagerun {
namespace {

const size_t kSizes[] = {4, 24, 1000, 5000, 32 << 10, 200 << 10, 6 << 20, 40 << 20};

void* held(void* ptr, size_t bytes) {
  void* start = nullptr;
  EXPECT(block_hold(ptr, bytes, &start) == HoldStatus::kHeld);
  return start;
}

TEST("a block that is freed while it is held is free, keeps its content, and is given out again only after the hold") {
  for (size_t bytes : kSizes) {
    auto* block = static_cast<char*>(bytes == 4 ? allocate_aligned(4, 4) : allocate(bytes));
    fill_pattern(block, bytes, 7);
    EXPECT_EQ(held(block + bytes / 2, bytes - bytes / 2), static_cast<void*>(block));
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    Block found;
    EXPECT_EQ(locate(block, &found), Misuse::kDoubleFree);
    EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
    void* result = nullptr;
    EXPECT_EQ(reallocate(block, bytes + 1, &result), Misuse::kDoubleFree);
    void* start = nullptr;
    EXPECT(block_hold(block, 1, &start) == HoldStatus::kNoBlock);
    std::vector<void*> others;
    for (int i = 0; i < (bytes > (1 << 20) ? 2 : 3000); i++) {
      others.push_back(allocate(bytes));
      EXPECT(others.back() != static_cast<void*>(block));
      memset(others.back(), 1, bytes < 100 ? bytes : 100);
    }
    // A mapping gives its memory back at once and keeps its address.
    EXPECT(bytes > (32 << 20) ? is_zero(block, bytes) : has_pattern(block, bytes, 7));
    EXPECT_VERIFIED();
    block_let_go(block);
    EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
    for (void* other : others) EXPECT_EQ(deallocate(other), Misuse::kNone);
    EXPECT_EQ(live_blocks(), 0u);
    EXPECT_VERIFIED();
  }
}

TEST("a hold that ends before the free changes nothing, and the fast path of free is open again") {
  for (size_t bytes : kSizes) {
    void* block = allocate(bytes);
    EXPECT_EQ(held(block, bytes), block);
    EXPECT_EQ(held(block, 1), block);
    block_let_go(block);
    block_let_go(block);
    EXPECT_EQ(held_blocks().count(), 0u);
    Region* region = region_of(block);
    const PageHeader* page = region == nullptr ? nullptr : region->header_of(block);
    if (page != nullptr && page->kind == PageKind::kBucket)
      EXPECT_EQ(page->start_limit, kStartLimits.of_class[page->size_class]);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
  }
  EXPECT_VERIFIED();
}

TEST("every hold counts: the memory goes with the last") {
  void* block = allocate(100);
  for (int i = 0; i < 5; i++) held(block, 100);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  for (int i = 0; i < 5; i++) {
    EXPECT_EQ(live_blocks(), 1u);
    block_let_go(block);
  }
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("what is no live block, or not all in one, is not held") {
  void* block = allocate(100);
  void* freed = allocate(100);
  EXPECT_EQ(deallocate(freed), Misuse::kNone);
  int local = 0;
  void* start = nullptr;
  for (void* ptr : {freed, static_cast<void*>(&local), static_cast<void*>(nullptr), reinterpret_cast<void*>(~0ull)})
    EXPECT(block_hold(ptr, 1, &start) == HoldStatus::kNoBlock);
  EXPECT(block_hold(block, 10000, &start) == HoldStatus::kNoBlock);
  EXPECT(block_hold(block, SIZE_MAX, &start) == HoldStatus::kNoBlock);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("blocks of an arena that a program makes are not held: they end with it") {
  MadeArena* arena = made_arena_make(kNoLimit, "a", 1);
  for (size_t bytes : kSizes) {
    Refusal refusal = Refusal::kNone;
    void* block = made_arena_take(arena, bytes, 16, &refusal);
    void* start = nullptr;
    EXPECT(block != nullptr && block_hold(block, 1, &start) == HoldStatus::kMadeArena);
  }
  EXPECT_EQ(held_blocks().count(), 0u);
  made_arena_reset(arena);
  EXPECT_VERIFIED();
}

TEST("other threads hold, free and let go, and nothing is lost or given out twice") {
  constexpr size_t kBlocks = 200;
  std::vector<void*> blocks;
  for (size_t i = 0; i < kBlocks; i++) blocks.push_back(allocate(24 + i * 40));
  harness::on_threads(4, [&](size_t thread) {
    for (uint64_t round = 0; round < harness::rounds(50); round++) {
      for (size_t i = thread; i < kBlocks; i += 2) held(blocks[i], 24);
      void* own = allocate(100);
      held(own, 100);
      EXPECT_EQ(deallocate(own), Misuse::kNone);
      for (size_t i = thread; i < kBlocks; i += 2) block_let_go(blocks[i]);
      block_let_go(own);
    }
  });
  EXPECT_EQ(held_blocks().count(), 0u);
  for (void* block : blocks) held(block, 1);
  harness::on_other_thread([&] {
    for (size_t i = 0; i < kBlocks; i += 2) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  });
  for (size_t i = 1; i < kBlocks; i += 2) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  EXPECT_VERIFIED();
  harness::on_other_thread([&] {
    for (void* block : blocks) block_let_go(block);
  });
  arena_drain(arena_now());
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("a page with held blocks is freed into by its owner while others free and drains go on") {
  std::vector<void*> blocks;
  for (int i = 0; i < 500; i++) blocks.push_back(allocate(64));
  for (size_t i = 0; i < blocks.size(); i += 5) held(blocks[i], 64);
  harness::on_other_thread([&] {
    for (size_t i = 1; i < blocks.size(); i += 5) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  });
  arena_drain(arena_now());
  for (size_t i = 0; i < blocks.size(); i++)
    EXPECT_EQ(deallocate(blocks[i]), i % 5 == 1 ? Misuse::kDoubleFree : Misuse::kNone);
  EXPECT_EQ(live_blocks(), 100u);
  for (size_t i = 0; i < blocks.size(); i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kDoubleFree);
  for (size_t i = 0; i < blocks.size(); i += 5) block_let_go(blocks[i]);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("the thread of a held and freed block may end before its last hold") {
  void* block = nullptr;
  harness::on_other_thread([&] {
    block = allocate(300);
    held(block, 300);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  });
  memset(block, 1, 300);
  EXPECT_VERIFIED();
  block_let_go(block);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
