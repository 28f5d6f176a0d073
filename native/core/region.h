// A region: one reserved address range, 4 GiB aligned where that can be had, its pages, and the tables beside it.
// Owns address space and what is committed of it; which pages are in use is the run list's business.
//
//   region          | page 0: never used | page 1 | page 2 | ... committed ... | ... reserved only ... |
//   header table    guard | header 0 | header 1 | ...                                            | guard
//   free bitmaps    guard | words of page 0 | words of page 1 | ...                              | guard
//   remote bitmaps  guard | words of page 0 | ...                                                | guard
//   slack table     guard | entries of page 0 | ...    only once there is a hardened page here   | guard
//
// Everything is committed in stretches of 4 MiB of pages with the tables' parts that belong to them. A stretch stays
// readable and writable for good, so views over it never fault.
// Thread rule: reading is free; extend() under the run list's lock. Lock order: run list -> (nothing).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../base/list.h"
#include "page.h"

namespace pagerun {

constexpr size_t kStretchBytes = 4 << 20;
constexpr size_t kStretchPages = kStretchBytes / kPageBytes;
constexpr size_t kWindowBytes = 4ull << 30;  // alignment of regions: the low 32 bits of a pointer are its offset in a
                                             // window
constexpr size_t kBitmapStride = 2 * sizeof(PageHeader);  // no power of two: first words must not share cache sets; a
                                                          // whole number of headers, for lib/buckets.ts
constexpr size_t kSlackStride = kMaxBlocks + kCacheLineBytes;  // slack_entries.h
constexpr size_t kLongSlacksAt = 256;
constexpr size_t kLargestRegionBytes = 256ull << 30;
constexpr size_t kSmallestRegionBytes = kStretchBytes;
constexpr uint32_t kMaxRegions = 64;
constexpr size_t kTableGuardBytes = 64 << 10;

static_assert(kBitmapStride >= kBitmapWords * sizeof(uint64_t));
static_assert(kStretchPages * sizeof(PageHeader) % kOsPageBytes == 0 &&
              kStretchPages * kBitmapStride % kOsPageBytes == 0 && kStretchPages * kSlackStride % kOsPageBytes == 0);

struct Region {
  char* base = nullptr;  // address of page 0
  PageHeader* headers = nullptr;
  char* free_bitmaps = nullptr;
  char* remote_bitmaps = nullptr;
  char* slack_table = nullptr;
  std::atomic<size_t> committed_bytes{0};  // release: pairs with region_of() and the fast path of free
  std::atomic<bool> is_small{false};       // no huge pages are made there any more (keep_small())
  size_t reserved_bytes = 0;
  size_t used_pages = 0;   // high-water mark: pages from here on were never handed to the run list
  size_t table_bytes = 0;  // reserved for the three tables, guards included

  bool holds(const void* ptr) const {
    size_t committed = committed_bytes.load(std::memory_order_acquire);
    return static_cast<size_t>(static_cast<const char*>(ptr) - load_relaxed(base)) < committed;
  }
  PageHeader* header_of(const void* ptr) const {
    return headers + static_cast<size_t>(static_cast<const char*>(ptr) - base) / kPageBytes;
  }
  char* address_of(const PageHeader* page) const { return base + static_cast<size_t>(page - headers) * kPageBytes; }
  uint64_t* free_bits_at(size_t index) const {
    return reinterpret_cast<uint64_t*>(free_bitmaps + index * kBitmapStride);
  }
  std::atomic<uint64_t>* remote_bits_at(size_t index) const {
    return reinterpret_cast<std::atomic<uint64_t>*>(remote_bitmaps + index * kBitmapStride);
  }
  uint64_t* free_bits_of(const PageHeader* page) const { return free_bits_at(static_cast<size_t>(page - headers)); }
  std::atomic<uint64_t>* remote_bits_of(const PageHeader* page) const {
    return remote_bits_at(static_cast<size_t>(page - headers));
  }
  uint8_t* slack_of(const PageHeader* page) const {
    return reinterpret_cast<uint8_t*>(slack_table + static_cast<size_t>(page - headers) * kSlackStride);
  }
  /// False when the page was never in use: a pointer into it cannot have come from here.
  bool was_used(const PageHeader* page) const {
    return static_cast<size_t>(page - headers) < load_relaxed(used_pages) && page != headers;
  }
  bool holds_header(const PageHeader* page) const {
    return page >= headers && page < headers + committed_bytes.load(std::memory_order_acquire) / kPageBytes;
  }

  /// Reserves a region of at most `want_bytes`, halving down to `least_bytes`. False when no address space is left.
  bool reserve(size_t want_bytes, size_t least_bytes);

