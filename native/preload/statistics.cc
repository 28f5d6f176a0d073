// mallinfo, malloc_info and malloc_stats, the heap's figures in glibc's terms, and how often its locks are taken. Reads
// only.
// Thread rule: every function from every thread; each takes every lock of the heap for a moment, and holds none while
// it writes to a stream.
#include <malloc.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>

#include "../core/arena_list.h"
#include "../core/mapping_table.h"
#include "../core/page.h"
#include "../core/run_list.h"
#include "../inspect/snapshot.h"
#include "../inspect/walk.h"
#include "calls.h"
#include "pagerun.h"

using namespace pagerun;

namespace {

size_t mapping_count() {
  LockGuard guard(mapping_table.lock());
  return mapping_table.count();
}

struct FreeBlocks {
  uint64_t count = 0, bytes = 0;
};

// One line for every class of which the arena has free blocks: glibc's `sizes` are of free memory.
FreeBlocks write_sizes(FILE* stream, const Snapshot& heap, uint64_t arena) {
  FreeBlocks of_class[kClassCount], all;
  for (uint64_t i = 0; i < heap.page_count; i++) {
    const PageRecord& page = heap.pages[i];
    if (page.arena != arena || page.size_class >= kClassCount) continue;
    of_class[page.size_class].count += page.capacity - page.used;
    of_class[page.size_class].bytes += (page.capacity - page.used) * page.block_bytes;
  }
  fputs("<sizes>\n", stream);
  for (uint32_t c = 0; c < kClassCount; c++) {
    if (of_class[c].count == 0) continue;
    size_t bytes = class_bytes(c);
    fprintf(stream, "  <size from=\"%zu\" to=\"%zu\" total=\"%" PRIu64 "\" count=\"%" PRIu64 "\"/>\n", bytes, bytes,
            of_class[c].bytes, of_class[c].count);
    all.count += of_class[c].count;
    all.bytes += of_class[c].bytes;
  }
  fputs("</sizes>\n", stream);
  return all;
}

void write_totals(FILE* stream, const FreeBlocks& free_blocks, uint64_t committed_bytes, uint64_t reserved_bytes) {
  fprintf(stream,
          "<total type=\"rest\" count=\"%" PRIu64 "\" size=\"%" PRIu64
          "\"/>\n"
          "<system type=\"current\" size=\"%" PRIu64
          "\"/>\n"
          "<aspace type=\"total\" size=\"%" PRIu64 "\"/>\n",
          free_blocks.count, free_blocks.bytes, committed_bytes, reserved_bytes);
}

// What was given back, by so many system calls, and what of it was taken again, by so many page faults at most.
void write_purges(FILE* stream, const SnapshotTotals& totals) {
  fprintf(stream,
          "<total type=\"purged\" count=\"%" PRIu64 "\" size=\"%" PRIu64
          "\"/>\n"
          "<total type=\"retaken\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n",
          totals.purges, totals.purged_bytes, totals.retaken_bytes / kOsPageBytes, totals.retaken_bytes);
}

uint64_t arena_bytes(const Snapshot& heap, uint64_t arena) {
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < heap.page_count; i++) {
    if (heap.pages[i].arena == arena) bytes += heap.pages[i].pages * kPageBytes;
  }
  return bytes;
}

void write_info(FILE* stream, const Snapshot& heap) {
  FreeBlocks all = {heap.run_count, heap.totals.free_run_bytes};
  fputs("<malloc version=\"1\">\n", stream);
  for (uint64_t i = 0; i < heap.arena_count; i++) {
    uint64_t arena = heap.arenas[heap.arena_count - 1 - i].id;  // the oldest first
    fprintf(stream, "<heap nr=\"%" PRIu64 "\">\n", i);
    FreeBlocks own = write_sizes(stream, heap, arena);
    uint64_t bytes = arena_bytes(heap, arena);
    write_totals(stream, own, bytes, bytes);
    fputs("</heap>\n", stream);
    all.count += own.count;
    all.bytes += own.bytes;
  }
  fprintf(stream,
          "<total type=\"live\" count=\"%" PRIu64 "\" size=\"%" PRIu64
          "\"/>\n"
          "<total type=\"mmap\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n",
          heap.totals.live_blocks, heap.totals.live_bytes, heap.mapping_count, heap.totals.mapping_bytes);
  write_purges(stream, heap.totals);
  write_totals(stream, all, heap.totals.committed_bytes, heap.totals.reserved_bytes);
  fputs("</malloc>\n", stream);
}

}  // namespace

PAGERUN_EXPORT struct mallinfo2 mallinfo2() {
  SnapshotTotals totals = memory_totals();
  struct mallinfo2 info = {};
  info.arena = totals.committed_bytes - totals.mapping_bytes;
  info.hblks = mapping_count();
  info.hblkhd = totals.mapping_bytes;
  info.uordblks = totals.live_bytes - totals.mapping_bytes;
  info.fordblks = info.arena - info.uordblks;
  info.keepcost = totals.free_run_bytes;
  return info;
}

// The figures of mallinfo2() in the width that they had before; larger ones wrap, as glibc's do.
PAGERUN_EXPORT struct mallinfo mallinfo() {
  struct mallinfo2 wide = mallinfo2();
  struct mallinfo info = {};
  info.arena = static_cast<int>(wide.arena);
  info.hblks = static_cast<int>(wide.hblks);
  info.hblkhd = static_cast<int>(wide.hblkhd);
  info.uordblks = static_cast<int>(wide.uordblks);
  info.fordblks = static_cast<int>(wide.fordblks);
  info.keepcost = static_cast<int>(wide.keepcost);
  return info;
}

// Returns its error, as glibc's does, and leaves errno alone.
PAGERUN_EXPORT int malloc_info(int options, FILE* stream) {
  if (options != 0) return EINVAL;
  const Snapshot* heap = snapshot_take();
  if (heap == nullptr) return ENOMEM;
  write_info(stream, *heap);
  snapshot_release(heap);
  return 0;
}

PAGERUN_EXPORT void malloc_stats() {
  SnapshotTotals totals = memory_totals();
  fprintf(stderr,
          "arenas       = %10" PRIu64 "\nsystem bytes = %10" PRIu64 "\nin use bytes = %10" PRIu64
          "\nmmap bytes   = %10" PRIu64 "\npurged bytes = %10" PRIu64 "\nretaken      = %10" PRIu64 "\n",
          totals.arenas, totals.committed_bytes, totals.live_bytes, totals.mapping_bytes, totals.purged_bytes,
          totals.retaken_bytes);
}

PAGERUN_EXPORT unsigned long long pagerun_lock_acquisitions() {
  static uint64_t calls = 0;  // guarded by the heap's locks
  HeapLock lock;
  calls++;
  const Lock* locks[] = {&arenas_lock, &run_list.lock(), &mapping_table.lock()};
  uint64_t taken = 0;
  for (const Lock* each : locks) taken += each->taken() - calls;
  return taken;
}
