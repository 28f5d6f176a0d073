#include "purge.h"

#include "../os/memory.h"

namespace pagerun {

namespace {

// A page with less than this is filled sooner than its system calls and new page faults pay; so is a smaller hole.
constexpr size_t kLeastFreeBytes = kPageBytes / 4 * 3;
constexpr size_t kLeastHoleBytes = 4 * kOsPageBytes;

// The first block at or after `from` whose free bit is `is_free`; `capacity` when there is none.
uint32_t next_block(const PageHeader* page, uint32_t from, bool is_free) {
  for (uint32_t w = word_of(from); w < words_of(page->capacity); w++) {
    uint64_t word = is_free ? page->free_bits[w] : ~page->free_bits[w];
    if (w == word_of(from)) word &= ~0ull << (from % kWordBits);
    if (word == 0) continue;
    uint32_t found = w * kWordBits + lowest_bit(word);
    return found < page->capacity ? found : page->capacity;
  }
  return page->capacity;
}

size_t purge_blocks(const PageHeader* page, uint32_t from, uint32_t to, size_t least_bytes) {
  uint64_t start = round_up(static_cast<uint64_t>(from) * page->block_bytes, kOsPageBytes);
  uint64_t end = round_down(static_cast<uint64_t>(to) * page->block_bytes, kOsPageBytes);
  if (start >= end || end - start < least_bytes || !os::purge(page->start + start, end - start)) return 0;
  return end - start;
}

size_t purge_if_worth_it(const PageHeader* page) {
  size_t free_bytes = static_cast<size_t>(page->capacity - used_of(*page)) * page->block_bytes;
  return free_bytes < kLeastFreeBytes ? 0 : page_purge_free_blocks(page, kLeastHoleBytes);
}

}  // namespace

size_t page_purge_free_blocks(const PageHeader* page, size_t least_bytes) {
  size_t purged = 0;
  for (uint32_t from = next_block(page, 0, true); from < page->capacity;) {
    uint32_t to = next_block(page, from, false);
    purged += purge_blocks(page, from, to, least_bytes);
    from = next_block(page, to, true);
  }
  return purged;
}

size_t arena_purge_free_blocks(Arena* arena) {
  size_t purged = 0;
  for (Bucket& bucket : arena->buckets) {
    if (has_page(bucket)) purged += purge_if_worth_it(bucket.page);
    for (const PageHeader* page = bucket.partial.first(); page != nullptr; page = page->next) {
      purged += purge_if_worth_it(page);
    }
  }
  return purged;
}

}  // namespace pagerun
