// What of a bucket page can be given back to the system: the OS pages that lie wholly within free blocks. Possible
// because a free block holds nothing of ours. Owns the counters of what was given back and taken again.
// Thread rule: the thread of the arena that owns the page, as only it hands blocks out; other threads as sweep.h says.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arena.h"

namespace pagerun {

/// Since the process began. Runs of pages count, blocks with mappings of their own do not.
struct PurgeCounters {
  std::atomic<uint64_t> purged_bytes{0};
  std::atomic<uint64_t> purges{0};         // system calls, refused ones included
  std::atomic<uint64_t> retaken_bytes{0};  // of purged_bytes, handed out again: a page fault for each OS page
  // Of the background thread; on a line of its own, because arenas look at it in their slow paths.
  alignas(kCacheLineBytes) std::atomic<uint64_t> passes{0};
};

extern PurgeCounters purge_counters;

/// False until a page has a bit of `purged` for the first time.
extern std::atomic<bool> has_noted_purge;

/// Gives free memory of a region back, and counts it. False when the system refused. Any thread that may.
bool give_back(char* start, size_t bytes);

inline void count_retaken(size_t bytes) { purge_counters.retaken_bytes.fetch_add(bytes, std::memory_order_relaxed); }

/// `count` set bits from bit `first` on.
constexpr uint32_t row_of(uint32_t first, uint32_t count) {
  return static_cast<uint32_t>(low_bits(first + count) & ~low_bits(first));
}

/// Calls visit(first, count) for every row of set bits.
template <class Visit>
void visit_rows(uint32_t bits, Visit visit) {
  while (bits != 0) {
    uint32_t first = lowest_bit(bits), count = lowest_bit(~(uint64_t{bits} >> first));
    visit(first, count);
    bits &= ~row_of(first, count);
  }
}

/// Sets bits of `purged`: of OS pages that were given back, of a page that is not current.
inline void page_note_purged(PageHeader* page, uint32_t os_pages) {
  if (!has_noted_purge.load(std::memory_order_relaxed)) has_noted_purge.store(true, std::memory_order_relaxed);
  __atomic_fetch_or(&page->purged, static_cast<uint16_t>(os_pages), __ATOMIC_RELAXED);
}

/// One bit for every OS page of a bucket page, the first the lowest: 1 when no block in use touches it. What other
/// threads have freed is free, drained or not; so is what lies behind the last block. O(blocks) at worst.
uint32_t page_free_os_pages(const PageHeader* page);

/// Of those bits the ones of OS pages that hold nothing which must be found when their blocks are used again: all in
/// the fast profile; under the policy `zero` those that nobody wrote to since their free. O(OS pages), which it reads
/// then.
uint32_t page_untouched_os_pages(const PageHeader* page, uint32_t os_pages);

/// Gives back what is free of one bucket page of the calling thread's, in rows of at least `least_bytes`; returns the
/// bytes. A system call for every row.
size_t page_purge_free_blocks(PageHeader* page, size_t least_bytes = kOsPageBytes);

/// The same for the pages of an arena, and the rows in them, that are worth their system calls to a busy program.
size_t arena_purge_free_blocks(Arena* arena);

}  // namespace pagerun
