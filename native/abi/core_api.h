// The core as one table of functions, so that the addon can run on a core that is in the process already
// (libpagerun.so under preload) instead of its own copy: one process, one allocator.
// Owns nothing. Thread rule: as each function says in its own header.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/block_hold.h"
#include "../core/made_arena.h"
#include "../core/range_table.h"
#include "../harden/finding.h"
#include "../harden/misuse.h"
#include "../inspect/snapshot.h"
#include "../inspect/verify.h"
#include "../inspect/watch.h"

namespace pagerun {

struct Arena;

constexpr uint32_t kCoreApiVersion = 6;

/// Where the fast paths of malloc and free look, for a runtime that runs them itself (TypeScript, over views of the
/// tables) on an arena of its own, for blocks of one-page bucket pages in the first pages of the primary region.
/// Addresses and bytes; offsets are from the start of a page header or an arena. The tables have an entry for each
/// page, by its index, and are readable up to the committed length.
///
/// malloc: the class's current page (`page_word`; page 0 has no free block), its hot word, the lowest 1 bit of it:
/// clear that, add 1 to countdown. free: `script_owner` is the arena's number, the offset a start of a block, the bit
/// 0, countdown not 1: set the bit, subtract 1 from countdown, make the word hot. Everything else is the core's.
struct HeapLayout {
  uint64_t region_start;  // of the primary region; 0 while there is none, and in the hardened profile
  uint64_t script_pages;  // pages that may be served, and have entries in the tables
  uint64_t committed;     // address of the committed length, a uint64_t that only grows
  uint64_t headers;       // the header table
  uint64_t free_bitmaps;  // the free bits of pages with more than inline_blocks blocks
  uint64_t page_bytes;
  uint64_t header_bytes;
  uint64_t bitmap_bytes;   // from a page's free bitmap to the next page's
  uint64_t inline_blocks;  // a page of at most so many has its free bits in its header
  uint64_t bucket_kind;    // of a bucket page's header
  // In a header.
  uint64_t reciprocal;    // the lower half of this: reciprocal_of(block_bytes), page.h
  uint64_t start;         // the lower half of this: of the address of block 0
  uint64_t block_bytes;   // uint32_t
  uint64_t start_limit;   // uint32_t: 0 while remote frees wait
  uint64_t capacity;      // uint16_t, uint8_t size class, uint8_t kind: one aligned word
  uint64_t script_owner;  // uint32_t
  uint64_t countdown;     // uint32_t
  uint64_t notify_at;     // uint32_t: blocks handed out == countdown + notify_at
  uint64_t hot_offset;    // uint32_t: bytes from the first word of free bits
  uint64_t next_word;     // uint32_t: where the search for another word goes on
  uint64_t free_bits;
  // In an arena.
  uint64_t page_word;      // uint32_t for each class: where the current page's header begins, in words of 32 bits
  uint64_t script_closed;  // uint32_t: ~0 since a block may have ended otherwise than by a free above; the runtime
                           // clears it
  uint64_t arena_bytes;
  uint64_t class_count;
  const uint32_t* class_bytes;
};

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

  /// An arena of a runtime's own, and the end of it: see thread_arena.h. The layout is whole once something was
  /// allocated.
  Arena* (*arena_open)();
  uint32_t (*arena_number)(const Arena* arena);
  void (*arena_close)(Arena* arena);
  Arena* (*arena_switch)(Arena* arena);
  HeapLayout (*heap_layout)();

  /// Pins the mapping that holds `ptr`, a live block with a mapping of its own: after deallocate() it stays readable
  /// until every pin is taken back. False when `ptr` is no such block. For views that JavaScript still holds.
  bool (*mapping_pin)(const void* ptr);
  void (*mapping_unpin)(const void* ptr);

  /// As block_hold.h says: the bytes stay what they are, whoever frees the block, until the hold is taken back.
  HoldStatus (*block_hold)(const void* ptr, size_t bytes, void** start);
  void (*block_let_go)(void* start);

  // Arenas that programs make, as made_arena.h says.
  MadeArena* (*arena_make)(uint64_t limit_bytes, const char* name, size_t name_bytes, bool is_hardened);
  void* (*arena_take)(MadeArena* arena, size_t bytes, size_t alignment, Refusal* refusal);
  void* (*arena_take_zeroed)(MadeArena* arena, size_t bytes, Refusal* refusal);
  Misuse (*arena_resize)(MadeArena* arena, void* ptr, size_t bytes, void** result, Refusal* refusal);
  uint64_t (*arena_bytes)(const MadeArena* arena);
  void (*arena_reset)(MadeArena* arena);
  void (*arena_destroy)(MadeArena* arena);
  Misuse (*arena_find)(const void* ptr, Block* block, ArenaMemory* memory);
  bool (*arena_pin)(const ArenaMemory& memory);
  void (*arena_unpin)(const ArenaMemory& memory);

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

  /// As purger.h says.
  size_t (*purge)(bool force, size_t keep_pages);
  void (*set_budget)(uint64_t bytes);

  Verdict (*verify)();
  const Snapshot* (*snapshot_take)();
  void (*snapshot_release)(const Snapshot* snapshot);
  SnapshotTotals (*memory_totals)();

  /// Makes system call number `n` from now on fail once (1 is the next one), for tests; 0 switches it off.
  void (*fail_system_call)(uint64_t n);
  /// System calls made so far by os/.
  uint64_t (*system_calls)();

  /// The policies of the process (harden/policy.h); 0 in the fast profile.
  uint32_t (*policies)();
  /// Takes what an allocation found, as harden/finding.h says.
  bool (*finding_take)(Finding* finding);

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
