// The calls of the allocator at the edges of what may be asked: sizes, alignments, zeroing, usable bytes, refusals.
#include <set>

#include "heap.h"

namespace pagerun {
namespace {

// Sizes on both sides of every kind of block: classes, bucket pages of several pages, runs, mappings.
const size_t kSizes[] = {0,
                         1,
                         3,
                         4,
                         5,
                         8,
                         15,
                         16,
                         17,
                         24,
                         63,
                         64,
                         65,
                         100,
                         128,
                         129,
                         500,
                         1000,
                         1024,
                         1025,
                         4095,
                         4096,
                         4097,
                         8192,
                         9000,
                         16384,
                         20000,
                         32767,
                         32768,
                         32769,
                         65535,
                         65536,
                         65537,
                         100000,
                         1 << 20,
                         (3 << 20) + 1,
                         (32 << 20) - 1,
                         32 << 20,
                         (32 << 20) + 1};

TEST("zero bytes are a block of their own, each with its own address") {
  std::set<void*> addresses;
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; i++) {
    for (void* block : {allocate(0), allocate_zeroed(0, 7), allocate_zeroed(SIZE_MAX, 0), allocate_aligned(1, 0),
                        allocate_aligned(1 << 20, 0)}) {
      EXPECT(block != nullptr && addresses.insert(block).second);
      blocks.push_back(block);
    }
    if (blocks.size() > 400) {
      free_all(blocks);
      addresses.clear();
    }
  }
  free_all(blocks);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("a product that overflows is refused, also when its low bits look small") {
  EXPECT_EQ(allocate_zeroed(SIZE_MAX, 2), static_cast<void*>(nullptr));
  EXPECT_EQ(allocate_zeroed(2, SIZE_MAX), static_cast<void*>(nullptr));
  EXPECT_EQ(allocate_zeroed(1ull << 32, 1ull << 32), static_cast<void*>(nullptr));
  EXPECT_EQ(allocate_zeroed((1ull << 32) + 1, (1ull << 32) + 1), static_cast<void*>(nullptr));
  EXPECT_EQ(allocate_zeroed(SIZE_MAX / 2 + 1, 2), static_cast<void*>(nullptr));
  EXPECT_EQ(allocate_zeroed(SIZE_MAX / 24 + 1, 24), static_cast<void*>(nullptr));
  EXPECT_VERIFIED();
}

TEST("sizes around PTRDIFF_MAX and SIZE_MAX are refused by every call, and the old block stays") {
  void* old = allocate(100);
  fill_pattern(old, 100, 1);
  for (size_t bytes : {static_cast<size_t>(PTRDIFF_MAX) - 4096, static_cast<size_t>(PTRDIFF_MAX) - 1,
                       static_cast<size_t>(PTRDIFF_MAX), static_cast<size_t>(PTRDIFF_MAX) + 1, SIZE_MAX - kPageBytes,
                       SIZE_MAX - kOsPageBytes + 1, SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX}) {
    EXPECT_EQ(allocate(bytes), static_cast<void*>(nullptr));
    EXPECT_EQ(allocate_zeroed(1, bytes), static_cast<void*>(nullptr));
    EXPECT_EQ(allocate_zeroed(bytes, 1), static_cast<void*>(nullptr));
    for (size_t alignment = 1; alignment != 0; alignment *= 4) {
      EXPECT_EQ(allocate_aligned(alignment, bytes), static_cast<void*>(nullptr));
    }
    EXPECT_EQ(resized(old, bytes), static_cast<void*>(nullptr));
    EXPECT(has_pattern(old, 100, 1));
  }
  EXPECT_EQ(deallocate(old), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("an alignment that is no power of two is refused, for every size") {
  for (size_t alignment : {size_t{0}, size_t{3}, size_t{6}, size_t{24}, size_t{100}, size_t{4095}, size_t{65537},
                           SIZE_MAX, SIZE_MAX - 1, (size_t{1} << 63) + 1}) {
    for (size_t bytes : kSizes) EXPECT_EQ(allocate_aligned(alignment, bytes), static_cast<void*>(nullptr));
  }
  EXPECT_VERIFIED();
}

TEST("an alignment larger than the address space is refused, not rounded") {
  for (size_t alignment : {size_t{1} << 47, size_t{1} << 48, size_t{1} << 62, size_t{1} << 63}) {
    for (size_t bytes : {size_t{0}, size_t{1}, size_t{100000}, size_t{64} << 20}) {
      EXPECT_EQ(allocate_aligned(alignment, bytes), static_cast<void*>(nullptr));
    }
  }
  EXPECT_VERIFIED();
}

TEST("every alignment from 1 to 4 MiB holds for every size, and the blocks do not touch each other") {
  for (size_t alignment = 1; alignment <= 4 << 20; alignment *= 2) {
    std::vector<void*> blocks;
    for (size_t bytes : kSizes) {
      void* block = allocate_aligned(alignment, bytes);
      if (!EXPECT(block != nullptr)) continue;
      EXPECT(is_aligned(block, alignment));
      EXPECT(usable_bytes(block) >= bytes && usable_bytes(block) > 0);
      fill_pattern(block, usable_bytes(block), alignment + bytes);
      blocks.push_back(block);
    }
    size_t i = 0;
    for (size_t bytes : kSizes) {
      EXPECT(has_pattern(blocks[i], usable_bytes(blocks[i]), alignment + bytes));
      i++;
    }
    free_all(blocks);
  }
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("malloc's blocks are 16-byte aligned for every size") {
  std::vector<void*> blocks;
  for (size_t bytes = 0; bytes < 5000; bytes++) {
    void* block = allocate(bytes);
    EXPECT(block != nullptr && is_aligned(block, kMaxAlignBytes));
    blocks.push_back(block);
  }
  for (size_t bytes : kSizes) {
    for (void* block : {allocate(bytes), allocate_zeroed(bytes, 1)}) {
      EXPECT(block != nullptr && is_aligned(block, kMaxAlignBytes));
      blocks.push_back(block);
    }
  }
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("blocks of 4, 8 and 12 bytes exist for callers that ask for their alignment") {
  for (size_t bytes : {size_t{4}, size_t{8}, size_t{12}, size_t{24}, size_t{40}}) {
    size_t alignment = bytes % 8 == 0 ? 8 : 4;
    void* block = allocate_aligned(alignment, bytes);
    EXPECT_EQ(usable_bytes(block), bytes);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  std::vector<void*> blocks;
  for (int i = 0; i < 10000; i++) {
    blocks.push_back(allocate_aligned(4, 4));
    memcpy(blocks.back(), &i, 4);
  }
  for (int i = 0; i < 10000; i++) {
    int value = 0;
    memcpy(&value, blocks[static_cast<size_t>(i)], 4);
    EXPECT_EQ(value, i);
  }
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("all usable bytes of a block may be written without hurting its neighbours, for every class") {
  for (uint32_t c = 0; c < kClassCount; c++) {
    std::vector<void*> blocks;
    size_t bytes = class_bytes(c);
    for (uint32_t i = 0; i < class_capacity(c) + 3 && i < 300; i++) {
      void* block = allocate_aligned(4, bytes);
      EXPECT_EQ(usable_bytes(block), bytes);
      fill_pattern(block, bytes, i);
      blocks.push_back(block);
    }
    for (size_t i = 0; i < blocks.size(); i++) EXPECT(has_pattern(blocks[i], bytes, i));
    free_all(blocks);
  }
  EXPECT_VERIFIED();
}

TEST("usable bytes are at least what was asked for, and at most an eighth or an OS page more") {
  for (size_t bytes = 1; bytes < 200000; bytes += bytes < 40000 ? 1 : 977) {
    void* block = allocate(bytes);
    size_t usable = usable_bytes(block);
    size_t rounded = round_up(bytes, kMaxAlignBytes);
    EXPECT(usable >= bytes);
    if (rounded > 64) EXPECT(usable <= rounded + rounded / 7 || usable <= round_up(bytes, kOsPageBytes));
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

// Dirties `count` blocks of `bytes`, frees them, and looks at as many zeroed ones that take their place.
void expect_zeroed_after_dirt(size_t bytes, int count) {
  std::vector<void*> blocks;
  for (int i = 0; i < count; i++) {
    blocks.push_back(allocate(bytes));
    memset(blocks.back(), 0xee, usable_bytes(blocks.back()));
  }
  free_all(blocks);
  for (int i = 0; i < count; i++) {
    blocks.push_back(allocate_zeroed(bytes, 1));
    EXPECT(is_zero(blocks.back(), bytes));
  }
  for (void* block : blocks) memset(block, 0xdd, usable_bytes(block));
  free_all(blocks);
}

TEST("calloc is zero after every kind of block was dirty") {
  for (int round = 0; round < 4; round++) {
    for (size_t bytes : kSizes) {
      if (bytes < 4 << 20) expect_zeroed_after_dirt(bytes, 6);
    }
  }
  expect_zeroed_after_dirt((32 << 20) + 1, 1);
  expect_zeroed_after_dirt((32 << 20) - 1, 2);
  EXPECT_VERIFIED();
}

TEST("calloc of a run that is partly fresh and partly dirty is zero from end to end") {
  for (int round = 0; round < 30; round++) {
    size_t first_bytes = (static_cast<size_t>(round) + 1) * kPageBytes;
    void* dirty = allocate(first_bytes);
    memset(dirty, 0x77, first_bytes);
    EXPECT_EQ(deallocate(dirty), Misuse::kNone);
    size_t bytes = first_bytes + 3 * kPageBytes;
    void* block = allocate_zeroed(1, bytes);
    EXPECT(is_zero(block, bytes));
    memset(block, 0x66, bytes);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("null is freed without a word, and errno stays as it was over frees and refusals") {
  errno = 4711;
  EXPECT_EQ(deallocate(nullptr), Misuse::kNone);
  for (size_t bytes : kSizes) {
    errno = 4711;
    EXPECT_EQ(deallocate(allocate(bytes)), Misuse::kNone);
    EXPECT_EQ(errno, 4711);
  }
  EXPECT_EQ(allocate(PTRDIFF_MAX), static_cast<void*>(nullptr));
  EXPECT_EQ(errno, 4711);
  EXPECT_VERIFIED();
}

TEST("what was freed is used again: a million pairs of one size do not make the heap grow") {
  for (size_t bytes : {size_t{24}, size_t{500}, size_t{9000}, size_t{100000}}) {
    EXPECT_EQ(deallocate(allocate(bytes)), Misuse::kNone);
    uint64_t committed = memory_totals().committed_bytes;
    for (uint64_t i = 0; i < harness::rounds(250000); i++) deallocate(allocate(bytes));
    EXPECT_EQ(memory_totals().committed_bytes, committed);
  }
  EXPECT_VERIFIED();
}

TEST("locate tells start, usable bytes, class and kind of every block") {
  for (size_t bytes : kSizes) {
    char* block = static_cast<char*>(allocate(bytes));
    Block found;
    EXPECT_EQ(locate(block, &found), Misuse::kNone);
    EXPECT_EQ(found.start, static_cast<void*>(block));
    bool is_bucket = bytes <= kMaxBlockBytes;
    EXPECT_EQ(found.size_class, is_bucket ? class_of(bytes, kMaxAlignBytes) : kNoSizeClass);
    if (is_bucket) EXPECT_EQ(found.usable_bytes, class_bytes(found.size_class));
    EXPECT_EQ(found.kind == static_cast<uint32_t>(PageKind::kBucket), is_bucket);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
