// The hardened profile in bucket pages: how a block is chosen, handed out and taken back. Owns the slack entries
// (slack_entries.h); what was freed last is kept from being used again at once by quarantine.h, and the pages, their
// bits and the protocol of remote frees are the arena's, as in the fast profile.
//
// A block is free for its page (its free bit) only when it has left the quarantine; it is zero from its free to its
// next use. Thread rule: as in arena.h. A free by another thread than the page's owner changes the entry atomically,
// so that of two such frees one is refused before either touches the block.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../harden/policy.h"
#include "arena.h"
#include "place.h"
#include "slack_entries.h"

namespace pagerun {

constexpr size_t kAnyBytes = SIZE_MAX;  // of a free that does not say what was asked for

/// Bytes that a block has beyond those asked for, at least: a write right behind them is always seen.
constexpr size_t least_slack(uint32_t policies) {
  static_assert(kCanary == 1);
  return policies & kCanary;
}

/// Bytes that a block of `bytes` bytes needs, at least: of the class that it is asked from.
constexpr size_t hardened_room(size_t bytes, uint32_t policies) {
  size_t room = bytes + least_slack(policies);
  return room < kLeastHardenedBytes ? kLeastHardenedBytes : room;
}

/// As allocate(), for fewer than hardened_end bytes: the fast path of the hardened profile.
void* hardened_allocate_direct(size_t bytes);

/// As allocate() and allocate_aligned(), under the process's policies.
void* hardened_allocate(size_t bytes);
void* hardened_allocate_aligned(size_t alignment, size_t bytes);

/// As hardened_allocate(), with room for `room_bytes` bytes, to which it may grow; null when no bucket has such.
void* hardened_allocate_roomy(size_t bytes, size_t room_bytes);

/// A block of `bytes` bytes from the bucket, which has room for them and for the least slack. Null when exhausted.
void* hardened_take(Arena* arena, Bucket* bucket, size_t bytes);

/// Frees a block of a hardened page. `mine`: the calling thread's arena; `bytes`: what it was asked for, or kAnyBytes.
Misuse hardened_free(Arena* mine, Place place, void* ptr, size_t bytes);

/// The same for any pointer that free() may be given; the second is the fast path, of a free that names no size.
Misuse hardened_deallocate(void* ptr, size_t bytes);
Misuse hardened_deallocate_any(void* ptr);

/// As hardened_free(), of a page of a made arena, by its own thread or under its lock.
Misuse hardened_free_made(Arena* arena, const Place& place, void* ptr, bool is_mine);

/// The place of a block of the calling thread's own arena, live or free, whose page's header is whole; false for every
/// other pointer.
bool hardened_find_own(void* ptr, Place* place);

/// As reallocate(), for a live block of a hardened page; kNone and null when there is no room where it is.
Misuse hardened_resize(const Place& place, size_t bytes, void** result);

/// Bytes that a live block was asked for, or kAnyBytes when it is free.
inline size_t asked_bytes(const PageHeader& page, uint32_t index) {
  uint8_t* entries = entries_of(page);
  size_t slack = slack_at(entries, index, load_relaxed(entries[index]));
  return slack == kAnySlack ? kAnyBytes : page.block_bytes - slack;
}

/// Puts a page that takes up its kind under the arena's policies; false when there is no memory for the entries.
bool page_harden(Arena* arena, PageHeader* page);

/// A full page of the bucket that keeps free blocks back, asked for before another page is taken: so that they are
/// looked at in the end, whatever becomes of their page. Mostly null where the others are full. O(1).
PageHeader* page_kept_back(Arena* arena, Bucket* bucket);

/// A block of the current page, by the page's policies; null when it is full.
void* bucket_take_chosen(Arena* arena, Bucket* bucket);

/// Of blocks of word `w` of a page's bits those that are free by their entries as well: what the bits alone say is not
/// believed.
uint64_t blocks_free_by_entry(const PageHeader& page, uint32_t w, uint64_t blocks);

/// Of blocks of word `w` of a page's bits that other threads have freed, as its remote bits say, those whose entries
/// say the same, and which are neither in the owner's quarantine nor in the caller's. The others are live, or were
/// freed by two threads at the same time. For who drains the page.
uint64_t confirmed_frees(const PageHeader& page, uint32_t w, uint64_t blocks);

}  // namespace pagerun
