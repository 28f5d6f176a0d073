// Teaching allocator C: the bucket pages of the notes, as drawn. An OS page is divided into equal blocks, and says at
// its own end which of them are used. Blocks have no header. What is too large for a page comes from a free list. Owns
// the pages, the list of each size, and the addresses under them. Thread rule: any thread; one lock.
//
//   page    | block 0 | block 1 | ... | block n-1 | unused | used bitmap | next | prev | size |
//           0                                                            4072   4080   4088   4096
//
//   frees[0] -> page of 4-byte blocks <-> page <-> ...       the pages with a free block; full ones are on no list
//   frees[1] -> page of 8-byte blocks <-> ...                then 12, 16, 24, 32, 48, 64, ...
//
// The production core starts from here, and moves bitmap, links and size out of the reach of the page's blocks.
//
// Invariants, which check() looks at under these names:
//   size is that of a bucket, or 0        0: the page has no block and waits for any bucket
//   bitmap equals live blocks             as many bits are set as blocks are handed out, none behind the last block
//   next and prev agree                   page->next->prev == page, and frees[i]->prev == null
//   a page is listed once if it has free blocks, and never if it is full
#pragma once

#include <cstddef>
#include <cstdint>

#include "../base/bitmap.h"
#include "../base/config.h"
#include "../base/lock.h"
#include "free_list.h"
#include "range.h"
#include "record.h"

namespace pagerun::textbook {

/// The last bytes of a page.
struct PageFields {
  char* next = nullptr;  // pages of the same list
  char* prev = nullptr;
  uint64_t size = 0;  // bytes of a block
};

constexpr size_t kFieldsOffset = kOsPageBytes - sizeof(PageFields);
static_assert(kFieldsOffset == 4072);

constexpr uint32_t kBuckets = 17;

/// Block sizes: powers of two, and half way between them from 12 on.
constexpr size_t bucket_bytes(uint32_t bucket) {
  return bucket == 0 ? 4 : bucket % 2 == 1 ? size_t{8} << (bucket / 2) : size_t{12} << (bucket / 2 - 1);
}

static_assert(bucket_bytes(0) == 4 && bucket_bytes(1) == 8 && bucket_bytes(2) == 12 && bucket_bytes(3) == 16);
static_assert(bucket_bytes(4) == 24 && bucket_bytes(5) == 32);

constexpr size_t kMostBucketBytes = bucket_bytes(kBuckets - 1);

/// As many blocks as leave room for the bitmap, a bit each, and the fields.
constexpr uint32_t page_capacity(size_t block_bytes) {
  auto blocks = static_cast<uint32_t>(kFieldsOffset / block_bytes);
  while (blocks * block_bytes + words_of(blocks) * sizeof(uint64_t) > kFieldsOffset) blocks--;
  return blocks;
}

static_assert(page_capacity(16) == 252, "the notes draw 256; bitmap, next, prev and size take the room of four");
static_assert(page_capacity(kMostBucketBytes) == 2);

/// The smallest bucket whose blocks have as many bytes; kBuckets when there is none.
constexpr uint32_t bucket_for(size_t bytes) {
  uint32_t bucket = 0;
  while (bucket < kBuckets && bucket_bytes(bucket) < bytes) bucket++;
  return bucket;
}

class BucketPages {
 public:
  /// Reserves addresses; `align_bytes`: what user memory is aligned to, 0 for what its size gives.
  bool open(const FreeListOptions& large_blocks);
  void close();

  /// As malloc, aligned_alloc and free. Null when there is no memory.
  void* allocate(size_t bytes);
  void* allocate_aligned(size_t alignment, size_t bytes);
  /// Believes a large block's header; in a page, bitmap and size tell what is wrong with the pointer.
  Fault deallocate(void* ptr);
  bool stays(void* ptr, size_t bytes);
  size_t usable_bytes(const void* ptr);

  /// The same when nothing is to be believed. O(blocks).
  Fault try_allocate(size_t bytes, void** result);
  Fault try_deallocate(void* ptr);
  Fault try_stay(void* ptr, size_t bytes, BlockRecord* found, bool* stays);
  Fault locate(const void* ptr, BlockRecord* found);
  void suspect() { is_suspect_ = true; }

  void take_locks() { lock_.take(); }
  void give_locks() { lock_.give(); }

  /// For a holder of the lock.
  Verdict check() const;
  bool owns(const void* ptr, size_t bytes) const { return range_.owns(ptr, bytes) || large_.range().owns(ptr, bytes); }

  /// Calls visit(const PageRecord&) for every page that has a size, in the order of addresses.
  template <class Visit>
  void each_page(Visit visit) const {
    for (char* page = range_.base; page < range_.end(); page += kOsPageBytes) {
      if (fields_of(page)->size != 0) visit(record_of(page));
    }
  }

  /// Calls visit(const BlockRecord&) for every block of the pages, then for every block of the free list.
  template <class Visit>
  void each_block(Visit visit) const {
    each_page([&](const PageRecord& page) {
      for (uint32_t i = 0; i < page.capacity; i++) {
        char* block = page.address + i * page.block_bytes;
        visit(BlockRecord{block, block, page.block_bytes, nullptr, 0, !bitmap_test(page.bitmap, i)});
      }
    });
    large_.each_block(visit);
  }

 private:
  static PageFields* fields_of(char* page) { return reinterpret_cast<PageFields*>(page + kFieldsOffset); }
  static uint64_t* bitmap_of(char* page);
  static PageRecord record_of(char* page);

  char* page_with_room(uint32_t bucket);
  char* new_page(size_t block_bytes);
  void list(uint32_t bucket, char* page);
  void unlist(uint32_t bucket, char* page);
  void* take(uint32_t bucket);
  Fault give(char* page, size_t offset);
  void* allocate_locked(size_t bytes);
  Fault deallocate_locked(void* ptr);
  Fault locate_locked(const void* ptr, BlockRecord* found) const;
  Fault locate_in_page(const void* ptr, BlockRecord* found) const;
  bool is_broken();

  Verdict check_page(char* page, uint64_t* used) const;
  Verdict check_lists() const;
  bool is_page(const char* page) const;

  Lock lock_;
  Range range_;
  char* frees_[kBuckets] = {};
  char* empties_ = nullptr;   // pages of size 0, linked by next
  uint64_t live_blocks_ = 0;  // of all pages
  uint32_t align_bytes_ = 0;
  bool is_suspect_ = false;
  FreeList large_;
};

}  // namespace pagerun::textbook
