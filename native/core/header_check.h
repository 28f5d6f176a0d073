// Whether a page header can be what it says: asked at slow paths before anything in it is followed. A header that
// cannot is damaged, which is no caller's mistake that could be refused: the program ends with a line that names it.
// Owns nothing. Thread rule: any thread; each answer is of fields that stay as they are while the page is settled.
#pragma once

#include "arena.h"
#include "page.h"

namespace pagerun {

/// The first of a settled bucket page's equations that does not hold, as verify() names it; null when all do.
const char* find_damage(const PageHeader& page);

/// True when a page's policies can be what they say, so that its slack entries can be looked at.
bool are_policies_whole(const PageHeader& page);

/// The same of what the owner counts, where the page stands still: the owner's thread asks. O(capacity / 64).
const char* find_wrong_count(const PageHeader& page);

/// Prints `pagerun: damaged page header: <invariant> at <header> of the page at <address>` and aborts.
[[noreturn]] void header_damaged(const PageHeader* page, const char* invariant);

/// True when the header's owner is an arena, or none: it may be followed.
bool has_known_owner(const PageHeader& page, const Arena* owner);

/// Id of the page's owner; 0 when there is none, or none that can be followed.
uint64_t owner_id_of(const PageHeader& page);

/// The page's owner, to be followed. Ends the program when it is none.
inline Arena* checked_owner_of(const PageHeader* page) {
  Arena* owner = owner_of(*page);
  if (kHasChecks && owner != load_relaxed(page->owner_again) && !has_known_owner(*page, owner)) [[unlikely]]
    header_damaged(page, "owner is an arena");
  return owner;
}

/// True for most bucket pages that are not damaged, without a branch for each equation; false says nothing. Policies
/// and what lies on the header's third line are not looked at.
inline bool is_surely_whole(const PageHeader* page) {
  const Region& primary = region_table.regions[0];
  const ClassFacts& facts = kClassFacts.of_class[page->size_class];
  size_t offset = static_cast<size_t>(page->start - primary.base), index = offset / kPageBytes;
  bool is_inline = facts.capacity <= kInlineBlocks;
  const uint64_t* free_bits = is_inline ? page->inline_free_bits : primary.free_bits_at(index);
  const std::atomic<uint64_t>* remote_bits = is_inline ? page->inline_remote_bits : primary.remote_bits_at(index);
  uint32_t sizes_off = (load_relaxed(page->block_bytes) ^ facts.block_bytes) | (page->capacity ^ facts.capacity) |
                       (load_relaxed(page->run_pages) ^ facts.run_pages) |
                       (load_relaxed(page->start_limit) ^ facts.start_limit);
  bool is_placed = (page->free_bits == free_bits) & (page->remote_bits == remote_bits) &
                   (page == primary.headers + index) & (offset % kPageBytes == 0);
  return is_placed & (page->reciprocal == facts.reciprocal) & (page->size_class < kClassCount) & (sizes_off == 0);
}

/// Ends the program when the bucket page's header is damaged. O(1).
inline void header_check(const PageHeader* page) {
  if constexpr (!kHasChecks) return;
  const char* damage = find_damage(*page);
  if (damage != nullptr) [[unlikely]]
    header_damaged(page, damage);
}

/// The same for a state change by the owner's thread, which follows no policies.
inline void header_check_owned(const PageHeader* page) {
  if constexpr (!kHasChecks) return;
  if (!is_surely_whole(page)) [[unlikely]]
    header_check(page);
}

/// The same for a page whose blocks are about to be taken, or given back, by what its bits say. The owner's thread.
inline void header_check_counts(const PageHeader* page) {
  if constexpr (!kHasChecks) return;
  header_check_owned(page);
  const char* damage = find_wrong_count(*page);
  if (damage != nullptr) [[unlikely]]
    header_damaged(page, damage);
}

/// A free run's dirty pages are its own.
inline bool is_dirt_whole(const PageHeader& first) {
  uint32_t from = first.dirty_first, end = first.dirty_end;
  return from <= end && end <= first.run_pages && first.run_dirty <= end - from && (first.run_dirty == 0) == (end == 0);
}

/// A free run that starts at `first` is one at both ends, within its region, and nobody's: a bucket page is none,
/// whatever its kind says. No run is 0 pages long: the page before a free run is not free.
inline void check_free_run(const PageHeader* first) {
  if constexpr (!kHasChecks) return;
  uint32_t pages = first->run_pages;
  const PageHeader* last = first + pages - 1;
  bool is_run = load_relaxed(first->kind) == PageKind::kFree && is_in_header_table(last) &&
                load_relaxed(last->kind) == PageKind::kFree && last->run_pages == pages;
  if (!is_run) header_damaged(first, "both ends of a free run name its length");
  if (!is_dirt_whole(*first)) header_damaged(first, "a free run's dirty pages are its own");
  if (owner_of(*first) != nullptr) header_damaged(first, "a free run has no owner");
}

/// True when a head of a run is one in use, false when it is not settled. The length of such a run stands twice: in
/// pages, and in what its user may use. A bucket page is none here, either.
[[gnu::always_inline]] inline bool is_run_in_use(const PageHeader* head) {
  if constexpr (!kHasChecks) return is_settled(*head);
  if (head->block_bytes != kRunBlock) [[unlikely]] {
    if (!is_settled(*head)) return false;
    header_damaged(head, "block_bytes of a run is its mark");
  }
  if (head->run_pages != divide_up(head->run_bytes, kPageBytes))
    header_damaged(head, "run_pages == run_bytes in pages");
  return true;
}

}  // namespace pagerun
