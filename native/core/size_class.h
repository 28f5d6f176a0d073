// Size classes: which block sizes exist, and which of them a request gets. Constants only, no state.
//
//   4 8 12 16 | 24 32 40 48 56 64 | then 8 steps a doubling: 72 80 ... 128 | 144 160 ... 256 | 288 ... 512 | ... 32768
//
// Inner waste is at most 12.5 % above 64 bytes. malloc() takes the classes that are multiples of 16; the others are for
// callers that ask for a smaller alignment.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../base/bits.h"
#include "../base/config.h"

namespace pagerun {

constexpr uint32_t kSmallClasses = 10;    // up to kSteppedFromBytes, listed one by one
constexpr size_t kSteppedFromBytes = 64;  // from here on kStepsPerDoubling classes a doubling
constexpr uint32_t kStepsPerDoubling = 8;
constexpr uint32_t kDoublings = 9;
constexpr uint32_t kClassCount = kSmallClasses + kDoublings * kStepsPerDoubling;
constexpr size_t kMaxBlockBytes = kSteppedFromBytes << kDoublings;  // larger requests are runs
constexpr uint32_t kNoSizeClass = 255;

inline constexpr uint32_t kSmallClassBytes[kSmallClasses] = {4, 8, 12, 16, 24, 32, 40, 48, 56, 64};

constexpr size_t class_bytes(uint32_t size_class) {
  if (size_class < kSmallClasses) return kSmallClassBytes[size_class];
  uint32_t step = size_class - kSmallClasses;
  return (kStepsPerDoubling + 1 + step % kStepsPerDoubling) * (kSteppedFromBytes / kStepsPerDoubling)
         << (step / kStepsPerDoubling);
}

/// The smallest class of `bytes` in (kSteppedFromBytes, kMaxBlockBytes], by arithmetic alone.
constexpr uint32_t stepped_class_of(size_t bytes) {
  uint32_t top = highest_bit(bytes - 1);
  uint32_t doubling = top - highest_bit(kSteppedFromBytes);
  return kSmallClasses + doubling * kStepsPerDoubling +
         ((bytes - 1) >> (top - highest_bit(kStepsPerDoubling)) & (kStepsPerDoubling - 1));
}

/// The smallest class whose blocks hold `bytes` (0 counts as 1) and, from there on, whose size is a multiple of
/// `alignment`, a power of two up to kMaxBlockBytes. bytes <= kMaxBlockBytes. Blocks lie at multiples of their size.
constexpr uint32_t class_of(size_t bytes, size_t alignment) {
  uint32_t size_class = 0;
  if (bytes > kSteppedFromBytes) {
    size_class = stepped_class_of(bytes);
  } else {
    while (class_bytes(size_class) < bytes) size_class++;
  }
  while (class_bytes(size_class) % alignment != 0) size_class++;  // the last class is the largest power of two
  return size_class;
}

static_assert(kClassCount == 82 && class_bytes(kClassCount - 1) == kMaxBlockBytes);
static_assert(class_bytes(kSmallClasses) == 72 && class_of(65, 1) == kSmallClasses &&
              class_of(65, 16) == kSmallClasses + 1 && class_of(kMaxBlockBytes, 1) == kClassCount - 1);

}  // namespace pagerun
