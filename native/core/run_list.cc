#include "run_list.h"

#include <cstring>

#include "../base/check.h"
#include "../harden/policy.h"
#include "../os/memory.h"
#include "../os/os_pages.h"
#include "arena.h"
#include "header_check.h"
#include "purge.h"
#include "purger.h"

namespace pagerun {

RunList run_list;
constinit Arena hardened_runs;

namespace {

void set_kind(PageHeader* page, PageKind kind) { store_relaxed(page->kind, kind); }

PageKind kind_of(const PageHeader* page) { return load_relaxed(page->kind); }

// Names the head of every further page from `from` on, so that a pointer into any of them finds it.
void mark_follow(PageHeader* head, uint32_t from, uint32_t pages) {
  for (uint32_t i = from; i < pages; i++) {
    store_relaxed(head[i].distance, i);
    set_kind(head + i, PageKind::kFollow);
  }
}

// Both lie where a bucket page has its bits, which a sweep may read as the page becomes a run.
void set_dirty(PageHeader* head, uint32_t dirty) { store_relaxed(head->run_dirty, dirty); }
void set_pins(PageHeader* head, uint32_t pins) { store_relaxed(head->run_pins, pins); }
void set_touched(PageHeader* head, uint32_t os_pages) { store_relaxed(head->run_touched, os_pages); }

constexpr uint32_t os_pages_of(uint32_t pages) { return pages * static_cast<uint32_t>(kPageBytes / kOsPageBytes); }

void mark_head(PageHeader* head, uint32_t pages, bool dirty) {
  store_relaxed(head->run_pages, pages);
  store_relaxed(head->block_bytes, 0u);
  set_dirty(head, dirty ? 1 : 0);
  set_pins(head, 0);
  set_touched(head, dirty ? os_pages_of(pages) : 0);
  head->start = address_of_header(head);
  set_kind(head, PageKind::kRun);
}

void mark_run(PageHeader* head, uint32_t pages, bool dirty) {
  mark_follow(head, 1, pages);
  mark_head(head, pages, dirty);
}

// Pages of a run that are given up, where free memory shall be zero. It is seldom that there are any: under the lock.
[[gnu::noinline, gnu::cold]] void clear_owned(const PageHeader* run, uint32_t from_page) {
  const Arena* owner = owner_of(*run);
  if (owner == nullptr || !(owner->policies & kZero)) return;
  char* start = run->start + from_page * kPageBytes;
  size_t bytes = (run->run_pages - from_page) * kPageBytes;
  if (!os::purge(start, bytes)) memset(start, 0, bytes);
}

// A run leaves the made arena that it is a block of, if any.
[[gnu::always_inline]] inline void leave_owner(PageHeader* run) {
  Arena* owner = checked_owner_of(run);
  if (owner == nullptr) return;
  clear_owned(run, 0);
  owner->runs.remove(run);
  owner->large_bytes.fetch_sub(run->run_bytes, std::memory_order_relaxed);
  set_owner(run, nullptr);
}

bool can_be_spare(const PageHeader* run) { return owner_of(*run) == nullptr && run->run_pins == 0; }

void set_run_bytes(PageHeader* run, size_t bytes) {
  bytes = round_up(bytes, kOsPageBytes);
  if (Arena* owner = checked_owner_of(run))
    owner->large_bytes.fetch_add(bytes - run->run_bytes, std::memory_order_relaxed);
  store_relaxed(run->run_bytes, bytes);
}

}  // namespace

constexpr uint32_t RunList::bin_of(size_t pages) {
  if (pages < kExactBins) return static_cast<uint32_t>(pages);
  uint32_t top = highest_bit(pages);
  uint32_t bin = kExactBins + (top - 6) * kBinsPerDoubling + (pages >> (top - 2) & (kBinsPerDoubling - 1));
  return bin < kBins ? bin : kBins - 1;
}

RunList::Dirt RunList::dirt_of(const PageHeader& run) { return {run.dirty_first, run.dirty_end, run.run_dirty}; }

// Of a run and another one that begins `distance` pages behind its start.
RunList::Dirt RunList::join(const Dirt& before, uint32_t distance, const Dirt& behind) {
  if (behind.count == 0) return before;
  uint32_t first = before.count == 0 ? behind.first + distance : before.first;
  return {first, behind.end + distance, before.count + behind.count};
}

// Of what is left of a run when its first pages go.
RunList::Dirt RunList::dirt_from(const Dirt& dirt, uint32_t page) {
  if (dirt.end <= page) return {};
  uint32_t first = dirt.first > page ? dirt.first - page : 0, end = dirt.end - page;
  return {first, end, dirt.count < end - first ? dirt.count : end - first};
}

void RunList::insert(PageHeader* first, uint32_t pages, const Dirt& dirt) {
  bool dirty = dirt.count != 0;
  PageHeader* last = first + pages - 1;
  store_relaxed(first->run_pages, pages);
  store_relaxed(last->run_pages, pages);
  set_dirty(first, dirt.count);
  store_relaxed(first->dirty_first, dirt.first);
  store_relaxed(first->dirty_end, dirt.end);
  set_kind(first, PageKind::kFree);
  set_kind(last, PageKind::kFree);
  uint32_t bin = bin_of(pages);
  bins_[dirty].lists[bin].push(first);
  bins_[dirty].not_empty[word_of(bin)] |= mask_of(bin);
  dirty_pages_ += dirt.count;
}

void RunList::remove(PageHeader* first) {
  check_free_run(first);
  uint32_t pages = first->run_pages, bin = bin_of(pages);
  Bins& bins = bins_[first->run_dirty != 0];
  bins.lists[bin].remove(first);
  if (bins.lists[bin].is_empty()) bins.not_empty[word_of(bin)] &= ~mask_of(bin);
  dirty_pages_ -= first->run_dirty;
  if (dirty_pages_ < dirty_lowest_) dirty_lowest_ = dirty_pages_;
  set_kind(first, PageKind::kNone);
  set_kind(first + pages - 1, PageKind::kNone);
}

// Best fit by bins: the first run that is long enough, looking from the bin of the wanted length upwards.
PageHeader* RunList::find(const Bins& bins, uint32_t pages) const {
  uint32_t bin = bin_of(pages);
  for (uint32_t w = word_of(bin); w < kBins / kWordBits; w++) {
    uint64_t word = bins.not_empty[w];
    if (w == word_of(bin)) word &= ~0ull << (bin % kWordBits);
    for (; word != 0; word &= word - 1) {
      PageHeader* run = bins.lists[w * kWordBits + lowest_bit(word)].first();
      while (run != nullptr && run->run_pages < pages) {  // a bin above kExactBins holds several lengths
        CHECK_AT(run->next == nullptr || is_header(run->next), "next/prev agree", run);
        run = run->next;
      }
      if (run != nullptr) return run;
    }
  }
  return nullptr;
}

// From the part of a region that was never used. Where there is room a refusal means that memory is exhausted, not
// address space: no further region is added then.
PageHeader* RunList::extend(uint32_t pages) {
  uint32_t count = region_table.count.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < count; i++) {
    Region& region = region_table.regions[i];
    if (region.pages_left() >= pages) return region.extend(pages);
  }
  Region* added = region_add(pages);
  return added == nullptr ? nullptr : added->extend(pages);
}

