// An arena: an independent set of buckets, owned by one thread at a time. The pages of an arena are taken from and
// freed into by its thread without atomics; every other thread leaves its frees in the page's remote bits. Owns its
// bucket pages. Thread rule: its thread, but for what is said below.
//
// States of a page, by the list it is on:
//
//   current    the bucket takes blocks from it; on no list; notify_at = never: it is kept when it becomes empty
//   partial    has free blocks; notify_at = 0: the free that empties it puts it back on the run list
//   full       was full, and few blocks are free since; notify_at = full_notify_at(): the free that reaches it makes it
//              partial
//
// Remote frees: the protocol. R frees a block of page P, which arena A owns.
//
//   0. R: P.start_limit = 0 (and once more in step 2): until the drain, the owner's frees into P take the slow path,
//      which looks at the remote bits and so finds a second free of R's block.
//   1. R: old = P.remote_bits[w].fetch_or(bit).        old has the bit: double free. old != 0: done.
//   2. R: old = P.remote_summary.fetch_or(bit w).      old != 0: done.
//   3. R: pushes P on the list of its class in A.remote_pages (A is P's owner, read just before).
//   4. R: whatever it owed so far, reads P's owner A again, and A.state. Abandoned, and every block of P is free
//      by now: R services that list of A (below).
//
//   drain(P), by the owner's thread, only for a P that it has taken off a list: summary.exchange(0); for every w in it:
//   bits = remote_bits[w].exchange(0); the blocks become free. Between the two P may wait in A.waiting_pages: it is
//   drained when its bucket has no other page to turn to, the one that has waited longest first.
//
// Why nothing is lost and P cannot vanish under R: whoever turns a word (or the summary) from 0 owes the next step, and
// a word's bits are collected only through the summary, the summary only through the list. While R owes step 2 or 3,
// R's own block is therefore still counted in P.used, P is not empty and is not released. After step 3 R
// changes nothing of P, and what it reads there is but a hint until the lock is held. At most one R owes step 3 at a
// time, so P is on at most one list; remote_next is written by this R and, once, by whoever took the list and drains P.
//
// Thread end (abandon): the thread drains, puts its empty pages back, and marks the arena abandoned. Under arenas_lock
//   - a new thread takes a whole abandoned arena over (its pages keep their owner), or
//   - a thread that frees into a page of an abandoned arena adopts that page into its own arena, or
//   - whoever has freed the last block of a page of an abandoned arena (step 4) services the list of its class:
//     takes it, drains what the arena still owns, hands the pages that were adopted meanwhile on to their owners.
//   Bits and push (steps 1 and 3) and the read of state (step 4) against abandon's store of state and its look at the
//   lists are sequentially consistent: at least one side sees the other. So no page without a live block stays on a
//   list of a dead arena; one that has some waits there for the last free, for the thread that adopts it, or for the
//   next owner of the arena. Not sooner: a thread that has no arena of its own would else take the lock for each block.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../harden/misuse.h"
#include "page.h"
#include "region.h"
#include "size_class.h"

namespace pagerun {

constexpr size_t kMaxDirectBytes = 1024;  // sizes up to here find their bucket by one look-up

/// Pages of the primary region that a runtime may serve by itself: those of the first window.
constexpr size_t kScriptPages = kWindowBytes / kPageBytes;

/// A runtime counts a header table in words of 32 bits.
constexpr size_t kScriptWordsPerHeader = sizeof(PageHeader) / sizeof(uint32_t);

enum class ArenaState : uint32_t {
  kActive = 1,     // a thread owns it
  kAbandoned = 2,  // its thread has ended; guarded by arenas_lock
  kOrphaned = 3,   // its thread was not taken along by a fork, in whatever it was doing: never touched again
  kMade = 4,       // a program made it (made_arena.h), in the thread whose own arena is its host
  kEnded = 5,      // it was one; the record waits for the next
};

struct alignas(kCacheLineBytes) Bucket {
  PageHeader* page;  // the current page; &no_page when there is none
  uint64_t* word;    // the word of its free bits that the next block comes from,
  char* word_start;  // and the block of that word's lowest bit
  uint32_t block_bytes;
  uint16_t capacity;  // of the current page; 0 when there is none
  uint8_t size_class;
  bool was_trimmed;  // its empty current page was put back and not missed since
  uint64_t* bits;    // the current page's free bits
  char* start;       // the current page's block 0
  PageList partial;
};

static_assert(sizeof(Bucket) == kCacheLineBytes);  // malloc looks at one line of it

/// A run that is in no use, taken from the run list and not settled.
struct SpareRun {
  PageHeader* run;
  uint32_t pages;
};

constexpr uint32_t kMostSpares = 4;
constexpr uint32_t kMostSparePages = 8;  // of all of them

struct Arena {
  /// Buckets of every class without a page, and the look-up table; id, state and links are set by whoever makes it.
  constexpr Arena();

