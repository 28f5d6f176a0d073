// The run list: free runs of pages by length, over all regions. The only place that splits and coalesces.
// Owns every page that is in no arena and no large block. Neighbours are found through their headers: the first and the
// last page of a free run both name its length (boundary tags, Knuth, TAOCP vol. 1, 2.5, kept out of line).
//
//   headers   | kFree n | kNone ... kNone | kFree n | kRun m | kFollow 1 | ... | kFollow m-1 | kBucket ...
//
// A free run knows where its dirty pages lie, and how many they are at most: else one that is given back would be dirty
// again as a whole as soon as a page comes beside it, and who frees a large heap page by page would give it back as
// often. Invariants: no two free runs are neighbours, but for short ones (short_runs.cc); the sum of all runs is the
// used part of all regions.
//
// A run in use may be owned by a made arena: it is on the arena's list then, and its bytes are charged to the arena.
// One over which JavaScript has ArrayBuffers is pinned: freed, it is nobody's and no block, and goes back with its last
// pin. In a hardened process with guards, what comes fresh from a region is fenced: kFencedPages pages, or one longer
// run, and behind them a page without access, a run that goes back only where memory is exhausted. As the system has
// only so many mappings to give, groups grow with their number.
//
// Thread rule: every call takes the lock itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../base/lock.h"
#include "page.h"
#include "region.h"

namespace pagerun {

class RunList {
 public:
  constexpr RunList() = default;

  /// Takes a run of `pages` pages whose address is a multiple of `align_pages` pages (a power of two). The header comes
  /// back as kRun with run_pages, start and run_dirty set, block_bytes 0, its further pages as kFollow. Null when
  /// address space or memory is exhausted.
  PageHeader* take(uint32_t pages, uint32_t align_pages = 1);

  /// The same from free runs whose content is in memory already; null when none is long enough. For a block of `bytes`,
  /// which says how much of a short run will be used.
  PageHeader* take_dirty(uint32_t pages, size_t bytes);

  /// One page of a free run; where there is none, `pages` pages that were never used, or one of them where memory is
  /// short. As take() otherwise.
  PageHeader* take_one_or_fresh(uint32_t pages);

  /// True when the run, taken and not settled, is no waste for a block of `bytes`: a short one that held content much
  /// further than that would keep it in memory.
  static bool suits(const PageHeader* run, size_t bytes) {
    return !is_short(run) || run->run_touched <= divide_up(bytes, kOsPageBytes) + kMostUnused;
  }

  /// Puts back a run that was taken and never settled.
  void put_unsettled(PageHeader* head);

  /// Gives a run that was taken, with its run_bytes set, to a made arena. Before it is settled.
  void give_owner(PageHeader* head, Arena* owner);

  /// Divides a run that was taken and is not settled: `pages` pages, and the rest behind them, which is returned, or
  /// null when there is none.
  PageHeader* divide(PageHeader* head, uint32_t pages);

  /// Makes an empty bucket page without owner, of a run that was divided, a run that is not settled again.
  void unsettle(PageHeader* head);

  /// Puts back what became of a run that was divided: its first `pages` pages, whose heads are bucket pages or runs not
  /// settled, as one run; kept while it has pins.
  void put_divided(PageHeader* first, uint32_t pages, uint32_t pins);

  /// Puts back all runs that `owner` has. What these two put back is given to the system by give_back_excess() only.
  void put_owned(Arena* owner);

  /// Pins a run in use; false when it is none. unpin() takes one pin back, of a run that may have been freed since.
  bool pin(PageHeader* head);
  void unpin(PageHeader* head);

  /// Puts a run or bucket page back; it must hold no live block. Merges it with its free neighbours. False, with
  /// nothing changed, when it is not (or no longer) the head of a page of that kind: of two frees of a run one is
  /// refused. A run in use of at most `most_spare_pages` that no made arena has and nobody pins is not put back: it
  /// comes back as `*spare`, taken and not settled.
  bool put(PageHeader* head, PageKind kind, uint32_t most_spare_pages = 0, PageHeader** spare = nullptr);

  /// Sees to it that the page's region has a slack table (hardened.h); false when that is refused.
  bool keep_slack(const PageHeader* page);

  /// The owner of runs that serve in the hardened profile where no mapping is to be had: what is given up of them is
  /// cleared.
  Arena* hardened_owner();

  enum class Resized { kDone, kNoRoom, kNotARun };

  /// Makes a run in use as long as `bytes` need, in place. kNoRoom when what lies behind it is in use, kNotARun when
  /// another thread has freed it meanwhile: nothing has changed then. `asker`: null, or the made arena that has found
  /// room for the growth under its limit; the runs of another are not grown.
  Resized resize(PageHeader* head, size_t bytes, const Arena* asker = nullptr);

  /// Gives the content of free runs back to the system until at most `keep_pages` of them may still hold any; returns
  /// the pages given back. Makes its system calls without the lock.
  size_t give_back(size_t keep_pages);

  /// Pages that may hold content and were not needed at any moment since the last call.
  size_t surplus_pages();

  /// The same, for as many as it is time to give back now.
  void give_back_excess();

  /// The same, before `pages` pages are mapped apart: so many less may hold content, down to what is always kept.
  /// Memory that waits for its next use and memory that is new do not add up so, which a limit of a container counts.
  void give_back_for(size_t pages);

  Lock& lock() { return lock_; }
  size_t dirty_pages() const { return dirty_pages_; }  // under the lock

