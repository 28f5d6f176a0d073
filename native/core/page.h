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
#include "size_class.h"

namespace pagerun {

constexpr uint32_t kMaxBlocks = 2048;  // of a page; a page of tiny blocks uses no more, and never touches its rest
constexpr uint32_t kLeastBlocks = 2;   // so that the largest class still fits one page
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
  kShort = 6,    // head of a free run that is kept as it was freed (short_runs.cc)
};

struct Arena;

struct alignas(kCacheLineBytes) PageHeader {
  // Line 1: what the page is.
  Arena* owner;                        // kBucket: the arena that may take and free here without atomics; kRun: the made
                                       // arena that it ends with, if any
  uint64_t reciprocal;                 // reciprocal_of(block_bytes)
  uint64_t* free_bits;                 // 1 = free; inline_free_bits or the region's table
  std::atomic<uint64_t>* remote_bits;  // 1 = freed by another thread, not yet drained
  char* start;                         // address of the page: of block 0, or of the run
  uint32_t block_bytes;                // kBucket: of a block; kRun: kRunBlock; 0 while the page takes up its kind
  uint32_t start_limit;  // start_limit_of(), or 0 while remote frees await the drain (arena.h) or blocks are held
                         // (block_hold.h)
  uint32_t run_pages;    // kBucket, kRun, kFree: length; at the last page of a free run as well
  uint32_t distance;     // kFollow: pages back to the head
  uint16_t capacity;     // blocks; capacity x block_bytes <= run_pages x kPageBytes
  uint8_t size_class;
  PageKind kind;
  uint32_t script_owner;  // the owner's script_number while a runtime may free here by itself; else 0

  // Line 2: what the owner counts. used == countdown + notify_at == capacity - popcount(free bits), where `used` is the
  // number of blocks handed out; remote frees count until they are drained.
  alignas(kCacheLineBytes) uint32_t countdown;  // frees from now until the page changes its state
  uint32_t notify_at;                           // `used` at that moment (arena.h)
  uint32_t hot_offset;                          // byte offset of the word of free_bits that was found last; where the
                                                // hardened profile and lib/buckets.ts take from
  uint32_t next_word;                           // where the search for another one goes on
  PageHeader* next;                             // in the list of its state, or of a run list's bin
  PageHeader* prev;
  union {
    uint64_t inline_free_bits[kInlineWords];
    struct {
      union {
        uint64_t run_bytes;  // kRun: bytes the caller may use, a multiple of the OS page
        struct {
          uint32_t dirty_first;  // kFree: its dirty pages lie from this one on,
          uint32_t dirty_end;    // and below this one; 0 and 0 when there are none
        };
      };
      uint32_t run_dirty;    // kRun, kShort: 1 when the content may be other than zero (and in memory), else 0; kFree:
                             // of how many pages, at most
      uint32_t run_pins;     // kRun: ArrayBuffers over it; freed, it is kept until the last has gone (run_list.h)
      uint32_t run_touched;  // kRun, kShort: OS pages from the start that held content before, as far as it is known
    };
  };

  // Line 3: what other threads leave.
  alignas(kCacheLineBytes) std::atomic<uint64_t> remote_summary;  // bit w: word w of remote_bits awaits the drain
  PageHeader* remote_next;                                        // link of the owner's list of pages to drain
  std::atomic<uint64_t> inline_remote_bits[kInlineWords];
  uint16_t held_blocks;  // kBucket: blocks that block_hold.h knows
  uint16_t purged;       // kBucket: bit o: OS page o is within free blocks and was given back (sweep.h)
  uint32_t policies;     // kBucket: what the hardened profile does with its blocks (harden/policy.h), and from bit
                         // kRegionShift on the number of its region; 0 in the fast profile
  Arena* owner_again;    // == owner but while it changes: what is followed must stand twice
};

static_assert(sizeof(PageHeader) == 3 * kCacheLineBytes);
static_assert(offsetof(PageHeader, countdown) == kCacheLineBytes &&
              offsetof(PageHeader, remote_summary) == 2 * kCacheLineBytes);
static_assert(offsetof(PageHeader, inline_free_bits) + sizeof(PageHeader::inline_free_bits) == 2 * kCacheLineBytes);

constexpr uint32_t kRegionShift = 16;        // of PageHeader::policies
constexpr uint32_t kFullShare = 16;          // a page is full until this share of its blocks is free
constexpr uint32_t kRunBlock = 1;            // block_bytes of a run in use: not 0, and never looked at otherwise
constexpr uint32_t kNeverNotify = 1u << 31;  // no block count reaches it

// Division by multiplication. With r = reciprocal_of(d) = (2^32 + e) / d, 0 < e <= d, an offset q d + s gives
// (q d + s) r = 2^32 q + q e + s r: the quotient is the upper half as long as q e + s r < 2^32, and the lower half is q
// e at a block's start and at least r elsewhere. So one comparison of the lower half with n e tells the starts of the
// blocks 0 .. n-1 from every other offset, as long as n e <= r. Both hold in the first page (offset < 2^15, d <= 2^14).
// After D. Lemire, O. Kaser, N. Kurz, "Faster remainder by direct computation" (2019),
// https://arxiv.org/abs/1902.01961.
constexpr uint64_t reciprocal_of(uint32_t block_bytes) { return (1ull << 32) / block_bytes + 1; }

