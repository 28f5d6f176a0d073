// Teaching allocator A: one list of free blocks, in the order of their addresses, on memory from mmap.
// Owns the blocks of one range and the list through them. Not for production: every field that it believes lies in
// front of bytes that a user may overrun. Thread rule: one thread at a time; arenas.h has the locks.
//
// Every byte of the range is in exactly one block, and a block is exactly one of two things. The size field is at the
// same place in both, so that malloc turns a node into a header, and free turns it back:
//
//   allocated  | size |        user memory ...      |     header + user memory
//   free       | size | next | unused space ...     |     node   + unused space
//
// With the id of its arena in the header (plan A of arenas.h) the id lies where a node has `next`:
//
//   allocated  | size | id   | user memory ...      |
//
//   size    bytes behind the header: those that a user may write
//   next    the next node: its address in 8-byte fields, its offset in the range in 4-byte fields. 0 ends the list,
//   which
//           is never the offset of a next node, because a next node lies behind the one that names it.
//
// Invariants, which check() looks at under these names:
//   every byte is in exactly one block    address + header + size is the next block's address, up to the end
//   no block is smaller than a node
//   no two neighbours are both free
//   next is a free block behind           the list is in the order of the addresses, and has the free blocks alone
#pragma once

#include <cstddef>
#include <cstdint>

#include "range.h"
#include "record.h"

namespace pagerun::textbook {

/// Which free block a request gets.
enum class Fit : uint8_t {
  kFirst,  // the first that is large enough
  kBest,   // the smallest that is large enough
  kNext,   // the first that is large enough behind the place of the last one
};

struct FreeListOptions {
  Fit fit = Fit::kFirst;
  uint32_t field_bytes = 8;  // 4 or 8: how wide size, next and id are
  bool has_id = false;       // whether headers carry `id`
  uint32_t id = 0;
  uint32_t align_bytes = 0;  // user memory starts at multiples of it: a power of two; 0: of field_bytes
};

class FreeList {
 public:
  /// Takes over an empty range. With 4-byte fields its limit must be below 4 GiB.
  void open(const Range& range, const FreeListOptions& options);

  /// Null when the range is exhausted or the system refuses. O(free blocks).
  void* allocate(size_t bytes);
  void* allocate_aligned(size_t alignment, size_t bytes);

  /// Believes that `ptr` is a live block, as the textbook does. O(free blocks): the list is kept in order.
  void deallocate(void* ptr);

  /// Keeps the first `bytes` of a live block that has as many; what is left over becomes free, if it can be a node.
  void shrink(void* ptr, size_t bytes);

  /// The size field of a live block.
  size_t usable_bytes(const void* ptr) const { return size_of(header_of(ptr)); }

  /// The first broken invariant. Follows no field that leads out of the range. O(blocks).
  Verdict check() const;

  /// Whether `ptr` is a live block; what holds it in *found, if any. Only after a check(). O(blocks).
  Fault locate(const void* ptr, BlockRecord* found) const;

  /// Calls visit(const BlockRecord&) for every block, in the order of addresses. Only after a check(). O(blocks).
  template <class Visit>
  void each_block(Visit visit) const {
    const char* node = first_;
    for (char* block = first_block(); block < end_of_blocks(); block += total_of(block)) {
      BlockRecord record = {block, block + header_bytes(), size_of(block), nullptr, options_.id, block == node};
      if (record.is_free) node = record.next = next_of(block);
      visit(record);
    }
  }

  const Range& range() const { return range_; }
  size_t header_bytes() const { return options_.field_bytes * (options_.has_id ? size_t{2} : size_t{1}); }
  size_t node_bytes() const { return options_.field_bytes * size_t{2}; }

  /// The id in a live block's header.
  uint32_t id_of(const void* ptr) const { return static_cast<uint32_t>(field(header_of(ptr), kSecond)); }

 private:
  static constexpr uint32_t kSize = 0;    // the first field
  static constexpr uint32_t kSecond = 1;  // next in a node, id in a header

  /// A node and the one in front of it in the list, which is null for the first.
  struct Found {
    char* prev = nullptr;
    char* node = nullptr;
  };

  uint64_t field(const char* block, uint32_t index) const;
  void set_field(char* block, uint32_t index, uint64_t value);

  size_t size_of(const char* block) const { return field(block, kSize); }
  void set_size(char* block, size_t bytes) { set_field(block, kSize, bytes); }
  size_t total_of(const char* block) const { return header_bytes() + size_of(block); }
  void set_total(char* block, size_t bytes) { set_size(block, bytes - header_bytes()); }
  char* next_of(const char* node) const;
  void set_next(char* node, char* next);
  void link(char* prev, char* next);  // as prev's next, or as the first of the list

  char* header_of(const void* ptr) const { return static_cast<char*>(const_cast<void*>(ptr)) - header_bytes(); }
  char* first_block() const { return range_.base + margin_bytes_; }
  char* end_of_blocks() const;

  size_t total_for(size_t bytes) const;
  Found find(size_t total) const;
  Found find_behind(char* prev, size_t total) const;
  Found find_best(size_t total) const;
  void* take(Found found, size_t total);
  bool grow(size_t total);
  void put(char* block);
  void merge(char* node, char* next);
  void cut(char* block, size_t total);

  Verdict check_list() const;
  Verdict check_blocks() const;

  Range range_;
  FreeListOptions options_;
  size_t margin_bytes_ = 0;  // in front of the first block, where user memory is aligned more than fields are
  char* first_ = nullptr;    // the free list
  char* place_ = nullptr;    // next fit: the block handed out last, behind which the next search starts,
  char* rover_ = nullptr;    // and the last node in front of it, null when there is none
};

}  // namespace pagerun::textbook
