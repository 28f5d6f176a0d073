// Walks the pages of a region from the first to the last in use, a head at a time. Reads only.
// Thread rule: under the run list's lock, so that no page is taken up or given back meanwhile.
#pragma once

#include "../core/region.h"
#include "../core/run_list.h"

namespace pagerun {

/// Every lock of the core, in lock order: while it is held no page, run or mapping changes hands.
class HeapLock {
 public:
  HeapLock();
  /// Waits no longer than so many milliseconds for each; is_held() tells whether it came to all of them.
  explicit HeapLock(int64_t patience_ms);
  ~HeapLock();
  HeapLock(const HeapLock&) = delete;
  HeapLock& operator=(const HeapLock&) = delete;

  bool is_held() const;

 private:
  size_t held_ = 0;  // so many of them, the first in lock order
};

/// What a page in use is, once it is settled; a page that is taking up its kind right now counts as neither.
inline bool is_live_page(const PageHeader& page, PageKind kind) {
  return load_relaxed(page.kind) == kind && is_settled(page);
}

/// A free run: between its neighbours, or kept as it was freed.
inline bool is_free_run(const PageHeader& page) {
  PageKind kind = load_relaxed(page.kind);
  return kind == PageKind::kFree || kind == PageKind::kShort;
}

/// Calls visit(head) for every page, run and free run of the region in address order until it returns false; a head
/// whose length is not plausible ends the walk. Returns the header behind the last one visited.
template <class Visit>
const PageHeader* walk_pages(const Region& region, Visit visit) {
  const PageHeader* end = region.headers + load_relaxed(region.used_pages);
  const PageHeader* page = region.headers + 1;
  while (page < end) {
    uint32_t pages = load_relaxed(page->run_pages);
    if (pages == 0 || pages > static_cast<size_t>(end - page) || !visit(page)) return page;
    page += pages;
  }
  return page;
}

}  // namespace pagerun
