// Blocks of 0 bytes in the hardened profile: addresses that can be neither read nor written, each another one.
// Owns one reserved range without access, and a bit for each of its addresses. Thread rule: every call takes the lock
// itself, last in the lock order. No hot path.
//
//   range    | 16 bytes: block 0 | block 1 | ... |       no access, no memory
//   bits     1 = handed out; committed as the blocks come into use
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../base/lock.h"
#include "../harden/misuse.h"

namespace pagerun {

class UnreadableBlocks {
 public:
  constexpr UnreadableBlocks() = default;

  /// A block of 0 bytes, 16-byte aligned; null when there is none (any more), or for a larger alignment.
  void* take(size_t alignment);

  /// Frees the block that starts at `ptr`, an address that holds() knows.
  Misuse put(void* ptr);

  /// True for every address of the range.
  bool holds(const void* ptr) const;

  /// Looks such an address up as locate() does.
  Misuse find(const void* ptr, Block* block);

  Lock& lock() { return lock_; }
  /// For inspect/, under the lock: the equation is count == popcount(bits).
  size_t count() const { return count_; }
  size_t popcount() const;

 private:
  static constexpr size_t kBlockBytes = 16;
  static constexpr size_t kLargestRangeBytes = 1 << 30;
  static constexpr size_t kSmallestRangeBytes = 1 << 20;
  static constexpr size_t kBitsStep = 4096;  // bytes of bits that are committed at once

  bool open();
  bool reserve(size_t bytes);
  bool grow();
  size_t find_free();
  Misuse look_up(const void* ptr, size_t* index) const;

  Lock lock_;
  std::atomic<char*> start_{nullptr};  // release: pairs with holds()
  size_t bytes_ = 0;                   // of the range, before start_ is set
  uint64_t* bits_ = nullptr;
  size_t usable_ = 0;  // blocks whose bits are committed
  size_t count_ = 0;   // of those handed out
  size_t next_ = 0;    // word where the search goes on: an address is not used again soon
  bool is_refused_ = false;
};

extern UnreadableBlocks unreadable_blocks;

}  // namespace pagerun
