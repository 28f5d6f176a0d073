// Where the pages of an arena come from (arena.h): memory that is in use already before memory that is not, and pages
// of small blocks beside each other.
#include "../base/check.h"
#include "arena.h"
#include "made_arena.h"
#include "purge.h"
#include "run_list.h"
#include "thread_arena.h"

namespace pagerun {

namespace {

constexpr uint64_t kGrowthLeastPages = 8;
constexpr uint64_t kGrowthShare = 2;
constexpr uint32_t kMaxGroupPages = 16;
constexpr uint64_t kGroupShare = 8;

// When the arena has grown by a part of itself, what is free inside its pages is given back.
void arena_note_growth(Arena* arena, uint32_t pages) {
  arena->grown_since_purge += pages;
  if (arena->grown_since_purge < kGrowthLeastPages || arena->grown_since_purge < arena->page_count / kGrowthShare)
    return;
  arena->grown_since_purge = 0;
  arena_purge_free_blocks(arena);
}

// From memory that is in use already, the arena's own empty pages included; null when there is none.
PageHeader* take_used(Arena* arena, uint32_t pages) {
  PageHeader* run = run_list.take_dirty(pages);
  if (run != nullptr || is_stand_in(arena)) return run;
  if (arena_trim(arena)) run = run_list.take_dirty(pages);
  if (run == nullptr) arena_note_growth(arena, pages);
  return run;
}

// A page of small blocks, whose bits are in the bitmap tables. Where the arena grows, such pages are taken several at a
// time: the bitmaps of neighbours share OS pages, and that of a page among pages of larger blocks has one for itself in
// each table, an eighth of what the page itself takes.
PageHeader* take_grouped(Arena* arena) {
  PageHeader* page = take_used(arena, 1);
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

bool arena_put_group(Arena* arena) {
  if (arena->group == nullptr) return false;
  run_list.put_unsettled(arena->group);
  arena->group = nullptr;
  return true;
}

PageHeader* arena_take_page(Arena* arena, uint32_t size_class) {
  uint32_t pages = class_pages(size_class);
  if (is_made(arena)) return extents_take(made_arena_of(arena), pages);
  return class_capacity(size_class) > kInlineBlocks ? take_grouped(arena) : arena_take_run(arena, pages);
}

PageHeader* arena_take_run(Arena* arena, uint32_t pages) {
  PageHeader* run = take_used(arena, pages);
  if (run == nullptr) run = run_list.take(pages);
  return run == nullptr && arena_put_group(arena) ? run_list.take(pages) : run;
}

}  // namespace pagerun
