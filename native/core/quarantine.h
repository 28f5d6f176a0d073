// The quarantine of an arena: the last blocks that its thread freed, in the hardened profile. Free for everyone who
// asks, by their entry (slack_entries.h), they still count as used in their pages, so that no page vanishes under them.
// Owns the ring; what a block is when it comes here, and which policies it has, is hardened.h's.
//
//   ring    | newest | none | none | oldest | ... |    of so many entries as fit, by ever growing numbers; `none`
//                                                      where blocks have left early, because of their bytes
//
// Thread rule: as in arena.h, the arena's own thread; a made arena's blocks that another thread frees do not come here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../harden/misuse.h"
#include "arena.h"
#include "place.h"

namespace pagerun {

constexpr uint32_t kQuarantineBlocks = 128;    // of one arena, at most;
constexpr size_t kQuarantineBytes = 64 << 10;  // and so many bytes

static_assert(kMaxBlockBytes <= kQuarantineBytes);

struct Quarantine {
  struct Entry {
    PageHeader* page;
    uint32_t number;  // of the block, and the marks below
    uint32_t block_bytes;
  };

  uint64_t bytes;
  uint64_t first, last;  // the oldest entry's number at least, and that of the next to be written
  Entry entries[kQuarantineBlocks];
};

constexpr uint32_t kOthersBlock = 1u << 31;  // of another arena's page when it came
constexpr uint32_t kNoBlock = 1u << 30;
static_assert(is_power_of_two(kQuarantineBlocks) && kMaxBlocks <= kNoBlock);

/// The oldest entry's number.
inline uint64_t first_of(const Quarantine& quarantine) {
  bool is_full = quarantine.last - quarantine.first > kQuarantineBlocks;
  return is_full ? quarantine.last - kQuarantineBlocks : quarantine.first;
}

inline uint64_t count_of(const Quarantine& quarantine) { return quarantine.last - first_of(quarantine); }

inline Place place_of_entry(const Quarantine::Entry& entry) { return {entry.page, entry.number % kNoBlock}; }

/// Puts a block in that is free for everyone who asks; without a quarantine (`is_wanted`, or no memory for one) it is
/// free for its page at once. `is_own`: the arena is known to be the thread's, and no made one.
Misuse quarantine_put(Arena* arena, const Place& place, bool is_wanted, bool is_own);

/// The ways out of quarantine_pass(): the end of a page's state, and of what is in order. They answer kNone, so that
/// each is its last call, and it needs no room for what it would have to do after one.
Misuse quarantine_notify(PageHeader* page);
Misuse quarantine_leave(PageHeader* page, uint32_t number);

/// The fast path of quarantine_put(), for the thread's own arena, whose quarantine it is: the oldest block leaves.
[[gnu::always_inline]] inline Misuse quarantine_pass(Quarantine* quarantine, const Place& place, uint32_t block_bytes) {
  Quarantine::Entry& newest = quarantine->entries[quarantine->last++ % kQuarantineBlocks];
  PageHeader* page = newest.page;
  uint32_t number = newest.number;
  uint64_t bytes = quarantine->bytes + block_bytes - newest.block_bytes;
  store_relaxed(newest.page, place.page);
  store_relaxed(newest.number, place.index);
  store_relaxed(newest.block_bytes, block_bytes);
  quarantine->bytes = bytes;
  if (bytes > kQuarantineBytes || number >= kNoBlock) [[unlikely]]
    return quarantine_leave(page, number);
  size_t offset = offset_of_word(number);
  uint64_t& word = word_at(page->free_bits, offset);
  store_owned(word, word | mask_of(number));
  store_owned(page->hot_offset, static_cast<uint32_t>(offset));
  return page_count_free_quietly(page) ? Misuse::kNone : quarantine_notify(page);
}

/// Everything in the arena's quarantine becomes free; or its older half; or is forgotten, with the pages that it is in.
void quarantine_flush(Arena* arena);
void quarantine_halve(Arena* arena);
void quarantine_forget(Arena* arena);

/// Those of word `w` of the page's bits that are in the arena's quarantine.
uint64_t quarantined_blocks(const Arena* arena, const PageHeader* page, uint32_t w);

/// Notes a block in it that was written to since its free, if there is one.
void quarantine_check(const Arena* arena);

/// Bytes of the blocks in it, for counts.
uint64_t quarantine_bytes(const Arena* arena);

}  // namespace pagerun
