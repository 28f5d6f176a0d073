// A range held while its bytes are touched by a copy: no other thread can unmap it under us, or protect it.
// Owns one pin and one view of a range (core/range_table.h). Thread rule: one thread at a time.
#pragma once

#include <cstddef>

#include "environment.h"

namespace pagerun::node {

class HeldRange {
 public:
  HeldRange() = default;
  HeldRange(const HeldRange&) = delete;
  HeldRange& operator=(const HeldRange&) = delete;
  ~HeldRange() {
    if (held_ == nullptr) return;
    core()->range_let_view_go(held_);
    core()->range_unpin(held_);
  }

  /// Holds the range that has all of `ptr` .. `ptr + bytes`; false when there is none, or it does not allow as much.
  bool hold(const void* ptr, size_t bytes, os::Protection protection) {
    if (!core()->range_hold(ptr, bytes, protection)) return false;
    held_ = ptr;
    return true;
  }

  /// Leaves the pin and the view to somebody else to take back.
  void give_up() { held_ = nullptr; }

 private:
  const void* held_ = nullptr;
};

}  // namespace pagerun::node
