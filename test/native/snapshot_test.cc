// Snapshots: what they say of blocks, pages, runs and arenas that are known, totals as the sums of their parts, and
// both while other threads run.
#include <map>

#include "core/arena.h"
#include "core/run_list.h"
#include "heap.h"
#include "threads.h"

namespace pagerun {
namespace {

class Taken {
 public:
  Taken() : snapshot_(snapshot_take()) { EXPECT(snapshot_ != nullptr); }
  ~Taken() { snapshot_release(snapshot_); }
  const Snapshot* operator->() const { return snapshot_; }
  const Snapshot& operator*() const { return *snapshot_; }

 private:
  const Snapshot* snapshot_;
};

const PageRecord* page_of(const Snapshot& snapshot, const void* ptr) {
  auto address = reinterpret_cast<uint64_t>(ptr);
  for (uint64_t i = 0; i < snapshot.page_count; i++) {
    const PageRecord& page = snapshot.pages[i];
    if (address >= page.address && address < page.address + page.pages * kPageBytes) return &page;
  }
  return nullptr;
}

bool is_used(const Snapshot& snapshot, const PageRecord& page, uint64_t index) {
  return (snapshot.bitmap_words[page.bitmap_word + index / 64] >> (index % 64) & 1) != 0;
}

// Everything that must hold of any snapshot, whatever other threads were doing.
void expect_consistent(const Snapshot& snapshot) {
  uint64_t blocks = snapshot.mapping_count, bytes = 0, run_bytes = 0, mapping_bytes = 0, words = 0;
  std::map<uint64_t, ArenaRecord> arenas;
  std::map<uint64_t, uint64_t> extents;
  for (uint64_t i = 0; i < snapshot.page_count; i++) {
    const PageRecord& page = snapshot.pages[i];
    blocks += page.used;
    bytes += page.used * page.block_bytes;
    EXPECT(page.remote <= page.used && page.used <= page.capacity);
    EXPECT(page.capacity * page.block_bytes <= page.pages * kPageBytes);
    EXPECT_EQ(page.bitmap_word, words);
    words += (page.capacity + 63) / 64;
    uint32_t set = 0;
    for (uint64_t w = page.bitmap_word; w < words && w < snapshot.bitmap_word_count; w++)
      set += count_bits(snapshot.bitmap_words[w]);
    EXPECT_EQ(set, page.used);
    EXPECT(extents.emplace(page.address, page.address + page.pages * kPageBytes).second);
    ArenaRecord& arena = arenas[page.arena];
    arena.pages++;
    arena.live_blocks += page.used;
    arena.live_bytes += page.used * page.block_bytes;
  }
  EXPECT_EQ(words, snapshot.bitmap_word_count);
  for (uint64_t i = 0; i < snapshot.run_count; i++) {
    run_bytes += snapshot.runs[i].pages * kPageBytes;
    EXPECT(extents.emplace(snapshot.runs[i].address, snapshot.runs[i].address + snapshot.runs[i].pages * kPageBytes)
               .second);
  }
  for (uint64_t i = 0; i < snapshot.mapping_count; i++) {
    mapping_bytes += snapshot.mappings[i].bytes;
    EXPECT(extents.emplace(snapshot.mappings[i].address, snapshot.mappings[i].address + snapshot.mappings[i].bytes)
               .second);
  }
  for (uint64_t i = 0; i < snapshot.arena_count; i++) {
    const ArenaRecord& arena = snapshot.arenas[i];
    EXPECT(arena.pages == arenas[arena.id].pages && arena.live_blocks == arenas[arena.id].live_blocks &&
           arena.live_bytes == arenas[arena.id].live_bytes);
  }
  uint64_t end = 0;
  for (auto [from, to] : extents) {
    EXPECT(from >= end);
    end = to;
  }
  const SnapshotTotals& totals = snapshot.totals;
  EXPECT_EQ(totals.live_blocks, blocks);
  EXPECT_EQ(totals.live_bytes, bytes + mapping_bytes);
  EXPECT_EQ(totals.free_run_bytes, run_bytes);
  EXPECT_EQ(totals.mapping_bytes, mapping_bytes);
  EXPECT_EQ(totals.arenas, snapshot.arena_count);
  EXPECT(totals.committed_bytes >= totals.live_bytes && totals.reserved_bytes >= totals.committed_bytes);
}

TEST("a heap that was never used has an empty snapshot") {
  Taken snapshot;
  EXPECT(snapshot->page_count == 0 && snapshot->run_count == 0 && snapshot->mapping_count == 0);
  expect_consistent(*snapshot);
}

TEST("every block is in the snapshot with its page, its bit, its class and its arena, and no other bit is set") {
  harness::Random random(harness::seed());
  std::vector<void*> blocks;
  std::map<const void*, size_t> live;
  for (int i = 0; i < 5000; i++) {
    size_t bytes = random.between(1, 1ull << random.between(2, 18));
    void* block = allocate_aligned(random.one_in(3) ? 4 : 16, bytes);
    live[block] = usable_bytes(block);
    blocks.push_back(block);
    if (random.one_in(3)) {
      live.erase(block);
      EXPECT_EQ(deallocate(block), Misuse::kNone);
      blocks.pop_back();
    }
  }
  Taken snapshot;
  expect_consistent(*snapshot);
  uint64_t live_bytes = 0;
  for (auto [block, bytes] : live) {
    const PageRecord* page = page_of(*snapshot, block);
    if (!EXPECT(page != nullptr)) continue;
    uint64_t offset = reinterpret_cast<uint64_t>(block) - page->address;
    EXPECT_EQ(page->block_bytes, bytes);
    EXPECT_EQ(offset % bytes, 0u);
    EXPECT(is_used(*snapshot, *page, offset / bytes));
    EXPECT_EQ(page->arena != 0, page->kind == static_cast<uint32_t>(PageKind::kBucket));
    live_bytes += bytes;
  }
  EXPECT_EQ(snapshot->totals.live_blocks, live.size());
  EXPECT_EQ(snapshot->totals.live_bytes, live_bytes);
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("memory_totals says what a snapshot of the same moment says") {
  std::vector<void*> blocks;
  for (size_t bytes = 1; bytes < 40 << 20; bytes = bytes * 3 + 1) blocks.push_back(allocate(bytes));
  harness::on_other_thread([&] { EXPECT_EQ(deallocate(blocks[3]), Misuse::kNone); });
  blocks.erase(blocks.begin() + 3);
  Taken snapshot;
  SnapshotTotals totals = memory_totals();
  EXPECT_EQ(memcmp(&totals, &snapshot->totals, sizeof(totals)), 0);
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("memory_totals_within says the same, and gives up while somebody holds a lock of the heap") {
  SnapshotTotals exact = memory_totals(), totals = {};
  EXPECT(memory_totals_within(0, &totals));
  EXPECT_EQ(memcmp(&totals, &exact, sizeof(totals)), 0);
  run_list.lock().take();
  EXPECT(!memory_totals_within(1, &totals));
  run_list.lock().give();
  EXPECT(memory_totals_within(0, &totals));
  EXPECT_VERIFIED();
}

TEST("mappings, runs and free runs are listed with their lengths") {
  void* mapping = allocate(40 << 20);
  void* run = allocate(5 * kPageBytes - 100);
  void* gone = allocate(7 * kPageBytes);
  void* wall = allocate(2 * kPageBytes);
  EXPECT_EQ(deallocate(gone), Misuse::kNone);
  Taken snapshot;
  expect_consistent(*snapshot);
  EXPECT_EQ(snapshot->mapping_count, 1u);
  EXPECT(snapshot->mappings[0].address == reinterpret_cast<uint64_t>(mapping) &&
         snapshot->mappings[0].bytes == 40 << 20);
  const PageRecord* page = page_of(*snapshot, run);
  EXPECT(page != nullptr && page->kind == static_cast<uint32_t>(PageKind::kRun) && page->pages == 5 && page->used == 1);
  uint64_t found = 0;
  for (uint64_t i = 0; i < snapshot->run_count; i++) {
    if (snapshot->runs[i].address == reinterpret_cast<uint64_t>(gone)) found = snapshot->runs[i].pages;
  }
  EXPECT_EQ(found, 7u);
  for (void* block : {mapping, run, wall}) EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("a block that another thread freed counts as used and as remote until its owner looks, and not as live") {
  std::vector<void*> blocks;
  for (int i = 0; i < 100; i++) blocks.push_back(allocate(48));
  harness::on_other_thread([&] {
    for (size_t i = 0; i < 30; i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  });
  blocks.erase(blocks.begin(), blocks.begin() + 30);
  Taken snapshot;
  const PageRecord* page = page_of(*snapshot, blocks[0]);
  EXPECT(page != nullptr && page->used == 100 && page->remote == 30);
  EXPECT_EQ(snapshot->totals.live_blocks, 70u);
  EXPECT_EQ(memory_totals().live_blocks, 70u);
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("an arena's record tells whether its thread has ended") {
  void* mine = allocate(10);
  void* theirs = nullptr;
  harness::on_other_thread([&] { theirs = allocate(10); });
  Taken snapshot;
  uint64_t active = 0, abandoned = 0;
  for (uint64_t i = 0; i < snapshot->arena_count; i++) {
    if (snapshot->arenas[i].state == static_cast<uint32_t>(ArenaState::kActive)) active++;
    if (snapshot->arenas[i].state == static_cast<uint32_t>(ArenaState::kAbandoned)) abandoned++;
    EXPECT_EQ(snapshot->arenas[i].live_blocks, 1u);
  }
  EXPECT(active == 1 && abandoned == 1);
  EXPECT(page_of(*snapshot, mine)->arena != page_of(*snapshot, theirs)->arena);
  EXPECT_EQ(deallocate(mine), Misuse::kNone);
  EXPECT_EQ(deallocate(theirs), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("taking and releasing snapshots leaves nothing behind") {
  void* kept = allocate(100);
  SnapshotTotals before = memory_totals();
  for (int i = 0; i < 200; i++) Taken();
  SnapshotTotals after = memory_totals();
  EXPECT_EQ(memcmp(&before, &after, sizeof(before)), 0);
  snapshot_release(nullptr);
  EXPECT_EQ(deallocate(kept), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("snapshots, totals and verify() taken while four threads run are consistent with themselves") {
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  for (uint64_t me = 0; me < 4; me++) {
    threads.emplace_back([&, me] {
      harness::Random random(harness::seed() + me);
      std::vector<void*> blocks;
      while (!is_over) {
        blocks.push_back(allocate(random.one_in(100) ? random.between(1, 2 << 20) : random.between(1, 3000)));
        if (random.one_in(3000)) blocks.push_back(allocate(33 << 20));
        if (blocks.size() < 300) continue;
        size_t half = blocks.size() / 2;
        for (size_t i = 0; i < half; i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
        blocks.erase(blocks.begin(), blocks.begin() + static_cast<long>(half));
      }
      free_all(blocks);
    });
  }
  for (uint64_t i = 0; i < harness::rounds(400); i++) {
    Taken snapshot;
    expect_consistent(*snapshot);
    EXPECT_VERIFIED();
    SnapshotTotals totals = memory_totals();
    EXPECT(totals.committed_bytes >= totals.mapping_bytes);
    std::this_thread::yield();
  }
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