// A guard that the system refuses is dropped: its page is used for nothing all the same.
PageHeader* RunList::take_fenced(uint32_t pages) {
  size_t left = 0;
  for (uint32_t i = 0; i < region_table.count.load(std::memory_order_relaxed) && left <= pages; i++)
    left = region_table.regions[i].pages_left();
  size_t fenced = size_t{kFencedPages} << guards_ / kGuardsPerDoubling;
  size_t most = left <= pages || left > fenced ? fenced : left - 1;
  auto group = static_cast<uint32_t>(pages > most ? pages : most);
  PageHeader* first = extend(group + 1);
  if (first == nullptr) return extend(pages);
  PageHeader* guard = first + group;
  mark_run(guard, 1, false);
  os::protect(guard->start, kPageBytes, os::Protection::kNone);
  guard_pages_.push(guard);
  guards_++;
  if (group > pages) insert(first + pages, group - pages, {});
  return first;
}

PageHeader* RunList::take_fresh(uint32_t pages) {
  return load_shared(process_policies) & kGuards ? take_fenced(pages) : extend(pages);
}

// The first `pages` pages of a free run; the rest is a free run again.
PageHeader* RunList::split(PageHeader* run, uint32_t pages) {
  uint32_t rest = run->run_pages - pages;
  Dirt dirt = dirt_of(*run);
  remove(run);
  if (rest > 0) insert(run + pages, rest, dirt_from(dirt, pages));
  mark_run(run, pages, dirt.count != 0 && dirt.first < pages);
  taken_pages_ += pages;
  note_surplus();
  return run;
}

