// A snapshot: arenas, pages, bitmaps and runs as plain data, copied out so that it can be looked at without any lock.
// Owns the copy, nothing else. Thread rule: any thread; exact when no other thread allocates meanwhile, and in any case
// consistent with itself: totals are computed from the records, never read beside them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagerun {

constexpr size_t kRecordNameBytes = 48;

struct ArenaRecord {
  uint64_t id;     // small integer, never reused for another arena
  uint32_t state;  // ArenaState: 0 idle, 1 active (a thread owns it), 2 abandoned (its thread ended with live blocks)
  uint32_t pages;  // bucket pages it owns (heads)
  uint64_t live_blocks;
  uint64_t live_bytes;          // live blocks x block size
  uint64_t host;                // id of the arena of the thread that made it; 0 for the arenas of threads
  uint64_t limit_bytes;         // of an arena that a program made; kNoLimit when it has none
  char name[kRecordNameBytes];  // likewise, with a zero behind it
};

struct PageRecord {
  uint64_t address;  // of block 0
  uint64_t arena;    // id; 0 for a run that no arena owns
  uint32_t kind;     // PageKind: 1 bucket, 3 run in use
  uint32_t size_class;
  uint64_t block_bytes;
  uint32_t pages;        // length in pages of kPageBytes
  uint32_t capacity;     // blocks
  uint32_t used;         // blocks handed out: popcount of the bitmap, remote frees that are not drained yet included,
                         // quarantined blocks of the hardened profile not
  uint32_t remote;       // of these, freed by other threads and not yet drained
  uint64_t bitmap_word;  // index of the first word of its used bitmap in Snapshot::bitmap_words; (capacity + 63) / 64
                         // words
};

struct RunRecord {  // a free run
  uint64_t address;
  uint64_t pages;
  uint32_t dirty;  // 1 when its content may still be in memory
  uint32_t reserved;
};

struct MappingRecord {  // a block with a mapping of its own
  uint64_t address;
  uint64_t bytes;
  uint64_t arena;  // id of the arena that owns it, a program's own; else 0
};

struct RangeRecord {  // OS pages that a program mapped for itself
  uint64_t address;
  uint64_t bytes;
  uint64_t part;  // index of its first part in Snapshot::parts; its parts follow each other
  uint32_t parts;
  uint32_t guard_bytes;  // on each side
  uint32_t is_locked;
  uint32_t is_huge;
};

struct PartRecord {  // OS pages of a range with one protection
  uint64_t address;
  uint64_t bytes;
  uint32_t protection;  // os::Protection: 0 none, 1 read, 2 read and write
  uint32_t reserved;
};

struct SnapshotTotals {
  uint64_t reserved_bytes;   // address space held
  uint64_t committed_bytes;  // usable: regions' committed parts + mappings
  uint64_t metadata_bytes;   // committed for headers and bitmaps
  uint64_t live_blocks;      // that no thread has freed: of pages, mappings, and the hardened profile's of no bytes
  uint64_t live_bytes;
  uint64_t free_run_bytes;
  uint64_t mapping_bytes;
  uint64_t arenas;
  uint64_t ranges;       // beside all of the above: OS pages that programs mapped for themselves
  uint64_t range_bytes;  // guards not counted
  // Since the process began, as core/purge.h counts.
  uint64_t purged_bytes;
  uint64_t purges;
  uint64_t retaken_bytes;
  uint64_t purge_passes;
};

struct Snapshot {
  SnapshotTotals totals;
  uint64_t bytes;  // of this copy, header included
  uint64_t arena_count, page_count, run_count, mapping_count, range_count, part_count, bitmap_word_count;
  const ArenaRecord* arenas;
  const PageRecord* pages;
  const RunRecord* runs;
  const MappingRecord* mappings;
  const RangeRecord* ranges;
  const PartRecord* parts;
  const uint64_t* bitmap_words;
};

/// Takes a snapshot into a mapping of its own; null when there is no memory for it. O(pages).
const Snapshot* snapshot_take();

/// Gives it back.
void snapshot_release(const Snapshot* snapshot);

/// The totals alone, without a copy. O(pages); of hardened pages, O(blocks).
SnapshotTotals memory_totals();

/// The same for a signal's handler, whose thread may hold a lock of the heap: false when one did not come free within
/// so many milliseconds.
bool memory_totals_within(int64_t patience_ms, SnapshotTotals* totals);

}  // namespace pagerun
