#include "verify.h"

#include "../core/arena_list.h"
#include "../core/block_hold.h"
#include "../core/hardened.h"
#include "../core/header_check.h"
#include "../core/made_arena.h"
#include "../core/mapping_table.h"
#include "../core/purge.h"
#include "../core/range_table.h"
#include "../core/thread_arena.h"
#include "../core/unreadable_blocks.h"
#include "walk.h"

namespace pagerun {

namespace {

// The first broken invariant that was met.
class Finding {
 public:
  /// Notes the invariant when `holds` is false and none was noted before; returns `holds`.
  bool expect(bool holds, const char* invariant, const void* address) {
    if (!holds && verdict_.invariant == nullptr) verdict_ = {invariant, address};
    return holds;
  }
  bool is_clean() const { return verdict_.invariant == nullptr; }
  Verdict verdict() const { return verdict_; }

 private:
  Verdict verdict_ = {nullptr, nullptr};
};

constexpr uint32_t kMaxListLength = 1u << 26;  // a list longer than this has a cycle

// Stands still while we look: our own arenas, and those of threads that have ended (under arenas_lock).
bool stands_still(const Arena* arena) {
  if (is_made(arena)) return is_mine(static_cast<const MadeArena*>(arena));
  return arena == arena_now() || arena->state.load(std::memory_order_relaxed) == ArenaState::kAbandoned;
}

// What a bucket page is: written once, before its first block was handed out.
bool check_bucket_facts(Finding& finding, const PageHeader& page) {
  const char* damage = find_damage(page);
  return finding.expect(damage == nullptr, damage, &page);
}

// Remote bits may change at any time, but only of blocks that are in use, and only from 0 to 1.
void check_remote_bits(Finding& finding, const PageHeader& page) {
  for (uint32_t w = 0; w < words_of(page.capacity); w++) {
    uint64_t remote = page.remote_bits[w].load(std::memory_order_acquire);
    finding.expect((remote & page.free_bits[w]) == 0, "remote bitmap is within the used bitmap", &page);
  }
}

void check_bucket_counts(Finding& finding, const PageHeader& page) {
  const char* damage = find_wrong_count(page);
  finding.expect(damage == nullptr, damage, &page);
  check_remote_bits(finding, page);
  // From a current page blocks are taken without a note.
  bool is_noted = !is_taken_from(page);
  finding.expect(!is_noted || (load_relaxed(page.purged) & ~page_free_os_pages(&page)) == 0,
                 "purged OS pages are within free blocks", &page);
}

void check_follow(Finding& finding, const PageHeader* head) {
  for (uint32_t i = 1; i < load_relaxed(head->run_pages); i++) {
    finding.expect(load_relaxed(head[i].kind) == PageKind::kFollow && load_relaxed(head[i].distance) == i,
                   "a further page names its head", head + i);
    finding.expect(owner_of(head[i]) == nullptr, "a further page has no owner", head + i);
  }
}

// An entry says that a block is free wherever a bit does, and live blocks have the slack that their policies ask for.
void check_slack(Finding& finding, const PageHeader& page) {
  finding.expect(load_relaxed(page.start_limit) == 0, "a hardened page has no fast path", &page);
  uint8_t* entries = entries_of(page);
  for (uint32_t i = 0; i < page.capacity; i++) {
    size_t slack = slack_at(entries, i, load_relaxed(entries[i]));
    bool is_live = slack != kAnySlack;
    finding.expect(!is_live || !bitmap_test(page.free_bits, i), "a block that is free has the entry of a free one",
                   &page);
    bool is_plausible = slack >= least_slack(page.policies) && slack <= page.block_bytes;
    finding.expect(!is_live || is_plausible, "least slack <= slack <= block_bytes", &page);
  }
}

void check_bucket_page(Finding& finding, const PageHeader& page) {
  if (!check_bucket_facts(finding, page)) return;
  check_follow(finding, &page);
  const Arena* owner = owner_of(page);
  if (owner == nullptr) return;  // on its way back to the run list
  if (!finding.expect(arena_is_known(owner), "owner is an arena", &page)) return;
  if (stands_still(owner)) finding.expect(owner == load_relaxed(page.owner_again), "owner == owner_again", &page);
  if (!stands_still(owner)) return;
  if (is_hardened(page)) check_slack(finding, page);
  uint32_t script_owner = load_relaxed(page.script_owner);  // 0 from another thread's free on
  finding.expect(script_owner == 0 || script_owner == owner->script_number,
                 "script_owner == script_number of the owner", &page);
  check_bucket_counts(finding, page);
}

void check_run(Finding& finding, const Region& region, const PageHeader& page) {
  uint64_t run_bytes = load_relaxed(page.run_bytes);
  const Arena* owner = owner_of(page);
  bool is_owner = owner == nullptr || owner == run_list.hardened_owner() || (arena_is_known(owner) && is_made(owner));
  finding.expect(is_owner, "a run's owner is a made arena", &page);
  finding.expect(load_relaxed(page.block_bytes) == kRunBlock, "block_bytes of a run is its mark", &page);
  finding.expect(page.start == region.address_of(&page), "start == address of the page", &page);
  finding.expect(run_bytes > 0 && divide_up(run_bytes, kPageBytes) == load_relaxed(page.run_pages) &&
                     run_bytes % kOsPageBytes == 0,
                 "run_pages == run_bytes in pages", &page);
  finding.expect(load_relaxed(page.run_dirty) <= 1, "run_dirty is 0 or 1", &page);
  check_follow(finding, &page);
}

void check_free_run(Finding& finding, const PageHeader* first, const PageHeader* end) {
  uint32_t pages = first->run_pages;
  const PageHeader* last = first + pages - 1;
  finding.expect(last->kind == PageKind::kFree && last->run_pages == pages, "both ends of a free run name its length",
                 first);
  finding.expect(is_dirt_whole(*first), "a free run's dirty pages are its own", first);
  finding.expect(last + 1 == end || load_relaxed(last[1].kind) != PageKind::kFree, "no two free runs are neighbours",
                 first);
  finding.expect(owner_of(*first) == nullptr, "a free run has no owner", first);
}

void check_short_run(Finding& finding, const PageHeader* run) {
  uint32_t touched = load_relaxed(run->run_touched);
  finding.expect(run->run_pages == RunList::kShortPages, "run_pages of a short run", run);
  finding.expect(run->run_dirty == 1, "a short run is dirty", run);
  finding.expect(touched > 0 && touched < RunList::kShortOsPages, "run_touched is within the run", run);
  finding.expect(owner_of(*run) == nullptr, "a free run has no owner", run);
  check_follow(finding, run);
}

struct Walked {
  size_t free_runs = 0, free_pages = 0, dirty_pages = 0;  // short runs apart
  size_t short_runs = 0;
};

void check_region(Finding& finding, const Region& region, Walked* walked) {
  const PageHeader* end = region.headers + region.used_pages;
  size_t committed_bytes = region.committed_bytes.load(std::memory_order_relaxed);
  if (committed_bytes == 0) return;  // added, but its first commit was refused
  finding.expect(region.used_pages * kPageBytes <= committed_bytes, "used pages are committed", region.base);
  const PageHeader* stopped = walk_pages(region, [&](const PageHeader* page) {
    PageKind kind = load_relaxed(page->kind);
    bool is_settling = !is_free_run(*page) && !is_settled(*page);
    if (kind == PageKind::kFree) {
      walked->free_runs++;
      walked->free_pages += page->run_pages;
      walked->dirty_pages += page->run_dirty;
      check_free_run(finding, page, end);
    } else if (kind == PageKind::kShort) {
      walked->short_runs++;
      check_short_run(finding, page);
    } else if (!is_settling && kind == PageKind::kBucket) {
      check_bucket_page(finding, *page);
    } else if (!is_settling && kind == PageKind::kRun) {
      check_run(finding, region, *page);
    } else {
      finding.expect(is_settling && (kind == PageKind::kRun || kind == PageKind::kBucket),
                     "every page belongs to a head", page);
    }
    return finding.is_clean();
  });
  finding.expect(stopped == end, "every page belongs to a head", stopped);
}

// Walks a list of pages; returns its length.
template <class Check>
size_t check_list(Finding& finding, const PageHeader* first, Check check) {
  size_t length = 0;
  const PageHeader* prev = nullptr;
  for (const PageHeader* page = first; page != nullptr && finding.is_clean(); page = page->next) {
    if (!finding.expect(is_header(page), "next/prev agree",
                        prev == nullptr ? &run_list : static_cast<const void*>(prev)))
      break;
    if (!finding.expect(page->prev == prev, "next/prev agree", page)) break;
    if (!finding.expect(++length < kMaxListLength, "a list ends", page)) break;
    check(page);
    prev = page;
  }
  return length;
}

void check_shorts(Finding& finding, const Walked& walked) {
  size_t runs = 0;
  for (uint32_t touched = 0; touched < RunList::kShortOsPages; touched++) {
    runs += check_list(finding, run_list.first_short(touched), [&](const PageHeader* run) {
      finding.expect(run->kind == PageKind::kShort && load_relaxed(run->run_touched) == touched,
                     "short runs are listed by run_touched", run);
    });
  }
  finding.expect(runs == walked.short_runs, "every short run is listed", &run_list);
}

void check_bins(Finding& finding, const Walked& walked) {
  size_t runs = 0, pages = 0;
  for (bool dirty : {false, true}) {
    for (uint32_t bin = 0; bin < RunList::kBins; bin++) {
      runs += check_list(finding, run_list.bin_first(bin, dirty), [&](const PageHeader* run) {
        finding.expect(run->kind == PageKind::kFree && (run->run_dirty != 0) == dirty,
                       "a bin holds free runs of its kind", run);
        pages += run->run_pages;
      });
    }
  }
  finding.expect(runs == walked.free_runs && pages == walked.free_pages, "every free run is in one bin", &run_list);
  size_t dirty_pages = walked.dirty_pages + walked.short_runs * RunList::kShortPages;
  finding.expect(run_list.dirty_pages() == dirty_pages, "dirty_pages == sum of dirty free runs", &run_list);
}

// The word that blocks come from is one of the current page's, and its first block where that word begins.
bool has_word_in_place(const Bucket& bucket) {
  auto offset = static_cast<size_t>(reinterpret_cast<char*>(bucket.word) - reinterpret_cast<char*>(bucket.bits));
  size_t blocks = offset * kBitsPerByte, last_block = bucket.capacity == 0 ? 0 : bucket.capacity - 1u;
  return offset % sizeof(uint64_t) == 0 && blocks <= last_block &&
         bucket.word_start == bucket.start + blocks * bucket.block_bytes;
}

void check_bucket(Finding& finding, const Arena* arena, const Bucket& bucket, size_t* pages) {
  auto belongs = [&](const PageHeader* page) {
    finding.expect(owner_of(*page) == arena && page->kind == PageKind::kBucket, "a bucket's page names its arena",
                   page);
    finding.expect(page->size_class == bucket.size_class, "a bucket's page is of its class", page);
  };
  *pages += check_list(finding, bucket.partial.first(), [&](const PageHeader* page) {
    belongs(page);
    bool is_awaited = used_of(*page) > 0 || page->remote_summary.load(std::memory_order_relaxed) != 0;
    finding.expect(page->notify_at == 0 && is_awaited && !is_full(*page), "a partial page is neither empty nor full",
                   page);
  });
  *pages += check_list(finding, arena->full[bucket.size_class].first(), [&](const PageHeader* page) {
    belongs(page);
    bool is_awaited = page->notify_at == full_notify_at(*page) && used_of(*page) > page->notify_at;
    finding.expect(is_awaited, "a full page has few free blocks", page);
  });
  const PageHeader* current = bucket.page;
  const uint64_t* bits = current == &no_page  ? no_page.inline_free_bits
                         : current == nullptr ? nullptr
                                              : current->free_bits;
  bool fits = bits != nullptr && bucket.bits == bits && bucket.start == current->start && has_word_in_place(bucket);
  finding.expect(fits && no_page.inline_free_bits[0] == 0, "a bucket takes from its current page", &bucket);
  uint32_t word = arena->page_word[bucket.size_class];
  finding.expect(word == 0 || region_table.regions[0].headers + word / kScriptWordsPerHeader == current,
                 "page_word == place of the current page's header", &bucket);
  if (current == &no_page || !finding.is_clean()) return;
  (*pages)++;
  belongs(current);
  finding.expect(current->notify_at == kNeverNotify, "a bucket takes from its current page", current);
}

size_t pages_owned_by(const Arena* arena) {
  size_t count = 0;
  for (uint32_t i = 0; i < region_table.count.load(std::memory_order_relaxed); i++) {
    walk_pages(region_table.regions[i], [&](const PageHeader* page) {
      if (is_live_page(*page, PageKind::kBucket) && owner_of(*page) == arena) count++;
      return true;
    });
  }
  return count;
}

uint64_t used_bytes_of(const Arena* arena, const Bucket& bucket) {
  uint64_t used = has_page(bucket) ? used_of(*bucket.page) : 0;
  for (const PageList* list : {&bucket.partial, &arena->full[bucket.size_class]}) {
    for (const PageHeader* page = list->first(); page != nullptr; page = page->next) used += used_of(*page);
  }
  return used * bucket.block_bytes;
}

void check_extent(Finding& finding, const MadeArena* arena, const Extent& extent) {
  uint32_t at = 0, used_pages = 0;
  while (at < extent.pages && finding.is_clean()) {
    const PageHeader* head = extent.first + at;
    uint32_t pages = load_relaxed(head->run_pages);
    bool is_bucket = is_live_page(*head, PageKind::kBucket);
    finding.expect(is_bucket ? owner_of(*head) == arena : head->kind == PageKind::kRun && !is_settled(*head),
                   "an extent is its arena's bucket pages and runs that are not settled", head);
    if (!finding.expect(pages > 0 && pages <= extent.pages - at, "an extent is divided without a rest", head)) break;
    used_pages += is_bucket ? pages : 0;
    at += pages;
  }
  finding.expect(used_pages == extent.used_pages, "used_pages == pages of the extent's bucket pages", extent.first);
}

// Under all locks, so that no run or mapping changes hands; the arena is the calling thread's.
void check_made_arena(Finding& finding, const MadeArena* arena) {
  uint64_t bucket_bytes = 0, large_bytes = 0;
  for (const Bucket& bucket : arena->buckets) bucket_bytes += used_bytes_of(arena, bucket);
  finding.expect(bucket_bytes == arena->bucket_bytes, "bucket_bytes == sum of the blocks in use", arena);
  check_list(finding, arena->runs.first(), [&](const PageHeader* run) {
    finding.expect(is_live_page(*run, PageKind::kRun) && owner_of(*run) == arena, "an arena's run names it", run);
    large_bytes += run->run_bytes;
  });
  for (size_t i = 0; i < mapping_table.count(); i++) {
    const Mapping& mapping = mapping_table.entries()[i];
    if (mapping.owner == arena) large_bytes += mapping.bytes;
  }
  finding.expect(large_bytes == arena->large_bytes.load(std::memory_order_relaxed),
                 "large_bytes == sum of its runs and mappings", arena);
  for (uint32_t i = 0; i < arena->extent_count; i++) check_extent(finding, arena, arena->extents[i]);
}

void check_arena(Finding& finding, const Arena* arena) {
  if (arena->state.load(std::memory_order_relaxed) == ArenaState::kEnded) return;
  finding.expect(arena->id != 0, "an arena has an id", arena);
  if (!stands_still(arena)) return;
  size_t pages = 0;
  for (const Bucket& bucket : arena->buckets) check_bucket(finding, arena, bucket, &pages);
  if (!finding.is_clean()) return;
  finding.expect(pages == arena->page_count, "page_count == pages on the arena's lists", arena);
  finding.expect(pages == pages_owned_by(arena), "every bucket page is on a list of its owner", arena);
  if (is_made(arena)) check_made_arena(finding, static_cast<const MadeArena*>(arena));
}

void check_mappings(Finding& finding) {
  const char* end = nullptr;
  size_t total = 0, spare = 0;
  for (size_t i = 0; i < mapping_table.count(); i++) {
    const Mapping& mapping = mapping_table.entries()[i];
    finding.expect(mapping.address >= end && mapping.bytes > 0, "mappings are sorted and apart", mapping.address);
    finding.expect(!mapping.is_freed || mapping.pins > 0, "a freed mapping is pinned", mapping.address);
    finding.expect(mapping.owner == nullptr || (!mapping.is_freed && arena_is_known(mapping.owner)),
                   "a live mapping's owner is an arena", mapping.address);
    end = mapping.address + mapping.bytes;
    total += mapping.bytes;
    spare += spare_of(mapping);
  }
  finding.expect(total == mapping_table.total_bytes(), "total_bytes == sum of mappings", &mapping_table);
  finding.expect(spare == mapping_table.spare_bytes(), "spare_bytes == sum of what is behind mappings", &mapping_table);
}

// Held blocks are in use, and their pages know how many they have and keep the fast path of free closed.
void check_holds(Finding& finding) {
  const AddressTable<BlockHold>& holds = held_blocks();
  for (size_t i = 0, of_page = 1; i < holds.count() && finding.is_clean(); i++, of_page++) {
    const BlockHold& held = holds[i];
    const Region* region = region_of(held.address);
    if (!finding.expect(region != nullptr && held.holds > 0, "a held block is in a bucket page", held.address)) return;
    const PageHeader* page = region->header_of(held.address);
    if (page->kind == PageKind::kFollow) page -= page->distance;
    if (!finding.expect(is_header(page) && is_live_page(*page, PageKind::kBucket), "a held block is in a bucket page",
                        held.address))
      return;
    auto index = static_cast<uint32_t>(static_cast<size_t>(held.address - page->start) / page->block_bytes);
    finding.expect(!bitmap_test(page->free_bits, index), "a held block is in use", held.address);
    const char* end = page->start + page->run_pages * kPageBytes;
    bool is_last = i + 1 == holds.count() || holds[i + 1].address >= end;
    if (!is_last) continue;
    finding.expect(load_relaxed(page->held_blocks) == of_page, "held_blocks == holds in the page", page);
    const Arena* owner = owner_of(*page);
    if (owner != nullptr && stands_still(owner))
      finding.expect(load_relaxed(page->start_limit) == 0, "start_limit == 0 where blocks are held", page);
    of_page = 0;
  }
}

// The parts of a range, from index *part on, tile it.
void check_parts(Finding& finding, const Range& range, size_t* part) {
  const AddressTable<RangePart>& parts = range_table.parts();
  const char* end = range.address;
  for (size_t first = *part; end < range.address + range.bytes && finding.is_clean(); (*part)++) {
    if (!finding.expect(*part < parts.count() && parts[*part].address == end && parts[*part].bytes > 0,
                        "the parts of a range tile it", range.address))
      return;
    finding.expect(*part == first || parts[*part].protection != parts[*part - 1].protection,
                   "neighbouring parts differ in protection", end);
    end += parts[*part].bytes;
  }
  finding.expect(end == range.address + range.bytes, "the parts of a range tile it", range.address);
}

void check_ranges(Finding& finding) {
  const char* end = nullptr;
  size_t total = 0, part = 0;
  for (size_t i = 0; i < range_table.ranges().count() && finding.is_clean(); i++) {
    const Range& range = range_table.ranges()[i];
    finding.expect(range.address >= end && range.bytes > 0, "ranges are sorted and apart", range.address);
    finding.expect(range.views <= range.pins, "every view of a range is a pin", range.address);
    finding.expect(!range.is_unmapped || range.pins > 0, "an unmapped range is pinned", range.address);
    end = range.address + range.bytes;
    if (range.is_unmapped) continue;
    check_parts(finding, range, &part);
    total += range.bytes;
  }
  if (!finding.is_clean()) return;
  finding.expect(part == range_table.parts().count(), "every part is of a range", &range_table);
  finding.expect(total == range_table.total_bytes(), "total_bytes == sum of ranges", &range_table);
}

}  // namespace

Verdict verify() {
  HeapLock lock;
  Finding finding;
  Walked walked;
  for (uint32_t i = 0; i < region_table.count.load(std::memory_order_acquire); i++)
    check_region(finding, region_table.regions[i], &walked);
  if (finding.is_clean()) check_bins(finding, walked);
  if (finding.is_clean()) check_shorts(finding, walked);
  for (const Arena* arena = arena_first(); arena != nullptr && finding.is_clean(); arena = arena->next)
    check_arena(finding, arena);
  check_mappings(finding);
  check_ranges(finding);
  check_holds(finding);
  finding.expect(unreadable_blocks.count() == unreadable_blocks.popcount(), "count == popcount of unreadable blocks",
                 &unreadable_blocks);
  return finding.verdict();
}

}  // namespace pagerun
