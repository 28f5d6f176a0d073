// How free runs are given back (run_list.h): which, when and how many at a time.
#include "../os/memory.h"
#include "purge.h"
#include "purger.h"
#include "run_list.h"

namespace pagerun {

namespace {

// Dirty free pages are kept for a while, because a page fault costs more than anything we do. Given back are, at most
// once an interval, those that were not needed at any moment of the last one, or nearly all when hardly any page is in
// use any more; and at once what exceeds both the pages in use and a number that grows where that was wrong.
constexpr size_t kKeptAtMostPages = (256 << 20) / kPageBytes;
constexpr size_t kMostKeptAtMostPages = (1 << 30) / kPageBytes;
constexpr size_t kKeptAlwaysPages = (4 << 20) / kPageBytes;
constexpr size_t kKeptWhenEagerPages = (1 << 20) / kPageBytes;
constexpr size_t kHardlyAnyShare = 8;  // in use: less than this part of the dirty pages
constexpr uint32_t kMostPatienceIntervals = 63;
constexpr uint64_t kIntervalMilliseconds = 250;
constexpr size_t kMostPurgedBytes = 8 << 20;  // at once: the kernel keeps other calls waiting meanwhile

bool purge_pages(const PageHeader* run, uint32_t first, uint32_t end) {
  size_t end_bytes = end * kPageBytes;
  for (size_t at = first * kPageBytes; at < end_bytes; at += kMostPurgedBytes) {
    size_t bytes = end_bytes - at < kMostPurgedBytes ? end_bytes - at : kMostPurgedBytes;
    if (!give_back(run->start + at, bytes)) return false;
  }
  return true;
}

}  // namespace

// Hardly any page in use is the end of something, or the low point of a program that takes all of it again. Where what
// was given back for it has been taken again, the next time comes after twice as many intervals.
bool RunList::is_hardly_used() {
  if (taken_pages_ >= dirty_pages_ / kHardlyAnyShare) return false;
  uint64_t retaken_bytes = purge_counters.retaken_bytes.load(std::memory_order_relaxed);
  if (hardly_given_bytes_ > 0) {
    bool was_wrong = retaken_bytes - hardly_retaken_bytes_ > hardly_given_bytes_ / 2;
    hardly_patience_ = was_wrong ? hardly_patience_ * 2 + 1 : 0;
    if (hardly_patience_ > kMostPatienceIntervals) hardly_patience_ = kMostPatienceIntervals;
    hardly_wait_ = hardly_patience_;
    hardly_given_bytes_ = 0;
  }
  if (hardly_wait_ > 0) {
    hardly_wait_--;
    return false;
  }
  hardly_given_bytes_ = dirty_pages_ * kPageBytes;
  hardly_retaken_bytes_ = retaken_bytes;
  return true;
}

// How many of them may stay when `at_most` was too few. Where as much is in memory again as before the last time, it
// was wrong: a program that takes all of it again and again pays for each page more than for all else that it does.
size_t RunList::keep_of_excess(size_t at_most) {
  size_t given = dirty_pages_ - at_most / 2, left = taken_pages_ + at_most / 2;
  bool was_wrong =
      excess_given_pages_ > 0 && taken_pages_ + dirty_pages_ > excess_left_pages_ + excess_given_pages_ / 2;
  if (was_wrong && kept_at_most_pages_ < kMostKeptAtMostPages) {
    kept_at_most_pages_ *= 2;
    excess_given_pages_ = 0;
    return dirty_pages_;
  }
  if (!was_wrong) kept_at_most_pages_ = kKeptAtMostPages;
  excess_given_pages_ = given;
  excess_left_pages_ = left;
  return at_most / 2;
}

// How many dirty pages may stay now.
size_t RunList::dirty_limit() {
  if (purger_is_eager() && dirty_pages_ > kKeptWhenEagerPages) return 0;
  if (kept_at_most_pages_ == 0) kept_at_most_pages_ = kKeptAtMostPages;
  size_t at_most = taken_pages_ > kept_at_most_pages_ ? taken_pages_ : kept_at_most_pages_;
  if (dirty_pages_ > at_most) return keep_of_excess(at_most);
  if (dirty_pages_ <= kKeptAlwaysPages || !purger_is_wanted()) return dirty_pages_;
  uint64_t now = os::milliseconds();
  if (now - interval_start_ < kIntervalMilliseconds) return dirty_pages_;
  size_t needed = is_hardly_used() ? 0 : dirty_pages_ - dirty_lowest_;
  interval_start_ = now;
  dirty_lowest_ = dirty_pages_;
  return needed > kKeptAlwaysPages ? needed : kKeptAlwaysPages;
}

size_t RunList::surplus_pages() {
  LockGuard guard(lock_);
  size_t surplus = surplus_;
  surplus_ = dirty_pages_;
  return surplus;
}

size_t RunList::give_back(size_t keep_pages) {
  size_t given = 0;
  for (;;) {
    PageHeader* run = nullptr;
    Dirt dirt;
    {
      LockGuard guard(lock_);
      if (dirty_pages_ <= keep_pages) return given;
      run = take_largest_dirty(&dirt);
      if (run == nullptr && merge_shorts_locked()) run = take_largest_dirty(&dirt);
    }
    bool purged = purge_pages(run, dirt.first, dirt.end);
    if (purged) region_of_header(run).purge_tables(run, run->run_pages);
    LockGuard guard(lock_);
    put_locked(run, run->run_pages, !purged);
    if (!purged) return given;
    given_os_pages_ += size_t{dirt.count} * (kPageBytes / kOsPageBytes);
    given += dirt.count;
  }
}

void RunList::give_back_excess() {
  size_t limit = 0;
  {
    LockGuard guard(lock_);
    limit = dirty_limit();
    if (dirty_pages_ <= limit) return;
  }
  give_back(limit);
}

void RunList::give_back_for(size_t pages) {
  size_t limit = 0;
  {
    LockGuard guard(lock_);
    if (dirty_pages_ <= kKeptAlwaysPages) return;
    limit = dirty_pages_ - kKeptAlwaysPages > pages ? dirty_pages_ - pages : kKeptAlwaysPages;
  }
  give_back(limit);
}

}  // namespace pagerun
