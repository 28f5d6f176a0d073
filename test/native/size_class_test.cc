// Size classes: which sizes exist, which one a request gets, what it wastes; and the division of offsets by them.
#include "core/size_class.h"

#include "core/page.h"
#include "harness.h"

namespace pagerun {
namespace {

// The plainest definition: the first class that is large enough and a multiple of the alignment.
uint32_t smallest_class(size_t bytes, size_t alignment) {
  for (uint32_t c = 0; c < kClassCount; c++) {
    if (class_bytes(c) >= bytes && class_bytes(c) % alignment == 0) return c;
  }
  return kNoSizeClass;
}

TEST("the first classes are 4, 8, 12, 16, 24 and 32 bytes") {
  const size_t first[] = {4, 8, 12, 16, 24, 32};
  for (uint32_t c = 0; c < 6; c++) EXPECT_EQ(class_bytes(c), first[c]);
}

// The classes that are rounded up to whole OS pages are as large as the next one.
bool is_rounded_up(uint32_t size_class) { return class_bytes(size_class) == class_bytes(size_class + 1); }

TEST("classes grow strictly but for two, end at the largest block size, and fit into the header's byte") {
  uint32_t rounded_up = 0;
  for (uint32_t c = 1; c < kClassCount; c++) {
    EXPECT(class_bytes(c) >= class_bytes(c - 1));
    rounded_up += is_rounded_up(c - 1);
  }
  EXPECT_EQ(rounded_up, 2u);
  EXPECT_EQ(class_bytes(kClassCount - 1), kMaxBlockBytes);
  EXPECT(kClassCount <= kNoSizeClass);
}

TEST("every class is a multiple of 4, from 16 bytes on of 8, from 128 bytes on of 16") {
  for (uint32_t c = 0; c < kClassCount; c++) {
    size_t unit = class_bytes(c) >= 128 ? 16 : class_bytes(c) >= 16 ? 8 : 4;
    EXPECT_EQ(class_bytes(c) % unit, 0u);
  }
}

TEST("class_of is the smallest class that fits, for every size up to the largest and every alignment") {
  for (size_t alignment = 1; alignment <= kMaxBlockBytes; alignment *= 2) {
    size_t step = alignment <= 64 ? 1 : 7;
    for (size_t bytes = 0; bytes <= kMaxBlockBytes; bytes += step) {
      uint32_t size_class = class_of(bytes, alignment);
      if (!EXPECT_EQ(class_bytes(size_class), class_bytes(smallest_class(bytes, alignment)))) return;
    }
    EXPECT_EQ(class_of(kMaxBlockBytes, alignment), kClassCount - 1);
  }
}

TEST("the arithmetic of larger classes agrees with the search, for every size") {
  for (size_t bytes = kSteppedFromBytes + 1; bytes <= kMaxBlockBytes; bytes++) {
    if (!EXPECT_EQ(class_bytes(stepped_class_of(bytes)), class_bytes(smallest_class(bytes, 1)))) return;
  }
}

TEST("a size of a class gets exactly that class") {
  for (uint32_t c = 0; c < kClassCount; c++) EXPECT_EQ(class_bytes(class_of(class_bytes(c), 1)), class_bytes(c));
}

TEST("a full page of a class that is rounded up to whole OS pages takes no more of them than one of its step would") {
  for (uint32_t c = 0; c + 1 < kClassCount; c++) {
    if (!is_rounded_up(c)) continue;
    size_t count = class_capacity(c);
    EXPECT_EQ(class_bytes(c) % kOsPageBytes, 0u);
    EXPECT_EQ(kPageBytes / step_bytes(c), count);
    EXPECT_EQ(divide_up(count * step_bytes(c), kOsPageBytes) * kOsPageBytes, count * class_bytes(c));
  }
}

TEST("inner waste is at most 12.5 percent above 64 bytes") {
  for (size_t bytes = 65; bytes <= kMaxBlockBytes; bytes++) {
    size_t block_bytes = class_bytes(class_of(bytes, 1));
    if (!EXPECT_AT_MOST((block_bytes - bytes) * 8, block_bytes)) {
      fprintf(stderr, "  %zu bytes get a block of %zu\n", bytes, block_bytes);
    }
  }
}

TEST("inner waste is at most 12.5 percent above 64 bytes of a size that 16-byte alignment has rounded up") {
  for (size_t bytes = 80; bytes <= kMaxBlockBytes; bytes += 16) {
    size_t block_bytes = class_bytes(class_of(bytes, 16));
    EXPECT_AT_MOST((block_bytes - bytes) * 8, block_bytes);
  }
}

TEST(
    "a bucket page holds at least as many blocks as it is said to, at most what its bitmap has bits for, and they "
    "fit") {
  for (uint32_t c = 0; c < kClassCount; c++) {
    EXPECT(class_capacity(c) >= kLeastBlocks);
    EXPECT(class_capacity(c) <= kMaxBlocks);
    EXPECT(class_capacity(c) * class_bytes(c) <= class_pages(c) * kPageBytes);
    bool is_last_block_in = (class_capacity(c) + 1) * class_bytes(c) > class_pages(c) * kPageBytes;
    EXPECT(is_last_block_in || class_capacity(c) == kMaxBlocks);
    EXPECT(is_power_of_two(class_pages(c)));
  }
}

TEST("a block size that is a power of two keeps its blocks on multiples of it") {
  for (uint32_t c = 0; c < kClassCount; c++) {
    if (is_power_of_two(class_bytes(c))) EXPECT_EQ(kPageBytes % class_bytes(c), 0u);
  }
}

TEST("division by the reciprocal is exact for every class and every offset of its first page") {
  for (uint32_t c = 0; c < kClassCount; c++) {
    auto block_bytes = static_cast<uint32_t>(class_bytes(c));
    uint64_t reciprocal = reciprocal_of(block_bytes);
    for (uint32_t offset = 0; offset < kPageBytes; offset++) {
      if (block_index(reciprocal, offset) == offset / block_bytes) continue;
      EXPECT_EQ(block_index(reciprocal, offset), offset / block_bytes);
      break;
    }
  }
}

TEST("a reciprocal is that of one length alone, for every class") {
  for (uint32_t c = 0; c < kClassCount; c++) {
    auto block_bytes = static_cast<uint32_t>(class_bytes(c));
    for (uint32_t bytes = 0; bytes <= 2 * kMaxBlockBytes; bytes++) {
      if (has_reciprocal(bytes, reciprocal_of(block_bytes)) == (bytes == block_bytes)) continue;
      EXPECT_EQ(bytes, block_bytes);
      break;
    }
    EXPECT(!has_reciprocal(~0u, reciprocal_of(block_bytes)));
  }
}

TEST("one comparison tells the start of a block from every other offset of the first page, for every class") {
  for (uint32_t c = 0; c < kClassCount; c++) {
    auto block_bytes = static_cast<uint32_t>(class_bytes(c));
    uint64_t reciprocal = reciprocal_of(block_bytes);
    for (uint32_t offset = 0; offset < kPageBytes; offset++) {
      bool is_start = offset % block_bytes == 0 && offset / block_bytes < class_capacity(c);
      bool is_said_to_be = static_cast<uint32_t>(offset * reciprocal) < kStartLimits.of_class[c];
      if (is_start == is_said_to_be) continue;
      EXPECT_EQ(is_said_to_be, is_start);
      fprintf(stderr, "  offset %u of blocks of %u bytes\n", offset, block_bytes);
      break;
    }
  }
}

}  // namespace
}  // namespace pagerun
