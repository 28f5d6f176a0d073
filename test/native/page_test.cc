// Page headers: where the fields lie, and the way from a block to its bits and back.
#include "core/page.h"

#include "core/region.h"
#include "harness.h"

namespace pagerun {
namespace {

// A header as a bucket page of the class would have it; `start` need not be memory.
void header_set_up(PageHeader* page, uint32_t size_class, char* start) {
  page->block_bytes = static_cast<uint32_t>(class_bytes(size_class));
  page->reciprocal = reciprocal_of(page->block_bytes);
  page->capacity = static_cast<uint16_t>(class_capacity(size_class));
  page->size_class = static_cast<uint8_t>(size_class);
  page->run_pages = class_pages(size_class);
  page->start = start;
  page->notify_at = kNeverNotify;
  page->countdown = 0 - kNeverNotify;
}

TEST("what every thread reads, what the owner writes and what others write lie on three cache lines") {
  auto line_of = [](size_t offset) { return offset / kCacheLineBytes; };
  for (size_t offset :
       {offsetof(PageHeader, owner), offsetof(PageHeader, reciprocal), offsetof(PageHeader, free_bits),
        offsetof(PageHeader, remote_bits), offsetof(PageHeader, start), offsetof(PageHeader, block_bytes),
        offsetof(PageHeader, start_limit), offsetof(PageHeader, run_pages), offsetof(PageHeader, distance),
        offsetof(PageHeader, capacity), offsetof(PageHeader, size_class), offsetof(PageHeader, kind)}) {
    EXPECT_EQ(line_of(offset), 0u);
  }
  for (size_t offset : {offsetof(PageHeader, countdown), offsetof(PageHeader, notify_at),
                        offsetof(PageHeader, hot_offset), offsetof(PageHeader, next_word), offsetof(PageHeader, next),
                        offsetof(PageHeader, prev), offsetof(PageHeader, inline_free_bits)}) {
    EXPECT_EQ(line_of(offset), 1u);
  }
  for (size_t offset : {offsetof(PageHeader, remote_summary), offsetof(PageHeader, remote_next),
                        offsetof(PageHeader, inline_remote_bits)}) {
    EXPECT_EQ(line_of(offset), 2u);
  }
}

TEST("the strides of header and bitmap tables are no powers of two, so that first words do not share cache sets") {
  EXPECT(!is_power_of_two(sizeof(PageHeader)));
  EXPECT(!is_power_of_two(kBitmapStride));
  EXPECT(kBitmapStride >= kBitmapWords * sizeof(uint64_t));
  // An odd number of cache lines, or twice one: first words lie in half of all sets at least.
  EXPECT(kBitmapStride / kCacheLineBytes % 4 != 0);
}

TEST("a block's address leads to its index and back, for every block of every class") {
  alignas(PageHeader) static char storage[sizeof(PageHeader)];
  auto* page = new (storage) PageHeader();
  auto* start = reinterpret_cast<char*>(7ull << 32);
  for (uint32_t c = 0; c < kClassCount; c++) {
    header_set_up(page, c, start);
    for (uint32_t index = 0; index < page->capacity; index++) {
      char* block = block_address(*page, index);
      auto offset = static_cast<uint32_t>(block - start);
      if (offset + page->block_bytes > kPageBytes) break;  // beyond the first page nobody divides by multiplication
      EXPECT_EQ(block_index(page->reciprocal, offset), index);
      EXPECT_EQ(block_index(page->reciprocal, offset + page->block_bytes - 1), index);
    }
  }
}

TEST("is_full is so at capacity only, also for the largest capacity") {
  PageHeader page = {};
  for (uint32_t c = 0; c < kClassCount; c++) {
    header_set_up(&page, c, nullptr);
    EXPECT(!is_full(page));
    page.countdown += page.capacity - 1u;
    EXPECT(!is_full(page));
    page.countdown++;
    EXPECT(is_full(page));
  }
}

TEST("the number of blocks in use stays the same when the count at which a free is noticed changes") {
  PageHeader page = {};
  header_set_up(&page, 0, nullptr);
  for (uint32_t used = 0; used < 4096; used += 5) {
    page.countdown = used - page.notify_at;
    for (uint32_t notify_at : {0u, 1u, 4095u, kNeverNotify}) {
      set_notify(page, notify_at);
      EXPECT_EQ(used_of(page), used);
      EXPECT_EQ(page.countdown == 0, used == notify_at);
    }
  }
}

TEST("the remote summary has one bit for every word of the bits") {
  PageHeader page = {};
  for (uint32_t c = 0; c < kClassCount; c++) {
    header_set_up(&page, c, nullptr);
    EXPECT_EQ(count_bits(whole_summary(page)), words_of(page.capacity));
    EXPECT_EQ(has_inline_bits(page), page.capacity <= kInlineBlocks);
    if (has_inline_bits(page)) EXPECT(words_of(page.capacity) <= kInlineWords);
  }
}

TEST("a header counts as settled from the moment its block size is set") {
  PageHeader page = {};
  EXPECT(!is_settled(page));
  page.block_bytes = kRunBlock;
  EXPECT(is_settled(page));
}

}  // namespace
}  // namespace pagerun
