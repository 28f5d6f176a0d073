#include "snapshot.h"

#include <cstring>

#include "../core/arena_list.h"
#include "../core/hardened.h"
#include "../core/header_check.h"
#include "../core/made_arena.h"
#include "../core/mapping_table.h"
#include "../core/purge.h"
#include "../core/range_table.h"
#include "../core/unreadable_blocks.h"
#include "../os/memory.h"
#include "walk.h"

namespace pagerun {

namespace {

static_assert(kRecordNameBytes == kArenaNameBytes);

uint32_t region_count() { return region_table.count.load(std::memory_order_acquire); }

template <class Visit>
void walk_regions(Visit visit) {
  for (uint32_t i = 0; i < region_count(); i++) {
    const Region& region = region_table.regions[i];
    if (region.committed_bytes.load(std::memory_order_acquire) == 0) continue;
    walk_pages(region, [&](const PageHeader* page) {
      visit(region, page);
      return true;
    });
  }
}

uint32_t remote_count(const PageHeader& page) {
  uint32_t count = 0;
  for (uint32_t w = 0; w < words_of(page.capacity); w++)
    count += count_bits(page.remote_bits[w].load(std::memory_order_relaxed));
  return count;
}

uint64_t id_of(const Arena* arena) { return arena == nullptr ? 0 : load_relaxed(arena->id); }

// The record of a made arena that has ended, or was not one yet, waits for the next.
bool is_arena(const Arena* arena) { return arena->state.load(std::memory_order_relaxed) != ArenaState::kEnded; }

PageRecord bucket_record(const PageHeader& page) {
  PageRecord record = {};
  record.address = reinterpret_cast<uint64_t>(page.start);
  record.arena = id_of(owner_of(page));
  record.kind = static_cast<uint32_t>(PageKind::kBucket);
  record.size_class = page.size_class;
  record.block_bytes = load_relaxed(page.block_bytes);
  record.pages = load_relaxed(page.run_pages);
  record.capacity = page.capacity;
  record.remote = remote_count(page);
  return record;
}

PageRecord run_record(const PageHeader& page) {
  PageRecord record = {};
  record.address = reinterpret_cast<uint64_t>(page.start);
  record.arena = id_of(owner_of(page));
  record.kind = static_cast<uint32_t>(PageKind::kRun);
  record.size_class = kNoSizeClass;
  record.block_bytes = load_relaxed(page.run_bytes);
  record.pages = load_relaxed(page.run_pages);
  record.capacity = 1;
  record.used = 1;
  return record;
}

// Blocks of a word of a hardened page that are in a quarantine: freed, though neither their free bits nor the remote
// ones say so.
uint64_t quarantined_word(const PageHeader& page, uint32_t w, uint64_t used) {
  if (!is_hardened(page) || !are_policies_whole(page)) return 0;
  uint64_t quarantined = 0;
  for (uint64_t rest = used & ~page.remote_bits[w].load(std::memory_order_relaxed); rest != 0; rest &= rest - 1) {
    uint32_t bit = lowest_bit(rest);
    if (asked_bytes(page, w * kWordBits + bit) == kAnyBytes) quarantined |= mask_of(bit);
  }
  return quarantined;
}

// A word of the used bitmap: the complement of the free bits, as far as there are blocks, without the quarantined ones.
uint64_t used_word(const PageHeader& page, uint32_t w) {
  uint64_t used = ~load_relaxed(page.free_bits[w]) & low_bits(page.capacity - w * kWordBits);
  return used & ~quarantined_word(page, w, used);
}

// Blocks that nobody has freed, on whichever thread.
uint32_t live_count(const PageHeader& page) {
  uint32_t live = 0;
  for (uint32_t w = 0; w < words_of(page.capacity); w++)
    live += count_bits(used_word(page, w) & ~page.remote_bits[w].load(std::memory_order_relaxed));
  return live;
}

// The same by the record, whose figures may have been read between two frees.
uint32_t live_of(const PageRecord& page) { return page.used > page.remote ? page.used - page.remote : 0; }

// Returns the number of bits set.
uint32_t copy_used_bitmap(const PageHeader& page, uint64_t* words) {
  uint32_t used = 0;
  for (uint32_t w = 0; w < words_of(page.capacity); w++) {
    words[w] = used_word(page, w);
    used += count_bits(words[w]);
  }
  return used;
}

struct Counts {
  uint64_t arenas = 0, pages = 0, runs = 0, mappings = 0, ranges = 0, parts = 0, words = 0;
};

Counts count_all() {
  Counts counts;
  for (const Arena* arena = arena_first(); arena != nullptr; arena = arena->next) counts.arenas += is_arena(arena);
  walk_regions([&](const Region&, const PageHeader* page) {
    if (is_free_run(*page)) counts.runs++;
    // A page may settle between this look and the copy: count it as a bucket page of the largest bitmap.
    if (!is_free_run(*page)) {
      counts.pages++;
      counts.words += is_live_page(*page, PageKind::kBucket) ? words_of(page->capacity)
                      : is_settled(*page)                    ? 1
                                                             : kBitmapWords;
    }
  });
  counts.mappings = mapping_table.count();
  counts.ranges = range_table.ranges().count();
  counts.parts = range_table.parts().count();
  return counts;
}

// Where the parts of a snapshot lie in its mapping: header, arenas, pages, runs, mappings, ranges, parts, bitmap
// words.
struct Writer {
  Snapshot* snapshot;
  ArenaRecord* arenas;
  PageRecord* pages;
  RunRecord* runs;
  MappingRecord* mappings;
  RangeRecord* ranges;
  PartRecord* parts;
  uint64_t* words;
};

size_t layout(const Counts& counts, char* at, Writer* writer) {
  char* from = at;
  writer->snapshot = reinterpret_cast<Snapshot*>(at);
  at += sizeof(Snapshot);
  writer->arenas = reinterpret_cast<ArenaRecord*>(at);
  at += counts.arenas * sizeof(ArenaRecord);
  writer->pages = reinterpret_cast<PageRecord*>(at);
  at += counts.pages * sizeof(PageRecord);
  writer->runs = reinterpret_cast<RunRecord*>(at);
  at += counts.runs * sizeof(RunRecord);
  writer->mappings = reinterpret_cast<MappingRecord*>(at);
  at += counts.mappings * sizeof(MappingRecord);
  writer->ranges = reinterpret_cast<RangeRecord*>(at);
  at += counts.ranges * sizeof(RangeRecord);
  writer->parts = reinterpret_cast<PartRecord*>(at);
  at += counts.parts * sizeof(PartRecord);
  writer->words = reinterpret_cast<uint64_t*>(at);
  at += counts.words * sizeof(uint64_t);
  return static_cast<size_t>(at - from);
}

void copy_page(Writer& writer, const PageHeader* page) {
  Snapshot& snapshot = *writer.snapshot;
  if (is_free_run(*page)) {
    uint32_t pages = load_relaxed(page->run_pages);
    writer.runs[snapshot.run_count++] = {reinterpret_cast<uint64_t>(region_of_header(page).address_of(page)), pages,
                                         page->run_dirty != 0, 0};
    return;
  }
  bool is_bucket = is_live_page(*page, PageKind::kBucket);
  if (!is_bucket && !is_live_page(*page, PageKind::kRun)) return;  // taking up its kind: not handed out yet
  PageRecord record = is_bucket ? bucket_record(*page) : run_record(*page);
  record.bitmap_word = snapshot.bitmap_word_count;
  uint64_t* words = writer.words + record.bitmap_word;
  if (is_bucket) {
    record.used = copy_used_bitmap(*page, words);
  } else {
    words[0] = 1;
  }
  snapshot.bitmap_word_count += words_of(record.capacity);
  writer.pages[snapshot.page_count++] = record;
}

ArenaRecord arena_record(const Arena* arena) {
  ArenaRecord record = {};
  ArenaState state = arena->state.load(std::memory_order_relaxed);
  record.id = id_of(arena);
  record.state = static_cast<uint32_t>(state == ArenaState::kMade ? ArenaState::kActive : state);
  const Arena* host = load_relaxed(arena->host);
  if (host == nullptr) return record;
  const auto* made = static_cast<const MadeArena*>(arena);
  record.host = id_of(host);
  record.limit_bytes = made->limit_bytes;
  memcpy(record.name, made->name, sizeof(record.name));
  return record;
}

void count_blocks(const Snapshot& snapshot, const Writer& writer, ArenaRecord* record) {
  for (uint64_t i = 0; i < snapshot.page_count; i++) {
    const PageRecord& page = writer.pages[i];
    if (page.arena != record->id) continue;
    record->pages += page.kind == static_cast<uint32_t>(PageKind::kBucket);
    record->live_blocks += live_of(page);
    record->live_bytes += live_of(page) * page.block_bytes;
  }
  for (uint64_t i = 0; i < snapshot.mapping_count; i++) {
    const MappingRecord& mapping = writer.mappings[i];
    if (mapping.arena != record->id) continue;
    record->live_blocks++;
    record->live_bytes += mapping.bytes;
  }
}

// Behind pages and mappings, whose blocks are counted.
void copy_arenas(Writer& writer) {
  Snapshot& snapshot = *writer.snapshot;
  for (const Arena* arena = arena_first(); arena != nullptr; arena = arena->next) {
    if (!is_arena(arena)) continue;
    ArenaRecord record = arena_record(arena);
    count_blocks(snapshot, writer, &record);
    writer.arenas[snapshot.arena_count++] = record;
  }
}

// Address space and commit, which no record holds.
void add_regions(SnapshotTotals& totals) {
  for (uint32_t i = 0; i < region_count(); i++) {
    const Region& region = region_table.regions[i];
    totals.reserved_bytes += region.reserved_bytes + region.table_bytes;
    totals.committed_bytes += region.committed_bytes.load(std::memory_order_relaxed);
    totals.metadata_bytes += region.metadata_bytes();
  }
}

// The hardened profile's blocks of no bytes, which no record holds either.
void add_unreadable(SnapshotTotals& totals) { totals.live_blocks += unreadable_blocks.count(); }

void add_purges(SnapshotTotals& totals) {
  totals.purged_bytes = purge_counters.purged_bytes.load(std::memory_order_relaxed);
  totals.purges = purge_counters.purges.load(std::memory_order_relaxed);
  totals.retaken_bytes = purge_counters.retaken_bytes.load(std::memory_order_relaxed);
  totals.purge_passes = purge_counters.passes.load(std::memory_order_relaxed);
}

void add_page(SnapshotTotals& totals, uint64_t live, uint64_t block_bytes) {
  totals.live_blocks += live;
  totals.live_bytes += live * block_bytes;
}

void add_mapping(SnapshotTotals& totals, const Mapping& mapping) {
  totals.reserved_bytes += mapping.bytes;
  totals.committed_bytes += mapping.bytes;
  if (mapping.is_freed) return;  // only views keep it
  totals.mapping_bytes += mapping.bytes;
  add_page(totals, 1, mapping.bytes);
}

void copy_mappings(Writer& writer) {
  Snapshot& snapshot = *writer.snapshot;
  for (size_t i = 0; i < mapping_table.count(); i++) {
    const Mapping& mapping = mapping_table.entries()[i];
    add_mapping(snapshot.totals, mapping);
    if (mapping.is_freed) continue;
    writer.mappings[snapshot.mapping_count++] = {reinterpret_cast<uint64_t>(mapping.address), mapping.bytes,
                                                 id_of(mapping.owner)};
  }
}

// Ranges that are not unmapped, and their parts: both tables are in address order.
void copy_ranges(Writer& writer) {
  Snapshot& snapshot = *writer.snapshot;
  const AddressTable<RangePart>& parts = range_table.parts();
  for (size_t i = 0; i < range_table.ranges().count(); i++) {
    const Range& range = range_table.ranges()[i];
    if (range.is_unmapped) continue;
    RangeRecord record = {reinterpret_cast<uint64_t>(range.address),
                          range.bytes,
                          snapshot.part_count,
                          0,
                          range.guard_bytes,
                          range.is_locked,
                          range.is_huge};
    for (size_t p = snapshot.part_count; p < parts.count() && parts[p].address < range.address + range.bytes; p++) {
      writer.parts[snapshot.part_count++] = {reinterpret_cast<uint64_t>(parts[p].address), parts[p].bytes,
                                             static_cast<uint32_t>(parts[p].protection), 0};
      record.parts++;
    }
    writer.ranges[snapshot.range_count++] = record;
  }
}

void add_ranges(SnapshotTotals& totals) {
  for (size_t i = 0; i < range_table.ranges().count(); i++) totals.ranges += !range_table.ranges()[i].is_unmapped;
  totals.range_bytes = range_table.total_bytes();
}

// Under the heap's locks.
SnapshotTotals totals_now() {
  SnapshotTotals totals = {};
  for (const Arena* arena = arena_first(); arena != nullptr; arena = arena->next) totals.arenas += is_arena(arena);
  walk_regions([&](const Region&, const PageHeader* page) {
    if (is_free_run(*page)) {
      totals.free_run_bytes += load_relaxed(page->run_pages) * kPageBytes;
    } else if (is_live_page(*page, PageKind::kBucket)) {
      add_page(totals, live_count(*page), load_relaxed(page->block_bytes));
    } else if (is_live_page(*page, PageKind::kRun)) {
      add_page(totals, 1, load_relaxed(page->run_bytes));
    }
  });
  for (size_t i = 0; i < mapping_table.count(); i++) add_mapping(totals, mapping_table.entries()[i]);
  add_ranges(totals);
  add_regions(totals);
  add_unreadable(totals);
  add_purges(totals);
  return totals;
}

}  // namespace

const Snapshot* snapshot_take() {
  HeapLock lock;
  Counts counts = count_all();
  Writer writer;
  size_t bytes = round_up(layout(counts, nullptr, &writer), kOsPageBytes);
  auto* memory = static_cast<char*>(os::map(bytes));
  if (memory == nullptr) return nullptr;
  layout(counts, memory, &writer);
  Snapshot& snapshot = *writer.snapshot;
  snapshot.bytes = bytes;
  walk_regions([&](const Region&, const PageHeader* page) { copy_page(writer, page); });
  copy_mappings(writer);
  copy_arenas(writer);
  for (uint64_t i = 0; i < snapshot.page_count; i++)
    add_page(snapshot.totals, live_of(writer.pages[i]), writer.pages[i].block_bytes);
  for (uint64_t i = 0; i < snapshot.run_count; i++) snapshot.totals.free_run_bytes += writer.runs[i].pages * kPageBytes;
  copy_ranges(writer);
  add_ranges(snapshot.totals);
  add_regions(snapshot.totals);
  add_unreadable(snapshot.totals);
  add_purges(snapshot.totals);
  snapshot.totals.arenas = snapshot.arena_count;
  snapshot.arenas = writer.arenas;
  snapshot.pages = writer.pages;
  snapshot.runs = writer.runs;
  snapshot.mappings = writer.mappings;
  snapshot.ranges = writer.ranges;
  snapshot.parts = writer.parts;
  snapshot.bitmap_words = writer.words;
  return &snapshot;
}

void snapshot_release(const Snapshot* snapshot) {
  if (snapshot != nullptr) os::release(const_cast<Snapshot*>(snapshot), snapshot->bytes);
}

SnapshotTotals memory_totals() {
  HeapLock lock;
  return totals_now();
}

bool memory_totals_within(int64_t patience_ms, SnapshotTotals* totals) {
  HeapLock lock(patience_ms);
  if (lock.is_held()) *totals = totals_now();
  return lock.is_held();
}

}  // namespace pagerun
