#include "hardened.h"

#include <cstring>

#include "../base/check.h"
#include "../harden/fill.h"
#include "../harden/finding.h"
#include "../os/memory.h"
#include "allocator_inline.h"
#include "header_check.h"
#include "made_arena.h"
#include "quarantine.h"
#include "region.h"
#include "run_list.h"
#include "slack_entries.h"
#include "thread_arena.h"
#include "unreadable_blocks.h"

namespace pagerun {

namespace {

// What a process has that does not choose. The fast paths serve blocks of short lengths under these alone: where they
// are known, none is asked about, and no call is made but in tail position.
constexpr uint32_t kDefaultPolicies = kHardened | kAllPolicies;

constexpr uint32_t kLookedBackPages = 8;

// A multiplicative congruential generator by its upper bits, of odd numbers (P. L'Ecuyer, "Tables of linear
// congruential generators of different sizes and good lattice structure", 1999). The present one serves, and nobody
// waits for the next.
inline uint32_t next_turn(Arena* arena) {
  uint64_t present = arena->random;
  arena->random = present * 1181783497276652981ull;
  return static_cast<uint32_t>(present >> 58);
}

// A set bit of the word: under the policy the first from one chosen at random on.
inline uint32_t choose_bit(Arena* arena, uint32_t policies, uint64_t word) {
  if (!(policies & kRandom)) return lowest_bit(word);
  uint32_t turn = next_turn(arena);
  return (lowest_bit(word >> turn | word << (kWordBits - turn) % kWordBits) + turn) % kWordBits;
}

// Takes a block of the current page's hot word, which is `word`, not 0.
inline uint32_t take_index(Arena* arena, Bucket* bucket, uint32_t policies, size_t offset, uint64_t word) {
  uint32_t bit = choose_bit(arena, policies, word);
  store_owned(word_at(bucket->bits, offset), word & ~mask_of(bit));
  store_owned(bucket->page->countdown, bucket->page->countdown + 1);
  return static_cast<uint32_t>(offset * kBitsPerByte) + bit;
}

uint32_t index_of(const PageHeader& page, const void* block) {
  return static_cast<uint32_t>(static_cast<const char*>(block) - page.start) / page.block_bytes;
}

// True when nobody wrote to a block while it was free.
inline bool is_untouched(uint32_t policies, const char* block, uint32_t block_bytes, uint8_t entry) {
  return !(policies & kZero) || entry == kFreshEntry || is_all_zero(block, block_bytes);
}

// What the entry says of a block whose free bit was set is that it is free: else one of the two is damaged.
inline void expect_free(const PageHeader* page, uint8_t entry) {
  if (is_live_entry(entry)) [[unlikely]]
    header_damaged(page, "a block that is free has the entry of a free one");
}

// A block that was just taken becomes the caller's.
inline void hand_out(uint32_t policies, char* block, uint32_t block_bytes, uint8_t* entries, uint32_t index,
                     size_t bytes) {
  size_t slack = block_bytes - bytes;
  if (policies & kCanary) canary_write_first(block, block_bytes, slack);
  set_slack(entries, index, slack);
}

// The entries of the bucket's current page.
inline uint8_t* current_entries(const Bucket& bucket) {
  size_t offset = offset_of(bucket.start);
  if (offset >= load_shared(primary_committed_bytes)) [[unlikely]]
    return entries_of(*bucket.page);
  return reinterpret_cast<uint8_t*>(load_shared(primary_slack_table)) + offset / kPageBytes * kSlackStride;
}

// The head of the bucket page that a block is in.
PageHeader* head_at(const void* block) {
  PageHeader* header = region_of(block)->header_of(block);
  return load_relaxed(header->kind) == PageKind::kFollow ? header - load_relaxed(header->distance) : header;
}

[[gnu::noinline]] void* take_slow(Arena* arena, Bucket* bucket, size_t bytes) {
  for (;;) {
    void* ptr = is_made(arena) || has_page(*bucket) ? bucket_take_slow(arena, bucket)
                                                    : thread_take_slow(arena, bucket->size_class);
    if (ptr == nullptr && quarantine_bytes(arena) == 0) return nullptr;
    if (ptr == nullptr) {
      quarantine_flush(arena);
      continue;
    }
    PageHeader* page = head_at(ptr);
    header_check(page);
    uint32_t policies = page->policies, block_bytes = page->block_bytes, index = index_of(*page, ptr);
    auto* block = static_cast<char*>(ptr);
    uint8_t* entries = entries_of(*page);
    uint8_t entry = load_relaxed(entries[index]);
    expect_free(page, entry);
    if (is_untouched(policies, block, block_bytes, entry)) {
      hand_out(policies, block, block_bytes, entries, index, bytes);
      return block;
    }
    finding_note({Misuse::kWriteAfterFree, block, block_bytes});
  }
}

// A block that was written to while it was free stays out of use for ever; the caller gets another one.
[[gnu::noinline, gnu::cold]] void* take_instead(Arena* arena, Bucket* bucket, size_t bytes, const char* block) {
  finding_note({Misuse::kWriteAfterFree, block, bucket->block_bytes});
  return take_slow(arena, bucket, bytes);
}

// The hot word has no free bit: another one of the page, or another page.
[[gnu::noinline]] void* take_found(Arena* arena, Bucket* bucket, size_t bytes) {
  return bucket_find_word(bucket) ? hardened_take(arena, bucket, bytes) : take_slow(arena, bucket, bytes);
}

// A block taken from the hot word, and what its entry said.
struct Taken {
  char* block;
  uint8_t* entries;
  uint32_t index, block_bytes;
  uint8_t entry;
};

// False where the hot word has no free bit.
[[gnu::always_inline]] inline bool take_hot(Arena* arena, Bucket* bucket, uint32_t policies, Taken* taken) {
  size_t offset = bucket->page->hot_offset;
  uint64_t word = word_at(bucket->bits, offset);
  if (word == 0) [[unlikely]]
    return false;
  uint8_t* entries = current_entries(*bucket);
  uint32_t index = take_index(arena, bucket, policies, offset, word), block_bytes = bucket->block_bytes;
  uint8_t entry = load_relaxed(entries[index]);
  expect_free(bucket->page, entry);
  *taken = {bucket->start + static_cast<size_t>(index) * block_bytes, entries, index, block_bytes, entry};
  return true;
}

[[gnu::always_inline]] inline void* take(Arena* arena, Bucket* bucket, size_t bytes, uint32_t policies) {
  Taken taken;
  if (!take_hot(arena, bucket, policies, &taken)) [[unlikely]]
    return take_found(arena, bucket, bytes);
  if (!is_untouched(policies, taken.block, taken.block_bytes, taken.entry)) [[unlikely]]
    return take_instead(arena, bucket, bytes, taken.block);
  hand_out(policies, taken.block, taken.block_bytes, taken.entries, taken.index, bytes);
  return taken.block;
}

// The same for few bytes under the default policies.
template <class Fill>
[[gnu::always_inline]] inline void* take_short(Arena* arena, Bucket* bucket, size_t bytes) {
  Taken taken;
  if (!take_hot(arena, bucket, kDefaultPolicies, &taken)) [[unlikely]]
    return take_found(arena, bucket, bytes);
  size_t slack = taken.block_bytes - bytes;
  bool is_untouched = Fill::reach(taken.block_bytes, [=](auto reach) {
    if (taken.entry != kFreshEntry && !reach.is_clear(taken.block, taken.block_bytes)) return false;
    reach.write_canary(taken.block, taken.block_bytes, slack);
    return true;
  });
  if (!is_untouched) [[unlikely]]
    return take_instead(arena, bucket, bytes, taken.block);
  store_relaxed(taken.entries[taken.index], static_cast<uint8_t>(slack));
  return taken.block;
}

[[gnu::noinline]] void* allocate_direct_otherwise(Arena* arena, size_t bytes) {
  if (bytes == 0) return hardened_allocate_aligned(kMaxAlignBytes, bytes);
  return take(arena, bucket_direct(arena, bytes + least_slack(load_shared(process_policies))), bytes, arena->policies);
}

Bucket* bucket_of(Arena* arena, size_t bytes) {
  if (bytes <= kMaxDirectBytes) return bucket_direct(arena, bytes);
  return bucket_at(arena, stepped_class_of(round_up(bytes, kMaxAlignBytes)));
}

// What is wrong with a free of a live block with that slack.
inline Misuse check_free(uint32_t policies, char* block, uint32_t block_bytes, size_t slack, size_t bytes) {
  if (bytes != kAnyBytes && (policies & kSized ? bytes != block_bytes - slack : bytes > block_bytes))
    return Misuse::kWrongSize;
  bool is_whole = !(policies & kCanary) || canary_holds(block, block + block_bytes, slack);
  return is_whole ? Misuse::kNone : Misuse::kOverflow;
}

// Marks a live block free; the bytes are zero then. `is_owner`: no other thread but one in error changes the entry now.
[[gnu::always_inline]] inline Misuse mark_free(uint32_t policies, char* block, uint32_t block_bytes, uint8_t* entries,
                                               uint32_t index, size_t bytes, bool is_owner) {
  uint8_t entry = load_relaxed(entries[index]);
  size_t slack = slack_at(entries, index, entry);
  if (slack == kAnySlack) [[unlikely]]
    return Misuse::kDoubleFree;
  Misuse misuse = check_free(policies, block, block_bytes, slack, bytes);
  // Another thread that frees the block at this moment has cleared it, canary and all.
  if (misuse != Misuse::kNone) [[unlikely]]
    return is_live_entry(load_relaxed(entries[index])) ? misuse : Misuse::kDoubleFree;
  if (is_owner) {
    store_relaxed(entries[index], kFreeEntry);
  } else if (!__atomic_compare_exchange_n(&entries[index], &entry, kFreeEntry, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED)) {
    return Misuse::kDoubleFree;
  }
  if (policies & kZero) fill_zero(block, block_bytes);
  return Misuse::kNone;
}

// Where the block is, the caller knows from the pointer, not from the header.
Misuse mark_free_at(const Place& place, char* block, size_t bytes, bool is_owner) {
  const PageHeader& page = *place.page;
  return mark_free(page.policies, block, page.block_bytes, entries_of(page), place.index, bytes, is_owner);
}

Misuse retire(Arena* arena, const Place& place, uint32_t policies, bool is_own) {
  return quarantine_put(arena, place, (policies & kQuarantine) != 0, is_own);
}

// A live block of the calling thread's own arena; of one that is free already the place.
struct OwnBlock {
  Arena* arena;
  Place place;
  uint8_t* entries;
  uint32_t block_bytes;
};

[[gnu::always_inline]] inline bool find_own(void* ptr, OwnBlock* own) {
  size_t offset = offset_of(ptr);
  if (offset >= load_shared(primary_committed_bytes)) [[unlikely]]
    return false;
  size_t number = offset / kPageBytes;
  PageHeader* page = load_shared(primary_headers) + number;
  const ClassFacts& facts = *opaque(&kClassFacts.of_class[page->size_class]);
  uint64_t product = offset % kPageBytes * facts.reciprocal;
  Arena* arena = *arena_place_near();
  // A page of this arena's is a bucket page; one of another thread's may be anything by now.
  bool is_start = static_cast<uint32_t>(product) < facts.start_limit;
  // What the class says and what the page says: one of them alone may be damaged.
  bool is_class = facts.block_bytes == load_relaxed(page->block_bytes);
  if (owner_of(*page) != arena || !is_start || !is_class || load_relaxed(page->held_blocks) != 0) [[unlikely]]
    return false;
  auto* entries = reinterpret_cast<uint8_t*>(load_shared(primary_slack_table)) + number * kSlackStride;
  *own = {arena, {page, static_cast<uint32_t>(product >> 32)}, entries, facts.block_bytes};
  return true;
}

[[gnu::noinline]] Misuse deallocate_own(const OwnBlock& own, void* ptr, size_t bytes) {
  uint32_t policies = own.arena->policies;
  Misuse misuse =
      mark_free(policies, static_cast<char*>(ptr), own.block_bytes, own.entries, own.place.index, bytes, true);
  return misuse == Misuse::kNone ? retire(own.arena, own.place, policies, true) : misuse;
}

// What a sized free may name. A block of no bytes that must lie at a large alignment has one.
bool is_size_of(const Block& block, size_t bytes) {
  bool is_exact = (process_policies & kSized) && block.kind != static_cast<uint32_t>(PageKind::kRun);
  if (!is_exact) return bytes <= block.usable_bytes;
  return bytes == block.usable_bytes || (bytes == 0 && block.usable_bytes == 1);
}

// A free that the fast path does not serve.
[[gnu::noinline]] Misuse deallocate_far(void* ptr, size_t bytes) {
  if (ptr == nullptr) return Misuse::kNone;
  Place place;
  if (find_start(ptr, &place) && is_hardened(*place.page) && load_relaxed(place.page->held_blocks) == 0 &&
      are_policies_whole(*place.page))
    return hardened_free(arena_now(), place, ptr, bytes);
  Block block;
  Misuse misuse = place_of(ptr, &place, &block);
  if (misuse != Misuse::kNone) return misuse;
  if (bytes != kAnyBytes && !is_size_of(block, bytes)) return Misuse::kWrongSize;
  return deallocate_found(place, ptr);
}

template <class Fill>
[[gnu::always_inline]] inline void* allocate_short(size_t bytes) {
  Arena* arena = *arena_place_near();
  if (bytes - 1 >= Fill::kShortBytes - 1 || arena->policies != kDefaultPolicies) [[unlikely]]
    return allocate_direct_otherwise(arena, bytes);
  return take_short<Fill>(arena, bucket_direct(arena, bytes + least_slack(kDefaultPolicies)), bytes);
}

PAGERUN_FOR_LINES [[gnu::noinline]] void* allocate_by_lines(size_t bytes) { return allocate_short<ByLines>(bytes); }

[[gnu::noinline]] void* allocate_by_pairs(size_t bytes) { return allocate_short<ByPairs>(bytes); }

// A free of a block of the thread's own, which is short and under the default policies. What is wrong with another one,
// deallocate_own() tells.
template <class Fill>
[[gnu::always_inline]] inline Misuse free_short(void* ptr) {
  OwnBlock own;
  if (!find_own(ptr, &own)) [[unlikely]]
    return deallocate_far(ptr, kAnyBytes);
  Quarantine* quarantine = own.arena->quarantine;
  uint8_t* entry = own.entries + own.place.index;
  size_t slack = load_relaxed(*entry);
  if (own.block_bytes > Fill::kShortBytes || own.arena->policies != kDefaultPolicies || quarantine == nullptr)
      [[unlikely]]
    return hardened_deallocate(ptr, kAnyBytes);
  auto* block = static_cast<char*>(ptr);
  bool is_done = Fill::reach(own.block_bytes, [=](auto reach) {
    if (!reach.is_slack(slack) || !reach.holds_canary(block, own.block_bytes, slack)) return false;
    store_relaxed(*entry, kFreeEntry);
    reach.clear(block, own.block_bytes);
    return true;
  });
  if (!is_done) [[unlikely]]
    return hardened_deallocate(ptr, kAnyBytes);
  return quarantine_pass(quarantine, own.place, own.block_bytes);
}

PAGERUN_FOR_LINES [[gnu::noinline]] Misuse free_by_lines(void* ptr) { return free_short<ByLines>(ptr); }

[[gnu::noinline]] Misuse free_by_pairs(void* ptr) { return free_short<ByPairs>(ptr); }

}  // namespace

void* hardened_allocate_direct(size_t bytes) {
  return load_shared(has_lines) ? allocate_by_lines(bytes) : allocate_by_pairs(bytes);
}

void* hardened_allocate(size_t bytes) {
  if (bytes >= kMaxBlockBytes || bytes == 0) [[unlikely]]
    return hardened_allocate_aligned(kMaxAlignBytes, bytes);
  Arena* arena = arena_now();
  return hardened_take(arena, bucket_of(arena, bytes + least_slack(load_shared(process_policies))), bytes);
}

void* hardened_allocate_roomy(size_t bytes, size_t room_bytes) {
  if (bytes == 0 || room_bytes >= kMaxBlockBytes) return nullptr;
  Arena* arena = arena_now();
  return hardened_take(arena, bucket_of(arena, room_bytes + least_slack(load_shared(process_policies))), bytes);
}

void* hardened_allocate_aligned(size_t alignment, size_t bytes) {
  if (bytes == 0 && (process_policies & kSizeZero)) {
    if (void* ptr = unreadable_blocks.take(alignment)) return ptr;
  }
  if (bytes < kMaxBlockBytes && alignment <= kMaxBlockBytes) {
    size_t rounded = round_up(hardened_room(bytes, process_policies), alignment);
    if (rounded <= kMaxBlockBytes) {
      Arena* arena = arena_now();
      return hardened_take(arena, bucket_at(arena, class_of(rounded, alignment)), bytes);
    }
  }
  bool is_zero = false;
  return allocate_large(nullptr, bytes == 0 ? 1 : bytes, alignment, &is_zero);
}

void* hardened_take(Arena* arena, Bucket* bucket, size_t bytes) { return take(arena, bucket, bytes, arena->policies); }

Misuse hardened_free(Arena* mine, Place place, void* ptr, size_t bytes) {
  Arena* owner = checked_owner_of(place.page);
  if (owner == nullptr) return Misuse::kDoubleFree;
  if (owner != mine && owner->state.load(std::memory_order_relaxed) == ArenaState::kMade) {
    if (bytes != kAnyBytes && bytes != asked_bytes(*place.page, place.index)) return Misuse::kWrongSize;
    return free_unheld(mine, place, ptr);
  }
  Misuse misuse = mark_free_at(place, static_cast<char*>(ptr), bytes, owner == mine);
  return misuse == Misuse::kNone ? retire(mine, place, place.page->policies, false) : misuse;
}

Misuse hardened_free_made(Arena* arena, const Place& place, void* ptr, bool is_mine) {
  Misuse misuse = mark_free_at(place, static_cast<char*>(ptr), kAnyBytes, is_mine);
  if (misuse != Misuse::kNone) return misuse;
  return is_mine ? retire(arena, place, arena->policies, false) : page_free_remote(place.page, place.index);
}

Misuse hardened_deallocate(void* ptr, size_t bytes) {
  OwnBlock own;
  if (!find_own(ptr, &own)) return deallocate_far(ptr, bytes);
  return deallocate_own(own, ptr, bytes);
}

Misuse hardened_deallocate_any(void* ptr) { return load_shared(has_lines) ? free_by_lines(ptr) : free_by_pairs(ptr); }

bool hardened_find_own(void* ptr, Place* place) {
  OwnBlock own;
  if (load_shared(hardened_end) == 0 || !find_own(ptr, &own) || find_damage(*own.place.page) != nullptr) return false;
  *place = own.place;
  return true;
}

Misuse hardened_resize(const Place& place, size_t bytes, void** result) {
  PageHeader& page = *place.page;
  uint8_t* entries = entries_of(page);
  size_t slack = slack_at(entries, place.index, load_relaxed(entries[place.index]));
  if (slack == kAnySlack) return Misuse::kDoubleFree;
  char* block = block_address(page, place.index);
  size_t room = page.block_bytes, had = room - slack;
  Misuse misuse = check_free(page.policies, block, page.block_bytes, slack, kAnyBytes);
  if (misuse != Misuse::kNone || !stays_in_block(room, bytes) || room - bytes < least_slack(page.policies))
    return misuse;
  if (bytes > had) memset(block + had, 0, bytes - had);  // the canary was there; the rest of it is whole
  if (bytes < had && (page.policies & kCanary)) canary_write(block, block + room, room - bytes);
  set_slack(entries, place.index, room - bytes);
  *result = block;
  return Misuse::kNone;
}

bool page_harden(Arena* arena, PageHeader* page) {
  if (!run_list.keep_slack(page)) return false;
  Region& region = region_of_header(page);
  auto number = static_cast<uint32_t>(&region - region_table.regions);
  uint32_t capacity = class_capacity(page->size_class);
  uint8_t* entries = region.slack_of(page);
  memset(entries, page->run_dirty ? kFreeEntry : kFreshEntry, capacity);
  // Bits behind the last block's are those of no free block.
  memset(entries + capacity, kNoBlockEntry, round_up(capacity, kWordBits) - capacity);
  store_relaxed(page->policies, arena->policies | number << kRegionShift);
  if (arena->random == 0) arena->random = os::random_bits() | 1;
  quarantine_halve(arena);  // a program that only allocates meets what it freed again, too
  return true;
}

// Every second time at most: where blocks come and go at random, more pages shall have room for more of them, and each
// page so many that it is worth while to take from it.
PageHeader* page_kept_back(Arena* arena, Bucket* bucket) {
  PageList& full = full_pages(bucket);
  if (next_turn(arena) % 2 == 0) return nullptr;
  for (uint32_t i = 0; i < kLookedBackPages && !full.is_empty(); i++) {
    PageHeader* page = full.last();
    if (!is_full(*page)) return page;
    full.remove(page);
    full.push(page);
  }
  return nullptr;
}

void* bucket_take_chosen(Arena* arena, Bucket* bucket) {
  PageHeader* page = bucket->page;
  if ((arena->policies & kRandom) && used_of(*page) == 0) page->next_word = next_turn(arena) % words_of(page->capacity);
  if (!bucket_find_word(bucket)) return nullptr;
  size_t offset = page->hot_offset;
  return block_address(*page, take_index(arena, bucket, arena->policies, offset, word_at(bucket->bits, offset)));
}

uint64_t blocks_free_by_entry(const PageHeader& page, uint32_t w, uint64_t blocks) {
  const uint8_t* entries = entries_of(page);
  for (uint64_t rest = blocks; rest != 0; rest &= rest - 1) {
    uint32_t bit = lowest_bit(rest);
    if (is_live_entry(load_relaxed(entries[w * kWordBits + bit]))) blocks &= ~mask_of(bit);
  }
  return blocks;
}

uint64_t confirmed_frees(const PageHeader& page, uint32_t w, uint64_t blocks) {
  blocks = blocks_free_by_entry(page, w, blocks);
  blocks &= ~quarantined_blocks(owner_of(page), &page, w);
  return blocks & ~quarantined_blocks(arena_now(), &page, w);
}

}  // namespace pagerun
