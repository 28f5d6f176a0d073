#include "watch.h"

#include <cstddef>

#include "../core/allocator.h"
#include "../core/region.h"

namespace pagerun {

namespace {

constexpr uint32_t kHalfBits = 32;
constexpr uint32_t kWholeWord = ~0u;
constexpr uint32_t kHalfWord = 0xffff;
// The word of the header that holds capacity, class and kind; and the part of it that is the kind.
constexpr size_t kIdentityOffset = offsetof(PageHeader, capacity);
constexpr uint32_t kKindShift = 8 * (offsetof(PageHeader, kind) - kIdentityOffset);

static_assert(kIdentityOffset % sizeof(uint32_t) == 0 && kKindShift == 24 && sizeof(PageKind) == 1);

// The part of a table that belongs to one stretch of pages.
struct Window {
  const char* start;
  size_t bytes;
};

// A table has a record of `stride` bytes for each page, from `table` on.
Window window_of(const void* table, size_t stride, size_t page_number) {
  size_t bytes = kStretchPages * stride;
  return {static_cast<const char*>(table) + page_number / kStretchPages * bytes, bytes};
}

uint32_t read_word(const void* word) { return __atomic_load_n(static_cast<const uint32_t*>(word), __ATOMIC_RELAXED); }

WatchedWord watched(const Window& window, const void* word, uint32_t mask, uint32_t value) {
  size_t offset = static_cast<size_t>(static_cast<const char*>(word) - window.start);
  return {window.start, window.bytes, static_cast<uint32_t>(offset / sizeof(uint32_t)), mask, value};
}

// The bit of block `index` in the bitmap at `bits`, which is clear as long as the block is not freed that way.
WatchedWord watched_bit(const Window& window, const void* bits, uint32_t index) {
  const char* word = static_cast<const char*>(bits) + index / kHalfBits * sizeof(uint32_t);
  return watched(window, word, 1u << index % kHalfBits, 0);
}

const char* member(const PageHeader* page, size_t offset) { return reinterpret_cast<const char*>(page) + offset; }

uint32_t identity_of(uint16_t capacity, uint32_t size_class, PageKind kind) {
  return capacity | size_class << 16 | static_cast<uint32_t>(kind) << kKindShift;
}

// False when the page is no longer the one that the block was found in.
bool watch_bucket(const Region& region, const PageHeader* page, size_t page_number, Watch* watch) {
  const Block& block = watch->block;
  auto capacity = static_cast<uint16_t>(class_capacity(block.size_class));
  size_t offset = static_cast<size_t>(static_cast<char*>(block.start) - region.address_of(page));
  auto index = static_cast<uint32_t>(offset / block.usable_bytes);
  if (index >= capacity) return false;
  Window headers = window_of(region.headers, sizeof(PageHeader), page_number);
  bool is_inline = capacity <= kInlineBlocks;
  Window free_window = is_inline ? headers : window_of(region.free_bitmaps, kBitmapStride, page_number);
  Window remote_window = is_inline ? headers : window_of(region.remote_bitmaps, kBitmapStride, page_number);
  const void* free_bits = is_inline ? page->inline_free_bits : region.free_bits_of(page);
  const void* remote_bits = is_inline ? page->inline_remote_bits : region.remote_bits_of(page);
  uint32_t identity = identity_of(capacity, block.size_class, PageKind::kBucket);
  watch->words[0] = watched(headers, member(page, kIdentityOffset), kWholeWord, identity);
  watch->words[1] = watched_bit(free_window, free_bits, index);
  watch->words[2] = watched_bit(remote_window, remote_bits, index);
  watch->words[3] = watched(headers, &page->held_blocks, kHalfWord, 0);
  watch->words[4] = watched(headers, &page->policies, kWholeWord, 0);
  return true;
}

void watch_run(const Region& region, const PageHeader* page, size_t page_number, Watch* watch) {
  Window headers = window_of(region.headers, sizeof(PageHeader), page_number);
  auto run_bytes = static_cast<uint32_t>(watch->block.usable_bytes);
  // Capacity and class are what an earlier life left; they change no sooner than the kind does.
  const char* identity = member(page, kIdentityOffset);
  watch->words[0] = watched(headers, identity, kWholeWord, read_word(identity));
  watch->words[1] = watched(headers, &page->run_bytes, kWholeWord, run_bytes);
  watch->words[2] = watched(headers, &page->block_bytes, kWholeWord, kRunBlock);
  watch->words[3] = watched(headers, member(page, offsetof(PageHeader, run_bytes) + sizeof(uint32_t)), kWholeWord, 0);
  watch->words[4] = watch->words[3];
}

}  // namespace

bool watch(const void* ptr, Watch* watch) {
  *watch = {};
  Block& block = watch->block;
  locate(ptr, &block);
  if (block.start == nullptr || block.kind == static_cast<uint32_t>(PageKind::kMapping)) return false;
  const Region* region = region_of(block.start);
  if (region == nullptr) return false;
  const PageHeader* page = region->header_of(block.start);
  // The start of a block may lie in a further page of its bucket page.
  if (load_relaxed(page->kind) == PageKind::kFollow) page -= load_relaxed(page->distance);
  if (is_hardened(*page) && block.kind == static_cast<uint32_t>(PageKind::kBucket)) return false;
  auto page_number = static_cast<size_t>(page - region->headers);
  if (block.kind != static_cast<uint32_t>(PageKind::kBucket)) {
    watch_run(*region, page, page_number, watch);
  } else if (!watch_bucket(*region, page, page_number, watch)) {
    return false;
  }
  if (load_relaxed(page->kind) != static_cast<PageKind>(block.kind)) return false;
  // Another thread may have freed the block while the words were noted: then they do not hold together.
  return is_unchanged(*watch);
}

bool is_unchanged(const Watch& watch) {
  for (const WatchedWord& word : watch.words) {
    const char* address = static_cast<const char*>(word.window) + word.index * sizeof(uint32_t);
    if ((read_word(address) & word.mask) != word.value) return false;
  }
  return true;
}

}  // namespace pagerun
