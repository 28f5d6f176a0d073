// Where a teaching allocator's memory comes from: an address range from mmap that becomes usable from its start on, a
// few OS pages at a time. Owns nothing: whoever reserved the addresses gives them back. All memory is `base` plus a
// number that stays below `used_bytes`. Thread rule: whoever holds the allocator's lock.
//
//   range     | OS pages in use ...             | addresses only ...                 |
//             base                 base + used_bytes                base + limit_bytes
#pragma once

#include <cstddef>
#include <cstdint>

#include "../os/memory.h"

namespace pagerun::textbook {

struct Range {
  char* base = nullptr;
  size_t used_bytes = 0;
  size_t limit_bytes = 0;

  char* end() const { return base + used_bytes; }

  /// Whether all of `ptr` .. `ptr + bytes` is usable memory of the range.
  bool owns(const void* ptr, size_t bytes = 1) const {
    size_t offset = reinterpret_cast<uintptr_t>(ptr) - reinterpret_cast<uintptr_t>(base);
    return offset <= used_bytes && bytes <= used_bytes - offset;
  }

  /// Makes `bytes` more usable, a multiple of the OS page, and returns where they start; null when refused.
  char* grow(size_t bytes) {
    if (bytes > limit_bytes - used_bytes || !os::commit(end(), bytes)) return nullptr;
    used_bytes += bytes;
    return end() - bytes;
  }
};

}  // namespace pagerun::textbook