  uint16_t direct[kMaxDirectBytes + 1];  // bytes -> offset of its bucket in the arena
  uint64_t id;                           // never 0, never reused for another arena
  uint32_t trimmed;                      // pages that the last trim took from buckets; see arena_take_run()
  uint32_t trims_missed;                 // of these buckets, so many have asked for a page since
  uint32_t wrong_trims;                  // trims in a row that took away what was wanted again
  uint64_t grown_since_purge;            // pages taken from memory that was not in use
  uint64_t closed_frees;                 // of its thread, in pages that wait to be drained; see arena_note_closed()
  uint64_t seen_passes;                  // of the background thread, when its current pages were retired last
  PageHeader* group;                     // the rest of its last group of pages of small blocks, a run not settled, or
                                         // null; see arena_pages.cc
  SpareRun spares[kMostSpares];          // of blocks that were freed lately; see arena_pages.cc
  uint32_t spare_count, spare_pages;
  uint64_t page_count;    // bucket pages owned
  uint64_t bucket_bytes;  // made arenas: of blocks handed out in bucket pages; remote frees count until the drain
  std::atomic<uint64_t> large_bytes;  // made arenas: of its runs and mappings; changed under their locks
  PageList runs;                      // made arenas: runs in use, under the run list's lock
  uint32_t policies;                  // of its blocks (harden/policy.h); 0 in the fast profile
  uint64_t random;                    // the hardened profile's choice of blocks; see hardened.h
  struct Quarantine* quarantine;      // null until a block is first put into it
  Arena* made;                        // the made arenas of which this is the host, linked by made_next
  Arena* made_next;
  Arena* made_prev;
  PageHeader* waiting_pages[kClassCount];  // taken off remote_pages and not drained yet, the oldest first
  alignas(kCacheLineBytes) std::atomic<PageHeader*> remote_pages[kClassCount];  // pages to drain, by their class,
                                                                                // linked by remote_next
  alignas(kCacheLineBytes) std::atomic<ArenaState> state;  // read at every remote free, hardly ever written
  Arena* host;                      // made arenas: the own arena of the thread that made it; else null
  std::atomic<Arena**> place;       // where its thread keeps the pointer to it, when it can be lent; else null
  int32_t thread;                   // the number of that thread,
  const void* on_stack;             // and where its stack is (lent_arena.h)
  Arena* next;                      // of all arenas, for ever
  Arena* next_abandoned;            // of the abandoned ones, under arenas_lock
  uint32_t script_number;           // not 0 for arenas that a runtime serves by itself (abi/core_api.h)
  uint32_t script_closed;           // ~0 from when one of its blocks may have ended in the core, here or in another
                                    // thread, until its runtime has seen it
  uint32_t page_word[kClassCount];  // where the header of each bucket's current page begins in the primary region's
                                    // table, in words of 32 bits; 0: no page, or one that is not in reach of a runtime
                                    // that looks here (abi/core_api.h)
  Bucket buckets[kClassCount];
  PageList full[kClassCount];  // the full pages of each bucket
};

/// Sends every free of the page through the core's slow path, until page_open_fast_path(). Any thread.
inline void page_close_fast_path(PageHeader* page) {
  if constexpr (!kHasChecks) return;
  bool is_script = load_relaxed(page->script_owner) != 0;
  store_relaxed(page->start_limit, 0u);
  store_relaxed(page->script_owner, 0u);
  // release: the runtime clears it first, and then looks whether the page is closed
  if (is_script) __atomic_store_n(&owner_of(*page)->script_closed, ~0u, __ATOMIC_RELEASE);
}

/// What buckets without a current page point at: it has no free bit, so that no block is ever taken from it.
extern PageHeader no_page;

constexpr Arena::Arena()
    : direct{},
      id(0),
      trimmed(0),
      trims_missed(0),
      wrong_trims(0),
      grown_since_purge(0),
      closed_frees(0),
      seen_passes(0),
      group(nullptr),
      spares{},
      spare_count(0),
      spare_pages(0),
      page_count(0),
      bucket_bytes(0),
      large_bytes(0),
      runs{},
      policies(0),
      random(0),
      quarantine(nullptr),
      made(nullptr),
      made_next(nullptr),
      made_prev(nullptr),
      waiting_pages{},
      remote_pages{},
      state(ArenaState::kAbandoned),
      host(nullptr),
      place(nullptr),
      thread(0),
      on_stack(nullptr),
      next(nullptr),
      next_abandoned(nullptr),
      script_number(0),
      script_closed(0),
      page_word{},
      buckets{},
      full{} {
  for (uint32_t c = 0; c < kClassCount; c++) {
    buckets[c].page = &no_page;
    buckets[c].bits = no_page.inline_free_bits;
    buckets[c].word = no_page.inline_free_bits;
    buckets[c].block_bytes = static_cast<uint32_t>(class_bytes(c));
    buckets[c].size_class = static_cast<uint8_t>(c);
  }
  for (size_t bytes = 0; bytes <= kMaxDirectBytes; bytes++) {
    direct[bytes] = static_cast<uint16_t>(offsetof(Arena, buckets) + sizeof(Bucket) * class_of(bytes, kMaxAlignBytes));
  }
}

/// A run for the arena's thread, from memory that is in use already if it can be had, the arena's own empty pages
/// included; as RunList::take() otherwise. For a block of `bytes`.
PageHeader* arena_take_run(Arena* arena, uint32_t pages, size_t bytes);

/// The same for a bucket page of the class; of a made arena from its extents.
PageHeader* arena_take_page(Arena* arena, uint32_t size_class);

/// Frees a run in use; false when it is none, or none any more. The thread's arena may keep it for a block to come.
bool arena_put_run(PageHeader* run);

/// Puts back the runs that the arena keeps so; false when there is none.
bool arena_put_spares(Arena* arena);

/// The same, and what is left of its group.
bool arena_put_kept(Arena* arena);

/// Before the arena grows, the empty pages that buckets keep as their current ones go back; false when there is none,
/// or when the arena had better grow by a page: few live blocks of many classes would pass the same pages round for
/// ever.
bool arena_trim(Arena* arena);

/// A block of `bucket`, in whose current page bucket_find_word() has found none: drain, next page, new page. Null when
/// exhausted.
void* bucket_take_slow(Arena* arena, Bucket* bucket);

/// The state change that a free brought about: page->countdown has reached 0.
void page_notify(Arena* arena, PageHeader* page);

/// Frees block `index`, which is in use, of a page that another arena owns. kDoubleFree when another thread was faster.
Misuse page_free_remote(PageHeader* page, uint32_t index);

/// True when other threads have left frees in the arena's pages.
bool has_remote_frees(const Arena* arena);

/// Forgets them: the pages end with the arena's blocks.
void forget_remote_frees(Arena* arena);

/// To be called behind a free of the arena's own in a page that waits to be drained: each of these takes the slow path.
/// When there have been several, the pages of that class are drained.
void arena_note_closed(Arena* arena, uint32_t size_class);

/// Folds the frees that other threads left in the arena's pages into the free bits.
void arena_drain(Arena* arena);

/// The same, puts empty pages back, and leaves no page current: for a thread that will not want it soon.
void arena_rest(Arena* arena);

/// Leaves no page current: what is free in them can then be given back by others.
void arena_retire(Arena* arena);

/// Ends the thread's use of the arena.
void arena_abandon(Arena* arena);

/// Takes an abandoned arena, or a new one, for the calling thread; null when memory is exhausted.
Arena* arena_adopt();

/// Moves a page of an abandoned arena into `mine`. False when its owner is not abandoned any more.
bool page_adopt(Arena* mine, PageHeader* page);

/// Takes every bucket page off the buckets, which are then as new. The pages themselves are the caller's to clear.
void arena_clear_buckets(Arena* arena);

/// Id of an arena, or 0 for null.
inline uint64_t arena_id_of(const Arena* arena) { return arena == nullptr ? 0 : load_relaxed(arena->id); }

inline Bucket* bucket_at(Arena* arena, uint32_t size_class) { return &arena->buckets[size_class]; }

inline Arena* arena_of(Bucket* bucket) {
  auto buckets = reinterpret_cast<char*>(bucket - bucket->size_class);
  return reinterpret_cast<Arena*>(buckets - offsetof(Arena, buckets));
}

inline PageList& full_pages(Bucket* bucket) { return arena_of(bucket)->full[bucket->size_class]; }

inline bool is_current(const Arena* arena, const PageHeader* page) {
  return arena->buckets[page->size_class].page == page;
}

inline bool is_made(const Arena* arena) { return load_relaxed(arena->host) != nullptr; }

inline bool has_page(const Bucket& bucket) { return bucket.page != &no_page; }

/// Takes the lowest free block of the bucket's word, as find_lowest_bit() has found it.
inline void* bucket_take(Bucket* bucket, const LowestBit& lowest) {
  PageHeader* page = bucket->page;
  keep_bits(*bucket->word, lowest.mask);
  store_owned(page->countdown, page->countdown + 1);
  uint32_t distance = static_cast<uint32_t>(lowest.bit) * bucket->block_bytes;  // below the page's length
  return bucket->word_start + distance;
}

/// The same, of a word that may have none: null then.
inline void* bucket_take(Bucket* bucket) {
  LowestBit lowest;
  return find_lowest_bit(*bucket->word, &lowest) ? bucket_take(bucket, lowest) : nullptr;
}

/// Blocks come from word number `word` of the current page's free bits from now on.
inline void bucket_set_word(Bucket* bucket, uint32_t word) {
  bucket->word = bucket->bits + word;
  bucket->word_start = bucket->start + static_cast<size_t>(word * kWordBits * bucket->block_bytes);
}

/// The number of a word of the current page that has a free bit; that of its words when the page is full. The word that
/// has waited longest has one nearly always: a search through all is for the others.
inline uint32_t bucket_search(const Bucket& bucket, uint32_t words) {
  const PageHeader* page = bucket.page;
  bool is_known_full = used_of(*page) == bucket.capacity;
  uint32_t next = page->next_word < words ? page->next_word : 0, word = words;
  if (!is_known_full && bucket.bits[next] != 0) [[likely]]
    return next;
  if (!is_known_full || (kHasChecks && !bitmap_is_empty(bucket.bits, words)))
    word = bitmap_find_word(bucket.bits, words, next);
  CHECK_AT((word == words) == is_known_full, "used == popcount(used bitmap)", page);
  return word;
}

/// Makes a word with a free bit the bucket's, and the current page's hot one; false when the page is full. Where the
/// bits are is the bucket's to say, not the header's.
inline bool bucket_find_word(Bucket* bucket) {
  PageHeader* page = bucket->page;
  uint32_t words = words_of(bucket->capacity), word = bucket_search(*bucket, words);
  if (word == words) return false;
  page->next_word = word + 1;
  store_owned(page->hot_offset, word * uint32_t{sizeof(uint64_t)});
  bucket_set_word(bucket, word);
  return true;
}

/// A block from another word of the current page; null when it is full. Most mallocs of a dense heap that the bucket's
/// word cannot serve end here.
inline void* bucket_take_found(Bucket* bucket) {
  if (!bucket_find_word(bucket)) return nullptr;
  return bucket_take(bucket);
}

/// A block of the current page; null when it is full.
inline void* bucket_take_here(Bucket* bucket) {
  void* ptr = bucket_take(bucket);
  return ptr != nullptr ? ptr : bucket_take_found(bucket);
}

/// Counts a free on the calling thread's own arena: a word of the page's free bits has just gained a bit. False when
/// page_notify() is due.
inline bool page_count_free_quietly(PageHeader* page) {
  uint32_t countdown = page->countdown - 1;
  store_owned(page->countdown, countdown);
  return countdown != 0;
}

/// The rest of such a free.
inline void page_count_free(Arena* arena, PageHeader* page) {
  if (!page_count_free_quietly(page)) [[unlikely]]
    page_notify(arena, page);
}

}  // namespace pagerun
