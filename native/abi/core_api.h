// The core as one table of functions, so that the addon can run on a core that is in the process already
// (libpagerun.so under preload) instead of its own copy: one process, one allocator.
// Owns nothing. Thread rule: as each function says in its own header.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/block_hold.h"
#include "../core/range_table.h"
#include "../harden/misuse.h"
#include "../inspect/snapshot.h"
#include "../inspect/verify.h"
#include "../inspect/watch.h"

namespace pagerun {

constexpr uint32_t kCoreApiVersion = 1;

struct CoreApi {
  uint32_t version;  // kCoreApiVersion; a table of another version is not used
  uint32_t bytes;    // sizeof(CoreApi)

  void* (*allocate)(size_t bytes);
  void* (*allocate_zeroed)(size_t count, size_t bytes);
  void* (*allocate_aligned)(size_t alignment, size_t bytes);
  Misuse (*deallocate)(void* ptr);
  Misuse (*reallocate)(void* ptr, size_t bytes, void** result);
  Misuse (*locate)(const void* ptr, Block* block);

  /// The words that say whether the live block that holds `ptr` is still live; false when there are none.
  bool (*watch)(const void* ptr, Watch* watch);

  /// Pins the mapping that holds `ptr`, a live block with a mapping of its own: after deallocate() it stays readable
  /// until every pin is taken back. False when `ptr` is no such block. For views that JavaScript still holds.
  bool (*mapping_pin)(const void* ptr);
  void (*mapping_unpin)(const void* ptr);

  /// As block_hold.h says: the bytes stay what they are, whoever frees the block, until the hold is taken back.
  HoldStatus (*block_hold)(const void* ptr, size_t bytes, void** start);
  void (*block_let_go)(void* start);

  // Ranges, as range_table.h says.
  RangeStatus (*range_take)(size_t bytes, const RangeOptions* options, void** start);
  Misuse (*range_put)(void* ptr);
  RangeStatus (*range_protect)(void* ptr, size_t bytes, os::Protection protection);
  RangeStatus (*range_advise)(void* ptr, size_t bytes, os::Advice advice, int* error);
  bool (*range_find)(const void* ptr, Range* range);
  bool (*range_find_allowing)(const void* ptr, os::Protection protection, RangePart* found);
  bool (*range_hold)(const void* ptr, size_t bytes, os::Protection protection);
  void (*range_let_view_go)(const void* ptr);
  void (*range_pin)(const void* ptr);
  void (*range_unpin)(const void* ptr);
  /// Which OS pages of `address` .. `address + bytes` are in memory: 0, or the error's number.
  int (*find_resident)(const void* address, size_t bytes, uint8_t* resident);
  size_t (*lock_limit)();

  Verdict (*verify)();
  const Snapshot* (*snapshot_take)();
  void (*snapshot_release)(const Snapshot* snapshot);
  SnapshotTotals (*memory_totals)();

  /// Makes system call number `n` from now on fail once (1 is the next one), for tests; 0 switches it off.
  void (*fail_system_call)(uint64_t n);
  /// System calls made so far by os/.
  uint64_t (*system_calls)();

  // Facts that the bindings must not repeat.
  uint64_t stretch_bytes;  // unit of commit, and of the ArrayBuffers that views are made over
  uint64_t page_bytes;
};

/// This copy's table.
const CoreApi* core_api_own();

/// The table to use: that of a preloaded libpagerun.so (symbol `pagerun_core_api`) when there is one of this version,
/// else this copy's.
const CoreApi* core_api_find();

}  // namespace pagerun
