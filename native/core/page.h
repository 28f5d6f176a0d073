// The page header: all that is known of one page of a region, kept in a table beside the memory, never in it.
// Owns the record's layout and the arithmetic between blocks and bits; who changes it when is told in arena.h.
//
//   bucket page     | block 0 | block 1 | ... | block capacity-1 | tail |       one page, or a short run of pages
//   page header     | what the page is | what its owner counts | what other threads leave |       three cache lines
//
// Line 1 is written when the page takes up its kind, and read by every thread that frees into it. Line 2 is written by
// the owner at every malloc and free, line 3 by every other thread; so neither disturbs a reader of line 1.
// Free bits: 1 = free. The used bitmap of the documents is their complement (bits 0 .. capacity-1). Up to
// kInlineBlocks blocks have their bits inside the header, the others in the region's bitmap tables.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../base/bitmap.h"
#include "../base/config.h"
#include "../base/list.h"
#include "size_class.h"

namespace pagerun {

constexpr size_t kPageBytes = 64 << 10;
constexpr uint32_t kMaxBlocks = 4096;  // of a page; a page of tiny blocks uses no more, and never touches its rest
constexpr uint32_t kBitmapWords = kMaxBlocks / kWordBits;
constexpr uint32_t kInlineWords = 4;
constexpr uint32_t kInlineBlocks = kInlineWords * kWordBits;

enum class PageKind : uint8_t {
  kNone = 0,     // never used, or inside a free run
  kBucket = 1,   // head of a bucket page
  kFollow = 2,   // a further page of a bucket page or run; `distance` pages behind its head
  kRun = 3,      // head of a run in use
  kFree = 4,     // first or last page of a free run
  kMapping = 5,  // never in a header: the kind of a block with a mapping of its own (mapping_table.h)
};

struct Arena;

struct alignas(kCacheLineBytes) PageHeader {
  // Line 1: what the page is.
  std::atomic<Arena*> owner;           // the arena that may take and free here without atomics; null unless kBucket
  uint64_t reciprocal;                 // ceil(2^kReciprocalShift / block_bytes)
  uint64_t* free_bits;                 // 1 = free; inline_free_bits or the region's table
  std::atomic<uint64_t>* remote_bits;  // 1 = freed by another thread, not yet drained
  char* start;                         // address of the page: of block 0, or of the run
  uint32_t block_bytes;                // kBucket: of a block; kRun: kRunBlock; 0 while the page takes up its kind
  uint32_t run_pages;                  // kBucket, kRun, kFree: length; at the last page of a free run as well
  uint32_t distance;                   // kFollow: pages back to the head
  uint16_t capacity;                   // blocks; capacity x block_bytes <= run_pages x kPageBytes
  uint8_t size_class;
  PageKind kind;

  // Line 2: what the owner counts. used == capacity - popcount(free bits)
  alignas(kCacheLineBytes) uint32_t used;  // blocks handed out; remote frees count until they are drained
  uint32_t notify_at;                      // when a free brings `used` here, the page changes its state (arena.h)
  uint64_t summary;                        // bit w clear => word w of free_bits is 0
  PageHeader* next;                        // in the list of its state, or of a run list's bin
  PageHeader* prev;
  union {
    uint64_t inline_free_bits[kInlineWords];
    struct {
      uint64_t run_bytes;  // kRun: bytes the caller may use, a multiple of the OS page
      uint32_t run_dirty;  // kFree, kRun: 1 when the content may be other than zero (and in memory)
    };
  };

  // Line 3: what other threads leave.
  alignas(kCacheLineBytes) std::atomic<uint64_t> remote_summary;  // bit w: word w of remote_bits awaits the drain
  PageHeader* remote_next;                                        // link of the owner's list of pages to drain
  std::atomic<uint64_t> inline_remote_bits[kInlineWords];
};

static_assert(sizeof(PageHeader) == 3 * kCacheLineBytes);
static_assert(offsetof(PageHeader, used) == kCacheLineBytes &&
              offsetof(PageHeader, remote_summary) == 2 * kCacheLineBytes);
static_assert(offsetof(PageHeader, inline_free_bits) + sizeof(PageHeader::inline_free_bits) == 2 * kCacheLineBytes);

using PageList = List<PageHeader>;

constexpr uint32_t kRunBlock = 1;       // block_bytes of a run in use: not 0, and never looked at otherwise
constexpr uint32_t kNeverNotify = ~0u;  // no block count reaches it

// Exact for every offset below 2^18 and block size up to 2^18: the error of the reciprocal is below block_bytes / 2^40,
// so that offset x error < 2^40 / block_bytes keeps the quotient's floor.
constexpr uint32_t kReciprocalShift = 40;

constexpr uint64_t reciprocal_of(uint32_t block_bytes) {
  return ((1ull << kReciprocalShift) + block_bytes - 1) / block_bytes;
}

constexpr uint32_t block_index(uint64_t reciprocal, uint32_t offset) {
  return static_cast<uint32_t>(offset * reciprocal >> kReciprocalShift);
}

/// Pages that a bucket page of the class takes: room for at least eight blocks.
constexpr uint32_t class_pages(uint32_t size_class) {
  return static_cast<uint32_t>(power_of_two_at_least(divide_up(class_bytes(size_class) * 8, kPageBytes)));
}

constexpr uint32_t class_capacity(uint32_t size_class) {
  size_t fit = class_pages(size_class) * kPageBytes / class_bytes(size_class);
  return static_cast<uint32_t>(fit < kMaxBlocks ? fit : kMaxBlocks);
}

static_assert(class_pages(kClassCount - 1) * kPageBytes <= 1u << 18);

inline bool has_inline_bits(const PageHeader& page) { return page.capacity <= kInlineBlocks; }

/// Words of the summary: bit w for every word w of the free bits.
inline uint64_t whole_summary(const PageHeader& page) { return low_bits(words_of(page.capacity)); }

/// True when the page has taken up its kind: every other field may be read. acquire: pairs with the store that settles
/// it.
inline bool is_settled(const PageHeader& page) { return __atomic_load_n(&page.block_bytes, __ATOMIC_ACQUIRE) != 0; }

inline bool is_full(const PageHeader& page) { return page.used == page.capacity; }

/// Address of block `index`.
inline char* block_address(const PageHeader& page, uint32_t index) {
  return page.start + static_cast<size_t>(index) * page.block_bytes;
}

}  // namespace pagerun
