// What the teaching allocators tell of themselves: a block as a walk meets it, what is wrong with a pointer, and which
// invariant is broken. Owns nothing. Thread rule: plain values.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagerun::textbook {

/// One block as it lies in memory. `size` is what its size field says: the bytes from `ptr` on.
struct BlockRecord {
  char* address = nullptr;  // of its first byte: of the header or node where it has one
  char* ptr = nullptr;      // of the user's first byte
  size_t size = 0;
  char* next = nullptr;  // of a node: the next node of the list
  uint32_t arena = 0;
  bool is_free = false;
};

/// A bucket page. Its bitmap is `words_of(capacity)` words long.
struct PageRecord {
  char* address = nullptr;
  size_t block_bytes = 0;
  uint32_t capacity = 0;
  uint32_t used = 0;
  const uint64_t* bitmap = nullptr;
  char* next = nullptr;
  char* prev = nullptr;
};

/// What the checked calls find wrong with a pointer, or with the heap itself.
enum class Fault : uint8_t { kNone, kDoubleFree, kInteriorPointer, kForeignPointer, kBrokenHeap };

/// The first invariant that does not hold, and where; null when all do.
struct Verdict {
  const char* invariant = nullptr;
  const void* address = nullptr;
};

}  // namespace pagerun::textbook
