#include "purge.h"

#include <cstring>

#include "../os/memory.h"
#include "hardened.h"
#include "header_check.h"

namespace pagerun {

constinit PurgeCounters purge_counters;
std::atomic<bool> has_noted_purge{false};

namespace {

// A page with less than this is filled sooner than its system calls and new page faults pay; so is a smaller row.
constexpr size_t kLeastFreeBytes = kPageBytes / 4 * 3;
constexpr size_t kLeastRowBytes = 4 * kOsPageBytes;

// Remote bits first: a drain in between moves them to the free bits.
uint64_t free_word(const PageHeader* page, uint32_t w) {
  uint64_t remote = page->remote_bits[w].load(std::memory_order_acquire);
  uint64_t blocks = load_relaxed(page->free_bits[w]) | remote;
  return is_hardened(*page) ? blocks_free_by_entry(*page, w, blocks) : blocks;
}

// The first block at or after `from` that is free, or that is not; `capacity` when there is none.
uint32_t next_block(const PageHeader* page, uint32_t from, bool is_free) {
  for (uint32_t w = word_of(from); w < words_of(page->capacity); w++) {
    uint64_t word = free_word(page, w);
    if (!is_free) word = ~word;
    if (w == word_of(from)) word &= ~0ull << (from % kWordBits);
    if (word == 0) continue;
    uint32_t found = w * kWordBits + lowest_bit(word);
    return found < page->capacity ? found : page->capacity;
  }
  return page->capacity;
}

uint32_t os_pages_between(uint64_t start_bytes, uint64_t end_bytes) {
  auto first = static_cast<uint32_t>(divide_up(start_bytes, kOsPageBytes));
  auto end = static_cast<uint32_t>(end_bytes / kOsPageBytes);
  return first >= end ? 0 : static_cast<uint32_t>(low_bits(end) & ~low_bits(first));
}

// Another thread may have cleared a block of it a moment ago, and said so by bits that order nothing: what is seen of
// before that only keeps the OS page. ThreadSanitizer is told that this is meant.
[[gnu::no_sanitize_thread]] bool is_os_page_zero(const char* start) {
  uint64_t any = 0, word = 0;
  for (size_t at = 0; at < kOsPageBytes; at += sizeof(word)) {
    memcpy(&word, start + at, sizeof(word));
    any |= word;
  }
  return any == 0;
}

size_t purge_if_worth_it(PageHeader* page) {
  size_t free_bytes = static_cast<size_t>(page->capacity - used_of(*page)) * page->block_bytes;
  if (free_bytes < kLeastFreeBytes) return 0;
  header_check_counts(page);
  return page_purge_free_blocks(page, kLeastRowBytes);
}

}  // namespace

bool give_back(char* start, size_t bytes) {
  region_of(start)->keep_small();
  bool is_given = os::purge(start, bytes);
  purge_counters.purges.fetch_add(1, std::memory_order_relaxed);
  purge_counters.purged_bytes.fetch_add(is_given ? bytes : 0, std::memory_order_relaxed);
  return is_given;
}

uint32_t page_free_os_pages(const PageHeader* page) {
  uint64_t all_bytes = page->run_pages * kPageBytes;
  uint32_t bits = os_pages_between(uint64_t{page->capacity} * page->block_bytes, all_bytes);
  for (uint32_t from = next_block(page, 0, true); from < page->capacity;) {
    uint32_t to = next_block(page, from, false);
    uint64_t start_bytes = uint64_t{from} * page->block_bytes, end_bytes = uint64_t{to} * page->block_bytes;
    if (to == page->capacity) end_bytes = all_bytes;
    bits |= os_pages_between(start_bytes, end_bytes);
    from = next_block(page, to, true);
  }
  return bits;
}

uint32_t page_untouched_os_pages(const PageHeader* page, uint32_t os_pages) {
  if (!(load_relaxed(page->policies) & kZero)) return os_pages;
  for (uint32_t rest = os_pages; rest != 0; rest &= rest - 1) {
    uint32_t number = lowest_bit(rest);
    if (!is_os_page_zero(page->start + number * kOsPageBytes)) os_pages &= ~row_of(number, 1);
  }
  return os_pages;
}

size_t page_purge_free_blocks(PageHeader* page, size_t least_bytes) {
  // Blocks come and go in a current page without a note of what was given back.
  bool is_noted = !is_taken_from(*page);
  uint32_t bits = page_free_os_pages(page);
  if (is_noted) bits &= ~load_relaxed(page->purged);
  bits = page_untouched_os_pages(page, bits);
  size_t purged_bytes = 0;
  visit_rows(bits, [&](uint32_t first, uint32_t count) {
    size_t bytes = count * kOsPageBytes;
    if (bytes < least_bytes || !give_back(page->start + first * kOsPageBytes, bytes)) bytes = 0;
    purged_bytes += bytes;
    if (is_noted && bytes > 0) page_note_purged(page, row_of(first, count));
  });
  return purged_bytes;
}

size_t arena_purge_free_blocks(Arena* arena) {
  size_t purged = 0;
  for (Bucket& bucket : arena->buckets) {
    if (has_page(bucket)) purged += purge_if_worth_it(bucket.page);
    for (PageHeader* page = bucket.partial.first(); page != nullptr; page = page->next) {
      purged += purge_if_worth_it(page);
    }
  }
  return purged;
}

}  // namespace pagerun
