// The allocator: the calls of malloc over the arena of the calling thread.
// Owns no state of its own; it only chooses the path: bucket, run or mapping. Thread rule: every call from any thread.
// Nothing here throws, prints or aborts: refusal and misuse are values. (allocator_inline.h has the fast paths.)
#pragma once

#include <cstddef>
#include <cstdint>

#include "../harden/misuse.h"

namespace pagerun {

struct Arena;

constexpr size_t kMaxRunBytes = 32 << 20;  // larger blocks get a mapping of their own

/// Returns `bytes` bytes (at least one unit for 0), 16-byte aligned, or null when memory or address space is exhausted
/// or `bytes` exceeds PTRDIFF_MAX. O(1) but for the slow path; no lock and no system call on the fast path.
void* allocate(size_t bytes);

/// The same, zeroed; null also when `count * bytes` overflows.
void* allocate_zeroed(size_t count, size_t bytes);

/// The same at a multiple of `alignment`, a power of two (else null). Alignments below 16 give the smaller classes:
/// allocate_aligned(4, 4) is a block of 4 bytes.
void* allocate_aligned(size_t alignment, size_t bytes);

/// Frees a live block; null is no error. On misuse nothing has changed.
Misuse deallocate(void* ptr);

/// Resizes in place where it can, else moves. `ptr` must not be null and `bytes` not 0 (callers decide what those
/// mean).
/// `*result` is null when memory is exhausted: the old block is intact then. On misuse nothing has changed.
Misuse reallocate(void* ptr, size_t bytes, void** result);

/// A block larger than any bucket's: a run, or beyond kMaxRunBytes a mapping; of `owner`, a made arena, if not null.
/// *is_zero tells whether its content is known to be zero. Null when refused.
void* allocate_large(Arena* owner, size_t bytes, size_t alignment, bool* is_zero);

/// As locate(); *owner is the arena that the block is of: null for runs and mappings that no made arena owns.
Misuse locate_owned(const void* ptr, Block* block, Arena** owner);

/// A shrink to no less than this part of the block stays where it is.
constexpr size_t kShrinkShare = 2;

/// True when realloc leaves the block where it is; never for 0 bytes.
inline bool stays_in_block(size_t usable_bytes, size_t bytes) {
  size_t least_bytes = usable_bytes / kShrinkShare;
  return bytes - least_bytes <= usable_bytes - least_bytes;
}

/// Looks a pointer up: kNone when it is the first byte of a live block, kInteriorPointer when it lies inside one
/// (`*block` is filled in both cases), else why it is neither. Any address may be given; nothing of it is read.
Misuse locate(const void* ptr, Block* block);

}  // namespace pagerun
