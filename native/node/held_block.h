// A live block held for as long as its bytes are touched or an ArrayBuffer may reach them: another thread may free it
// meanwhile, and a mapping would then be unmapped under us. Memory of a region needs no hold: it is never unmapped.
// Owns one pin of a mapping. Thread rule: one thread at a time; the pin may be taken back on another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "environment.h"

namespace pagerun::node {

class HeldBlock {
 public:
  HeldBlock() = default;
  HeldBlock(const HeldBlock&) = delete;
  HeldBlock& operator=(const HeldBlock&) = delete;
  ~HeldBlock() { let_go(); }

  /// Holds the live block that has all of `ptr` .. `ptr + bytes`; false when there is none. O(1), a lock for mappings.
  bool hold(const void* ptr, size_t bytes) {
    if (!find(ptr, bytes)) return false;
    if (!is_mapping(block_)) return true;
    if (!core()->mapping_pin(block_.start)) return false;
    pinned_ = block_.start;
    // Between look-up and pin the block may have become another one; what is pinned now stays.
    return find(ptr, bytes) && block_.start == pinned_;
  }

  const Block& block() const { return block_; }

  /// Leaves the pin of `block().start`, where it has one, to somebody else to take back.
  void give_up() { pinned_ = nullptr; }

 private:
  bool find(const void* ptr, size_t bytes) {
    Misuse misuse = core()->locate(ptr, &block_);
    if (misuse != Misuse::kNone && misuse != Misuse::kInteriorPointer) return false;
    if (block_.start == nullptr) return false;
    size_t offset = static_cast<size_t>(static_cast<const char*>(ptr) - static_cast<const char*>(block_.start));
    return offset <= block_.usable_bytes && bytes <= block_.usable_bytes - offset;
  }

  void let_go() {
    if (pinned_ != nullptr) core()->mapping_unpin(pinned_);
    pinned_ = nullptr;
  }

  Block block_;
  void* pinned_ = nullptr;
};

}  // namespace pagerun::node