// A clean run may never have been used. Which ones were given back nobody notes: no more count as taken again than
// that.
void RunList::note_retaken(size_t os_pages) {
  size_t retaken = os_pages < given_os_pages_ ? os_pages : given_os_pages_;
  given_os_pages_ -= retaken;
  count_retaken(retaken * kOsPageBytes);
}

PageHeader* RunList::take_free_locked(uint32_t pages) {
  PageHeader* run = find_dirty_locked(pages);
  if (run == nullptr && (run = find(bins_[false], pages)) != nullptr) note_retaken(os_pages_of(pages));
  return run == nullptr ? nullptr : split(run, pages);
}

PageHeader* RunList::take_fresh_locked(uint32_t pages) {
  PageHeader* run = take_fresh(pages);
  if (run == nullptr) return nullptr;
  mark_run(run, pages, false);
  taken_pages_ += pages;
  return run;
}

PageHeader* RunList::take_locked(uint32_t pages) {
  PageHeader* run = take_free_locked(pages);
  return run != nullptr ? run : take_fresh_locked(pages);
}

PageHeader* RunList::take_one_or_fresh(uint32_t pages) {
  LockGuard guard(lock_);
  PageHeader* run = take_free_locked(1);
  if (run == nullptr) run = take_fresh_locked(pages);
  return run != nullptr ? run : take_fresh_locked(1);
}

void RunList::put_unsettled(PageHeader* head) {
  LockGuard guard(lock_);
  if (is_short(head) && head->run_dirty) return keep_short_locked(head);
  put_locked(head, head->run_pages, head->run_dirty != 0);
}

PageHeader* RunList::take_dirty(uint32_t pages, size_t bytes) {
  LockGuard guard(lock_);
  PageHeader* run = nullptr;
  if (pages == kShortPages) run = take_nearest_short_locked(static_cast<uint32_t>(divide_up(bytes, kOsPageBytes)));
  if (run != nullptr) return run;
  run = find_dirty_locked(pages);
  return run == nullptr ? nullptr : split(run, pages);
}

PageHeader* RunList::take_anywhere_locked(uint32_t pages, uint32_t align_pages) {
  return align_pages == 1 ? take_locked(pages) : take_aligned_locked(pages, align_pages);
}

PageHeader* RunList::take(uint32_t pages, uint32_t align_pages) {
  LockGuard guard(lock_);
  PageHeader* run = take_anywhere_locked(pages, align_pages);
  return run == nullptr && drop_guards_locked() ? take_anywhere_locked(pages, align_pages) : run;
}

// Where memory is exhausted, guards between free pages keep long runs from being had; and what would be committed
// behind a guard is one mapping more, which the system may not have.
bool RunList::drop_guards_locked() {
  bool is_any = false;
  PageHeader* next = nullptr;
  for (PageHeader* guard = guard_pages_.first(); guard != nullptr; guard = next) {
    next = guard->next;
    bool is_last = !is_in_header_table(guard + 1);
    bool is_between = !is_last && kind_of(guard - 1) == PageKind::kFree && kind_of(guard + 1) == PageKind::kFree;
    if ((!is_last && !is_between) || !os::commit(guard->start, kPageBytes)) continue;
    guard_pages_.remove(guard);
    taken_pages_++;  // as put_locked() expects
    put_locked(guard, 1, false);
    is_any = true;
  }
  return is_any;
}

