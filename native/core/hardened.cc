#include "hardened.h"

#include <cstring>

#include "../base/check.h"
#include "../harden/fill.h"
#include "../harden/finding.h"
#include "../os/memory.h"
#include "allocator.h"
#include "header_check.h"
#include "made_arena.h"
#include "region.h"
#include "run_list.h"
#include "thread_arena.h"
#include "unreadable_blocks.h"

namespace pagerun {

struct Quarantine {
  struct Entry {
    PageHeader* page;
    uint32_t index;
    uint32_t bytes;
  };

  uint64_t bytes;
  uint32_t first, count;
  Entry entries[kQuarantineBlocks];
};

namespace {

constexpr uint32_t kNoBlock = UINT32_MAX;

// xorshift64* (S. Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2014).
uint64_t next_random(Arena* arena) {
  uint64_t x = arena->random;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  arena->random = x;
  return x * 0x2545f4914f6cdd1dull;
}

// Takes a free block: from a word chosen at random on, the first word that has one, and in it from a bit chosen at
// random on, the first. kNoBlock when the page is full.
inline uint32_t choose_random(Arena* arena, PageHeader* page) {
  if (is_full(*page)) return kNoBlock;
  uint64_t random = next_random(arena);
  uint32_t words = words_of(page->capacity);
  auto w = static_cast<uint32_t>((random >> 32) * words >> 32);
  while (page->free_bits[w] == 0) w = w + 1 == words ? 0 : w + 1;
  uint64_t word = page->free_bits[w];
  uint32_t turn = static_cast<uint32_t>(random) % kWordBits;
  uint64_t turned = word >> turn | word << (kWordBits - turn) % kWordBits;
  uint32_t bit = (lowest_bit(turned) + turn) % kWordBits;
  store_owned(page->free_bits[w], word & ~mask_of(bit));
  store_owned(page->countdown, page->countdown + 1);
  return w * kWordBits + bit;
}

uint32_t index_of(const PageHeader& page, const void* block) {
  return static_cast<uint32_t>(static_cast<const char*>(block) - page.start) / page.block_bytes;
}

inline uint32_t choose(Arena* arena, Bucket* bucket) {
  PageHeader* page = bucket->page;
  if (page->policies & kRandom) [[likely]]
    return choose_random(arena, page);
  void* block = bucket_take_here(bucket);
  return block == nullptr ? kNoBlock : index_of(*page, block);
}

// A block that was just taken becomes the caller's. False when it was written to while it was free: it stays out of use
// then, for ever.
inline bool hand_out(PageHeader* page, uint32_t index, size_t bytes) {
  char* block = block_address(*page, index);
  uint32_t block_bytes = page->block_bytes;
  if ((page->policies & kZero) && !is_all_zero(block, block_bytes)) [[unlikely]] {
    finding_note({block, block_bytes});
    return false;
  }
  size_t slack = block_bytes - bytes;
  if (page->policies & kCanary) canary_write(block, block + block_bytes, slack);
  store_relaxed(slack_of(*page)[index], static_cast<uint16_t>(slack));
  return true;
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
    if (hand_out(page, index_of(*page, ptr), bytes)) return ptr;
  }
}

Bucket* bucket_of(Arena* arena, size_t bytes) {
  if (bytes <= kMaxDirectBytes) return reinterpret_cast<Bucket*>(reinterpret_cast<char*>(arena) + arena->direct[bytes]);
  return bucket_at(arena, stepped_class_of(round_up(bytes, kMaxAlignBytes)));
}

// What is wrong with a free of a live block, by its entry.
inline Misuse check_free(const PageHeader& page, const char* block, uint16_t slack, size_t bytes) {
  if (bytes != kAnyBytes && (page.policies & kSized ? bytes != page.block_bytes - slack : bytes > page.block_bytes))
    return Misuse::kWrongSize;
  bool is_whole = !(page.policies & kCanary) || canary_holds(block, block + page.block_bytes, slack);
  return is_whole ? Misuse::kNone : Misuse::kOverflow;
}

// Marks a live block free; the bytes are zero then. `is_owner`: no other thread but one in error changes the entry now.
inline Misuse mark_free(const Place& place, size_t bytes, bool is_owner) {
  PageHeader& page = *place.page;
  uint16_t& entry = slack_of(page)[place.index];
  uint16_t slack = load_relaxed(entry);
  if (slack == kFreeEntry) return Misuse::kDoubleFree;
  char* block = block_address(page, place.index);
  Misuse misuse = check_free(page, block, slack, bytes);
  if (misuse != Misuse::kNone) return misuse;
  if (is_owner) {
    store_relaxed(entry, kFreeEntry);
  } else if (!__atomic_compare_exchange_n(&entry, &slack, kFreeEntry, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    return Misuse::kDoubleFree;
  }
  if (page.policies & kZero) fill_zero(block, page.block_bytes);
  return Misuse::kNone;
}

Misuse free_for_good(Arena* arena, const Place& place) {
  if (owner_of(*place.page) != arena) return free_unheld(arena_now(), place, block_address(*place.page, place.index));
  if (is_made(arena)) return made_arena_free(made_arena_of(arena), place.page, place.index);
  size_t offset = offset_of_word(place.index);
  uint64_t& word = word_at(place.page->free_bits, offset);
  store_owned(word, word | mask_of(place.index));
  page_count_free(arena, place.page, offset);
  return Misuse::kNone;
}

// The block that has been longest in it leaves.
inline void release_oldest(Arena* arena, Quarantine* quarantine) {
  Quarantine::Entry entry = quarantine->entries[quarantine->first];
  quarantine->first = (quarantine->first + 1) % kQuarantineBlocks;
  quarantine->count--;
  quarantine->bytes -= entry.bytes;
  free_for_good(arena, {entry.page, entry.index});
}

// Null where there is none to be had: what is freed is free at once then.
[[gnu::noinline]] Quarantine* quarantine_open(Arena* arena) {
  if (arena == &empty_arena || arena == &ended_arena) return nullptr;
  arena->quarantine = static_cast<Quarantine*>(os::map(round_up(sizeof(Quarantine), kOsPageBytes)));
  return arena->quarantine;
}

inline Misuse retire(Arena* arena, const Place& place) {
  if (!(place.page->policies & kQuarantine)) return free_for_good(arena, place);
  Quarantine* quarantine = arena->quarantine;
  if (quarantine == nullptr) [[unlikely]] {
    quarantine = quarantine_open(arena);
    if (quarantine == nullptr) return free_for_good(arena, place);
  }
  uint32_t bytes = place.page->block_bytes;
  if (quarantine->count == kQuarantineBlocks) release_oldest(arena, quarantine);
  while (quarantine->count > 0 && quarantine->bytes + bytes > kQuarantineBytes) release_oldest(arena, quarantine);
  uint32_t last = (quarantine->first + quarantine->count++) % kQuarantineBlocks;
  quarantine->entries[last] = {place.page, place.index, bytes};
  quarantine->bytes += bytes;
  return Misuse::kNone;
}

}  // namespace

void* hardened_allocate(size_t bytes) {
  uint32_t policies = process_policies;
  size_t wanted = bytes + least_slack(policies);
  if (bytes >= kMaxBlockBytes || bytes == 0) [[unlikely]]
    return hardened_allocate_aligned(kMaxAlignBytes, bytes);
  Arena* arena = arena_now();
  Bucket* bucket = bucket_of(arena, wanted);
  return hardened_take(arena, bucket, bytes);
}

void* hardened_allocate_aligned(size_t alignment, size_t bytes) {
  if (bytes == 0 && (process_policies & kSizeZero)) {
    if (void* ptr = unreadable_blocks.take(alignment)) return ptr;
  }
  size_t wanted = bytes + least_slack(process_policies);
  if (bytes < kMaxBlockBytes && alignment <= kMaxBlockBytes) {
    size_t rounded = round_up(wanted == 0 ? 1 : wanted, alignment);
    if (rounded <= kMaxBlockBytes) {
      Arena* arena = arena_now();
      return hardened_take(arena, bucket_at(arena, class_of(rounded, alignment)), bytes);
    }
  }
  bool is_zero = false;
  return allocate_large(nullptr, bytes == 0 ? 1 : bytes, alignment, &is_zero);
}

void* hardened_take(Arena* arena, Bucket* bucket, size_t bytes) {
  PageHeader* page = bucket->page;
  uint32_t index = choose(arena, bucket);
  if (index == kNoBlock || !hand_out(page, index, bytes)) [[unlikely]]
    return take_slow(arena, bucket, bytes);
  return block_address(*page, index);
}

Misuse hardened_free(Arena* mine, Place place, void* ptr, size_t bytes) {
  Arena* owner = checked_owner_of(place.page);
  if (owner == nullptr) return Misuse::kDoubleFree;
  if (owner != mine && owner->state.load(std::memory_order_relaxed) == ArenaState::kMade) {
    if (bytes != kAnyBytes && bytes != asked_bytes(*place.page, place.index)) return Misuse::kWrongSize;
    return free_unheld(mine, place, ptr);
  }
  Misuse misuse = mark_free(place, bytes, owner == mine);
  return misuse == Misuse::kNone ? retire(mine, place) : misuse;
}

Misuse hardened_free_made(Arena* arena, const Place& place, bool is_mine) {
  Misuse misuse = mark_free(place, kAnyBytes, is_mine);
  if (misuse != Misuse::kNone) return misuse;
  return is_mine ? retire(arena, place) : page_free_remote(place.page, place.index);
}

Misuse hardened_deallocate(void* ptr, size_t bytes) {
  if (ptr == nullptr) return Misuse::kNone;
  Place place;
  if (find_start(ptr, &place) && is_hardened(*place.page) && load_relaxed(place.page->held_blocks) == 0) [[likely]]
    return hardened_free(arena_now(), place, ptr, bytes);
  Block block;
  Misuse misuse = place_of(ptr, &place, &block);
  if (misuse != Misuse::kNone) return misuse;
  if (bytes != kAnyBytes) {
    bool is_exact = (process_policies & kSized) && block.kind != static_cast<uint32_t>(PageKind::kRun);
    if (is_exact ? bytes != block.usable_bytes : bytes > block.usable_bytes) return Misuse::kWrongSize;
  }
  return deallocate_found(place, ptr);
}

Misuse hardened_resize(const Place& place, size_t bytes, void** result) {
  PageHeader& page = *place.page;
  uint16_t slack = load_relaxed(slack_of(page)[place.index]);
  if (slack == kFreeEntry) return Misuse::kDoubleFree;
  char* block = block_address(page, place.index);
  Misuse misuse = check_free(page, block, slack, kAnyBytes);
  size_t room = page.block_bytes, had = room - slack;
  if (misuse != Misuse::kNone || !stays_in_block(room, bytes) || room - bytes < least_slack(page.policies))
    return misuse;
  if (bytes > had) memset(block + had, 0, bytes - had);  // the canary was there
  if (page.policies & kCanary) canary_write(block, block + room, room - bytes);
  store_relaxed(slack_of(page)[place.index], static_cast<uint16_t>(room - bytes));
  *result = block;
  return Misuse::kNone;
}

bool page_harden(Arena* arena, PageHeader* page) {
  if (!run_list.keep_slack(page)) return false;
  Region& region = region_of_header(page);
  auto number = static_cast<uint32_t>(&region - region_table.regions);
  memset(region.slack_of(page), 0xff, class_capacity(page->size_class) * sizeof(uint16_t));
  store_relaxed(page->policies, arena->policies | number << kRegionShift);
  if (arena->random == 0) arena->random = os::random_bits() | 1;
  // A program that only allocates meets what it freed again, too.
  Quarantine* quarantine = arena->quarantine;
  for (uint64_t i = quarantine == nullptr ? 0 : divide_up(quarantine->count, 2); i > 0; i--)
    release_oldest(arena, quarantine);
  return true;
}

void* bucket_take_chosen(Arena* arena, Bucket* bucket) {
  PageHeader* page = bucket->page;
  if (!(page->policies & kRandom)) return bucket_take_here(bucket);
  uint32_t index = choose_random(arena, page);
  return index == kNoBlock ? nullptr : block_address(*page, index);
}

void quarantine_flush(Arena* arena) {
  Quarantine* quarantine = arena->quarantine;
  while (quarantine != nullptr && quarantine->count > 0) release_oldest(arena, quarantine);
}

void quarantine_forget(Arena* arena) {
  Quarantine* quarantine = arena->quarantine;
  if (quarantine == nullptr) return;
  quarantine->count = 0;
  quarantine->bytes = 0;
}

void quarantine_check(const Arena* arena) {
  const Quarantine* quarantine = arena->quarantine;
  if (quarantine == nullptr) return;
  for (uint32_t i = 0; i < quarantine->count; i++) {
    const Quarantine::Entry& entry = quarantine->entries[(quarantine->first + i) % kQuarantineBlocks];
    const char* block = block_address(*entry.page, entry.index);
    if ((entry.page->policies & kZero) && !is_all_zero(block, entry.bytes)) finding_note({block, entry.bytes});
  }
}

uint64_t quarantine_bytes(const Arena* arena) { return arena->quarantine == nullptr ? 0 : arena->quarantine->bytes; }

}  // namespace pagerun
