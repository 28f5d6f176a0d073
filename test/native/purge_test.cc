// What is free inside pages in use is given back to the system: exactly the OS pages that no live block touches, and no
// byte of a live block is lost.
#include "core/purge.h"

#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "base/settings.h"
#include "core/arena.h"
#include "core/purger.h"
#include "core/run_list.h"
#include "core/thread_arena.h"
#include "heap.h"
#include "os/fault.h"
#include "process_memory.h"

namespace pagerun {
namespace {

PageHeader* header_of(const void* ptr) {
  PageHeader* header = region_of(ptr)->header_of(ptr);
  return header->kind == PageKind::kFollow ? header - header->distance : header;
}

bool is_resident(const void* at) {
  unsigned char resident = 0;
  EXPECT_EQ(mincore(const_cast<void*>(at), kOsPageBytes, &resident), 0);
  return (resident & 1) != 0;
}

// All blocks of one bucket page of the size, full and filled.
std::vector<void*> fill_page(size_t bytes) {
  std::vector<void*> blocks;
  for (;;) {
    void* block = allocate(bytes);
    if (!blocks.empty() && header_of(block) != header_of(blocks[0])) {
      EXPECT_EQ(deallocate(block), Misuse::kNone);
      return blocks;
    }
    fill_pattern(block, bytes, blocks.size());
    memset(block, 0x11, 1);
    blocks.push_back(block);
  }
}

// Allocates until every block of the page is in use again; what came from other pages is freed.
template <class Allocate>
void fill_again(PageHeader* page, std::vector<void*>& blocks, Allocate allocate_one) {
  std::vector<void*> others;
  while (!is_full(*page)) {
    void* block = allocate_one();
    (header_of(block) == page ? blocks : others).push_back(block);
  }
  free_all(others);
}

bool is_touched(const std::vector<void*>& blocks, const std::vector<bool>& is_free, size_t bytes, const char* os_page) {
  for (size_t i = 0; i < blocks.size(); i++) {
    const auto* at = static_cast<const char*>(blocks[i]);
    if (!is_free[i] && at < os_page + kOsPageBytes && at + bytes > os_page) return true;
  }
  return false;
}

// Frees some blocks of a full page, purges, and looks at every OS page and every live block.
void expect_exact_purge(size_t bytes, uint64_t seed, uint64_t one_kept_in) {
  harness::Random random(seed);
  std::vector<void*> blocks = fill_page(bytes);
  for (void* block : blocks) memset(block, 0x5c, bytes);
  PageHeader* page = header_of(blocks[0]);
  std::vector<bool> is_free(blocks.size());
  for (size_t i = 1; i < blocks.size(); i++) is_free[i] = !random.one_in(one_kept_in);
  for (size_t i = 1; i < blocks.size(); i++) {
    if (is_free[i]) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  }
  size_t purged = page_purge_free_blocks(page), expected = 0;
  for (size_t at = 0; at < page->run_pages * kPageBytes; at += kOsPageBytes) {
    bool is_kept = is_touched(blocks, is_free, bytes, page->start + at);
    EXPECT_EQ(is_resident(page->start + at), is_kept);
    expected += is_kept ? 0 : kOsPageBytes;
  }
  EXPECT_EQ(purged, expected);
  for (size_t i = 0; i < blocks.size(); i++) {
    auto* at = static_cast<unsigned char*>(blocks[i]);
    if (!is_free[i]) EXPECT(at[0] == 0x5c && memcmp(at, at + 1, bytes - 1) == 0);
    if (!is_free[i]) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("a purge takes exactly the OS pages that no live block touches, for small and middle sizes, sparse and dense") {
  uint64_t seed = harness::seed();
  for (size_t bytes : {size_t{16}, size_t{48}, size_t{160}, size_t{1024}, size_t{2304}, size_t{5120}, size_t{9216},
                       kMaxBlockBytes - 2048, kMaxBlockBytes}) {
    for (uint64_t one_kept_in : {2ull, 10ull, 100ull, 1000000ull}) expect_exact_purge(bytes, seed++, one_kept_in);
  }
}

TEST("a full page has nothing to purge, and purging twice takes nothing twice out of memory that is used") {
  std::vector<void*> blocks = fill_page(1024);
  PageHeader* page = header_of(blocks[0]);
  EXPECT_EQ(page_purge_free_blocks(page), 0u);
  for (size_t i = 8; i < 24; i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  EXPECT_EQ(page_purge_free_blocks(page), 16u << 10);
  blocks.erase(blocks.begin() + 8, blocks.begin() + 24);
  size_t kept = blocks.size();
  fill_again(page, blocks, [] { return allocate(1024); });
  EXPECT_EQ(blocks.size(), kept + 16);
  for (size_t i = kept; i < blocks.size(); i++) fill_pattern(blocks[i], 1024, i);
  EXPECT_EQ(page_purge_free_blocks(page), 0u);
  for (size_t i = kept; i < blocks.size(); i++) EXPECT(has_pattern(blocks[i], 1024, i));
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("blocks that another thread freed are given back, drained or not, and once") {
  std::vector<void*> blocks = fill_page(1024);
  PageHeader* page = header_of(blocks[0]);
  std::thread([&] {
    for (size_t i = 8; i < 24; i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  }).join();
  EXPECT_EQ(page_purge_free_blocks(page), 16u << 10);
  arena_drain(current_arena);
  EXPECT_EQ(page_purge_free_blocks(page), 0u);
  blocks.erase(blocks.begin() + 8, blocks.begin() + 24);
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("of memory of which something was given back the kernel makes no huge pages, and of tables never") {
  if (access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) != 0) return;  // it makes none anywhere
  std::vector<void*> blocks = fill_page(1024);
  const Region& region = *region_of(blocks[0]);
  EXPECT(has_mapping_flag(region.headers, "nh"));
  EXPECT(has_mapping_flag(region.remote_bitmaps, "nh"));
  for (size_t i = 8; i < 24; i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  EXPECT(page_purge_free_blocks(header_of(blocks[0])) > 0);
  EXPECT(has_mapping_flag(blocks[0], "nh"));
  blocks.erase(blocks.begin() + 8, blocks.begin() + 24);
  free_all(blocks);
  // What is committed later is no mapping more.
  EXPECT(has_mapping_flag(region.base + region.committed_bytes, "nh"));
}

TEST("a purge that the kernel refuses counts as nothing and hurts nobody") {
  std::vector<void*> blocks = fill_page(1024);
  for (size_t i = 8; i < 24; i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  os::fail_call(1, 2);
  EXPECT_EQ(page_purge_free_blocks(header_of(blocks[0])), 0u);
  os::fail_call(0, 0);
  blocks.erase(blocks.begin() + 8, blocks.begin() + 24);
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("live blocks keep their content while the heap around them grows, shrinks and is purged") {
  harness::Random random(harness::seed());
  struct Held {
    void* ptr;
    size_t bytes;
    uint64_t tag;
  };
  std::vector<Held> held;
  for (uint64_t round = 0; round < harness::rounds(60); round++) {
    for (int i = 0; i < 3000; i++) {
      size_t bytes = random.between(1, random.one_in(20) ? 30000 : 2000);
      held.push_back({allocate(bytes), bytes, random.next()});
      fill_pattern(held.back().ptr, bytes, held.back().tag);
    }
    for (size_t i = 0; i < held.size(); i++) {
      if (random.one_in(20)) continue;
      EXPECT(has_pattern(held[i].ptr, held[i].bytes, held[i].tag));
      EXPECT_EQ(deallocate(held[i].ptr), Misuse::kNone);
      held[i] = held.back();
      held.pop_back();
    }
    arena_purge_free_blocks(current_arena);
    for (const Held& one : held) EXPECT(has_pattern(one.ptr, one.bytes, one.tag));
  }
  EXPECT_VERIFIED();
  for (const Held& one : held) EXPECT_EQ(deallocate(one.ptr), Misuse::kNone);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("calloc is zero in blocks that were purged and in their neighbours that were not") {
  std::vector<void*> blocks = fill_page(1024);
  for (void* block : blocks) memset(block, 0xee, 1024);
  PageHeader* page = header_of(blocks[0]);
  for (size_t i = 3; i < 28; i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  blocks.erase(blocks.begin() + 3, blocks.begin() + 28);
  EXPECT(page_purge_free_blocks(page) > 0);
  size_t kept = blocks.size();
  fill_again(page, blocks, [] { return allocate_zeroed(1, 1024); });
  EXPECT_EQ(blocks.size(), kept + 25);
  for (size_t i = kept; i < blocks.size(); i++) EXPECT(is_zero(blocks[i], 1024));
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("who takes more than is kept, and frees it, again and again has it given back a few times, not each time") {
  constexpr size_t kBlocks = 30, kBytes = 10 << 20, kRounds = 20;
  uint64_t before = purge_counters.purged_bytes.load();
  for (size_t round = 0; round < kRounds; round++) {
    std::vector<void*> blocks(kBlocks);
    for (void*& block : blocks) block = allocate(kBytes);
    free_all(blocks);
  }
  uint64_t given = purge_counters.purged_bytes.load() - before;
  EXPECT(given > 0);
  EXPECT(given < kRounds * kBlocks * kBytes / 4);
  run_list.give_back(0);
  EXPECT_VERIFIED();
}

TEST("before a block is mapped apart, as much of what is free gives way, down to what is always kept") {
  if (harness::kSanitized) return harness::skip("a sanitizer has its own pages");
  constexpr size_t kRunBytes = 1 << 20, kMappedBytes = 40 << 20, kKeptBytes = 4 << 20;
  purger_set_delay(kPurgeNever);
  for (size_t runs : {3u, 30u, 60u}) {
    std::vector<void*> blocks;
    for (size_t i = 0; i < runs; i++) blocks.push_back(memset(allocate(kRunBytes), 1, kRunBytes));
    free_all(blocks);
    size_t dirty_bytes = run_list.dirty_pages() * kPageBytes;
    void* mapped = allocate(kMappedBytes);
    size_t kept_bytes = run_list.dirty_pages() * kPageBytes;
    size_t most_bytes = dirty_bytes < kMappedBytes + kKeptBytes ? kKeptBytes : dirty_bytes - kMappedBytes;
    EXPECT_AT_MOST(kept_bytes, most_bytes);
    EXPECT_EQ(deallocate(mapped), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

size_t resident_bytes_of(const void* start, size_t bytes) {
  auto first = round_down(reinterpret_cast<uintptr_t>(start), kOsPageBytes);
  auto end = round_up(reinterpret_cast<uintptr_t>(start) + bytes, kOsPageBytes);
  size_t resident = 0;
  for (uintptr_t at = first; at < end; at += kOsPageBytes)
    resident += is_resident(reinterpret_cast<void*>(at)) ? kOsPageBytes : 0;
  return resident;
}

TEST("the bitmaps of small blocks' pages share OS pages, though pages of larger blocks are taken in between") {
  constexpr size_t kPages = 400, kSmallBytes = 32, kLargeBytes = 5120;
  std::vector<void*> blocks;
  size_t small_pages = 0;
  const PageHeader* last = nullptr;
  while (small_pages < kPages) {
    blocks.push_back(allocate(kSmallBytes));
    small_pages += header_of(blocks.back()) != last;
    last = header_of(blocks.back());
    if (blocks.size() % 50 == 0) blocks.push_back(allocate(kLargeBytes));
  }
  const Region& region = region_table.regions[0];
  size_t resident = resident_bytes_of(region.free_bitmaps, region.used_pages * kBitmapStride);
  EXPECT(resident < kPages * kOsPageBytes / 2);
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("pages that blocks were taken from rest like the others when the background thread has looked round") {
  std::vector<void*> blocks = fill_page(1024);
  blocks.push_back(allocate(1024));
  const PageHeader* page = header_of(blocks.back());
  EXPECT(is_taken_from(*page));
  std::vector<void*> others = fill_page(2048);
  EXPECT(is_taken_from(*page));
  purge_counters.passes.fetch_add(1);
  std::vector<void*> more = fill_page(2048);
  EXPECT(!is_taken_from(*page));
  for (std::vector<void*>* all : {&blocks, &others, &more}) free_all(*all);
  EXPECT_VERIFIED();
}

TEST("free runs that are given back leave hardly anything of their bitmaps in memory, and can be used again") {
  constexpr size_t kBlocks = 2000000;
  for (int life = 0; life < 2; life++) {
    std::vector<void*> blocks;
    for (size_t i = 0; i < kBlocks; i++) blocks.push_back(allocate(16));
    const Region& region = region_table.regions[0];
    size_t table_bytes = region.used_pages * kBitmapStride;
    EXPECT(resident_bytes_of(region.free_bitmaps, table_bytes) > table_bytes / 2);
    free_all(blocks);
    purge(true);
    EXPECT(resident_bytes_of(region.free_bitmaps, table_bytes) < table_bytes / 8);
    EXPECT_VERIFIED();
  }
}

}  // namespace
}  // namespace pagerun
