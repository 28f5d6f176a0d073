// The quarantine of an arena: the last blocks that its thread freed, in the hardened profile. Free for everyone who
// asks, by their entry (slack_entries.h), they still count as used in their pages, so that no page vanishes under them.
// Owns the ring; what a block is when it comes here, and which policies it has, is hardened.h's.
//
//   ring    | oldest | ... | newest | the next to be written | ... |    of so many entries as fit, by ever growing
//                                                                       numbers
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
  using Entry = uint64_t;  // address of the page's header, above it the block's number, and the mark of others' blocks

  uint64_t bytes;
  uint32_t first, last;
  Entry entries[kQuarantineBlocks];
};

inline uint32_t count_of(const Quarantine& quarantine) { return quarantine.last - quarantine.first; }

constexpr uint32_t kEntryNumberShift = 48;
constexpr Quarantine::Entry kOthersBlock = 1ull << 63;  // of another arena's page when it came
static_assert(is_power_of_two(kQuarantineBlocks) && is_power_of_two(kMaxBlocks) &&
              kMaxBlocks <= kOthersBlock >> kEntryNumberShift);

inline Quarantine::Entry entry_of(const Place& place) {
  return reinterpret_cast<uintptr_t>(place.page) | uint64_t{place.index} << kEntryNumberShift;
}

inline Place place_of_entry(Quarantine::Entry entry) {
  return {reinterpret_cast<PageHeader*>(entry & low_bits(kEntryNumberShift)),
          static_cast<uint32_t>(entry >> kEntryNumberShift) % kMaxBlocks};
}

/// Puts a block in that is free for everyone who asks; without a quarantine (`is_wanted`, or no memory for one) it is
/// free for its page at once. `is_own`: the arena is known to be the thread's, and no made one.
Misuse quarantine_put(Arena* arena, const Place& place, bool is_wanted, bool is_own);

/// The ways out of quarantine_pass(): the end of a page's state, and of what is in order. They answer kNone, so that
/// each is its last call, and it needs no room for what it would have to do after one.
Misuse quarantine_notify(Arena* arena, PageHeader* page);
Misuse quarantine_release(Arena* arena, Place place);
Misuse quarantine_trim(Arena* arena);

/// The fast path of quarantine_put(), for the thread's own arena, which has a quarantine: the oldest block leaves.
[[gnu::always_inline]] inline Misuse quarantine_pass(Arena* arena, Quarantine* quarantine, const Place& place,
                                                     uint32_t block_bytes) {
  uint32_t last = quarantine->last, first = quarantine->first;
  uint64_t bytes = quarantine->bytes + block_bytes;
  Quarantine::Entry& newest = quarantine->entries[last % kQuarantineBlocks];
  Quarantine::Entry leaving = newest;
  Place oldest = place_of_entry(leaving);
  newest = entry_of(place);
  quarantine->last = last + 1;
  if (last - first != kQuarantineBlocks) [[unlikely]] {
    quarantine->bytes = bytes;
    return bytes > kQuarantineBytes ? quarantine_trim(arena) : Misuse::kNone;
  }
  quarantine->first = first + 1;
  bytes -= oldest.page->block_bytes;
  quarantine->bytes = bytes;
  if (bytes > kQuarantineBytes || (leaving & kOthersBlock) != 0) [[unlikely]]
    return quarantine_release(arena, oldest);
  size_t offset = offset_of_word(oldest.index);
  uint64_t& word = word_at(oldest.page->free_bits, offset);
  store_owned(word, word | mask_of(oldest.index));
  store_owned(oldest.page->hot_offset, static_cast<uint32_t>(offset));
  return page_count_free_quietly(oldest.page) ? Misuse::kNone : quarantine_notify(arena, oldest.page);
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
