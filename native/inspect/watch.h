// The words of the tables that say whether a block is still live: a few loads and comparisons for whoever keeps a watch
// of it, without a call. Owns nothing and reads only. Thread rule: any thread, no lock.
//
//   bucket page | capacity, class and kind | its free bits | its remote bits | held_blocks     | policies
//   run         | the same                 | run_bytes     | block_bytes     | run_bytes, rest | the one before
//
// The last two are in the window of the first, and noted as 0: nothing is held, and the page not hardened.
//
// As long as every word, masked, has the value noted, the memory is in a live block with the bounds noted: a page that
// changes what it is changes its kind or class, and takes up both only after its bits are set. A block that was freed
// and handed out again is live again, as for locate(). A mapping has no such words, and a page with held blocks none
// that would do: a block may be freed there and keep its bits. Nor has one of the hardened profile, whose blocks end
// with the bytes that were asked for; and a page may be hardened when it takes up the same class again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../harden/misuse.h"

namespace pagerun {

constexpr uint32_t kWatchedWords = 5;

/// A word of 32 bits in a window: the part of a table that was committed with one stretch, and stays readable for good.
struct WatchedWord {
  const void* window = nullptr;
  size_t window_bytes = 0;
  uint32_t index = 0;  // of the word in the window
  uint32_t mask = 0;   // word & mask == value
  uint32_t value = 0;
};

struct Watch {
  Block block;
  WatchedWord words[kWatchedWords];
};

/// Watches the live block that holds `ptr`; false when there is none, or none that can be watched. O(1).
bool watch(const void* ptr, Watch* watch);

/// True while every word has its value: what a keeper asks.
bool is_unchanged(const Watch& watch);

}  // namespace pagerun
