// What other threads free in an arena's pages, from the remote bit to the drain: the steps of arena.h.
#include "remote_frees.h"

#include "../base/check.h"
#include "../harden/finding.h"
#include "arena_list.h"
#include "block_hold.h"
#include "hardened.h"
#include "header_check.h"
#include "purger.h"

namespace pagerun {

namespace {

constexpr uint64_t kMostClosedFrees = 128;

// Step 3 of the protocol. release, and with step 4 sequentially consistent: pairs with remote_pages_take().
void remote_pages_push(Arena* owner, PageHeader* page) {
  uint32_t size_class = page->size_class;
  CHECK_AT(size_class < kClassCount, "size_class is one", page);
  std::atomic<PageHeader*>& pages = owner->remote_pages[size_class];
  PageHeader* first = pages.load(std::memory_order_relaxed);
  do {
    page->remote_next = first;
  } while (!pages.compare_exchange_weak(first, page, std::memory_order_seq_cst, std::memory_order_relaxed));
}

// Every page on one of an arena's lists, taken at once. acquire: pairs with remote_pages_push().
PageHeader* remote_pages_take(std::atomic<PageHeader*>& pages) {
  if (pages.load(std::memory_order_seq_cst) == nullptr) return nullptr;
  return pages.exchange(nullptr, std::memory_order_seq_cst);
}

PageHeader* waiting_pages_take(Arena* arena, uint32_t size_class) {
  PageHeader* pages = arena->waiting_pages[size_class];
  store_relaxed(arena->waiting_pages[size_class], nullptr);
  return pages;
}

// The page behind this one on a list that was taken. A page that is on no list links to itself: a damaged link, which
// leads to such a page in the end or in a circle, is seen.
PageHeader* remote_pages_next(PageHeader* page) {
  CHECK_AT(is_header(page), "a page to drain has a header", page);
  PageHeader* next = page->remote_next;
  CHECK_AT(next != page, "a page to drain is on one list", page);
  page->remote_next = page;
  return next;
}

// Step 3, also for a page that came on the list of an arena which does not own it any more. False when two threads
// freed one block at once, and the page went with the first.
bool page_send_to_owner(PageHeader* page) {
  Arena* owner = checked_owner_of(page);
  if (owner == nullptr || load_relaxed(page->kind) != PageKind::kBucket) return false;
  remote_pages_push(owner, page);
  return true;
}

// Folds a page's remote frees into its free bits. The page has been taken off its owner's list by the caller, who may
// change it: the owner's thread, or a thread that holds arenas_lock while the owner is abandoned.
void page_collect(PageHeader* page) {
  header_check(page);
  Arena* owner = checked_owner_of(page);
  // Before the summary is taken: whoever finds it empty after that closes the fast path again.
  page_open_fast_path(page);
  // acquire: pairs with the release in page_free_remote(); the blocks' last writes come before their next use
  uint64_t words = page->remote_summary.exchange(0, std::memory_order_acq_rel) & whole_summary(*page);
  uint32_t freed = 0;
  const void* freed_twice = nullptr;
  for (; words != 0; words &= words - 1) {
    uint32_t w = lowest_bit(words);
    uint64_t blocks = low_bits(page->capacity - w * kWordBits);
    uint64_t told = page->remote_bits[w].exchange(0, std::memory_order_acq_rel) & blocks;
    uint64_t bits = told & ~page->free_bits[w];
    if (is_hardened(*page)) bits = confirmed_frees(*page, w, bits);
    // A block that is free already was freed by two threads at the same time, neither of which could see the other.
    if (bits != told) [[unlikely]]
      freed_twice = block_address(*page, w * kWordBits + lowest_bit(told & ~bits));
    store_relaxed(page->free_bits[w], page->free_bits[w] | bits);
    freed += count_bits(bits);
  }
  CHECK_AT(freed <= used_of(*page), "used == popcount(used bitmap)", page);
  store_relaxed(page->countdown, page->countdown - freed);
  if (is_made(owner)) store_relaxed(owner->bucket_bytes, owner->bucket_bytes - uint64_t{freed} * page->block_bytes);
  if (kHasChecks && freed_twice != nullptr) [[unlikely]]
    finding_note({Misuse::kDoubleFree, freed_twice, page->block_bytes});
}

bool is_owned(const Arena* arena, const PageHeader* page) {
  return owner_of(*page) == arena && load_relaxed(page->kind) == PageKind::kBucket;
}

bool is_abandoned(const Arena* arena) {
  return arena != nullptr && arena->state.load(std::memory_order_seq_cst) == ArenaState::kAbandoned;
}

void page_drain(Arena* arena, PageHeader* page) {
  page_collect(page);
  page_settle(arena, page);
}

// True when every block of word w is free, its owner's bits and the others' taken together. The page may have become
// another one meanwhile: then it says nothing.
bool is_word_free(const PageHeader* page, uint32_t w) {
  const uint64_t* free_bits = load_relaxed(page->free_bits);
  const std::atomic<uint64_t>* remote_bits = load_relaxed(page->remote_bits);
  if (w >= kInlineWords && (free_bits == page->inline_free_bits || remote_bits == page->inline_remote_bits))
    return false;
  uint64_t blocks = low_bits(load_relaxed(page->capacity) - w * kWordBits);
  return ((load_relaxed(free_bits[w]) | remote_bits[w].load(std::memory_order_seq_cst)) & blocks) == blocks;
}

bool are_words_free(const PageHeader* page) {
  for (uint32_t w = 0; w < words_of(load_relaxed(page->capacity)); w++) {
    if (!is_word_free(page, w)) return false;
  }
  return true;
}

// Step 4, of a page that may be without a live block, and whose owner was abandoned when it was looked at.
[[gnu::noinline, gnu::cold]] void page_serve(PageHeader* page) {
  if (!are_words_free(page)) return;
  LockGuard guard(arenas_lock);
  Arena* owner = checked_owner_of(page);
  if (is_abandoned(owner) && load_relaxed(page->kind) == PageKind::kBucket && are_words_free(page))
    list_service(owner->remote_pages[page->size_class]);
}

// Steps 2 and 3. False as above.
[[gnu::noinline]] bool page_note_word(PageHeader* page, uint32_t w) {
  if (page->remote_summary.fetch_or(1ull << w, std::memory_order_acq_rel) != 0) return true;
  page_close_fast_path(page);  // again: a drain may have ended in between
  if (!page_send_to_owner(page)) return false;
  purger_note(1);
  return true;
}

// A page that came on the list of an arena which did not own it any more.
void page_hand_on(PageHeader* page) {
  page_send_to_owner(page);
  if (is_abandoned(checked_owner_of(page))) page_serve(page);
}

void pages_drain(Arena* arena, PageHeader* page) {
  while (page != nullptr) {
    PageHeader* next = remote_pages_next(page);
    is_owned(arena, page) ? page_drain(arena, page) : page_hand_on(page);
    page = next;
  }
}

void class_drain(Arena* arena, uint32_t size_class) {
  pages_drain(arena, waiting_pages_take(arena, size_class));
  pages_drain(arena, remote_pages_take(arena->remote_pages[size_class]));
}

// The pages of a list that was taken, the last one pushed first, in the order in which they were pushed.
PageHeader* in_order(const Arena* arena, PageHeader* page) {
  PageHeader* behind = nullptr;
  while (page != nullptr) {
    PageHeader* next = remote_pages_next(page);
    if (is_owned(arena, page)) {
      page->remote_next = behind;
      behind = page;
    } else {
      page_hand_on(page);
    }
    page = next;
  }
  return behind;
}

}  // namespace

void list_service(std::atomic<PageHeader*>& pages) {
  while (PageHeader* page = remote_pages_take(pages)) {
    while (page != nullptr) {
      PageHeader* next = remote_pages_next(page);
      Arena* owner = checked_owner_of(page);
      // The thread of one that lives looks at the list by itself; should it end just now, its abandon() does.
      is_abandoned(owner) ? page_drain(owner, page) : static_cast<void>(page_send_to_owner(page));
      page = next;
    }
  }
}

PageHeader* bucket_drain(Arena* arena, Bucket* bucket) {
  PageHeader*& waiting = arena->waiting_pages[bucket->size_class];
  if (waiting == nullptr)
    store_relaxed(waiting, in_order(arena, remote_pages_take(arena->remote_pages[bucket->size_class])));
  while (waiting != nullptr && bucket->partial.is_empty()) {
    PageHeader* page = waiting;
    store_relaxed(waiting, remote_pages_next(page));
    page_collect(page);
    page_settle_partial(bucket, page);
  }
  return bucket->partial.first();
}

Misuse page_free_remote(PageHeader* page, uint32_t index) {
  uint32_t w = word_of(index);
  uint64_t bit = mask_of(index);
  // While the block is in use the page cannot vanish; once its bit is set, only who owes the next step may change the
  // page.
  if (load_relaxed(page->start_limit) != 0) page_close_fast_path(page);
  // release: pairs with page_collect(); what this thread wrote to the block comes before its next use
  std::atomic<uint64_t>* bits = load_relaxed(page->remote_bits);
  // The page of a block that another thread frees at this moment may have become one of another class meanwhile, with
  // fewer words: of what lies behind them nothing is ours.
  if (w >= kInlineWords && bits == page->inline_remote_bits) return Misuse::kDoubleFree;
  uint64_t old = bits[w].fetch_or(bit, std::memory_order_seq_cst);
  if (old & bit) return Misuse::kDoubleFree;
  if (old == 0 && !page_note_word(page, w)) [[unlikely]]
    return Misuse::kDoubleFree;
  if (is_abandoned(checked_owner_of(page)) && is_word_free(page, w)) [[unlikely]]
    page_serve(page);
  return Misuse::kNone;
}

bool has_remote_frees(const Arena* arena) {
  for (uint32_t c = 0; c < kClassCount; c++) {
    bool is_any = arena->remote_pages[c].load(std::memory_order_relaxed) != nullptr;
    if (is_any || load_relaxed(arena->waiting_pages[c]) != nullptr) return true;
  }
  return false;
}

void forget_remote_frees(Arena* arena) {
  for (uint32_t c = 0; c < kClassCount; c++) {
    store_relaxed(arena->waiting_pages[c], nullptr);
    arena->remote_pages[c].store(nullptr, std::memory_order_relaxed);
  }
}

void arena_drain(Arena* arena) {
  for (uint32_t c = 0; c < kClassCount; c++) class_drain(arena, c);
}

void arena_note_closed(Arena* arena, uint32_t size_class) {
  if (++arena->closed_frees % kMostClosedFrees == 0) class_drain(arena, size_class);
}

}  // namespace pagerun
