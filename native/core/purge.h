// Gives back the content of free blocks inside bucket pages that are still in use: every OS page that lies wholly
// within free blocks. Possible because a free block holds nothing of ours. Owns nothing. Thread rule: the thread of the
// arena that owns the page, as only it hands blocks out.
#pragma once

#include <cstddef>

#include "arena.h"

namespace pagerun {

/// Purges the free blocks of one bucket page; returns the bytes given back. O(words of its bitmap), one system call for
/// every range of neighbouring free blocks that covers OS pages of at least `least_bytes`, of one at least.
size_t page_purge_free_blocks(const PageHeader* page, size_t least_bytes = kOsPageBytes);

/// The same for the pages of an arena, and the ranges in them, that are worth their system calls to a busy program.
size_t arena_purge_free_blocks(Arena* arena);

}  // namespace pagerun
