// Callers' errors between threads: double frees of which the owner, another thread or both had a part, also at the same
// moment; interior pointers from elsewhere; blocks of threads that have ended.
#include "core/allocator_inline.h"
#include "core/arena.h"
#include "harden/finding.h"
#include "heap.h"
#include "threads.h"

namespace pagerun {
namespace {

const size_t kSizes[] = {1, 24, 100, 1000, 5000, 20000, 32768, 40000, 300000, 2 << 20, 40 << 20};

void expect_refused_here(void* ptr, Misuse misuse) {
  Block block;
  void* result = ptr;
  EXPECT_EQ(locate(ptr, &block), misuse);
  EXPECT_EQ(deallocate(ptr), misuse);
  EXPECT_EQ(reallocate(ptr, 77, &result), misuse);
  EXPECT_EQ(result, static_cast<void*>(nullptr));
}

void expect_refused_elsewhere(void* ptr, Misuse misuse) {
  harness::on_other_thread([=] { expect_refused_here(ptr, misuse); });
}

TEST("a block that another thread freed is a double free for its owner, before and after the drain") {
  for (size_t bytes : kSizes) {
    void* kept = allocate(bytes);
    void* block = allocate(bytes);
    harness::on_other_thread([=] { EXPECT_EQ(deallocate(block), Misuse::kNone); });
    expect_refused_here(block, Misuse::kDoubleFree);
    expect_refused_elsewhere(block, Misuse::kDoubleFree);
    EXPECT_VERIFIED();
    // Fills pages of the size, which drains what others left.
    std::vector<void*> others;
    for (int i = 0; i < 200 && bytes <= kMaxBlockBytes; i++) others.push_back(allocate(bytes));
    bool is_in_use_again = false;
    for (void* other : others) is_in_use_again = is_in_use_again || other == block;
    if (!is_in_use_again) expect_refused_here(block, Misuse::kDoubleFree);
    free_all(others);
    EXPECT_EQ(deallocate(kept), Misuse::kNone);
    EXPECT_VERIFIED();
  }
  EXPECT_EQ(live_blocks(), 0u);
}

TEST("a block that its owner freed is a double free for every other thread") {
  for (size_t bytes : kSizes) {
    void* kept = allocate(bytes);
    void* block = allocate(bytes);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    expect_refused_elsewhere(block, Misuse::kDoubleFree);
    EXPECT_EQ(deallocate(kept), Misuse::kNone);
    expect_refused_elsewhere(kept, Misuse::kDoubleFree);
  }
  EXPECT_VERIFIED();
}

TEST("a thread that frees another's block twice is refused the second time, at once and in order") {
  for (size_t bytes : kSizes) {
    std::vector<void*> blocks;
    for (int i = 0; i < (bytes < 40000 ? 300 : 3); i++) blocks.push_back(allocate(bytes));
    harness::on_other_thread([&] {
      for (void* block : blocks) {
        EXPECT_EQ(deallocate(block), Misuse::kNone);
        expect_refused_here(block, Misuse::kDoubleFree);
      }
      for (void* block : blocks) expect_refused_here(block, Misuse::kDoubleFree);
    });
    for (void* block : blocks) expect_refused_here(block, Misuse::kDoubleFree);
    EXPECT_VERIFIED();
  }
  EXPECT_VERIFIED();
}

TEST("an interior pointer into another thread's block is refused, and the block stays") {
  for (size_t bytes : kSizes) {
    auto* block = static_cast<char*>(allocate(bytes));
    fill_pattern(block, bytes, 5);
    size_t usable = usable_bytes(block);
    for (size_t offset : {size_t{1}, size_t{8}, usable / 2, usable - 1})
      expect_refused_elsewhere(block + offset, Misuse::kInteriorPointer);
    EXPECT(has_pattern(block, bytes, 5));
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("a block of a thread that has ended is freed once by someone else, and not twice") {
  for (size_t bytes : kSizes) {
    std::vector<void*> blocks;
    harness::on_other_thread([&] {
      for (int i = 0; i < (bytes < 40000 ? 100 : 3); i++) blocks.push_back(allocate(bytes));
    });
    for (size_t i = 0; i < blocks.size(); i++) {
      if (i % 2 == 0) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
      if (i % 2 == 1) harness::on_other_thread([&] { EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone); });
      expect_refused_here(blocks[i], Misuse::kDoubleFree);
      expect_refused_elsewhere(blocks[i], Misuse::kDoubleFree);
    }
    EXPECT_VERIFIED();
  }
  EXPECT_EQ(live_blocks(), 0u);
}

TEST("a block that a thread freed just before its end is a double free afterwards") {
  for (size_t bytes : kSizes) {
    void* theirs = nullptr;
    void* mine = allocate(bytes);
    harness::on_other_thread([&] {
      theirs = allocate(bytes);
      EXPECT_EQ(deallocate(theirs), Misuse::kNone);
      EXPECT_EQ(deallocate(mine), Misuse::kNone);
    });
    expect_refused_here(theirs, Misuse::kDoubleFree);
    expect_refused_here(mine, Misuse::kDoubleFree);
  }
  EXPECT_VERIFIED();
}

TEST("a remote free keeps the fast path from a second free of the same page's other blocks only until the drain") {
  std::vector<void*> blocks;
  for (int i = 0; i < 500; i++) blocks.push_back(allocate(64));
  harness::on_other_thread([&] { EXPECT_EQ(deallocate(blocks[10]), Misuse::kNone); });
  blocks.erase(blocks.begin() + 10);
  free_all(blocks);
  for (int i = 0; i < 3000; i++) blocks.push_back(allocate(64));
  free_all(blocks);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("of two remote frees that both found the block in use, the second is told that it is free") {
  auto* block = static_cast<char*>(allocate(100));
  PageHeader* page = region_of(block)->header_of(block);
  auto index = static_cast<uint32_t>(static_cast<size_t>(block - page->start) / page->block_bytes);
  harness::on_other_thread([&] {
    EXPECT_EQ(page_free_remote(page, index), Misuse::kNone);
    EXPECT_EQ(page_free_remote(page, index), Misuse::kDoubleFree);
  });
  EXPECT_EQ(page_free_remote(page, index), Misuse::kDoubleFree);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

// The owner's free has seen the block in use when another thread frees it: neither can see the other, the drain sees
// both.
TEST("a block that its owner and another thread freed at the same moment is told of by the drain") {
  for (size_t bytes : {size_t{24}, size_t{100}, size_t{5000}}) {
    Finding finding;
    finding_take(&finding);
    std::vector<void*> blocks;
    for (int i = 0; i < 5; i++) blocks.push_back(allocate(bytes));
    void* block = blocks[2];
    LocalBlock local = {};
    EXPECT(find_local(arena_now(), offset_of(block), &local));
    harness::on_other_thread([=] { EXPECT_EQ(deallocate(block), Misuse::kNone); });
    free_local(arena_now(), local);
    EXPECT(!finding_take(&finding));
    arena_drain(arena_now());
    EXPECT(finding_take(&finding));
    EXPECT_EQ(finding.misuse, Misuse::kDoubleFree);
    EXPECT_EQ(finding.block, static_cast<const void*>(block));
    EXPECT_EQ(finding.bytes, usable_bytes(blocks[1]));
    blocks.erase(blocks.begin() + 2);
    free_all(blocks);
    EXPECT_VERIFIED();
  }
  EXPECT_EQ(live_blocks(), 0u);
}

TEST("a free that comes when the owner's has taken the block's page away is refused") {
  std::vector<void*> blocks;
  for (int i = 0; i < 6; i++) blocks.push_back(allocate(kMaxBlockBytes));
  auto* block = static_cast<char*>(blocks[0]);
  PageHeader* page = region_of(block)->header_of(block);
  free_all(blocks);
  arena_retire(arena_now());
  EXPECT_EQ(owner_of(*page), static_cast<Arena*>(nullptr));
  harness::on_other_thread([=] { EXPECT_EQ(page_free_remote(page, 0), Misuse::kDoubleFree); });
  for (int i = 0; i < 6; i++) blocks.push_back(allocate(kMaxBlockBytes));
  free_all(blocks);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

// Several threads free one block at the same moment, with no other allocation between. Between strangers exactly one
// free succeeds. When the owner takes part, who frees without atomics, both may, and the block's next holder may be
// told that it is free: but the process lives and the heap is whole.
void expect_one_of_racing_frees(size_t bytes, size_t thread_count, bool owner_takes_part, uint64_t turns) {
  harness::Barrier barrier(thread_count);
  void* block = nullptr;
  std::atomic<int> freed{0};
  void* kept = allocate(bytes);
  harness::on_threads(thread_count, [&](size_t me) {
    for (uint64_t i = 0; i < turns; i++) {
      if (me == 0) {
        block = allocate(bytes);
        freed = 0;
      }
      barrier.wait();
      if (me != 0 || owner_takes_part) {
        Misuse misuse = deallocate(block);
        EXPECT(misuse == Misuse::kNone || misuse == Misuse::kDoubleFree);
        if (misuse == Misuse::kNone) freed.fetch_add(1);
      }
      barrier.wait();
      if (me == 0) EXPECT(owner_takes_part || freed == 1);
      barrier.wait();
    }
  });
  EXPECT_EQ(deallocate(kept), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("two strangers that free one block at the same moment: exactly one is told that it is free") {
  for (size_t bytes : {size_t{24}, size_t{5000}, size_t{20000}, size_t{100000}, size_t{40} << 20}) {
    expect_one_of_racing_frees(bytes, 3, false, harness::rounds(2000));
  }
}

TEST("owner and stranger that free one block at the same moment leave a whole heap and a living process") {
  for (size_t bytes : {size_t{24}, size_t{5000}, size_t{20000}, size_t{100000}, size_t{40} << 20}) {
    expect_one_of_racing_frees(bytes, 2, true, harness::rounds(3000));
    expect_one_of_racing_frees(bytes, 4, true, harness::rounds(1000));
  }
}

TEST(
    "owner and strangers that free the last block of a page at the same moment leave a whole heap and a living "
    "process") {
  constexpr size_t kBytes = 32768, kStrangers = 2;
  harness::Barrier barrier(kStrangers + 1);
  void* block = nullptr;
  harness::on_threads(kStrangers + 1, [&](size_t me) {
    for (uint64_t i = 0; i < harness::rounds(10000); i++) {
      std::vector<void*> others;
      if (me == 0) {
        // The page of `block` is full, so that it is nobody's current page, and goes when its last block is freed.
        for (int n = 0; n < 6; n++) others.push_back(allocate(kBytes));
        block = others[2];
        others.erase(others.begin() + 2);
        for (void* other : others) deallocate(other);
      }
      barrier.wait();
      deallocate(block);
      barrier.wait();
    }
  });
  EXPECT_VERIFIED();
}

TEST("a free that races a resize of the same block leaves a living process and a whole heap") {
  for (size_t bytes : {size_t{24}, size_t{5000}, size_t{100000}}) {
    harness::Barrier barrier(2);
    void* block = nullptr;
    harness::on_threads(2, [&](size_t me) {
      for (uint64_t i = 0; i < harness::rounds(3000); i++) {
        if (me == 0) block = allocate(bytes);
        barrier.wait();
        void* result = nullptr;
        if (me == 0 && reallocate(block, bytes * 4, &result) == Misuse::kNone) deallocate(result);
        if (me == 1) deallocate(block);
        barrier.wait();
      }
    });
    EXPECT_VERIFIED();
  }
}

}  // namespace
}  // namespace pagerun