PageHeader* RunList::take_aligned_locked(uint32_t pages, uint32_t align_pages) {
  PageHeader* run = take_locked(pages + align_pages - 1);
  if (run == nullptr) return nullptr;
  uintptr_t page_number = reinterpret_cast<uintptr_t>(run->start) / kPageBytes;
  auto before = static_cast<uint32_t>(round_up(page_number, align_pages) - page_number);
  uint32_t behind = align_pages - 1 - before;
  bool dirty = run->run_dirty;
  if (behind > 0) put_locked(run + before + pages, behind, dirty);
  if (before > 0) put_locked(run, before, dirty);
  mark_run(run + before, pages, dirty);
  return run + before;
}

void RunList::put_locked(PageHeader* head, uint32_t pages, bool dirty) {
  if (dirty) purger_note(pages);
  taken_pages_ -= pages;
  set_kind(head, PageKind::kNone);
  PageHeader* first = head;
  uint32_t total = pages;
  Dirt dirt = dirty ? Dirt{0, pages, pages} : Dirt{};
  PageHeader* before = head - 1;
  if (kind_of(before) == PageKind::kFree) {
    first = head - before->run_pages;
    if (!is_in_header_table(first) || first->run_pages != before->run_pages)
      header_damaged(before, "both ends of a free run name its length");
    total += before->run_pages;
    dirt = join(dirt_of(*first), before->run_pages, dirt);
    remove(first);
  }
  PageHeader* behind = head + pages;
  if (is_in_header_table(behind) && kind_of(behind) == PageKind::kFree) {
    dirt = join(dirt, total, dirt_of(*behind));
    total += behind->run_pages;
    remove(behind);
  }
  insert(first, total, dirt);
}

void RunList::put_or_keep_locked(PageHeader* head) {
  if (head->run_pins > 0) {
    store_relaxed(head->block_bytes, 0u);
  } else {
    put_locked(head, head->run_pages, true);
  }
}

bool RunList::put(PageHeader* head, PageKind kind, uint32_t most_spare_pages, PageHeader** spare) {
  size_t limit = 0;
  bool exceeds = false;
  uint32_t used = 0;
  {
    LockGuard guard(lock_);
    if (kind_of(head) != kind) return false;
    if (kind == PageKind::kRun) {
      if (!is_run_in_use(head)) return false;
      if (head->run_pages <= most_spare_pages && can_be_spare(head)) {
        mark_freed(head);
        *spare = head;
        return true;
      }
      if (is_short(head) && can_be_spare(head)) {
        used = put_short_locked(head);
      } else {
        leave_owner(head);
        put_or_keep_locked(head);
      }
    } else {
      put_locked(head, head->run_pages, true);
    }
    limit = dirty_limit();
    exceeds = dirty_pages_ > limit;
  }
  if (used != 0) put_short_cut(head, used);
  if (exceeds) give_back(limit);
  return true;
}

void RunList::give_owner(PageHeader* head, Arena* owner) {
  LockGuard guard(lock_);
  set_owner(head, owner);
  owner->runs.push(head);
  owner->large_bytes.fetch_add(head->run_bytes, std::memory_order_relaxed);
}

// The rest's further pages keep their marks, which name the first page of all: nobody finds a head by them before they
// are part of one.
PageHeader* RunList::divide(PageHeader* head, uint32_t pages) {
  LockGuard guard(lock_);
  uint32_t rest_pages = head->run_pages - pages;
  PageHeader* rest = rest_pages == 0 ? nullptr : head + pages;
  if (rest != nullptr) mark_head(rest, rest_pages, head->run_dirty != 0);
  mark_run(head, pages, head->run_dirty != 0);
  return rest;
}

void RunList::unsettle(PageHeader* head) {
  LockGuard guard(lock_);
  mark_head(head, head->run_pages, true);
}

void RunList::put_divided(PageHeader* first, uint32_t pages, uint32_t pins) {
  LockGuard guard(lock_);
  for (uint32_t at = 0; at < pages;) {
    PageHeader* head = first + at;
    at += head->run_pages;
    CHECK(at <= pages);
    set_owner(head, nullptr);
    store_relaxed(head->next, nullptr);
    store_relaxed(head->prev, nullptr);
    set_kind(head, PageKind::kNone);
  }
  mark_head(first, pages, true);
  set_pins(first, pins);
  put_or_keep_locked(first);
}

