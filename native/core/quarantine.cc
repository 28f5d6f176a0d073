#include "quarantine.h"

#include "../harden/fill.h"
#include "../harden/finding.h"
#include "../harden/policy.h"
#include "allocator.h"
#include "arena_list.h"
#include "made_arena.h"
#include "slack_entries.h"
#include "thread_arena.h"

namespace pagerun {

namespace {

[[gnu::noinline]] Misuse free_elsewhere(Arena* arena, const Place& place) {
  if (owner_of(*place.page) != arena) return free_unheld(arena_now(), place, block_address(*place.page, place.index));
  return made_arena_free(made_arena_of(arena), place.page, place.index);
}

// A block of another arena's page, which two threads have freed at once, or whose remote bit was damaged, can be live
// again when it leaves: only its owner's quarantine is asked at a drain, and the caller's.
bool is_live_again(const Place& place) {
  return is_hardened(*place.page) && is_live_entry(load_relaxed(entries_of(*place.page)[place.index]));
}

// `is_own`: the arena is known to be the thread's, and no made one.
inline Misuse free_for_good(Arena* arena, const Place& place, bool is_own) {
  if (is_live_again(place)) [[unlikely]]
    return Misuse::kDoubleFree;
  if (owner_of(*place.page) != arena || (!is_own && is_made(arena))) [[unlikely]]
    return free_elsewhere(arena, place);
  size_t offset = offset_of_word(place.index);
  uint64_t& word = word_at(place.page->free_bits, offset);
  store_owned(word, word | mask_of(place.index));
  store_owned(place.page->hot_offset, static_cast<uint32_t>(offset));
  page_count_free(arena, place.page);
  return Misuse::kNone;
}

// A block leaves. Its free was allowed long ago: that another thread's was, too, is nobody's answer now.
inline void release(Arena* arena, const Place& place, bool is_own) {
  if (free_for_good(arena, place, is_own) != Misuse::kNone) [[unlikely]]
    finding_note({Misuse::kDoubleFree, block_address(*place.page, place.index), place.page->block_bytes});
}

constexpr Quarantine::Entry kNone = {nullptr, kNoBlock, 0};

Quarantine::Entry& entry_at(Quarantine* quarantine, uint64_t number) {
  return quarantine->entries[number % kQuarantineBlocks];
}

// The block that has been longest in it does.
inline void release_oldest(Arena* arena, Quarantine* quarantine, bool is_own) {
  uint64_t first = first_of(*quarantine);
  Quarantine::Entry leaving = entry_at(quarantine, first);
  entry_at(quarantine, first) = kNone;
  quarantine->first = first + 1;
  quarantine->bytes -= leaving.block_bytes;
  if (leaving.page != nullptr) release(arena, place_of_entry(leaving), is_own);
}

void trim(Arena* arena, Quarantine* quarantine) {
  while (quarantine->bytes > kQuarantineBytes && count_of(*quarantine) > 0) release_oldest(arena, quarantine, false);
}

// Null where there is none to be had: what is freed is free at once then.
[[gnu::noinline]] Quarantine* quarantine_open(Arena* arena) {
  if (is_stand_in(arena)) return nullptr;
  LockGuard guard(arenas_lock);
  auto* quarantine = static_cast<Quarantine*>(records_map(sizeof(Quarantine)));
  if (quarantine == nullptr) return nullptr;
  for (Quarantine::Entry& entry : quarantine->entries) entry = kNone;
  arena->quarantine = quarantine;
  return quarantine;
}

}  // namespace

Misuse quarantine_put(Arena* arena, const Place& place, bool is_wanted, bool is_own) {
  Quarantine* quarantine = arena->quarantine;
  if (is_wanted && quarantine == nullptr) quarantine = quarantine_open(arena);
  if (!is_wanted || quarantine == nullptr) return free_for_good(arena, place, is_own);
  uint32_t block_bytes = place.page->block_bytes;
  if (count_of(*quarantine) == kQuarantineBlocks) release_oldest(arena, quarantine, is_own);
  uint32_t others = owner_of(*place.page) == arena ? 0 : kOthersBlock;
  entry_at(quarantine, quarantine->last++) = {place.page, place.index | others, block_bytes};
  quarantine->bytes += block_bytes;
  trim(arena, quarantine);
  return Misuse::kNone;
}

Misuse quarantine_notify(PageHeader* page) {
  page_notify(arena_now(), page);
  return Misuse::kNone;
}

Misuse quarantine_leave(PageHeader* page, uint32_t number) {
  Arena* arena = arena_now();
  if (page != nullptr) release(arena, {page, number % kNoBlock}, true);
  trim(arena, arena->quarantine);
  return Misuse::kNone;
}

void quarantine_flush(Arena* arena) {
  Quarantine* quarantine = arena->quarantine;
  while (quarantine != nullptr && count_of(*quarantine) > 0) release_oldest(arena, quarantine, false);
}

void quarantine_halve(Arena* arena) {
  Quarantine* quarantine = arena->quarantine;
  if (quarantine == nullptr) return;
  for (uint64_t i = divide_up(count_of(*quarantine), 2); i > 0; i--) release_oldest(arena, quarantine, false);
}

void quarantine_forget(Arena* arena) {
  Quarantine* quarantine = arena->quarantine;
  if (quarantine == nullptr) return;
  for (Quarantine::Entry& entry : quarantine->entries) entry = kNone;
  quarantine->first = quarantine->last;
  quarantine->bytes = 0;
}

uint64_t quarantined_blocks(const Arena* arena, const PageHeader* page, uint32_t w) {
  const Quarantine* quarantine = arena->quarantine;
  if (quarantine == nullptr) return 0;
  uint64_t blocks = 0;
  for (const Quarantine::Entry& entry : quarantine->entries) {
    Place place = place_of_entry(entry);
    if (place.page == page && word_of(place.index) == w) blocks |= mask_of(place.index);
  }
  return blocks;
}

void quarantine_check(const Arena* arena) {
  const Quarantine* quarantine = arena->quarantine;
  if (quarantine == nullptr) return;
  for (const Quarantine::Entry& entry : quarantine->entries) {
    if (entry.page == nullptr) continue;
    Place place = place_of_entry(entry);
    const char* block = block_address(*place.page, place.index);
    uint32_t block_bytes = place.page->block_bytes;
    if ((place.page->policies & kZero) && !is_all_zero(block, block_bytes))
      finding_note({Misuse::kWriteAfterFree, block, block_bytes});
  }
}

uint64_t quarantine_bytes(const Arena* arena) { return arena->quarantine == nullptr ? 0 : arena->quarantine->bytes; }

}  // namespace pagerun
