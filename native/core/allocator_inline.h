// The fast paths of malloc and free: no lock, no atomic read-modify-write, no system call, and the block is not
// touched. For the two places that must be fast (allocator.cc and preload/); everyone else includes allocator.h.
#pragma once

#include "allocator.h"
#include "region.h"
#include "thread_arena.h"

namespace pagerun {

/// Everything that allocate() does not do at once: larger sizes, a page that bucket_take_found() has found full, a
/// thread's first call.
void* allocate_beyond(size_t bytes);
void* allocate_found(Arena* arena, Bucket* bucket);
void* allocate_refill(Arena* arena, Bucket* bucket);

/// Everything that deallocate() does not do at once: null, another arena's page, runs, mappings, misuse.
Misuse deallocate_slow(void* ptr);

/// What allocate_fast() falls back to. preload/ has its own, which set errno.
struct SlowPath {
  static void* beyond(size_t bytes) { return allocate_beyond(bytes); }
  static void* refill(Arena* arena, Bucket* bucket) { return allocate_found(arena, bucket); }
};

/// The bucket of at most kMaxDirectBytes bytes.
inline Bucket* bucket_direct(Arena* arena, size_t bytes) {
  return reinterpret_cast<Bucket*>(reinterpret_cast<char*>(arena) + arena->direct[bytes]);
}

template <class Slow = SlowPath>
inline void* allocate_fast(size_t bytes) {
  if (bytes >= load_shared(direct_end)) [[unlikely]]
    return Slow::beyond(bytes);
  Arena* arena = *arena_place_near();
  Bucket* bucket = bucket_direct(arena, bytes);
  LowestBit lowest;
  if (!find_lowest_bit(*bucket->word, &lowest)) [[unlikely]]
    return Slow::refill(arena, bucket);
  return bucket_take(bucket, lowest);
}

/// Distance of `ptr` from the primary region's first byte, and back; any address has one, modulo 2^64.
inline size_t offset_of(const void* ptr) { return reinterpret_cast<uintptr_t>(ptr) - load_shared(primary_base); }
inline void* ptr_at(size_t offset) { return reinterpret_cast<void*>(load_shared(primary_base) + offset); }

/// A live block of the calling thread's own arena, as the fast path finds it.
struct LocalBlock {
  PageHeader* page;
  uint64_t reciprocal;  // as find_local() has held it against the block's place
  uint64_t* word;       // the one of the page's free bits that has the block's bit,
  uint64_t freed_word;  // and its value once the block is free
};

/// True when the offset's address is a live block of `arena`, the calling thread's own, that starts in the first page
/// of its bucket page; false in every other case: null, another arena's page, runs, mappings, misuse. `committed_bytes`
/// may be primary_replaceable_bytes.
inline bool find_local(Arena* arena, size_t offset, LocalBlock* block,
                       const size_t& committed_bytes = primary_local_bytes) {
  if (offset >= load_shared(committed_bytes)) [[unlikely]]
    return false;
  PageHeader* page = load_shared(primary_headers) + offset / kPageBytes;
  if (load_shared(page->owner) != arena) [[unlikely]]
    return false;
  uint64_t reciprocal = page->reciprocal;
  uint64_t product = offset % kPageBytes * reciprocal;
  if (kHasChecks && static_cast<uint32_t>(product) >= load_shared(page->start_limit)) [[unlikely]]
    return false;
  uint64_t index = product >> 32;
  uint64_t* word = page->free_bits + index / kWordBits;
  uint64_t freed_word = *word;
  if (set_bit(freed_word, index) && kHasChecks) [[unlikely]]
    return false;
  *block = {page, reciprocal, word, freed_word};
  return true;
}

/// stays_in_block() for the block's own length, from the reciprocal that has just proved to be right for the block's
/// start: with r and e as in page.h, bytes r is 2^31 + e/2 for half a block, 2^32 + e for a whole one, r more for every
/// further byte, and e < 2^16 <= r.
inline bool stays_in_local(const LocalBlock& block, size_t bytes) {
  static_assert(kShrinkShare == 2 && kMaxBlockBytes < 1u << 16 && reciprocal_of(kMaxBlockBytes) >= 1u << 16);
  int64_t product = 0;
  if (__builtin_mul_overflow(static_cast<int64_t>(bytes), static_cast<int64_t>(block.reciprocal), &product))
    return false;
  return static_cast<uint64_t>(product) - (1ull << 31) < (1ull << 31) + (1u << 16);
}

/// Frees what find_local() found, as long as nothing was taken or freed since.
inline void free_local(Arena* arena, const LocalBlock& block) {
  store_owned(*block.word, block.freed_word);
  page_count_free(arena, block.page);
}

/// Frees the block at the offset if it is one of the calling thread's own; false, with nothing changed, if not.
inline bool deallocate_fast(size_t offset) {
  Arena* arena = *arena_place_near();
  LocalBlock block;
  if (!find_local(arena, offset, &block)) [[unlikely]]
    return false;
  free_local(arena, block);
  return true;
}

}  // namespace pagerun
