// The teaching heaps that JavaScript has made, by number: a number is all that crosses threads, and one that names no
// heap (any more) does no harm. Owns the heaps. Thread rule: any thread; a heap lives while somebody holds it.
#pragma once

#include <cstdint>

#include "../textbook/heap.h"

namespace pagerun::node {

/// Takes a heap over, which has no share yet: it is destroyed when the last one is dropped. Returns its number, not 0.
uint64_t textbook_add(textbook::Heap* heap);
/// One more share of a heap; false when there is no heap of this number.
bool textbook_share(uint64_t number);
/// One share less.
void textbook_drop(uint64_t number);
/// No call finds the heap any more; its memory goes when the last call that is under way has ended. False when there is
/// none of this number.
bool textbook_destroy(uint64_t number);

/// A heap that stays while this object lives.
class HeldHeap {
 public:
  explicit HeldHeap(uint64_t number);
  ~HeldHeap();
  HeldHeap(const HeldHeap&) = delete;
  HeldHeap& operator=(const HeldHeap&) = delete;

  explicit operator bool() const { return heap_ != nullptr; }
  textbook::Heap* operator->() const { return heap_; }
  textbook::Heap& operator*() const { return *heap_; }

 private:
  uint64_t number_;
  textbook::Heap* heap_ = nullptr;
};

}  // namespace pagerun::node
