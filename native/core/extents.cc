// The extents of made arenas: runs that are taken at once and divided into bucket pages (made_arena.h).
#include <cstring>

#include "../base/check.h"
#include "../harden/policy.h"
#include "../os/memory.h"
#include "made_arena.h"
#include "region.h"
#include "run_list.h"

namespace pagerun {

namespace {

constexpr uint32_t kFirstExtentPages = 8;
constexpr uint32_t kGrowthShare = 2;  // a further extent has this part of what there is
constexpr uint32_t kMaxExtentPages = (1u << 30) / kPageBytes;

uint32_t next_extent_pages(const MadeArena* arena) {
  uint64_t pages = 0;
  for (uint32_t i = 0; i < arena->extent_count; i++) pages += arena->extents[i].pages;
  pages = round_up(pages / kGrowthShare, kFirstExtentPages);
  if (pages > kMaxExtentPages) return kMaxExtentPages;
  return pages == 0 ? kFirstExtentPages : static_cast<uint32_t>(pages);
}

void keep(MadeArena* arena, PageHeader* run) { arena->kept[run->run_pages - 1].push(run); }

// Where free memory shall be zero: a fast process's other memory is not, and live blocks that end with their arena are
// not.
void clear(const MadeArena* arena, char* start, size_t pages) {
  if (!(arena->policies & kZero)) return;
  if (!os::purge(start, pages * kPageBytes)) memset(start, 0, pages * kPageBytes);
}

// A further extent with at least `pages` pages, a shorter one where memory is short. False when refused.
bool extent_new(MadeArena* arena, uint32_t pages) {
  if (arena->extent_count == kMaxExtents) return false;
  for (uint32_t wanted = next_extent_pages(arena); wanted >= pages; wanted /= 2) {
    PageHeader* first = run_list.take(wanted);
    if (first == nullptr) continue;
    if (first->run_dirty != 0 && !(load_shared(process_policies) & kZero)) clear(arena, first->start, wanted);
    arena->extents[arena->extent_count++] = {first, first, wanted, 0, 0};
    return true;
  }
  return false;
}

// The first pages of what some extent has not divided yet; null when that is too short.
PageHeader* rest_take(MadeArena* arena, uint32_t pages) {
  for (uint32_t i = arena->extent_count; i-- > 0;) {
    Extent& extent = arena->extents[i];
    PageHeader* run = extent.rest;
    if (run == nullptr || run->run_pages < pages) continue;
    extent.rest = run_list.divide(run, pages);
    return run;
  }
  return nullptr;
}

PageHeader* kept_take(MadeArena* arena, uint32_t pages) {
  if (PageHeader* run = arena->kept[pages - 1].pop()) return run;
  PageHeader* longer = pages < kMaxBucketPages ? arena->kept[kMaxBucketPages - 1].pop() : nullptr;
  if (longer != nullptr) keep(arena, run_list.divide(longer, pages));
  return longer;
}

void forget_kept(MadeArena* arena, const Extent& extent) {
  for (PageList& list : arena->kept) {
    for (PageHeader* page = list.first(); page != nullptr;) {
      PageHeader* next = page->next;
      if (page >= extent.first && page < extent.first + extent.pages) list.remove(page);
      page = next;
    }
  }
}

void extent_end(MadeArena* arena, Extent* extent) {
  forget_kept(arena, *extent);
  Extent gone = *extent;
  *extent = arena->extents[--arena->extent_count];
  run_list.put_divided(gone.first, gone.pages, gone.pins);
}

}  // namespace

void extent_check(MadeArena* arena, Extent* extent) {
  bool is_wanted_soon = arena->extent_count == 1 && extent->pages == kFirstExtentPages;
  if (extent->used_pages > 0 || extent->pins > 0 || is_wanted_soon) return;
  extent_end(arena, extent);
  run_list.give_back_excess();
}

Extent* extent_of(MadeArena* arena, const PageHeader* page) {
  for (uint32_t i = arena->extent_count; i-- > 0;) {
    Extent* extent = &arena->extents[i];
    if (page >= extent->first && page < extent->first + extent->pages) return extent;
  }
  return nullptr;
}

PageHeader* extents_take(MadeArena* arena, uint32_t pages) {
  PageHeader* run = kept_take(arena, pages);
  if (run == nullptr) run = rest_take(arena, pages);
  if (run == nullptr && extent_new(arena, pages)) run = rest_take(arena, pages);
  if (run == nullptr) return nullptr;
  Extent* extent = extent_of(arena, run);
  CHECK(extent != nullptr);
  extent->used_pages += pages;
  return run;
}

void extents_put(MadeArena* arena, PageHeader* page) {
  Extent* extent = extent_of(arena, page);
  CHECK(extent != nullptr && extent->used_pages >= page->run_pages);
  extent->used_pages -= page->run_pages;
  run_list.unsettle(page);
  keep(arena, page);
  extent_check(arena, extent);
}

void extents_end(MadeArena* arena) {
  for (PageList& list : arena->kept) list.clear();
  while (arena->extent_count > 0) {
    Extent gone = arena->extents[--arena->extent_count];
    clear(arena, region_of_header(gone.first).address_of(gone.first), gone.pages);
    run_list.put_divided(gone.first, gone.pages, gone.pins);
  }
}

}  // namespace pagerun
