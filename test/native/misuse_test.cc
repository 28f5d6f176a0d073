// Callers' errors with pointers, on one thread: each is refused by deallocate, reallocate and locate with the right
// name, and nothing has changed by it.
#include <sys/mman.h>

#include "core/run_list.h"
#include "heap.h"

namespace pagerun {
namespace {

// Small, middle (bucket pages of several pages too), large runs, mappings of their own.
const size_t kSizes[] = {1, 16, 100, 1000, 5000, 8192, 20000, 32768, 40000, 300000, 2 << 20, 40 << 20};

bool same_totals(const SnapshotTotals& a, const SnapshotTotals& b) { return memcmp(&a, &b, sizeof(a)) == 0; }

// Every call refuses the pointer with this name, and the heap is what it was.
void expect_refused(const void* ptr, Misuse misuse) {
  SnapshotTotals before = memory_totals();
  auto* writable = const_cast<void*>(ptr);
  void* result = &before;
  Block block;
  bool is_refused = EXPECT_EQ(locate(ptr, &block), misuse);
  is_refused = EXPECT_EQ(deallocate(writable), misuse) && is_refused;
  is_refused = EXPECT_EQ(reallocate(writable, 50, &result), misuse) && is_refused;
  is_refused = EXPECT_EQ(reallocate(writable, 100000, &result), misuse) && is_refused;
  is_refused = EXPECT_EQ(result, static_cast<void*>(nullptr)) && is_refused;
  is_refused = EXPECT(same_totals(before, memory_totals())) && is_refused;
  if (!is_refused) fprintf(stderr, "    of %p\n", ptr);
}

void expect_interior(const char* block, size_t offset) {
  Block found;
  EXPECT_EQ(locate(block + offset, &found), Misuse::kInteriorPointer);
  if (found.start != nullptr) EXPECT_EQ(static_cast<const char*>(found.start), block);
  expect_refused(block + offset, Misuse::kInteriorPointer);
}

TEST("a double free is refused at once, for small, middle, large and mapped blocks") {
  for (size_t bytes : kSizes) {
    void* kept = allocate(bytes);
    void* block = allocate(bytes);
    fill_pattern(kept, bytes, 1);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    expect_refused(block, Misuse::kDoubleFree);
    expect_refused(block, Misuse::kDoubleFree);
    EXPECT(has_pattern(kept, bytes, 1));
    EXPECT_EQ(deallocate(kept), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("a double free is refused when the block was the only one of its page") {
  for (size_t bytes : kSizes) {
    void* block = allocate(bytes);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    expect_refused(block, Misuse::kDoubleFree);
  }
  EXPECT_VERIFIED();
}

TEST("a double free is refused after others of other sizes have come and gone") {
  harness::Random random(harness::seed());
  for (size_t bytes : kSizes) {
    // The neighbours keep the page; no block of the size is asked for between the two frees.
    void* kept = allocate(bytes);
    void* block = allocate(bytes);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    std::vector<void*> others;
    for (int i = 0; i < 500; i++) {
      size_t other_bytes = random.between(1, 3000);
      if (class_of(other_bytes, 16) != class_of(bytes < 32768 ? bytes : 32768, 16))
        others.push_back(allocate(other_bytes));
    }
    free_all(others);
    expect_refused(block, Misuse::kDoubleFree);
    EXPECT_EQ(deallocate(kept), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("a double free is refused for every block of a page that was emptied and given back") {
  for (size_t bytes : {size_t{16}, size_t{64}, size_t{1000}, size_t{9000}, size_t{30000}}) {
    std::vector<void*> blocks;
    for (int i = 0; i < 3000; i++) blocks.push_back(allocate(bytes));
    std::vector<void*> freed = blocks;
    free_all(blocks);
    for (size_t i = 0; i < freed.size(); i += 7) expect_refused(freed[i], Misuse::kDoubleFree);
    run_list.give_back(0);
    for (size_t i = 0; i < freed.size(); i += 31) expect_refused(freed[i], Misuse::kDoubleFree);
  }
  EXPECT_VERIFIED();
}

TEST("a double free of aligned blocks is refused, from 4 bytes to 4 MiB of alignment") {
  for (size_t alignment = 4; alignment <= 4 << 20; alignment *= 2) {
    for (size_t bytes : {size_t{4}, size_t{500}, size_t{50000}, size_t{33} << 20}) {
      void* block = allocate_aligned(alignment, bytes);
      EXPECT_EQ(deallocate(block), Misuse::kNone);
      expect_refused(block, Misuse::kDoubleFree);
    }
  }
  EXPECT_VERIFIED();
}

TEST("the pointer from before a move is a double free") {
  for (size_t bytes : kSizes) {
    void* block = allocate(bytes);
    void* wall = allocate(bytes);
    void* moved = resized(block, bytes * 3 + 70000);
    if (moved != block) expect_refused(block, Misuse::kDoubleFree);
    EXPECT_EQ(deallocate(moved), Misuse::kNone);
    EXPECT_EQ(deallocate(wall), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("interior pointers are refused: by one, by a word, by sixteen, in the middle, at the last byte") {
  for (size_t bytes : kSizes) {
    auto* block = static_cast<char*>(allocate(bytes));
    fill_pattern(block, bytes, 2);
    size_t usable = usable_bytes(block);
    for (size_t offset : {size_t{1}, size_t{2}, size_t{4}, size_t{8}, size_t{15}, size_t{16}, size_t{24}, size_t{64},
                          size_t{4096}, usable / 2, usable - 16, usable - 1}) {
      if (offset > 0 && offset < usable) expect_interior(block, offset);
    }
    EXPECT(has_pattern(block, bytes, 2));
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("every address of a small, a middle and a tiny page but the starts is refused") {
  for (size_t bytes : {size_t{4}, size_t{12}, size_t{24}, size_t{80}, size_t{144}, size_t{2304}, size_t{9216},
                       kMaxBlockBytes - 2048}) {
    uint32_t size_class = class_of(bytes, 4);
    std::vector<void*> blocks;
    for (uint32_t i = 0; i < class_capacity(size_class); i++) blocks.push_back(allocate_aligned(4, bytes));
    const auto* first = static_cast<const char*>(blocks[0]);
    size_t block_bytes = class_bytes(size_class), end = class_capacity(size_class) * block_bytes;
    size_t step = end > 100000 ? 37 : 3;
    for (size_t offset = 0; offset < class_pages(size_class) * kPageBytes; offset += step) {
      Block found;
      bool is_start = offset % block_bytes == 0 && offset < end;
      if (!is_start && !EXPECT_EQ(deallocate(const_cast<char*>(first + offset)), Misuse::kInteriorPointer)) break;
      if (is_start) EXPECT_EQ(locate(first + offset, &found), Misuse::kNone);
    }
    EXPECT_VERIFIED();
    free_all(blocks);
  }
  EXPECT_VERIFIED();
}

TEST("block-size multiples from a run's or a mapping's start are interior, not starts of their own") {
  for (size_t bytes : {size_t{40000}, size_t{300000}, size_t{2} << 20, size_t{40} << 20}) {
    auto* block = static_cast<char*>(allocate(bytes));
    for (size_t offset :
         {kOsPageBytes, kPageBytes / 2, kPageBytes, 2 * kPageBytes, 3 * kPageBytes + 8, size_t{32768}}) {
      if (offset < bytes) expect_interior(block, offset);
    }
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("the second and later pages of a middle bucket page and of a run lead to their head") {
  std::vector<void*> blocks;
  for (int i = 0; i < 40; i++) blocks.push_back(allocate(28000));
  for (void* block : blocks) {
    auto* at = static_cast<char*>(block);
    for (size_t offset = 1; offset < 28000; offset += 1777) expect_interior(at, offset);
  }
  free_all(blocks);
  auto* run = static_cast<char*>(allocate(9 * kPageBytes));
  for (size_t page = 1; page < 9; page++) {
    expect_interior(run, page * kPageBytes);
    expect_interior(run, page * kPageBytes + 100);
  }
  EXPECT_EQ(deallocate(run), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("the unused tail of a page, of a run's last page and of a mapping's last OS page is refused") {
  auto* block = static_cast<char*>(allocate(9000));
  Block found;
  EXPECT_EQ(locate(block, &found), Misuse::kNone);
  uint32_t c = found.size_class;
  char* page = region_of(block)->header_of(block)->start;
  size_t tail = class_capacity(c) * class_bytes(c), end = class_pages(c) * kPageBytes;
  EXPECT(tail < end);
  for (size_t offset = tail; offset < end; offset += 16) expect_refused(page + offset, Misuse::kInteriorPointer);
  auto* run = static_cast<char*>(allocate(kPageBytes + 100));
  expect_interior(run, kPageBytes + kOsPageBytes);
  expect_interior(run, 2 * kPageBytes - 1);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_EQ(deallocate(run), Misuse::kNone);
  EXPECT_VERIFIED();
}

int global_variable = 0;

TEST(
    "foreign pointers are refused: stack, global, code, libc's heap, the test's own mapping, read-only and absent "
    "memory") {
  void* kept = allocate(100);
  int local = 0;
  void* from_libc = malloc(100);
  void* large_from_libc = malloc(10 << 20);
  auto* mapped = static_cast<char*>(mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  auto* absent = static_cast<char*>(mmap(nullptr, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  const void* pointers[] = {&local,
                            &global_variable,
                            reinterpret_cast<const void*>(&same_totals),
                            from_libc,
                            large_from_libc,
                            mapped,
                            mapped + 16,
                            mapped + 65536,
                            absent,
                            "a literal",
                            sbrk(0),
                            static_cast<char*>(sbrk(0)) - 64,
                            &region_table,
                            kept == nullptr ? nullptr : environ};
  for (const void* ptr : pointers) expect_refused(ptr, Misuse::kForeignPointer);
  munmap(absent, 1 << 20);
  expect_refused(absent, Misuse::kForeignPointer);
  EXPECT_EQ(deallocate(kept), Misuse::kNone);
  free(from_libc);
  free(large_from_libc);
  munmap(mapped, 1 << 20);
  EXPECT_VERIFIED();
}

TEST("addresses that no memory can have are refused: small numbers, the edges of the canonical range, the last byte") {
  void* kept = allocate(100);
  for (uint64_t address : {1ull, 2ull, 3ull, 4ull, 8ull, 16ull, 4095ull, 4096ull, 65535ull, 65536ull, 0x7fffffffffffull,
                           0x800000000000ull, 0xffff800000000000ull, 0x8000000000000000ull, 0xdeadbeefdeadbeefull,
                           ~0ull - 4096, ~0ull - 15, ~0ull - 1, ~0ull}) {
    expect_refused(reinterpret_cast<const void*>(address), Misuse::kForeignPointer);
  }
  Block block;
  EXPECT_EQ(locate(nullptr, &block), Misuse::kForeignPointer);
  EXPECT_EQ(deallocate(kept), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("every address is foreign before the first allocation") {
  int local = 0;
  for (const void* ptr :
       {static_cast<const void*>(&local), reinterpret_cast<const void*>(4096), reinterpret_cast<const void*>(~0ull)}) {
    expect_refused(ptr, Misuse::kForeignPointer);
  }
  EXPECT_EQ(deallocate(nullptr), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("our own tables, page 0, what is reserved but not used and the ends of the region are refused") {
  void* kept = allocate(100);
  const Region& region = *region_of(kept);
  char* used_end = region.base + region.used_pages * kPageBytes;
  char* committed_end = region.base + region.committed_bytes.load();
  for (const void* ptr :
       {static_cast<const void*>(region.headers), static_cast<const void*>(region.headers + 1),
        static_cast<const void*>(region.free_bitmaps), static_cast<const void*>(region.remote_bitmaps),
        static_cast<const void*>(region.base), static_cast<const void*>(region.base + 100),
        static_cast<const void*>(region.base - 1), static_cast<const void*>(used_end),
        static_cast<const void*>(used_end + 5000), static_cast<const void*>(committed_end - 1),
        static_cast<const void*>(committed_end), static_cast<const void*>(committed_end + 65536),
        static_cast<const void*>(region.base + region.reserved_bytes - 1),
        static_cast<const void*>(region.base + region.reserved_bytes)}) {
    expect_refused(ptr, Misuse::kForeignPointer);
  }
  EXPECT_EQ(deallocate(kept), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("a pointer into a free run is a double free, anywhere in it, also after merges and splits") {
  auto* a = static_cast<char*>(allocate(5 * kPageBytes));
  auto* b = static_cast<char*>(allocate(5 * kPageBytes));
  void* wall = allocate(kPageBytes);
  EXPECT_EQ(deallocate(a), Misuse::kNone);
  EXPECT_EQ(deallocate(b), Misuse::kNone);
  for (size_t offset = 0; offset < 10 * kPageBytes; offset += kPageBytes / 2)
    expect_refused(a + offset, Misuse::kDoubleFree);
  arena_put_spares(current_arena);
  auto* c = static_cast<char*>(allocate(3 * kPageBytes));
  EXPECT_EQ(c, a);
  expect_interior(c, 2 * kPageBytes);
  for (size_t offset = 3 * kPageBytes; offset < 10 * kPageBytes; offset += kPageBytes / 2)
    expect_refused(a + offset, Misuse::kDoubleFree);
  EXPECT_EQ(resized(c, 2 * kPageBytes), static_cast<void*>(c));
  expect_refused(c + 2 * kPageBytes, Misuse::kDoubleFree);
  expect_refused(c + 2 * kPageBytes + 5, Misuse::kDoubleFree);
  EXPECT_EQ(deallocate(c), Misuse::kNone);
  EXPECT_EQ(deallocate(wall), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("the old mark of a further page leads to no new run that begins where its own did") {
  auto* run = static_cast<char*>(allocate(5 * kPageBytes));
  void* wall = allocate(kPageBytes + kMaxBlockBytes);
  EXPECT_EQ(deallocate(run), Misuse::kNone);
  void* shorter = allocate(2 * kPageBytes);
  EXPECT_EQ(shorter, static_cast<void*>(run));
  for (size_t page = 2; page < 5; page++) expect_refused(run + page * kPageBytes, Misuse::kDoubleFree);
  EXPECT_EQ(deallocate(shorter), Misuse::kNone);
  EXPECT_EQ(deallocate(wall), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("a page that changed its kind answers for what it is now") {
  auto* run = static_cast<char*>(allocate(4 * kPageBytes));
  EXPECT_EQ(deallocate(run), Misuse::kNone);
  std::vector<void*> blocks;
  for (int i = 0; i < 5000; i++) blocks.push_back(allocate(48));
  int found_inside = 0;
  for (void* block : blocks) {
    auto* at = static_cast<char*>(block);
    if (at < run || at >= run + 4 * kPageBytes) continue;
    found_inside++;
    EXPECT_EQ(usable_bytes(at), 48u);
    EXPECT_EQ(deallocate(at + 8), Misuse::kInteriorPointer);
  }
  EXPECT(found_inside > 0);
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("a hundred thousand random addresses in and around the heap never change it") {
  harness::Random random(harness::seed());
  std::vector<void*> blocks;
  for (int i = 0; i < 2000; i++) {
    blocks.push_back(allocate(random.between(1, 1ull << random.between(1, 18))));
    if (i % 3 == 0) {
      EXPECT_EQ(deallocate(blocks.back()), Misuse::kNone);
      blocks.pop_back();
    }
  }
  const Region& region = *region_of(blocks[0]);
  SnapshotTotals before = memory_totals();
  size_t span = region.committed_bytes.load() * 2;
  for (uint64_t i = 0; i < harness::rounds(100000); i++) {
    char* ptr = random.one_in(4) ? reinterpret_cast<char*>(random.next() >> random.below(40))
                                 : region.base + random.below(span);
    Block block;
    if (locate(ptr, &block) == Misuse::kNone || ptr == nullptr) continue;
    EXPECT(deallocate(ptr) != Misuse::kNone);
    void* result = nullptr;
    EXPECT(reallocate(ptr, random.below(100000) + 1, &result) != Misuse::kNone && result == nullptr);
  }
  EXPECT(same_totals(before, memory_totals()));
  EXPECT_VERIFIED();
  free_all(blocks);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
