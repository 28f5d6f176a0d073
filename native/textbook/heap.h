// One teaching heap of any kind, behind one set of calls: what the bindings, the bench and the tests use.
// Owns the choice between the kinds and the heap's own memory. Thread rule: any thread, but create() and destroy().
#pragma once

#include <cstddef>
#include <cstdint>

#include "arenas.h"
#include "bucket_pages.h"

namespace pagerun::textbook {

/// Allocators A, B and C. A is B with one arena.
enum class Kind : uint8_t { kFreeList, kArenas, kBucketPages };

struct HeapOptions {
  Kind kind = Kind::kFreeList;
  Fit fit = Fit::kFirst;
  uint32_t field_bytes = 8;  // 4 or 8
  uint32_t arenas = 1;       // of kArenas: 1 .. kMostArenas
  Choice choice = Choice::kModulo;
  Origin origin = Origin::kAddress;
  uint32_t align_bytes = 0;  // user memory starts at multiples of it: 16 to stand in for malloc; 0: what fields need
};

class Heap {
 public:
  /// Null when an option is out of its range, or the system refuses.
  static Heap* create(const HeapOptions& options);
  /// Gives all memory back, the heap's own included. No other call may be under way or follow.
  void destroy();

  /// As malloc and its family. Pointers are believed, but for kBucketPages' free, which sees its bitmap.
  void* allocate(size_t bytes);
  void* allocate_zeroed(size_t count, size_t bytes);
  void* allocate_aligned(size_t alignment, size_t bytes);
  void* reallocate(void* ptr, size_t bytes);
  Fault deallocate(void* ptr);
  size_t usable_bytes(const void* ptr);

  /// The same for callers who are not to be believed: a wrong pointer or a broken heap is refused, and nothing has
  /// changed. *result is null when there is no memory. O(blocks).
  Fault try_allocate(size_t bytes, void** result);
  Fault try_allocate_zeroed(size_t count, size_t bytes, void** result);
  Fault try_reallocate(void* ptr, size_t bytes, void** result);
  Fault try_deallocate(void* ptr);
  Fault locate(const void* ptr, BlockRecord* found);

  /// Whether all bytes are the heap's memory.
  bool has(const void* ptr, size_t bytes);
  /// Copies bytes out of or into the heap's memory, block or not; false when not all of them are the heap's.
  bool copy_out(const void* from, void* to, size_t bytes);
  bool copy_in(void* to, const void* from, size_t bytes);

  /// The first broken invariant. O(blocks).
  Verdict check();

  /// Calls visit(const BlockRecord&) for every block, under the heap's locks: it must not call the heap. Visits none in
  /// a broken heap and returns its verdict. O(blocks).
  template <class Visit>
  Verdict each_block(Visit visit);
  /// Calls visit(const PageRecord&) for every page of kBucketPages, likewise.
  template <class Visit>
  Verdict each_page(Visit visit);

  /// Around fork, and for a look at the whole.
  void take_locks();
  void give_locks();

  const HeapOptions& options() const { return options_; }
  /// Of a block of a free list: what lies in front of the user's bytes, and the least that a block can be.
  size_t header_bytes() const { return options_.field_bytes * (has_id() ? size_t{2} : size_t{1}); }
  size_t node_bytes() const { return options_.field_bytes * size_t{2}; }
  Arenas& arenas() { return arenas_; }

 private:
  Heap() = default;
  bool open(const HeapOptions& options);
  bool has_id() const { return options_.kind == Kind::kArenas && options_.origin == Origin::kHeader; }
  bool is_pages() const { return options_.kind == Kind::kBucketPages; }
  bool stays(void* ptr, size_t bytes) { return is_pages() ? pages_.stays(ptr, bytes) : arenas_.stays(ptr, bytes); }
  Verdict check_locked() const { return is_pages() ? pages_.check() : arenas_.check(); }
  bool owns(const void* ptr, size_t bytes) const {
    return is_pages() ? pages_.owns(ptr, bytes) : arenas_.owns(ptr, bytes);
  }

  HeapOptions options_;
  Arenas arenas_;
  BucketPages pages_;
};

/// Holds all locks of a heap.
class HeapGuard {
 public:
  explicit HeapGuard(Heap& heap) : heap_(heap) { heap_.take_locks(); }
  ~HeapGuard() { heap_.give_locks(); }
  HeapGuard(const HeapGuard&) = delete;
  HeapGuard& operator=(const HeapGuard&) = delete;

 private:
  Heap& heap_;
};

template <class Visit>
Verdict Heap::each_block(Visit visit) {
  HeapGuard guard(*this);
  Verdict verdict = check_locked();
  if (verdict.invariant != nullptr) return verdict;
  if (is_pages()) {
    pages_.each_block(visit);
  } else {
    arenas_.each_block(visit);
  }
  return verdict;
}

template <class Visit>
Verdict Heap::each_page(Visit visit) {
  HeapGuard guard(*this);
  Verdict verdict = check_locked();
  if (verdict.invariant == nullptr && is_pages()) pages_.each_page(visit);
  return verdict;
}

}  // namespace pagerun::textbook
