// Where the pages of an arena come from (arena.h): memory that is in use already before memory that is not, and pages
// of small blocks beside each other. Where the runs of its large blocks go for a while: to the arena's spares.
#include "../base/check.h"
#include "arena.h"
#include "made_arena.h"
#include "purge.h"
#include "run_list.h"
#include "thread_arena.h"

namespace pagerun {

namespace {

constexpr uint64_t kPurgeLeastPages = 32;
constexpr uint64_t kPurgeShare = 2;
constexpr uint32_t kMaxGroupPages = 16;
constexpr uint64_t kGroupShare = 8;

// When the arena has grown by a part of itself, what is free inside its pages is given back.
void arena_note_growth(Arena* arena, uint32_t pages) {
  arena->grown_since_purge += pages;
  if (arena->grown_since_purge < kPurgeLeastPages || arena->grown_since_purge < arena->page_count / kPurgeShare) return;
  arena->grown_since_purge = 0;
  arena_purge_free_blocks(arena);
}

PageHeader* spare_at(Arena* arena, uint32_t i) {
  PageHeader* run = arena->spares[i].run;
  CHECK_AT(is_header(run) && !is_settled(*run) && run->run_pages == arena->spares[i].pages && run->run_dirty == 1 &&
               run->start == address_of_header(run),
           "a spare run is as it was put aside", run);
  return run;
}

// The run of that length that was freed last and suits the block: a program that takes large blocks, frees them and
// takes such again finds them here, without the lock of the run list. Null when there is none.
PageHeader* take_spare(Arena* arena, uint32_t pages, size_t bytes) {
  for (uint32_t i = arena->spare_count; i-- > 0;) {
    if (arena->spares[i].pages != pages) continue;
    PageHeader* run = spare_at(arena, i);
    if (!RunList::suits(run, bytes)) continue;
    arena->spare_count--;
    arena->spare_pages -= pages;
    for (uint32_t at = i; at < arena->spare_count; at++) arena->spares[at] = arena->spares[at + 1];
    return run;
  }
  return nullptr;
}

// From memory that is in use already, the arena's own empty pages included; null when there is none.
PageHeader* take_used(Arena* arena, uint32_t pages, size_t bytes) {
  PageHeader* run = run_list.take_dirty(pages, bytes);
  if (run != nullptr || is_stand_in(arena)) return run;
  if (arena_put_spares(arena)) run = run_list.take_dirty(pages, bytes);
  if (run == nullptr && has_remote_frees(arena)) {
    arena_drain(arena);
    run = run_list.take_dirty(pages, bytes);
  }
  if (run == nullptr && arena_trim(arena)) run = run_list.take_dirty(pages, bytes);
  if (run == nullptr) arena_note_growth(arena, pages);
  return run;
}

// A page of small blocks, whose bits are in the bitmap tables. Where the arena grows, such pages are taken several at a
// time: the bitmaps of neighbours share OS pages, and that of a page among pages of larger blocks has one for itself in
// each table, an eighth of what the page itself takes.
PageHeader* take_grouped(Arena* arena) {
  PageHeader* page = take_used(arena, 1, kPageBytes);
  if (page != nullptr) return page;
  page = arena->group;
  if (page == nullptr) {
    uint64_t wanted = arena->page_count / kGroupShare;
    auto most = static_cast<uint32_t>(wanted < kMaxGroupPages ? wanted : kMaxGroupPages);
    page = run_list.take_one_or_fresh(most == 0 ? 1 : most);
  }
  if (page == nullptr) return nullptr;
  CHECK_AT(is_header(page) && !is_settled(*page) && page->run_pages <= kMaxGroupPages, "a group is not settled", page);
  arena->group = run_list.divide(page, 1);
  return page;
}

}  // namespace

bool arena_put_run(PageHeader* run) {
  Arena* arena = arena_now();
  bool can_keep = arena->spare_count < kMostSpares && !is_stand_in(arena);
  PageHeader* spare = nullptr;
  uint32_t most_pages = can_keep ? kMostSparePages - arena->spare_pages : 0;
  if (!run_list.put(run, PageKind::kRun, most_pages, &spare)) return false;
  if (spare == nullptr) return true;
  arena->spares[arena->spare_count++] = {spare, spare->run_pages};
  arena->spare_pages += spare->run_pages;
  return true;
}

bool arena_put_spares(Arena* arena) {
  if (arena->spare_count == 0) return false;
  for (uint32_t i = 0; i < arena->spare_count; i++) run_list.put_unsettled(spare_at(arena, i));
  arena->spare_count = 0;
  arena->spare_pages = 0;
  return true;
}

bool arena_put_kept(Arena* arena) {
  bool is_any = arena_put_spares(arena);
  if (arena->group == nullptr) return is_any;
  run_list.put_unsettled(arena->group);
  arena->group = nullptr;
  return true;
}

PageHeader* arena_take_page(Arena* arena, uint32_t size_class) {
  uint32_t pages = class_pages(size_class);
  if (is_made(arena)) {
    arena_drain(arena);
    return extents_take(made_arena_of(arena), pages);
  }
  return class_capacity(size_class) > kInlineBlocks ? take_grouped(arena)
                                                    : arena_take_run(arena, pages, pages * kPageBytes);
}

PageHeader* arena_take_run(Arena* arena, uint32_t pages, size_t bytes) {
  PageHeader* run = take_spare(arena, pages, bytes);
  if (run == nullptr) run = take_used(arena, pages, bytes);
  if (run == nullptr) run = run_list.take(pages);
  return run == nullptr && arena_put_kept(arena) ? run_list.take(pages) : run;
}

}  // namespace pagerun