  static constexpr uint32_t kFencedPages = 16;
  static constexpr uint32_t kGuardsPerDoubling = 4096;

  static constexpr uint32_t kExactBins = 64;  // bin n: runs of n pages; above, kStepsPerDoubling bins a doubling
  static constexpr uint32_t kBinsPerDoubling = 4;
  static constexpr uint32_t kBins = 128;
  static constexpr uint32_t bin_of(size_t pages);

  /// First free run of a bin, for inspect/ (under the lock).
  const PageHeader* bin_first(uint32_t bin, bool dirty) const { return bins_[dirty].lists[bin].first(); }

  static constexpr uint32_t kShortPages = 2;
  static constexpr uint32_t kShortOsPages = kShortPages * kPageBytes / kOsPageBytes;

  /// First short run that held content in so many OS pages, for inspect/ (under the lock).
  PageHeader* first_short(uint32_t touched) const;

 private:
  static constexpr uint32_t kMostUnused = 3;  // OS pages that held content, and may stay behind a shorter block

  struct Bins {
    PageList lists[kBins];
    uint64_t not_empty[kBins / kWordBits] = {};
  };

  PageHeader* take_locked(uint32_t pages);
  void note_retaken(size_t os_pages);
  PageHeader* find_dirty_locked(uint32_t pages);
  PageHeader* take_free_locked(uint32_t pages);
  PageHeader* take_fresh_locked(uint32_t pages);
  PageHeader* take_aligned_locked(uint32_t pages, uint32_t align_pages);
  [[gnu::always_inline]] inline PageHeader* split(PageHeader* run, uint32_t pages);
  bool grow_locked(PageHeader* head, uint32_t pages);
  void shrink_locked(PageHeader* head, uint32_t pages);
  /// Pages of a run that may be dirty: at most `count` of those from `first` on and below `end`.
  struct Dirt {
    uint32_t first = 0, end = 0, count = 0;
  };
  static Dirt dirt_of(const PageHeader& run);
  static Dirt join(const Dirt& before, uint32_t distance, const Dirt& behind);
  static Dirt dirt_from(const Dirt& dirt, uint32_t page);

  void put_locked(PageHeader* head, uint32_t pages, bool dirty);
  void put_or_keep_locked(PageHeader* head);
  void insert(PageHeader* first, uint32_t pages, const Dirt& dirt);
  void remove(PageHeader* first);
  PageHeader* find(const Bins& bins, uint32_t pages) const;
  PageHeader* extend(uint32_t pages);
  PageHeader* take_fresh(uint32_t pages);
  PageHeader* take_fenced(uint32_t pages);
  PageHeader* take_anywhere_locked(uint32_t pages, uint32_t align_pages);
  bool drop_guards_locked();
  PageHeader* take_largest_dirty(Dirt* dirt);
  void keep_short_locked(PageHeader* run);
  void take_short_locked(PageHeader* run);
  PageHeader* take_nearest_short_locked(uint32_t os_pages);
  void merge_short_locked(PageHeader* run);
  bool merge_one_short_locked();
  bool merge_shorts_locked();
  static bool is_short(const PageHeader* run) { return run->run_pages == kShortPages; }
  /// A block was freed: what it used held content. Returns how many OS pages that was.
  static uint32_t mark_freed(PageHeader* run) {
    auto used = static_cast<uint32_t>(run->run_bytes / kOsPageBytes);
    if (run->run_touched < used) store_relaxed(run->run_touched, used);
    store_relaxed(run->run_dirty, 1u);
    store_relaxed(run->block_bytes, 0u);
    return used;
  }
  uint32_t put_short_locked(PageHeader* run);
  void put_short_cut(PageHeader* run, uint32_t used_os_pages);
  size_t dirty_limit();
  bool is_hardly_used();
  size_t keep_of_excess(size_t at_most);
  void note_surplus() {
    if (dirty_pages_ < surplus_) surplus_ = dirty_pages_;
  }

  Lock lock_;
  Bins bins_[2];                    // [0] clean: zero and not in memory; [1] with dirty pages
  size_t dirty_pages_ = 0;          // of free runs, short ones included
  size_t dirty_lowest_ = 0;         // of dirty_pages_ in this interval: so many pages were not needed
  PageList shorts_[kShortOsPages];  // by run_touched
  uint32_t shorts_not_empty_ = 0;   // bit n: shorts_[n]
  size_t given_os_pages_ = 0;       // in clean free runs, and in short ones: at most so many were given back, and not
                                    // taken since
  uint32_t guards_ = 0;             // made so far, by take_fenced()
  PageList guard_pages_;            // of them, those that were not dropped
  size_t surplus_ = 0;  // of dirty_pages_ since surplus_pages() was called: the same for the background thread
  uint64_t interval_start_ = 0;
  uint64_t hardly_given_bytes_ = 0;    // because hardly any page was in use, and not judged yet;
  uint64_t hardly_retaken_bytes_ = 0;  // what was taken again until then
  uint32_t hardly_patience_ = 0;       // intervals that are waited after it was wrong,
  uint32_t hardly_wait_ = 0;           // and those that are left of them
  size_t kept_at_most_pages_ = 0;      // dirty pages, when no more are in use; 0: the first number of run_purge.cc
  size_t excess_given_pages_ = 0;      // because there were more, and not judged yet;
  size_t excess_left_pages_ = 0;       // what was left in memory, in use or dirty
  size_t taken_pages_ = 0;             // in use by arenas and large blocks
};

extern RunList run_list;

}  // namespace pagerun
