// What malloc.cc and new_delete.cc share: the fast paths' ways out. Owns the declarations only.
// Thread rule: every function from every thread; before main, too.
#pragma once

#include <cerrno>
#include <cstddef>

#include "../core/allocator_inline.h"

#define PAGERUN_EXPORT extern "C" [[gnu::visibility("default")]]

namespace pagerun {

/// Null becomes errno ENOMEM; anything else leaves errno alone.
inline void* with_errno(void* ptr) {
  if (ptr == nullptr) errno = ENOMEM;
  return ptr;
}

/// The block at the offset, which is not one that the fast path frees. Ends the program on misuse, under free's name.
/// Takes the offset, so that the fast path need not keep the pointer beside it.
void free_slow(size_t offset);

/// The same for a free that says with how many bytes, and at a multiple of what, the block was asked for: a size that
/// leads to such a block, or that realloc left in it. `call` is named when it is not so.
void free_sized_slow(size_t offset, size_t bytes, size_t alignment, const char* call);

/// The same when the block was also asked for at a multiple of `alignment` (0: not asked).
void free_checked_aligned(void* ptr, size_t bytes, size_t alignment, const char* call);

/// Whether malloc, as the program sees it, is this library's. Not so when the library was opened late, with dlopen.
bool is_malloc_of_program();

/// malloc's ways out of its fast path.
struct ErrnoSlowPath {
  static void* beyond(size_t bytes);
  static void* refill(Arena* arena, Bucket* bucket);
};

inline void free_checked(void* ptr) {
  size_t offset = offset_of(ptr);
  if (!deallocate_fast(offset)) [[unlikely]]
    free_slow(offset);
}

/// The same as stays_in_block(), in fewer steps where the block's size is even, as all are.
inline bool is_size_near(size_t block_bytes, size_t bytes) {
  static_assert(kShrinkShare == 2);
  return 2 * bytes - block_bytes <= block_bytes;
}

/// Frees a block of `bytes` bytes. What the fast path lets pass is less than a doubling off, as realloc may leave it.
template <class Slow>
inline void free_checked_sized(void* ptr, size_t bytes, Slow slow,
                               const size_t& committed_bytes = primary_committed_bytes) {
  Arena* arena = *arena_place_near();
  size_t offset = offset_of(ptr);
  LocalBlock block;
  bool is_found = find_local(arena, offset, &block, committed_bytes);
  if (!is_found || (kHasChecks && !is_size_near(block.page->block_bytes, bytes))) [[unlikely]]
    return slow(offset, bytes);
  free_local(arena, block);
}

}  // namespace pagerun
