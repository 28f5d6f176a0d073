// Where a pointer leads: the page that holds it, its block there, and what is wrong with it.
// Owns nothing. Thread rule: any thread, any address; nothing at the address is read, and of a header nothing is
// followed that was not checked. What a page is may change at any moment but for a live block's.
#pragma once

#include <cstdint>

#include "../harden/misuse.h"
#include "page.h"

namespace pagerun {

/// The head of a pointer's page and, in a bucket page, the number of its block.
struct Place {
  PageHeader* page;
  uint32_t index;
};

/// Looks `ptr` up: kNone when it is the first byte of a live block, kInteriorPointer when it lies inside one (both
/// results are filled in both cases), else why it is neither. place->page is null for mappings, and when there is no
/// live block. A lock only where the pointer is in no region.
Misuse place_of(const void* ptr, Place* place, Block* block);

/// What the heap knows of the address, whatever it is. As place_of().
Known known_of(const void* ptr);

/// The block that starts at `ptr` in a bucket page of the primary region: what nearly every free finds. False in every
/// other case, where the page's bits say that the block is free, and where the header cannot be believed.
bool find_start(const void* ptr, Place* place);

/// Frees the live block at `ptr`, which place_of() has found at `place`.
Misuse deallocate_found(Place place, void* ptr);

/// Frees a block of a bucket page that is in use, whoever owns the page; nothing of it is held. `mine`: the calling
/// thread's arena.
Misuse free_unheld(Arena* mine, Place place, void* ptr);

inline bool is_free_block(const PageHeader* page, uint32_t index) {
  if (bitmap_test(page->free_bits, index)) return true;
  return (page->remote_bits[word_of(index)].load(std::memory_order_relaxed) & mask_of(index)) != 0;
}

}  // namespace pagerun
