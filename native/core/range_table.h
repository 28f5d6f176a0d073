// Ranges: OS pages that a program maps for itself and lays its own structures on, outside the heap. Owns these mappings
// and what is known of them: bounds, protection, and who may still reach them.
//
//   range    | guard | part | part | ... | guard |      guards: one OS page each, no access; only where asked for
//   part     OS pages in a row with one protection; the parts of a range tile it, and no two neighbours are the same
//
// A range is held while its bytes are reached otherwise than through a call: by a copy that is under way, or by an
// ArrayBuffer. Held, it keeps its address after its unmapping, so that nothing else is ever found there; what was
// reached for reading and writing stays so: a protection that allows less is refused. Thread rule: every call takes the
// lock itself. Last in the lock order. No hot path.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../base/lock.h"
#include "../harden/misuse.h"
#include "../os/os_pages.h"
#include "address_table.h"

namespace pagerun {

struct Range {
  char* address;
  size_t bytes;
  uint32_t pins;         // who needs the address: views and their like, and what is still to be told that they went
  uint32_t views;        // of these, who can still reach the bytes
  uint32_t guard_bytes;  // on each side
  bool is_unmapped;      // by its user; only pins keep it
  bool is_locked;
  bool is_huge;
};

struct RangePart {
  char* address;
  size_t bytes;
  os::Protection protection;
};

struct RangeOptions {
  os::Protection protection;
  bool is_huge;    // aligned for huge OS pages, and the system asked for them; it may have none
  bool is_locked;  // kept in memory
  bool has_guards;
};

enum class RangeStatus : uint32_t {
  kDone = 0,
  kOutOfMemory = 1,
  kLockLimit = 2,    // the process may not lock so much memory
  kOutOfBounds = 3,  // not all in one range
  kInUse = 4,        // somebody holds the range
  kRefused = 5,      // by the kernel, for a reason that it names
};

class RangeTable {
 public:
  constexpr RangeTable() = default;

  /// Maps `bytes` zero bytes, rounded up to OS pages; *start is the first.
  RangeStatus take(size_t bytes, const RangeOptions& options, void** start);

  /// Unmaps the range that starts at `ptr`, all of it (or leaves its address to its pins).
  Misuse put(void* ptr);

  /// Changes the protection of OS pages of one range.
  RangeStatus protect(void* ptr, size_t bytes, os::Protection protection);

  /// Tells the kernel of OS pages of one range; *error is its answer where it refused.
  RangeStatus advise(void* ptr, size_t bytes, os::Advice advice, int* error);

  /// The range that holds `ptr`, copied; false when there is none, or its user has unmapped it.
  bool find(const void* ptr, Range* range);

  /// The OS pages round `ptr` that all allow as much, as far as the range goes.
  bool find_allowing(const void* ptr, os::Protection protection, RangePart* found);

  /// Holds the range that has all of `ptr` .. `ptr + bytes`, where all of it allows as much: one pin, one view.
  bool hold(const void* ptr, size_t bytes, os::Protection protection);
  /// Takes back one view: nobody reaches the bytes by it any more, but whoever pinned has not been told yet.
  void let_view_go(const void* ptr);
  void pin(const void* ptr);
  void unpin(const void* ptr);

  Lock& lock() { return lock_; }
  /// In address order, for inspect/ (under the lock).
  const AddressTable<Range>& ranges() const { return ranges_; }
  const AddressTable<RangePart>& parts() const { return parts_; }
  size_t total_bytes() const { return total_bytes_; }

 private:
  static constexpr size_t kRememberedRanges = 64;

  Range* live_range(const void* ptr, size_t bytes);
  bool allows(const void* ptr, size_t bytes, os::Protection protection);
  void split_part(char* address);
  void set_protection(char* begin, char* end, os::Protection protection);
  void merge_parts(const Range& range, size_t index);
  bool was_unmapped(const void* ptr) const;
  void forget(Range* range);

  Lock lock_;
  AddressTable<Range> ranges_;
  AddressTable<RangePart> parts_;
  size_t total_bytes_ = 0;
  const void* unmapped_[kRememberedRanges] = {};  // starts of the last ones, so that a second unmapping is told from a
                                                  // foreign pointer
  size_t unmapped_next_ = 0;
};

extern RangeTable range_table;

}  // namespace pagerun