void RunList::put_owned(Arena* owner) {
  LockGuard guard(lock_);
  while (PageHeader* run = owner->runs.first()) {
    CHECK(is_run_in_use(run));
    leave_owner(run);
    put_or_keep_locked(run);
  }
}

Arena* RunList::hardened_owner() {
  hardened_runs.policies = load_shared(process_policies);
  return &hardened_runs;
}

bool RunList::keep_slack(const PageHeader* page) {
  LockGuard guard(lock_);
  return region_of_header(page).keep_slack();
}

bool RunList::pin(PageHeader* head) {
  LockGuard guard(lock_);
  if (kind_of(head) != PageKind::kRun || !is_settled(*head)) return false;
  set_pins(head, head->run_pins + 1);
  return true;
}

void RunList::unpin(PageHeader* head) {
  {
    LockGuard guard(lock_);
    CHECK(kind_of(head) == PageKind::kRun && head->run_pins > 0);
    set_pins(head, head->run_pins - 1);
    if (head->run_pins > 0 || is_settled(*head)) return;
    put_locked(head, head->run_pages, true);
  }
  give_back_excess();
}

// Adds the pages behind a run to it, from the free run there or from the part of the region that was never used.
bool RunList::grow_locked(PageHeader* head, uint32_t pages) {
  uint32_t had = head->run_pages, more = pages - had;
  PageHeader* behind = head + had;
  Region& region = region_of_header(head);
  if (static_cast<size_t>(behind - region.headers) == region.used_pages) {
    if (region.extend(more) == nullptr) return false;
  } else {
    if (kind_of(behind) == PageKind::kShort) merge_short_locked(behind);
    if (kind_of(behind) != PageKind::kFree || behind->run_pages < more) return false;
    uint32_t rest = behind->run_pages - more;
    Dirt dirt = dirt_of(*behind);
    remove(behind);
    if (rest > 0) insert(behind + more, rest, dirt_from(dirt, more));
    dirt.count != 0 ? note_surplus() : note_retaken(os_pages_of(more));
  }
  mark_follow(head, had, pages);
  store_relaxed(head->run_pages, pages);
  set_touched(head, os_pages_of(pages));
  taken_pages_ += more;
  return true;
}

void RunList::shrink_locked(PageHeader* head, uint32_t pages) {
  uint32_t rest = head->run_pages - pages;
  if (owner_of(*head) != nullptr) clear_owned(head, pages);
  store_relaxed(head->run_pages, pages);
  put_locked(head + pages, rest, true);
}

RunList::Resized RunList::resize(PageHeader* head, size_t bytes, const Arena* asker) {
  auto pages = static_cast<uint32_t>(divide_up(bytes, kPageBytes));
  LockGuard guard(lock_);
  if (kind_of(head) != PageKind::kRun || !is_run_in_use(head)) return Resized::kNotARun;
  if (bytes > head->run_bytes && owner_of(*head) != asker) return Resized::kNoRoom;
  if (pages < head->run_pages && head->run_pins > 0) return Resized::kNoRoom;
  if (pages > head->run_pages && !grow_locked(head, pages)) return Resized::kNoRoom;
  if (pages < head->run_pages) shrink_locked(head, pages);
  set_run_bytes(head, bytes);
  return Resized::kDone;
}

PageHeader* RunList::take_largest_dirty(Dirt* dirt) {
  for (uint32_t w = kBins / kWordBits; w-- > 0;) {
    if (bins_[true].not_empty[w] == 0) continue;
    PageHeader* run = bins_[true].lists[w * kWordBits + highest_bit(bins_[true].not_empty[w])].first();
    uint32_t pages = run->run_pages;
    *dirt = dirt_of(*run);
    remove(run);
    mark_run(run, pages, true);
    taken_pages_ += pages;
    note_surplus();
    return run;
  }
  return nullptr;
}

}  // namespace pagerun
