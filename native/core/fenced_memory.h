// Mapped memory for the hardened profile: with an OS page without access before and behind it, and after its release
// kept out of use for a while, then used again. Owns the ranges that are kept. Thread rule: the functions from any
// thread, on a range that nobody else has; KeptRanges under the lock of who has it (mapping_table.h).
//
//   fenced    | guard | open: the block | rest of the room | guard |      one reservation; the address is that of the
//   block
//
// The rest of the room has no access either: the block ends at its last OS page. A range that is kept is zero. It has
// no access, so that whoever touches it faults; but up to kMostWatchedBytes it stays open and is looked at before its
// next use, as blocks of bucket pages are: to take access away and to give it back costs more than such a block is used
// for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../base/config.h"

namespace pagerun {

constexpr size_t kGuardBytes = kOsPageBytes;
constexpr size_t kMostWatchedBytes = 128 << 10;

/// Lengths are whole OS pages.
struct FencedRange {
  char* address;
  size_t open_bytes;    // readable and writable, from the address on; a kept range without access: 0
  size_t room_bytes;    // of the reservation, between the guards
  size_t filled_bytes;  // from the address on: known to be in memory; behind what is open it is zero
};

/// Maps zero memory with guards, at a multiple of `alignment`; false when refused.
bool fenced_map(size_t bytes, size_t alignment, FencedRange* range);

/// Moves what is in memory to a new place, open there for `new_bytes` bytes, without a copy; false when refused (its
/// access may have changed). The old place is given back: something else may be there at once, so that it cannot be
/// kept.
bool fenced_move(FencedRange* range, size_t new_bytes);

/// Makes the block longer or shorter where it is; false when there is no room, or refused (nothing has changed).
bool fenced_resize(FencedRange* range, size_t new_bytes);

void fenced_release(const FencedRange& range);

/// Clears a range that is to be kept, and takes access away or lets it be watched; the content of one with more than
/// `most_bytes` in memory, or that is mostly not there, goes. False when the system refuses that: it can only be
/// released.
bool fenced_rest(FencedRange* range, bool may_be_watched, size_t most_bytes);

enum class Woken { kReady, kWrittenTo, kRefused };

/// Makes a kept range a block of `bytes` zero bytes again. What is written to while it was kept must not be used again.
Woken fenced_wake(FencedRange* range, size_t bytes);

/// True when nobody has written to a kept range that is open.
bool is_fenced_untouched(const FencedRange& range);

/// Ranges that were given up last, oldest first. One is taken again when some others came behind it.
class KeptRanges {
 public:
  constexpr KeptRanges() = default;

  /// The range whose memory serves a block of `bytes` bytes best, with at most `most_spare_bytes` too many; false when
  /// there is none that has rested long enough.
  bool take(size_t bytes, size_t alignment, size_t most_spare_bytes, FencedRange* range);

  /// Memory of the range that take() would give, 0 when there is none.
  size_t memory_for(size_t bytes, size_t most_spare_bytes) const;

  /// Keeps one more. Only when let_go() has just said that there is room.
  void keep(const FencedRange& range);

  /// The oldest one, when there is no room for another, more than `most_memory_bytes` in memory, or those are 0; false
  /// when there is none to let go.
  bool let_go(size_t most_memory_bytes, FencedRange* range);

  size_t count() const { return count_; }
  const FencedRange& operator[](size_t index) const { return ranges_[index]; }
  void remove(size_t index);

 private:
  static constexpr size_t kMostRanges = 256;
  static constexpr size_t kMostRoomBytes = 1 << 30;  // address space of all together
  static constexpr size_t kRestingRanges = 3;        // so many must be younger than one that is taken

  static size_t cost_of(const FencedRange& range, size_t bytes, size_t alignment, size_t most_spare_bytes);
  size_t find(size_t bytes, size_t alignment, size_t most_spare_bytes) const;

  FencedRange ranges_[kMostRanges] = {};
  size_t count_ = 0, room_bytes_ = 0, memory_bytes_ = 0;
};

}  // namespace pagerun
