// Short runs: blocks of a little more than a page that were freed, kept as they are for the next ones of about the same
// length (run_list.h). A block of 40 KiB leaves the end of its second page alone; were it given any run of two pages
// that is free, all of these would soon have held something to their ends, and a third of what such blocks take would
// be ends in memory that nobody uses. A short run knows how far it may hold content:
//
//   short run       | may hold content ............ | never touched, or given back |    two pages
//   run_touched       OS pages from the start, 1 to kShortOsPages - 1
//
// One that held content to its end has nothing to tell, and is a free run like the others. Short runs have a kind of
// their own, so that no neighbour merges with them, until anything else is wanted of their memory.
#include "header_check.h"
#include "purge.h"
#include "purger.h"
#include "run_list.h"

namespace pagerun {

namespace {

void check_short_run(const PageHeader* run) {
  if constexpr (!kHasChecks) return;
  bool is_run = load_relaxed(run->kind) == PageKind::kShort && run->block_bytes == 0 && run->run_dirty == 1 &&
                run->run_pages == RunList::kShortPages && run->run_touched > 0 &&
                run->run_touched < RunList::kShortOsPages && run->start == address_of_header(run);
  if (!is_run) header_damaged(run, "a short run is as it was put aside");
  if (owner_of(*run) != nullptr) header_damaged(run, "a free run has no owner");
}

}  // namespace

void RunList::keep_short_locked(PageHeader* run) {
  uint32_t touched = run->run_touched;
  if (touched >= kShortOsPages) return put_locked(run, kShortPages, true);
  taken_pages_ -= kShortPages;
  dirty_pages_ += kShortPages;
  purger_note(kShortPages);
  store_relaxed(run->kind, PageKind::kShort);
  shorts_[touched].push(run);
  shorts_not_empty_ |= 1u << touched;
}

void RunList::take_short_locked(PageHeader* run) {
  check_short_run(run);
  uint32_t touched = run->run_touched;
  shorts_[touched].remove(run);
  if (shorts_[touched].is_empty()) shorts_not_empty_ &= ~(1u << touched);
  dirty_pages_ -= kShortPages;
  if (dirty_pages_ < dirty_lowest_) dirty_lowest_ = dirty_pages_;
  taken_pages_ += kShortPages;
  note_surplus();
  store_relaxed(run->kind, PageKind::kRun);
}

PageHeader* RunList::first_short(uint32_t touched) const {
  bool is_any = touched < kShortOsPages && (shorts_not_empty_ >> touched & 1) != 0;
  return is_any ? shorts_[touched].first() : nullptr;
}

PageHeader* RunList::take_nearest_short_locked(uint32_t os_pages) {
  if (shorts_not_empty_ == 0) return nullptr;
  for (uint32_t distance = 0; distance < kShortOsPages; distance++) {
    PageHeader* run = first_short(os_pages + distance);
    if (run == nullptr && distance < os_pages) run = first_short(os_pages - distance);
    if (run == nullptr) continue;
    take_short_locked(run);
    if (run->run_touched < os_pages) note_retaken(os_pages - run->run_touched);
    return run;
  }
  return nullptr;
}

void RunList::merge_short_locked(PageHeader* run) {
  take_short_locked(run);
  put_locked(run, kShortPages, true);
}

bool RunList::merge_one_short_locked() {
  if (shorts_not_empty_ == 0) return false;
  merge_short_locked(shorts_[lowest_bit(shorts_not_empty_)].first());
  return true;
}

bool RunList::merge_shorts_locked() {
  bool is_any = false;
  while (merge_one_short_locked()) is_any = true;
  return is_any;
}

// A page alone comes off one short run; more than that needs them merged.
PageHeader* RunList::find_dirty_locked(uint32_t pages) {
  PageHeader* run = find(bins_[true], pages);
  if (run == nullptr && pages < kShortPages && merge_one_short_locked()) run = find(bins_[true], pages);
  return run == nullptr && merge_shorts_locked() ? find(bins_[true], pages) : run;
}

// The OS pages that its block used, where it held content much further: what lies behind is to be given back first,
// without the lock. Else it is kept, and that is 0.
uint32_t RunList::put_short_locked(PageHeader* run) {
  uint32_t used = mark_freed(run);
  if (run->run_touched > kShortOsPages) store_relaxed(run->run_touched, kShortOsPages);
  if (run->run_touched > used + kMostUnused) return used;
  keep_short_locked(run);
  return 0;
}

void RunList::put_short_cut(PageHeader* run, uint32_t used_os_pages) {
  uint32_t unused = run->run_touched - used_os_pages;
  size_t bytes = unused * kOsPageBytes;
  bool is_purged = pagerun::give_back(run->start + used_os_pages * kOsPageBytes, bytes);
  LockGuard guard(lock_);
  if (is_purged) {
    store_relaxed(run->run_touched, used_os_pages);
    given_os_pages_ += unused;
  }
  keep_short_locked(run);
}

}  // namespace pagerun
