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

/// Ends the program when the bucket page's header is damaged. O(1).
inline void header_check(const PageHeader* page) {
  if constexpr (!kHasChecks) return;
  const char* damage = find_damage(*page);
  if (damage != nullptr) [[unlikely]]
    header_damaged(page, damage);
}

/// The same for a page whose blocks are about to be taken, or given back, by what its bits say. The owner's thread.
inline void header_check_counts(const PageHeader* page) {
  if constexpr (!kHasChecks) return;
  header_check(page);
  const char* damage = find_wrong_count(*page);
  if (damage != nullptr) [[unlikely]]
    header_damaged(page, damage);
}

}  // namespace pagerun
