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

/// Whether realloc may have made the block smaller since it was asked for: free_sized() then gets that size.
enum class Shrinking { kPossible, kNone };

/// The same for a free that says with how many bytes, and at a multiple of what, the block was asked for: a size that
/// leads to such a block, or that realloc left in it. `call` is named when it is not so.
void free_sized_slow(size_t offset, size_t bytes, size_t alignment, Shrinking shrinking, const char* call);

/// The same when the block was also asked for at a multiple of `alignment` (0: not asked). Not for what realloc gave.
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
struct SizeNear {
  bool operator()(const PageHeader& page, size_t bytes) const {
    static_assert(kShrinkShare == 2);
    return 2 * bytes - page.block_bytes <= page.block_bytes;
  }
};

/// Whether malloc(bytes) takes a block of the page's class, seen at once: always where classes are kMaxAlignBytes
/// apart, else where `bytes` is nearly a whole block.
struct SizeWhole {
  bool operator()(const PageHeader& page, size_t bytes) const {
    return round_up(bytes, kMaxAlignBytes) == page.block_bytes;
  }
};

/// The same for all sizes.
struct SizeOfClass {
  bool operator()(const PageHeader& page, size_t bytes) const {
    return bytes <= kMaxBlockBytes && class_of(bytes, kMaxAlignBytes) == page.size_class;
  }
};

/// Frees a block of `bytes` bytes, as far as `fits` lets it pass.
template <class Fits, class Slow>
inline void free_checked_sized(void* ptr, size_t bytes, Fits fits, Slow slow,
                               const size_t& committed_bytes = primary_local_bytes) {
  Arena* arena = *arena_place_near();
  size_t offset = offset_of(ptr);
  LocalBlock block;
  bool is_found = find_local(arena, offset, &block, committed_bytes);
  if (!is_found || (kHasChecks && !fits(*block.page, bytes))) [[unlikely]]
    return slow(offset, bytes);
  free_local(arena, block);
}

}  // namespace pagerun
