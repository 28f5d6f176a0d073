// Mapped memory for the hardened profile: with an OS page without access before and behind it, and after its release
// kept out of use for a while. Owns the ranges that are kept. Thread rule: the functions from any thread; KeptRanges
// under the lock of who has it (mapping_table.h).
//
//   fenced    | guard | bytes | guard |       one reservation; the address is that of the bytes
#pragma once

#include <cstddef>

#include "../base/config.h"

namespace pagerun {

constexpr size_t kGuardBytes = kOsPageBytes;

/// Maps zero memory with guards, at a multiple of `alignment`; null when refused. Lengths are whole OS pages.
char* fenced_map(size_t bytes, size_t alignment);

/// Moves what fenced_map() mapped to a new place with another length, without a copy; null when refused (nothing has
/// changed). The old place is given back: something else may be there at once, so that it cannot be kept.
char* fenced_move(char* address, size_t bytes, size_t new_bytes);

/// Ranges that were given up last: there is nothing in them and nothing comes there, so that whoever touches one
/// faults.
class KeptRanges {
 public:
  constexpr KeptRanges() = default;

  /// Keeps a range of mapped memory, or gives it back to the system where that is refused or it is too long.
  void keep(char* address, size_t bytes);

  /// Gives all of them back; false when there are none.
  bool let_go();

 private:
  static constexpr size_t kMostRanges = 16;
  static constexpr size_t kMostBytes = 1 << 30;  // of all together

  struct Range {
    char* address;
    size_t bytes;
  };

  void let_oldest_go();

  Range ranges_[kMostRanges] = {};  // from first_ on, oldest first
  size_t first_ = 0, count_ = 0, bytes_ = 0;
};

}  // namespace pagerun