  /// Moves the high-water mark up by `pages`, committing what is not yet. Null when the region is full or commit is
  /// refused (nothing has changed then); else the first header. The pages are zero.
  PageHeader* extend(size_t pages);

  /// Sees to it that there is a slack table; false when that is refused.
  bool keep_slack();

  /// Comes before anything is given back: where huge pages are the system's rule, the kernel would make one again of
  /// every 2 MiB of which anything is in use, and so take back what was given. Any thread.
  void keep_small();

  /// Gives back the bitmaps and slack entries of a run that is nobody's. Its headers stay: they name it, and what its
  /// pages were.
  void purge_tables(const PageHeader* first, size_t pages);

  size_t pages_left() const { return reserved_bytes / kPageBytes - used_pages; }

  /// Bytes committed for the tables.
  size_t metadata_bytes() const;

 private:
  bool reserve_tables();
  bool commit_to(size_t bytes);
};

/// The regions of the process; regions[0] is the primary one, which the fast path looks at alone.
struct RegionTable {
  Region regions[kMaxRegions];
  std::atomic<uint32_t> count{0};  // release: pairs with region_of()
};

extern RegionTable region_table;

/// What the fast path of free needs of regions[0], as plain words: written under the run list's lock, the committed
/// length last. A thread that still sees an older length takes the slow path, which looks properly. (Said to be hidden,
/// they are operands of instructions; a declaration alone would have their addresses loaded first.)
extern uintptr_t primary_base [[gnu::visibility("hidden")]];
extern size_t primary_committed_bytes [[gnu::visibility("hidden")]];
extern PageHeader* primary_headers [[gnu::visibility("hidden")]];

/// As primary_committed_bytes, for the fast profile's fast paths; 0 in the hardened one, none of whose blocks they
/// serve.
extern size_t primary_local_bytes [[gnu::visibility("hidden")]];

/// As primary_local_bytes, for functions that a program may replace: 0 until primary_serve_replaceable(), so that
/// their fast paths need not ask. (preload/new_delete.cc)
extern size_t primary_replaceable_bytes [[gnu::visibility("hidden")]];
void primary_serve_replaceable();

/// Distance from the primary region's free bitmaps to its remote bitmaps; written with its headers.
extern ptrdiff_t primary_bitmaps_distance [[gnu::visibility("hidden")]];

/// The primary region's slack table; null while it has none.
extern char* primary_slack_table [[gnu::visibility("hidden")]];

/// The region whose committed part holds `ptr`, or null.
Region* region_of(const void* ptr);

/// The region whose table has a header at this address, or null.
Region* region_with_header(const PageHeader* page);

/// True when the pointer is a header of a region's table, and may be followed.
inline bool is_header(const PageHeader* page);

using PageList = List<PageHeader, is_header>;

/// The region that a header belongs to; the header must be one.
Region& region_of_header(const PageHeader* page);

/// True when the limit on address space was set so late that it is below what is reserved: there is no further mapping
/// to be had, and the limit holds for what is committed. A system call.
bool is_limit_below_reserved();

/// Address of the page that a header is of.
inline char* address_of_header(const PageHeader* page);

/// True when the address is in a region's tables, guards included.
bool is_in_tables(const void* ptr);

/// Adds a region with room for at least `pages` pages; null when that is refused. Under the run list's lock.
Region* region_add(size_t pages);

/// is_header() for what was reckoned from a header, by whole headers.
inline bool is_in_header_table(const PageHeader* page) {
  size_t distance = reinterpret_cast<uintptr_t>(page) - reinterpret_cast<uintptr_t>(load_shared(primary_headers));
  size_t table_bytes = load_shared(primary_committed_bytes) / kPageBytes * sizeof(PageHeader);
  return distance < table_bytes || region_with_header(page) != nullptr;
}

inline bool is_header(const PageHeader* page) {
  size_t distance = reinterpret_cast<uintptr_t>(page) - reinterpret_cast<uintptr_t>(load_shared(primary_headers));
  size_t table_bytes = load_shared(primary_committed_bytes) / kPageBytes * sizeof(PageHeader);
  if (distance < table_bytes) [[likely]]
    return distance % sizeof(PageHeader) == 0;
  return region_with_header(page) != nullptr;
}

inline char* address_of_header(const PageHeader* page) {
  size_t distance = reinterpret_cast<uintptr_t>(page) - reinterpret_cast<uintptr_t>(load_shared(primary_headers));
  size_t offset = distance / sizeof(PageHeader) * kPageBytes;
  if (offset < load_shared(primary_committed_bytes)) [[likely]]
    return reinterpret_cast<char*>(load_shared(primary_base) + offset);
  return region_of_header(page).address_of(page);
}

}  // namespace pagerun
