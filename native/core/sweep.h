// The sweep: gives back what is free inside bucket pages, whoever owns them, from any thread, while their owners go on
// without lock or atomic. Owns the claims: the pages that are being given back at this moment.
//
//   bucket page    | used | free ... free | used | free ... free | tail |
//   OS pages       |  0  |  1  |  2  |  3  |  4  |  5  |  6  |  7  |        given back here: 1 2 5 6 7, bits of
//   `purged`
//
// Why no live block is ever lost. Blocks are handed out from an arena's current pages alone (arena.h), and those of
// JavaScript's arena too (abi/core_api.h). A page that is not current gains free blocks and loses none: a free by its
// owner sets a free bit, one by another thread a remote bit, a drain moves bits from these to those. What was once seen
// free of it is therefore free until it becomes current, is put back, or is reset with its arena; all three are slow
// paths of its owner, which then
//
//   1. O: page.notify_at = kNeverNotify       (is_taken_from())
//   2. O: reads the claims; is the page among them, waits for the end of the sweep's step   (page_leave_sweep())
//   3. O: takes blocks from the page, or puts it back
//
// while a sweep S
//
//   1. S: writes the page into the claims
//   2. S: passes a fence on every running thread (membarrier(2))
//   3. S: reads page.notify_at: kNeverNotify, or no settled bucket page: leaves it alone
//   4. S: reads the bits, remote ones first; gives the OS pages back; ends the claims
//
// O's step 1 comes before O's step 2 in the program. The fence meets O's thread before O 1, between the two, or behind
// O 2. In the first case O 2 comes after S 1 and sees the claim: O waits. In the second likewise, and S 3 sees O 1 as
// well. In the third S 3 sees O 1. So O and S never both go on. The owner pays a load and a branch in a slow path, and
// nothing in a fast one. A page that was not settled, or of another kind, at the fence can only become a current one:
// `kind` is written last but one and with release, notify_at before it, so that S, who finds kBucket, finds
// kNeverNotify.
// Where the kernel has no membarrier nothing is swept; arenas then give back by themselves (purge.h).
//
// The hardened profile takes its blocks from current pages as well, whichever block of them it chooses, and a block in
// a quarantine counts as used. One whose bit is free was cleared before and is zero until it is taken: given back, it
// is what its next use looks for. What is not zero was written to after a free, and stays to be found then
// (page_untouched_os_pages()); only what is written between that look and the giving back, within the step, goes
// unseen.
//
// MADV_DONTNEED, not MADV_FREE: resident memory falls at once, which is what the user sees and container limits count;
// MADV_FREE leaves it to the moment when the machine, not the container, is short of memory.
//
// `purged`: written by sweeps under the claims, by the owner when the page is current. Its bits hold as long as no
// block is taken: when the page has been full all of them were, and are counted as taken again. Thread rule: any
// thread; steps are one after the other under sweep_lock. Lock order: made arena, arenas -> sweep -> run list; the
// sweep itself takes no other lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../base/lock.h"
#include "page.h"

namespace pagerun {

constexpr uint32_t kMaxClaims = 32;  // pages of one step

struct SweepClaims {
  std::atomic<uint32_t> count{0};
  std::atomic<const PageHeader*> pages[kMaxClaims] = {};
};

extern SweepClaims sweep_claims;
extern Lock sweep_lock;

/// The rest of page_leave_sweep(): waits when the page is claimed.
void sweep_wait(const PageHeader* page);

/// To be called by the owner, which has just set notify_at to kNeverNotify and is about to take blocks from the page or
/// to put it back.
inline void page_leave_sweep(const PageHeader* page) {
  std::atomic_signal_fence(std::memory_order_seq_cst);  // the machine's order is membarrier's
  // acquire: pairs with the end of a step
  if (sweep_claims.count.load(std::memory_order_acquire) != 0) [[unlikely]]
    sweep_wait(page);
}

/// To be called when a page begins a new life: what was given back of it before says nothing.
void sweep_forget(const PageHeader* page);

/// Counts the OS pages of a page that were given back and are in use again.
void page_count_retaken(PageHeader* page);

/// Which pages a sweep gives back what is free of.
enum class SweepWhich {
  kQuiet,    // those that nobody freed into since they were looked at last
  kChanged,  // those into which somebody freed since they were given back last
  kAll,      // these, and those that the system refused to take back then
};

/// A walk over all pages, in as many calls as it takes.
class Sweep {
 public:
  constexpr Sweep() = default;

  /// Goes on until the last page or, looked at now and then, until_milliseconds of os::milliseconds(). True at the last
  /// page, where the next call starts over.
  bool go_on(SweepWhich which, uint64_t until_milliseconds);

  /// Since the walk started: bytes given back, and pages that are to be looked at again.
  size_t given_bytes() const { return given_bytes_; }
  size_t pending_pages() const { return pending_pages_; }

 private:
  /// True when that ended with a step.
  bool visit(PageHeader* page, SweepWhich which);
  void step();

  uint32_t region_ = 0;
  size_t page_ = 1;
  size_t given_bytes_ = 0;
  size_t pending_pages_ = 0;
  uint32_t count_ = 0;
  PageHeader* pages_[kMaxClaims] = {};
};

}  // namespace pagerun
