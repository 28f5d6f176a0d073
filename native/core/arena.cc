#include "arena.h"

#include "../base/check.h"
#include "arena_list.h"
#include "block_hold.h"
#include "hardened.h"
#include "header_check.h"
#include "made_arena.h"
#include "purge.h"
#include "purger.h"
#include "quarantine.h"
#include "remote_frees.h"
#include "run_list.h"
#include "sweep.h"

namespace pagerun {

constinit PageHeader no_page = {};

namespace {

constexpr uint32_t kWrongTrimsInARow = 4;
constexpr uint32_t kWrongScriptTrimsInARow = 2;  // where a runtime pays a call of its own for each page taken away

Arena* abandoned_arenas = nullptr;  // under arenas_lock

void bucket_clear(Bucket& bucket) {
  store_relaxed(bucket.page, &no_page);
  bucket.bits = no_page.inline_free_bits;
  bucket.word = no_page.inline_free_bits;
  bucket.word_start = nullptr;
  bucket.start = nullptr;
  bucket.capacity = 0;
  arena_of(&bucket)->page_word[bucket.size_class] = 0;
}

// What the counts say of an empty page is what its bits say.
bool has_only_free(const PageHeader& page) {
  if constexpr (!kHasChecks) return true;
  uint64_t used = 0;
  uint32_t whole = page.capacity / kWordBits, rest = page.capacity % kWordBits;
  for (uint32_t w = 0; w < whole; w++) used |= ~page.free_bits[w];
  if (rest != 0) used |= page.free_bits[whole] ^ low_bits(rest);
  return used == 0;
}

// The caller has seen that the page's bits are as full as its count says.
void current_to_full(Bucket* bucket) {
  PageHeader* page = bucket->page;
  if (kHasChecks && page->capacity != bucket->capacity) [[unlikely]]
    header_damaged(page, "capacity == class_capacity(size_class)");
  page_count_retaken(page);
  set_notify(*page, full_notify_at(*page));
  full_pages(bucket).push(page);
  bucket_clear(*bucket);
}

// 0 for pages out of a runtime's reach: of other regions, whose header tables may lie close behind, and far up.
uint32_t script_word(const PageHeader* page) {
  const Region& primary = region_table.regions[0];
  if (!primary.holds_header(page)) return 0;
  auto index = static_cast<size_t>(page - primary.headers);
  return index < kScriptPages ? static_cast<uint32_t>(index * kScriptWordsPerHeader) : 0;
}

void bucket_set(Bucket* bucket, PageHeader* page) {
  store_relaxed(bucket->page, page);
  bucket->bits = page->free_bits;
  bucket->start = page->start;
  bucket_set_word(bucket, page->hot_offset / uint32_t{sizeof(uint64_t)});
  bucket->capacity = page->capacity;
  arena_of(bucket)->page_word[bucket->size_class] = script_word(page);
}

void partial_to_current(Bucket* bucket, PageHeader* page) {
  header_check_counts(page);
  bucket->partial.remove(page);
  set_notify(*page, kNeverNotify);
  page_leave_sweep(page);
  bucket_set(bucket, page);
}

void full_to_partial(Bucket* bucket, PageHeader* page) {
  full_pages(bucket).remove(page);
  set_notify(*page, 0);
  bucket->partial.append(page);
  purger_note(page->run_pages);
}

// What full pages keep back is handed out where no page is to be had. O(full pages).
[[gnu::noinline, gnu::cold]] PageHeader* full_with_free_block(Bucket* bucket) {
  PageHeader* page = full_pages(bucket).first();
  while (page != nullptr && is_full(*page)) {
    CHECK_AT(page->next == nullptr || is_header(page->next), "next/prev agree", page);
    page = page->next;
  }
  return page;
}

// A page that keeps free blocks back gives them; null where there is none.
PageHeader* open_full(Bucket* bucket, PageHeader* page) {
  if (page != nullptr) full_to_partial(bucket, page);
  return page;
}

void page_attach(Arena* arena, PageHeader* page) {
  store_relaxed(arena->page_count, arena->page_count + 1);
  set_owner(page, arena);
}

// The arena has the page no more, and a runtime that serves it neither. Whose it is then is for the caller to say.
void page_leave_arena(Arena* arena, PageHeader* page) {
  store_relaxed(arena->page_count, arena->page_count - 1);
  store_relaxed(page->script_owner, 0u);
}

void page_detach(Arena* arena, PageHeader* page) {
  page_leave_arena(arena, page);
  set_owner(page, nullptr);
}

// Blocks end with the page, or with its arena: no sweep looks at it any more.
void page_end(PageHeader* page) {
  set_notify(*page, kNeverNotify);
  page_leave_sweep(page);
}

// True when the page can go. One without a used block, but with a remote free to collect, had its last block freed by
// two threads at once: it stays until the drain.
bool is_releasable(const PageHeader& page) {
  return used_of(page) == 0 && page.remote_summary.load(std::memory_order_acquire) == 0;
}

// An empty page on no list goes back to the run list, or to the made arena whose extents it is of.
void page_release(Arena* arena, PageHeader* page) {
  header_check_owned(page);
  if (used_of(*page) != 0 || !has_only_free(*page)) header_damaged(page, "used == popcount(used bitmap)");
  page_end(page);
  page_detach(arena, page);
  if (is_made(arena)) return extents_put(made_arena_of(arena), page);
  CHECK(run_list.put(page, PageKind::kBucket));
}

void partial_to_empty(Arena* arena, Bucket* bucket, PageHeader* page) {
  bucket->partial.remove(page);
  page_release(arena, page);
}

// True when the last trims, several in a row, took away what was wanted again.
bool are_trims_wrong(Arena* arena) {
  bool was_wrong = arena->trims_missed * 2 > arena->trimmed;
  arena->trims_missed = 0;
  arena->wrong_trims = was_wrong ? arena->wrong_trims + 1 : 0;
  uint32_t patience = arena->script_number == 0 ? kWrongTrimsInARow : kWrongScriptTrimsInARow;
  if (arena->wrong_trims < patience) return false;
  arena->wrong_trims = 0;
  return true;
}

// What a thread left in the page's last life that freed a block at the same moment as another.
void forget_remote_frees(PageHeader* page) {
  if (page->remote_summary.load(std::memory_order_relaxed) == 0) return;
  for (uint32_t w = 0; w < words_of(page->capacity); w++) page->remote_bits[w].store(0, std::memory_order_relaxed);
  page->remote_summary.store(0, std::memory_order_relaxed);
}

PageHeader* page_new(Arena* arena, Bucket* bucket) {
  uint32_t size_class = bucket->size_class;
  arena->trims_missed += bucket->was_trimmed;
  bucket->was_trimmed = false;
  PageHeader* page = arena_take_page(arena, size_class);
  if (page == nullptr) return nullptr;
  page->size_class = static_cast<uint8_t>(size_class);
  store_relaxed(page->policies, 0u);
  if (arena->policies != 0 && !page_harden(arena, page)) {
    is_made(arena) ? extents_put(made_arena_of(arena), page) : run_list.put_divided(page, page->run_pages, 0);
    return nullptr;
  }
  const Region& region = region_of_header(page);
  store_relaxed(page->capacity, static_cast<uint16_t>(class_capacity(size_class)));
  page->reciprocal = reciprocal_of(bucket->block_bytes);
  store_relaxed(page->free_bits, has_inline_bits(*page) ? page->inline_free_bits : region.free_bits_of(page));
  store_relaxed(page->remote_bits, has_inline_bits(*page) ? page->inline_remote_bits : region.remote_bits_of(page));
  store_relaxed(page->start_limit, is_hardened(*page) ? 0 : kStartLimits.of_class[size_class]);
  store_relaxed(page->notify_at, kNeverNotify);
  store_relaxed(page->countdown, 0 - kNeverNotify);
  page->hot_offset = 0;
  page->next_word = 0;
  store_relaxed(page->held_blocks, uint16_t{0});
  bitmap_fill(page->free_bits, page->capacity);
  forget_remote_frees(page);
  store_relaxed(page->purged, uint16_t{0});
  sweep_forget(page);
  // release: pairs with a sweep, which sees that blocks are taken from a bucket page as soon as it sees one
  PageKind kind = PageKind::kBucket;
  __atomic_store(&page->kind, &kind, __ATOMIC_RELEASE);
  page_attach(arena, page);
  store_relaxed(page->script_owner, is_hardened(*page) ? 0 : arena->script_number);
  __atomic_store_n(&page->block_bytes, bucket->block_bytes, __ATOMIC_RELEASE);  // release: pairs with is_settled()
  return page;
}

void current_retire(Arena* arena, Bucket* bucket) {
  PageHeader* page = bucket->page;
  if (!has_page(*bucket)) return;
  if (is_releasable(*page)) {
    bucket_clear(*bucket);
    page_release(arena, page);
  } else if (is_full(*page)) {
    header_check_counts(page);
    current_to_full(bucket);
  } else {
    bucket_clear(*bucket);
    page_count_retaken(page);  // how much of it was, nobody knows
    set_notify(*page, 0);
    bucket->partial.append(page);
    purger_note(page->run_pages);
  }
}

// Blocks are taken from current pages without a note, so that nobody else can give back what is free in them. Those
// that the thread does not want any more must rest like the others: when the background thread has looked round, all
// are retired, and the wanted ones come back one by one.
void arena_follow_passes(Arena* arena) {
  uint64_t passes = purge_counters.passes.load(std::memory_order_relaxed);
  if (passes == arena->seen_passes) [[likely]]
    return;
  arena->seen_passes = passes;
  if (is_made(arena)) return;
  arena_drain(arena);
  arena_retire(arena);
  arena_put_spares(arena);
}

}  // namespace

void page_settle_partial(Bucket* bucket, PageHeader* page) {
  if (page->notify_at != 0 && used_of(*page) <= page->notify_at) full_to_partial(bucket, page);
}

void page_settle(Arena* arena, PageHeader* page) {
  Bucket* bucket = bucket_at(arena, page->size_class);
  if (bucket->page == page) return;
  page_settle_partial(bucket, page);
  if (is_releasable(*page)) partial_to_empty(arena, bucket, page);
}

bool arena_trim(Arena* arena) {
  if (are_trims_wrong(arena)) return false;
  arena->trimmed = 0;
  for (Bucket& bucket : arena->buckets) {
    PageHeader* page = bucket.page;
    if (page == &no_page || !is_releasable(*page)) continue;
    bucket_clear(bucket);
    bucket.was_trimmed = true;
    page_release(arena, page);
    arena->trimmed++;
  }
  return arena->trimmed > 0;
}

void* bucket_take_slow(Arena* arena, Bucket* bucket) {
  if (used_of(*bucket->page) != bucket->capacity) [[unlikely]]
    return bucket_take_here(bucket);
  if (has_page(*bucket)) current_to_full(bucket);
  arena_follow_passes(arena);
  PageHeader* page = bucket->partial.first();
  if (page == nullptr) page = bucket_drain(arena, bucket);
  if (page == nullptr && arena->policies != 0) page = open_full(bucket, page_kept_back(arena, bucket));
  bool is_new = page == nullptr && (page = page_new(arena, bucket)) != nullptr;
  if (page == nullptr) page = open_full(bucket, full_with_free_block(bucket));
  if (page == nullptr) return nullptr;
  is_new ? bucket_set(bucket, page) : partial_to_current(bucket, page);
  bool is_chosen = arena->policies != 0 && is_hardened(*page);
  void* ptr = is_chosen ? bucket_take_chosen(arena, bucket) : bucket_take_here(bucket);
  CHECK(ptr != nullptr);
  purger_consider();
  return ptr;
}

void page_notify(Arena* arena, PageHeader* page) {
  header_check_owned(page);
  Bucket* bucket = bucket_at(arena, page->size_class);
  if (page->notify_at != 0) full_to_partial(bucket, page);
  if (is_releasable(*page)) partial_to_empty(arena, bucket, page);
  arena_follow_passes(arena);
  purger_serve();
}

void arena_clear_buckets(Arena* arena) {
  for (Bucket& bucket : arena->buckets) {
    PageList& full = full_pages(&bucket);
    if (!has_page(bucket) && full.is_empty() && bucket.partial.is_empty()) continue;
    for (const PageList* list : {&bucket.partial, &full}) {
      for (PageHeader* page = list->first(); page != nullptr; page = page->next) page_end(page);
    }
    bucket_clear(bucket);
    bucket.partial.clear();
    full.clear();
  }
  store_relaxed(arena->page_count, uint64_t{0});
}

void arena_retire(Arena* arena) {
  for (Bucket& bucket : arena->buckets) current_retire(arena, &bucket);
}

void arena_rest(Arena* arena) {
  quarantine_flush(arena);
  arena_drain(arena);
  arena_retire(arena);
  arena_put_kept(arena);
}

void arena_abandon(Arena* arena) {
  arena_rest(arena);
  LockGuard guard(arenas_lock);
  arena->place.store(nullptr, std::memory_order_relaxed);
  arena->state.store(ArenaState::kAbandoned, std::memory_order_seq_cst);
  arena->next_abandoned = abandoned_arenas;
  abandoned_arenas = arena;
  for (std::atomic<PageHeader*>& pages : arena->remote_pages) list_service(pages);
}

Arena* arena_adopt() {
  LockGuard guard(arenas_lock);
  Arena* arena = abandoned_arenas;
  if (arena != nullptr) {
    abandoned_arenas = arena->next_abandoned;
    arena->next_abandoned = nullptr;
  } else {
    arena = arena_new();
    if (arena == nullptr) return nullptr;
  }
  arena->policies = load_shared(process_policies);
  arena->state.store(ArenaState::kActive, std::memory_order_seq_cst);
  return arena;
}

bool page_adopt(Arena* mine, PageHeader* page) {
  LockGuard guard(arenas_lock);
  Arena* from = checked_owner_of(page);
  if (from == nullptr || from->state.load(std::memory_order_relaxed) != ArenaState::kAbandoned) return false;
  header_check(page);
  // No current page here: the arena was retired. A page is partial when its notify_at is 0, else full.
  bool was_partial = page->notify_at == 0;
  Bucket* old_bucket = bucket_at(from, page->size_class);
  Bucket* new_bucket = bucket_at(mine, page->size_class);
  (was_partial ? old_bucket->partial : full_pages(old_bucket)).remove(page);
  // From owner to owner in one step: whoever frees into the page meanwhile, and finds none, takes it for gone.
  page_leave_arena(from, page);
  page_attach(mine, page);
  (was_partial ? new_bucket->partial : full_pages(new_bucket)).push(page);
  list_service(from->remote_pages[page->size_class]);
  return true;
}

}  // namespace pagerun