/// True for the one length that has the reciprocal. d r = 2^32 + e, and as d < r no other comes so near.
constexpr bool has_reciprocal(uint32_t block_bytes, uint64_t reciprocal) {
  return block_bytes * reciprocal - (1ull << 32) - 1 < block_bytes;
}

constexpr uint32_t block_index(uint64_t reciprocal, uint32_t offset) {
  return static_cast<uint32_t>(offset * reciprocal >> 32);
}

/// n e for the n blocks of a page that start in its first kPageBytes.
constexpr uint32_t start_limit_of(uint32_t block_bytes, uint32_t capacity) {
  uint64_t excess = reciprocal_of(block_bytes) * block_bytes - (1ull << 32);
  uint64_t starts = divide_up(kPageBytes, block_bytes);
  return static_cast<uint32_t>((starts < capacity ? starts : capacity) * excess);
}

/// Pages that a bucket page of the class takes: room for at least kLeastBlocks blocks.
constexpr uint32_t class_pages(uint32_t size_class) {
  return static_cast<uint32_t>(power_of_two_at_least(divide_up(class_bytes(size_class) * kLeastBlocks, kPageBytes)));
}

constexpr uint32_t class_capacity(uint32_t size_class) {
  size_t fit = class_pages(size_class) * kPageBytes / class_bytes(size_class);
  return static_cast<uint32_t>(fit < kMaxBlocks ? fit : kMaxBlocks);
}

struct StartLimits {
  uint32_t of_class[kClassCount];
};

constexpr StartLimits make_start_limits() {
  StartLimits limits = {};
  for (uint32_t c = 0; c < kClassCount; c++) {
    limits.of_class[c] = start_limit_of(static_cast<uint32_t>(class_bytes(c)), class_capacity(c));
  }
  return limits;
}

inline constexpr StartLimits kStartLimits = make_start_limits();

static_assert(class_pages(kClassCount - 1) * kPageBytes <= 1u << 18);
static_assert(class_pages(kClassCount - 1) * kPageBytes / kOsPageBytes <= 8 * sizeof(PageHeader::purged));

/// What follows from a page's size class alone: told from here, a header need not be believed. One row for every value
/// that the byte can have; those of no class have no start.
struct ClassFacts {
  uint64_t reciprocal;
  uint32_t block_bytes;
  uint32_t start_limit;
  uint32_t run_pages;
  uint32_t capacity;
};

struct ClassFactsTable {
  ClassFacts of_class[256];
};

constexpr ClassFactsTable make_class_facts() {
  ClassFactsTable table = {};
  for (uint32_t c = 0; c < kClassCount; c++) {
    auto block_bytes = static_cast<uint32_t>(class_bytes(c));
    table.of_class[c] = {reciprocal_of(block_bytes), block_bytes, kStartLimits.of_class[c], class_pages(c),
                         class_capacity(c)};
  }
  return table;
}

inline constexpr ClassFactsTable kClassFacts = make_class_facts();

inline bool has_inline_bits(const PageHeader& page) { return page.capacity <= kInlineBlocks; }

/// Words of the remote summary: bit w for every word w of the bits.
inline uint64_t whole_summary(const PageHeader& page) { return low_bits(words_of(page.capacity)); }

/// True when the page has taken up its kind: every other field may be read. acquire: pairs with the store that settles
/// it.
inline bool is_settled(const PageHeader& page) { return __atomic_load_n(&page.block_bytes, __ATOMIC_ACQUIRE) != 0; }

/// Blocks handed out. For the owner, or where the page stands still.
inline uint32_t used_of(const PageHeader& page) { return page.countdown + page.notify_at; }

/// Sets the number of blocks in use at which a free is noticed.
inline void set_notify(PageHeader& page, uint32_t notify_at) {
  store_relaxed(page.countdown, used_of(page) - notify_at);
  store_relaxed(page.notify_at, notify_at);
}

/// True when the page's blocks are under the hardened profile. Its fast path is never open: start_limit stays 0.
inline bool is_hardened(const PageHeader& page) { return load_relaxed(page.policies) != 0; }

/// True when a free of a block of the page is not the bits' alone: blocks are held, or under the hardened profile.
inline bool is_special(const PageHeader& page) {
  static_assert(offsetof(PageHeader, policies) == offsetof(PageHeader, held_blocks) + 2 * sizeof(uint16_t));
  return (load_relaxed(page.held_blocks) | load_relaxed(page.policies)) != 0;
}

/// True when blocks may be taken from the page, or it is nobody's: only its owner may look at its free blocks then.
inline bool is_taken_from(const PageHeader& page) { return load_relaxed(page.notify_at) == kNeverNotify; }

inline bool is_full(const PageHeader& page) { return used_of(page) == page.capacity; }

/// notify_at of a page on the list of full ones: how many blocks are left when it becomes partial. Where blocks come
/// and go at random among many pages, it would be taken from and full again block by block.
inline uint32_t full_notify_at(const PageHeader& page) {
  return page.capacity - (page.capacity < kFullShare ? 1u : page.capacity / kFullShare);
}

inline Arena* owner_of(const PageHeader& page) { return load_relaxed(page.owner); }

inline void set_owner(PageHeader* page, Arena* owner) {
  store_relaxed(page->owner, owner);
  store_relaxed(page->owner_again, owner);
}

/// Address of block `index`.
inline char* block_address(const PageHeader& page, uint32_t index) {
  return page.start + static_cast<size_t>(index) * page.block_bytes;
}

}  // namespace pagerun
