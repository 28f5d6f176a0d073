// Watches: the words that say whether a block is live say the same as locate(), whatever has happened to the block, its
// page and its neighbours since.
#include "inspect/watch.h"

#include <vector>

#include "core/block_hold.h"
#include "core/made_arena.h"
#include "heap.h"
#include "threads.h"

namespace pagerun {
namespace {

constexpr size_t kSizes[] = {4, 16, 48, 100, 128, 200, 1000, 5000, 16 << 10, 32 << 10, 100'000, 3 << 20, 6 << 20};
constexpr size_t kMegabyte = 1 << 20;

/// A watch that must be had.
Watch watched(const void* ptr) {
  Watch result;
  EXPECT(watch(ptr, &result));
  EXPECT(is_unchanged(result));
  return result;
}

TEST("a live block of every size is watched, from any of its bytes, with its bounds") {
  for (size_t bytes : kSizes) {
    auto* ptr = static_cast<char*>(allocate(bytes));
    for (size_t offset : {size_t{0}, bytes / 2, bytes - 1}) {
      Watch found = watched(ptr + offset);
      EXPECT_EQ(found.block.start, static_cast<void*>(ptr));
      EXPECT_AT_MOST(bytes, found.block.usable_bytes);
      for (const WatchedWord& word : found.words) EXPECT((word.index + 1) * sizeof(uint32_t) <= word.window_bytes);
    }
    EXPECT_EQ(deallocate(ptr), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("what is no block of a region is not watched") {
  Watch found;
  int local = 0;
  EXPECT(!watch(nullptr, &found));
  EXPECT(!watch(&local, &found));
  EXPECT(!watch(reinterpret_cast<void*>(UINTPTR_MAX), &found));
  void* freed = allocate(100);
  deallocate(freed);
  EXPECT(!watch(freed, &found));
  void* mapping = allocate(64 * kMegabyte);
  EXPECT(!watch(mapping, &found));
  deallocate(mapping);
  EXPECT_VERIFIED();
}

TEST("a watch changes when its thread, or another one, frees the block, and not when it frees a neighbour") {
  for (size_t bytes : kSizes) {
    void *before = allocate(bytes), *one = allocate(bytes), *other = allocate(bytes), *behind = allocate(bytes);
    Watch watch_one = watched(one), watch_other = watched(other);
    harness::on_other_thread([&] { EXPECT_EQ(deallocate(behind), Misuse::kNone); });
    EXPECT_EQ(deallocate(before), Misuse::kNone);
    EXPECT(is_unchanged(watch_one) && is_unchanged(watch_other));
    EXPECT_EQ(deallocate(one), Misuse::kNone);
    EXPECT(!is_unchanged(watch_one) && is_unchanged(watch_other));
    harness::on_other_thread([&] { EXPECT_EQ(deallocate(other), Misuse::kNone); });
    EXPECT(!is_unchanged(watch_other));
  }
  EXPECT_VERIFIED();
}

TEST("a watch of a run changes with its length") {
  void* run = allocate(200'000);
  Watch first = watched(run);
  void* resized = nullptr;
  EXPECT_EQ(reallocate(run, 120'000, &resized), Misuse::kNone);
  EXPECT(!is_unchanged(first));
  Watch second = watched(resized);
  EXPECT_EQ(deallocate(resized), Misuse::kNone);
  EXPECT(!is_unchanged(second));
  EXPECT_VERIFIED();
}

TEST("a watch ends when the block, or another one of its page, is held, for a held block may be freed unseen") {
  for (size_t bytes : {size_t{16}, size_t{1000}, size_t{32} << 10}) {
    void *one = allocate(bytes), *other = allocate(bytes);
    Watch watch_one = watched(one), watch_other = watched(other), none;
    void* start = nullptr;
    EXPECT(block_hold(one, bytes, &start) == HoldStatus::kHeld);
    EXPECT(!is_unchanged(watch_one) && !is_unchanged(watch_other));
    EXPECT(!watch(one, &none));
    EXPECT_EQ(deallocate(one), Misuse::kNone);
    EXPECT(!is_unchanged(watch_one) && !watch(one, &none));
    block_let_go(start);
    EXPECT(!is_unchanged(watch_one) && is_unchanged(watch_other));
    EXPECT_EQ(deallocate(other), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("a watch of a block of a made arena ends with a reset, and with the arena") {
  for (size_t bytes : {size_t{16}, size_t{200}, size_t{5000}, size_t{200'000}}) {
    MadeArena* arena = made_arena_make(UINT64_MAX, "watched", 7);
    Refusal refusal = {};
    void* one = made_arena_take(arena, bytes, 16, &refusal);
    Watch watch_one = watched(one);
    made_arena_reset(arena);
    EXPECT(!is_unchanged(watch_one));
    void* other = made_arena_take(arena, bytes, 16, &refusal);
    Watch watch_other = watched(other);
    made_arena_destroy(arena);
    EXPECT(!is_unchanged(watch_one) && !is_unchanged(watch_other));
  }
  EXPECT_VERIFIED();
}

TEST("a watch is over when its page is handed out again to a hardened arena, whose blocks end earlier") {
  for (size_t bytes : {size_t{200}, size_t{1000}, size_t{5000}}) {
    std::vector<Watch> watches;
    Refusal refusal = {};
    MadeArena* fast = made_arena_make(UINT64_MAX, "fast", 4);
    for (int i = 0; i < 100; i++) watches.push_back(watched(made_arena_take(fast, bytes, 16, &refusal)));
    made_arena_destroy(fast);
    MadeArena* hardened = made_arena_make(UINT64_MAX, "hardened", 8, true);
    int again = 0;
    for (int i = 0; i < 100; i++) {
      void* ptr = made_arena_take(hardened, bytes - 16, 16, &refusal);
      for (const Watch& watch : watches) {
        if (watch.block.start != ptr) continue;
        again++;
        EXPECT(!is_unchanged(watch));
      }
    }
    EXPECT(again > 0);
    made_arena_destroy(hardened);
  }
  EXPECT_VERIFIED();
}

/// True when locate() gives the block that was watched, start and length.
bool is_live(const Watch& watch) {
  Block now;
  return locate(watch.block.start, &now) == Misuse::kNone && now.usable_bytes == watch.block.usable_bytes;
}

/// A block that came back is live again for both. Only where a page may begin elsewhere than before, or is a run, may
/// it come back with other words, to be looked up anew; never may words stay that are no longer true.
void expect_agreed(const Watch& watch) {
  bool is_certain = watch.block.usable_bytes < kPageBytes / 2;
  EXPECT(is_certain ? is_unchanged(watch) == is_live(watch) : !is_unchanged(watch) || is_live(watch));
}

TEST("watches and locate() agree while pages pass from size to size") {
  harness::Random random(harness::seed());
  std::vector<Watch> watches;
  std::vector<void*> live;
  for (uint64_t round = 0; round < harness::rounds(400); round++) {
    size_t bytes = kSizes[random.below(std::size(kSizes))];
    size_t count = bytes > kMegabyte ? 2 : bytes > 50'000 ? 10 : 200;
    for (size_t i = 0; i < count; i++) {
      live.push_back(allocate(bytes));
      if (random.one_in(4)) watches.push_back(watched(live.back()));
    }
    // Nearly all go, so that their pages are taken up by other sizes.
    while (live.size() > 50) {
      size_t which = random.below(live.size());
      void* ptr = live[which];
      live[which] = live.back();
      live.pop_back();
      if (random.one_in(50)) {
        harness::on_other_thread([ptr] { EXPECT_EQ(deallocate(ptr), Misuse::kNone); });
      } else {
        EXPECT_EQ(deallocate(ptr), Misuse::kNone);
      }
    }
    for (const Watch& watch : watches) expect_agreed(watch);
    while (watches.size() > 500) watches.erase(watches.begin(), watches.begin() + 250);
  }
  for (void* ptr : live) EXPECT_EQ(deallocate(ptr), Misuse::kNone);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
