#include "allocator.h"

#include <cstdint>
#include <cstring>

#include "../base/check.h"
#include "allocator_inline.h"
#include "block_hold.h"
#include "hardened.h"
#include "header_check.h"
#include "made_arena.h"
#include "mapping_table.h"
#include "place.h"
#include "purger.h"
#include "quarantine.h"
#include "run_list.h"
#include "unreadable_blocks.h"

namespace pagerun {

namespace {

constexpr uint32_t kMaxRunPages = kMaxRunBytes / kPageBytes;
constexpr size_t kMostRunPages = kLargestRegionBytes / kPageBytes;
constexpr size_t kRoomShare = 4;

PageKind kind_of(const PageHeader* page) { return load_relaxed(page->kind); }

// From now on the run is a block, of `owner` if not null.
void run_settle(PageHeader* run, size_t bytes, Arena* owner) {
  store_relaxed(run->run_bytes, round_up(bytes, kOsPageBytes));
  if (owner != nullptr) run_list.give_owner(run, owner);
  __atomic_store_n(&run->block_bytes, kRunBlock, __ATOMIC_RELEASE);  // release: pairs with is_settled()
}

// Null when refused.
[[gnu::always_inline]] inline void* take_run(Arena* owner, size_t bytes, size_t align_pages, bool* is_zero) {
  auto pages = static_cast<uint32_t>(divide_up(bytes, kPageBytes));
  PageHeader* run = align_pages == 1 ? arena_take_run(arena_now(), pages, bytes)
                                     : run_list.take(pages, static_cast<uint32_t>(align_pages));
  if (run == nullptr) return nullptr;
  *is_zero = run->run_dirty == 0;
  run_settle(run, bytes, owner);
  return run->start;
}

// Frees a block of a made arena. Until the lock is held, the arena's thread may end all of its blocks: what was known
// of the page is looked at again.
[[gnu::noinline]] Misuse free_in_made_arena(MadeArena* owner, Place place, void* ptr) {
  bool is_checked = is_hardened(*place.page);
  if (is_mine(owner) && is_checked) return hardened_free_made(owner, place, ptr, true);
  if (is_mine(owner))
    return is_free_block(place.page, place.index) ? Misuse::kDoubleFree
                                                  : made_arena_free(owner, place.page, place.index);
  LockGuard guard(owner->lock);
  Place again;
  Block block;
  if (owner->state.load(std::memory_order_relaxed) != ArenaState::kMade) return Misuse::kDoubleFree;
  Misuse misuse = place_of(ptr, &again, &block);
  if (misuse != Misuse::kNone) return misuse;
  if (again.page != place.page || owner_of(*again.page) != owner || kind_of(again.page) != PageKind::kBucket)
    return Misuse::kDoubleFree;
  return is_checked ? hardened_free_made(owner, again, ptr, false) : page_free_remote(again.page, again.index);
}

// Of a block that the calling thread's own arena has. The remote bit says that another thread was faster.
Misuse free_own(Arena* mine, Place place) {
  size_t offset = offset_of_word(place.index);
  if (kHasChecks && is_free_block(place.page, place.index)) return Misuse::kDoubleFree;
  uint64_t& word = word_at(place.page->free_bits, offset);
  store_owned(word, word | mask_of(place.index));
  bool is_waiting = place.page->remote_summary.load(std::memory_order_relaxed) != 0;
  uint32_t size_class = place.page->size_class;
  page_count_free(mine, place.page);
  if (is_waiting) arena_note_closed(mine, size_class);
  return Misuse::kNone;
}

}  // namespace

Misuse free_unheld(Arena* mine, Place place, void* ptr) {
  for (;;) {
    Arena* owner = checked_owner_of(place.page);
    if (owner == mine) return free_own(mine, place);
    if (owner == nullptr) return Misuse::kDoubleFree;  // the page has gone since it was looked at
    ArenaState state = owner->state.load(std::memory_order_relaxed);
    if (state == ArenaState::kActive) [[likely]]
      return page_free_remote(place.page, place.index);
    if (state == ArenaState::kMade || state == ArenaState::kEnded)
      return free_in_made_arena(made_arena_of(owner), place, ptr);
    bool can_adopt = state == ArenaState::kAbandoned && !is_stand_in(mine);
    if (!can_adopt || !page_adopt(mine, place.page)) return page_free_remote(place.page, place.index);
  }
}

namespace {

// Out of line, so that the common free needs no room for what a hold answers.
[[gnu::noinline]] Misuse free_in_special_page(Arena* mine, Place place, void* ptr) {
  if (is_hardened(*place.page) && !are_policies_whole(*place.page)) header_check(place.page);
  if (load_relaxed(place.page->held_blocks) == 0) [[likely]]
    return hardened_free(mine, place, ptr, kAnyBytes);
  Misuse misuse = Misuse::kNone;
  if (block_note_free(ptr, &misuse)) return misuse;
  return is_hardened(*place.page) ? hardened_free(mine, place, ptr, kAnyBytes) : free_unheld(mine, place, ptr);
}

Misuse free_in_bucket_page(Arena* mine, Place place, void* ptr) {
  if (is_special(*place.page)) [[unlikely]]
    return free_in_special_page(mine, place, ptr);
  return free_unheld(mine, place, ptr);
}

// True when the page's bitmaps are where they can be: one of them alone cannot be elsewhere.
bool are_bitmaps_in_place(const PageHeader& page, const uint64_t* free_bits) {
  constexpr ptrdiff_t kInlineDistance =
      ptrdiff_t{offsetof(PageHeader, inline_remote_bits)} - ptrdiff_t{offsetof(PageHeader, inline_free_bits)};
  auto* remote_bits = reinterpret_cast<const char*>(load_relaxed(page.remote_bits));
  ptrdiff_t distance = remote_bits - reinterpret_cast<const char*>(free_bits);
  return distance == load_shared(primary_bitmaps_distance) || distance == kInlineDistance;
}

}  // namespace

namespace {

// By the arithmetic of find_local().
[[gnu::always_inline]] inline bool find_start_here(const void* ptr, Place* place) {
  size_t offset = offset_of(ptr);
  if (offset >= load_shared(primary_committed_bytes)) return false;
  PageHeader* page = load_shared(primary_headers) + offset / kPageBytes;
  if (kind_of(page) != PageKind::kBucket) return false;
  uint32_t block_bytes = __atomic_load_n(&page->block_bytes, __ATOMIC_ACQUIRE);  // as in is_settled()
  const ClassFacts& facts = *opaque(&kClassFacts.of_class[page->size_class]);
  const uint64_t* free_bits = load_relaxed(page->free_bits);
  bool is_whole = block_bytes == facts.block_bytes && are_bitmaps_in_place(*page, free_bits);
  if (kHasChecks && !is_whole) return false;
  uint64_t product = offset % kPageBytes * facts.reciprocal;
  // Not the page's own limit: that is 0 while remote frees wait.
  if (kHasChecks && static_cast<uint32_t>(product) >= facts.start_limit) return false;
  *place = {page, static_cast<uint32_t>(product >> 32)};
  return !kHasChecks || !bitmap_test(free_bits, place->index);
}

}  // namespace

bool find_start(const void* ptr, Place* place) { return find_start_here(ptr, place); }

namespace {

// The run in use that starts at `ptr` in the primary region; null in every other case.
PageHeader* find_run(const void* ptr) {
  size_t offset = offset_of(ptr);
  if (offset >= load_shared(primary_committed_bytes) || offset % kPageBytes != 0) return nullptr;
  PageHeader* page = load_shared(primary_headers) + offset / kPageBytes;
  return kind_of(page) == PageKind::kRun && is_settled(*page) ? page : nullptr;
}

[[gnu::noinline]] Misuse deallocate_otherwise(void* ptr) {
  if (ptr == nullptr) return Misuse::kNone;
  Place place;
  PageHeader* run = find_run(ptr);
  if (run != nullptr) return arena_put_run(run) ? Misuse::kNone : Misuse::kDoubleFree;
  Block block;
  Misuse misuse = place_of(ptr, &place, &block);
  if (misuse != Misuse::kNone) return misuse;
  return deallocate_found(place, ptr);
}

// `misuse` is what the free of the old block said.
Misuse settle_move(Misuse misuse, void* moved, void** result) {
  if (misuse == Misuse::kNone) {
    *result = moved;
  } else {
    deallocate(moved);  // another thread has freed the old block meanwhile
  }
  return misuse;
}

// Moves a block: the new one is allocated first, so that a refusal leaves the old one as it was.
Misuse move_block(void* ptr, size_t keep_bytes, size_t bytes, void** result) {
  void* moved = allocate(bytes);
  if (moved == nullptr) return Misuse::kNone;
  memcpy(moved, ptr, keep_bytes < bytes ? keep_bytes : bytes);
  return settle_move(deallocate(ptr), moved, result);
}

// A block that grows is likely to grow again: it gets a quarter more than it had, so that who appends little by little
// moves half as often as the size classes alone would ask for.
size_t roomy_bytes(size_t had_bytes, size_t bytes) {
  size_t roomy = had_bytes + had_bytes / kRoomShare;
  return bytes > had_bytes && bytes < roomy && roomy <= kMaxBlockBytes ? roomy : bytes;
}

// Moves a block of a bucket page to one for another size.
Misuse resize_by_move(void* ptr, size_t had_bytes, size_t bytes, void** result) {
  size_t roomy = roomy_bytes(had_bytes, bytes);
  Misuse misuse = move_block(ptr, had_bytes, roomy, result);
  if (*result != nullptr || misuse != Misuse::kNone || roomy == bytes) return misuse;
  return move_block(ptr, had_bytes, bytes, result);
}

Misuse reallocate_run(PageHeader* run, const Block& block, size_t bytes, void** result) {
  if (round_up(bytes, kOsPageBytes) == block.usable_bytes) {  // nothing changes, and no lock is taken for it
    *result = block.start;
    return Misuse::kNone;
  }
  if (bytes > kMaxBlockBytes && bytes <= kMaxRunBytes) {
    RunList::Resized resized = run_list.resize(run, bytes, nullptr);
    // What lies behind it may be a spare run.
    if (resized == RunList::Resized::kNoRoom && arena_put_spares(arena_now()))
      resized = run_list.resize(run, bytes, nullptr);
    if (resized == RunList::Resized::kNotARun) return Misuse::kDoubleFree;
    if (resized == RunList::Resized::kDone) *result = block.start;
  }
  return *result != nullptr ? Misuse::kNone : move_block(block.start, block.usable_bytes, bytes, result);
}

// Moves a mapping's content to another block. The pin keeps it readable meanwhile; what was known of it before may be
// of an older block at the same address, should another thread have freed that.
Misuse move_mapping(void* ptr, size_t bytes, void** result) {
  if (!mapping_table.pin(ptr)) return Misuse::kDoubleFree;
  Block pinned;
  Misuse misuse = mapping_table.find(ptr, &pinned);
  void* moved = misuse == Misuse::kNone ? allocate(bytes) : nullptr;
  if (moved == nullptr) {
    mapping_table.unpin(ptr);
    return misuse;
  }
  memcpy(moved, ptr, pinned.usable_bytes < bytes ? pinned.usable_bytes : bytes);
  return settle_move(mapping_table.put_pinned(ptr), moved, result);
}

Misuse reallocate_mapping(void* ptr, size_t bytes, void** result) {
  if (unreadable_blocks.holds(ptr)) return move_block(ptr, 0, bytes, result);
  size_t most_moved = load_shared(process_policies) == 0 ? kMaxRunBytes / kShrinkShare : kMaxBlockBytes;
  if (bytes > most_moved) *result = mapping_table.resize(ptr, bytes, nullptr);
  return *result != nullptr ? Misuse::kNone : move_mapping(ptr, bytes, result);
}

// Moves a block of the hardened profile. Also one that grows little by little is of exactly the length asked for, in a
// place with room to spare.
Misuse move_hardened(void* ptr, size_t had_bytes, size_t bytes, void** result) {
  void* moved = hardened_allocate_roomy(bytes, roomy_bytes(had_bytes, bytes));
  if (moved == nullptr) return move_block(ptr, had_bytes, bytes, result);
  memcpy(moved, ptr, had_bytes < bytes ? had_bytes : bytes);
  return settle_move(deallocate(ptr), moved, result);
}

Misuse reallocate_hardened(const Place& place, void* ptr, size_t had_bytes, size_t bytes, void** result) {
  Misuse misuse = hardened_resize(place, bytes, result);
  if (misuse != Misuse::kNone || *result != nullptr) return misuse;
  return move_hardened(ptr, had_bytes, bytes, result);
}

// The rest of reallocate(): blocks that are not the thread's own, runs, mappings, misuse.
Misuse reallocate_slow(void* ptr, size_t bytes, void** result) {
  Place place;
  Block block;
  if (PageHeader* run = find_run(ptr))
    return reallocate_run(run, {run->start, load_relaxed(run->run_bytes), kNoSizeClass, 0}, bytes, result);
  if (hardened_find_own(ptr, &place))
    return reallocate_hardened(place, ptr, asked_bytes(*place.page, place.index), bytes, result);
  Misuse misuse = place_of(ptr, &place, &block);
  if (misuse != Misuse::kNone) return misuse;
  if (place.page == nullptr) return reallocate_mapping(ptr, bytes, result);
  if (block.kind == static_cast<uint32_t>(PageKind::kRun)) return reallocate_run(place.page, block, bytes, result);
  if (is_hardened(*place.page)) return reallocate_hardened(place, ptr, block.usable_bytes, bytes, result);
  if (!stays_in_block(block.usable_bytes, bytes)) return resize_by_move(ptr, block.usable_bytes, bytes, result);
  *result = ptr;
  return Misuse::kNone;
}

// A mapping; where there is no room for one, a run, without policies but that of being zero again.
[[gnu::noinline, gnu::cold]] void* allocate_large_hardened(Arena* owner, size_t bytes, size_t alignment, bool* is_zero,
                                                           uint32_t policies) {
  // Memory of free runs serves no mapping: as much of it gives way as is added.
  if (!mapping_table.has_memory_for(bytes)) run_list.give_back_for(divide_up(bytes, kPageBytes));
  if (void* ptr = mapping_table.take(bytes, alignment, owner, policies)) return ptr;
  if (owner == nullptr) owner = run_list.hardened_owner();
  size_t align_pages = alignment <= kPageBytes ? 1 : alignment / kPageBytes;
  size_t pages = divide_up(bytes, kPageBytes) + align_pages - 1;
  if (pages > kMaxRunPages && (pages >= kMostRunPages || !is_limit_below_reserved())) return nullptr;
  for (;;) {
    void* ptr = take_run(owner, bytes, align_pages, is_zero);
    if (ptr != nullptr || quarantine_bytes(arena_now()) == 0) return ptr;
    quarantine_flush(arena_now());
  }
}

}  // namespace

void* allocate_large(Arena* owner, size_t bytes, size_t alignment, bool* is_zero) {
  *is_zero = true;
  if (bytes > PTRDIFF_MAX) return nullptr;
  uint32_t policies = owner == nullptr ? load_shared(process_policies) : owner->policies;
  if (policies != 0) [[unlikely]]
    return allocate_large_hardened(owner, bytes, alignment, is_zero, policies);
  size_t align_pages = alignment <= kPageBytes ? 1 : alignment / kPageBytes;
  size_t pages = divide_up(bytes, kPageBytes);
  bool is_run = pages + align_pages - 1 <= kMaxRunPages;
  void* block = is_run ? take_run(owner, bytes, align_pages, is_zero) : nullptr;
  if (*is_zero && block != nullptr && owner == nullptr) purger_consider();
  if (!is_run) run_list.give_back_for(pages);
  if (block == nullptr) block = mapping_table.take(bytes, alignment, owner);
  if (block != nullptr || is_run || pages + align_pages > kMostRunPages || !is_limit_below_reserved()) return block;
  return take_run(owner, bytes, align_pages, is_zero);
}

// Out of line, so that who finds a bit in the bucket's word keeps nothing for the search.
[[gnu::noinline]] void* allocate_found(Arena* arena, Bucket* bucket) {
  void* ptr = bucket_take_found(bucket);
  return ptr != nullptr ? ptr : allocate_refill(arena, bucket);
}

void* allocate_refill(Arena* arena, Bucket* bucket) {
  if (!has_page(*bucket)) [[unlikely]]
    return thread_take_slow(arena, bucket->size_class);
  return bucket_take_slow(arena, bucket);
}

namespace {

[[gnu::always_inline]] inline void* allocate_small(size_t bytes) {
  Arena* arena = arena_now();
  Bucket* bucket = bytes <= kMaxDirectBytes ? bucket_direct(arena, bytes) : bucket_at(arena, stepped_class_of(bytes));
  LowestBit lowest;
  return find_lowest_bit(*bucket->word, &lowest) ? bucket_take(bucket, lowest) : allocate_found(arena, bucket);
}

// The first call of all, every call of a library that has no distance, and every one in the hardened profile.
[[gnu::noinline]] void* allocate_without_fast_path(size_t bytes) {
  if (load_shared(process_policies) == 0) arena_place_find();
  return load_shared(process_policies) != 0 ? hardened_allocate(bytes) : allocate_small(bytes);
}

[[gnu::noinline]] void* allocate_unfenced(size_t bytes) {
  bool is_zero = false;
  return allocate_large(nullptr, bytes, kMaxAlignBytes, &is_zero);
}

// What no bucket of the fast profile serves.
void* allocate_otherwise(size_t bytes) {
  if (bytes < load_shared(hardened_end)) return hardened_allocate_direct(bytes);
  return bytes <= kMaxBlockBytes ? allocate_without_fast_path(bytes) : allocate_unfenced(bytes);
}

}  // namespace

void* allocate_beyond(size_t bytes) {
  return bytes < load_shared(bucket_end) ? allocate_small(bytes) : allocate_otherwise(bytes);
}

namespace {

// True for most pages that another thread's arena has: free_in_bucket_page() would come to page_free_remote() at once.
bool is_plainly_elsewhere(const Arena* mine, const PageHeader* page) {
  const Arena* owner = owner_of(*page);
  if (owner != load_relaxed(page->owner_again) || owner == mine || owner == nullptr || is_special(*page)) return false;
  return owner->state.load(std::memory_order_relaxed) == ArenaState::kActive;
}

}  // namespace

Misuse deallocate_slow(void* ptr) {
  if (load_shared(hardened_end) != 0) return hardened_deallocate_any(ptr);
  Place place;
  if (!find_start_here(ptr, &place)) return deallocate_otherwise(ptr);
  Arena* mine = *arena_place_near();
  if (is_plainly_elsewhere(mine, place.page)) [[likely]]
    return page_free_remote(place.page, place.index);
  return free_in_bucket_page(mine, place, ptr);
}

Misuse deallocate_found(Place place, void* ptr) {
  if (place.page == nullptr) return unreadable_blocks.holds(ptr) ? unreadable_blocks.put(ptr) : mapping_table.put(ptr);
  if (kind_of(place.page) == PageKind::kBucket) return free_in_bucket_page(arena_now(), place, ptr);
  return arena_put_run(place.page) ? Misuse::kNone : Misuse::kDoubleFree;
}

void* allocate(size_t bytes) { return allocate_fast(bytes); }

Misuse deallocate(void* ptr) { return deallocate_fast(offset_of(ptr)) ? Misuse::kNone : deallocate_slow(ptr); }

void* allocate_zeroed(size_t count, size_t bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return nullptr;
  bool is_zero = (load_shared(process_policies) & kZero) != 0;
  void* ptr = total <= kMaxBlockBytes ? allocate_fast(total) : allocate_large(nullptr, total, kMaxAlignBytes, &is_zero);
  if (ptr != nullptr && !is_zero) memset(ptr, 0, total);
  return ptr;
}

void* allocate_aligned(size_t alignment, size_t bytes) {
  if (!is_power_of_two(alignment) || bytes > PTRDIFF_MAX) return nullptr;
  if (load_shared(direct_end) == 0) [[unlikely]] {
    arena_place_find();
    if (load_shared(process_policies) != 0) return hardened_allocate_aligned(alignment, bytes);
  }
  if (bytes <= kMaxBlockBytes && alignment <= kMaxBlockBytes) {
    Arena* arena = arena_now();
    Bucket* bucket = bucket_at(arena, class_of(bytes, alignment));
    void* ptr = bucket_take_here(bucket);
    return ptr != nullptr ? ptr : allocate_refill(arena, bucket);
  }
  bool is_zero = false;
  return allocate_large(nullptr, bytes == 0 ? 1 : bytes, alignment, &is_zero);
}

Misuse reallocate(void* ptr, size_t bytes, void** result) {
  *result = nullptr;
  LocalBlock block;
  if (!find_local(arena_now(), offset_of(ptr), &block)) return reallocate_slow(ptr, bytes, result);
  if (stays_in_local(block, bytes)) {
    *result = ptr;
    return Misuse::kNone;
  }
  uint32_t had_bytes = block.page->block_bytes;
  // The reciprocal has just proved right.
  if (kHasChecks && !has_reciprocal(had_bytes, block.reciprocal)) [[unlikely]]
    header_check(block.page);
  return resize_by_move(ptr, had_bytes, bytes, result);
}

Misuse locate(const void* ptr, Block* block) {
  Place place;
  return place_of(ptr, &place, block);
}

Misuse locate_owned(const void* ptr, Block* block, Arena** owner) {
  Place place;
  Misuse misuse = place_of(ptr, &place, block);
  *owner = place.page != nullptr ? checked_owner_of(place.page) : mapping_table.owner_of(ptr);
  return misuse;
}

}  // namespace pagerun
