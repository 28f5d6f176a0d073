// What the hardened profile knows of each block beside its bits: an entry in the region's slack table, where no
// overflow reaches it. Owns the entries' form; who may change one is told in hardened.h.
//
//   of a page    | entry of block 0 | entry of block 1 | ... | long slack of block 0 | of block 1 | ...
//                  a byte each                                 two bytes each, where blocks are large enough for one
//
// An entry is the slack of a live block (block_bytes less what was asked for), or says that there is none.
// Thread rule: each call is one relaxed access, or two for a long slack, which only the block's holder causes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "region.h"

namespace pagerun {

constexpr uint8_t kFreeEntry = 0xff;   // freed, or in memory that was in use before
constexpr uint8_t kFreshEntry = 0xfe;  // never handed out, in memory that the system gave as zero
constexpr uint8_t kLongEntry = 0xfd;   // live, with a slack of so many bytes or more: it stands among the long ones
constexpr uint8_t kNoBlockEntry = 0;   // behind the last block's; as if live: never to be handed out
constexpr size_t kAnySlack = SIZE_MAX;
constexpr size_t kLeastHardenedBytes = 16;  // of a block: so that a page has no more entries than there is room for

// A block that can have a long slack is longer than that.
constexpr uint32_t kMostLongSlacks = kPageBytes / (kLongEntry + 1) + 1;

static_assert(round_up(kPageBytes / kLeastHardenedBytes, kWordBits) <= kSlackStride);
static_assert(kLongSlacksAt >= round_up(kMostLongSlacks, kWordBits) &&
              kLongSlacksAt + kMostLongSlacks * sizeof(uint16_t) <= kSlackStride);
static_assert(kMaxBlockBytes <= UINT16_MAX);

constexpr bool is_live_entry(uint8_t entry) { return entry <= kLongEntry; }

inline uint16_t* long_slacks_of(uint8_t* entries) { return reinterpret_cast<uint16_t*>(entries + kLongSlacksAt); }

/// The entries of a hardened page.
inline uint8_t* entries_of(const PageHeader& page) {
  return region_table.regions[page.policies >> kRegionShift].slack_of(&page);
}

/// The slack of the block whose entry was read as `entry`; kAnySlack when it is not live.
inline size_t slack_at(uint8_t* entries, uint32_t index, uint8_t entry) {
  if (entry < kLongEntry) [[likely]]
    return entry;
  return entry == kLongEntry ? load_relaxed(long_slacks_of(entries)[index]) : kAnySlack;
}

inline void set_slack(uint8_t* entries, uint32_t index, size_t slack) {
  if (slack >= kLongEntry) [[unlikely]]
    store_relaxed(long_slacks_of(entries)[index], static_cast<uint16_t>(slack));
  store_relaxed(entries[index], static_cast<uint8_t>(slack < kLongEntry ? slack : kLongEntry));
}

}  // namespace pagerun
