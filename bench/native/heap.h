// The malloc of the process, as the workloads and the replayer call it. Owns the count of operations and the touch of
// the memory. Thread rule: one Heap belongs to one thread; the blocks may go anywhere.
//
// Each result passes through an empty asm statement: without it the compiler may drop a malloc and its free, or take a
// calloc for granted.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "die.h"
#include "latency.h"

namespace pagerun::bench {

inline constexpr size_t kTouchBytes = 4096;  // one byte in each OS page of a block is written

inline void* make_opaque(void* ptr) {
  __asm__ volatile("" : "+r"(ptr) : : "memory");
  return ptr;
}

inline volatile uint8_t* bytes_of(void* ptr) { return static_cast<volatile uint8_t*>(ptr); }

/// Writes `value` to the first and the last byte and to one in each OS page from `from` on.
inline void touch(void* ptr, size_t bytes, uint8_t value, size_t from = 0) {
  if (bytes == 0) return;
  volatile uint8_t* first = bytes_of(ptr);
  for (size_t at = from; at < bytes; at += kTouchBytes) first[at] = value;
  first[bytes - 1] = value;
}

/// Sum of the bytes that touch() writes: 0 for fresh memory of calloc.
inline uint64_t sum_touched(void* ptr, size_t bytes) {
  if (bytes == 0) return 0;
  volatile uint8_t* first = bytes_of(ptr);
  uint64_t sum = first[bytes - 1];
  for (size_t at = 0; at < bytes; at += kTouchBytes) sum += first[at];
  return sum;
}

template <class Probe>
class Heap {
 public:
  explicit Heap(Histogram* histogram) : probe_(histogram) {}

  void* allocate(size_t bytes) {
    return made([=] { return malloc(bytes); }, bytes);
  }
  void* allocate_zeroed(size_t bytes) {
    return made([=] { return calloc(1, bytes); }, bytes);
  }
  void* allocate_aligned(size_t alignment, size_t bytes) {
    auto take = [=] {
      void* result = nullptr;
      return posix_memalign(&result, alignment < sizeof(void*) ? sizeof(void*) : alignment, bytes) == 0 ? result
                                                                                                        : nullptr;
    };
    return made(take, bytes);
  }
  void* reallocate(void* ptr, size_t bytes) {
    return made([=] { return realloc(ptr, bytes); }, bytes);
  }
  void release(void* ptr) {
    operations_++;
    uint64_t start = probe_.begin();
    free(make_opaque(ptr));
    probe_.end(start);
  }

  uint64_t operations() const { return operations_; }

 private:
  template <class Take>
  void* made(Take take, size_t bytes) {
    operations_++;
    uint64_t start = probe_.begin();
    void* ptr = make_opaque(take());
    probe_.end(start);
    if (ptr == nullptr && bytes != 0) [[unlikely]]
      die("the allocator has no memory for %zu bytes", bytes);
    return ptr;
  }

  Probe probe_;
  uint64_t operations_ = 0;
};

}  // namespace pagerun::bench
