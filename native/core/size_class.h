// Size classes: which block sizes exist, and which of them a request gets. Constants only, no state.
//
//   4 8 12 16 | 24 32 40 48 56 64 | then 8 steps a doubling: 72 80 ... 128 | 144 160 ... 256 | 288 ... 512 | ... 32768
//
// Inner waste is at most 12.5 % above 64 bytes. malloc() takes the classes that are multiples of 16; the others are for
// callers that ask for a smaller alignment. Two classes are larger than their step (computed_class_bytes()).
#pragma once

#include <cstddef>
#include <cstdint>

#include "../base/bits.h"
#include "../base/config.h"

namespace pagerun {

constexpr size_t kPageBytes = 32 << 10;
constexpr uint32_t kSmallClasses = 10;    // up to kSteppedFromBytes, listed one by one
constexpr size_t kSmallUnit = 4;          // the smallest block
constexpr size_t kSteppedFromBytes = 64;  // from here on kStepsPerDoubling classes a doubling
constexpr uint32_t kStepsPerDoubling = 8;
constexpr uint32_t kDoublings = 9;
constexpr uint32_t kClassCount = kSmallClasses + kDoublings * kStepsPerDoubling;
constexpr size_t kMaxBlockBytes = kSteppedFromBytes << kDoublings;  // larger requests are runs
constexpr uint32_t kNoSizeClass = 255;

inline constexpr uint32_t kSmallClassBytes[kSmallClasses] = {4, 8, 12, 16, 24, 32, 40, 48, 56, 64};

constexpr size_t step_bytes(uint32_t size_class) {
  if (size_class < kSmallClasses) return kSmallClassBytes[size_class];
  uint32_t step = size_class - kSmallClasses;
  return (kStepsPerDoubling + 1 + step % kStepsPerDoubling) * (kSteppedFromBytes / kStepsPerDoubling)
         << (step / kStepsPerDoubling);
}

/// True when a page has room for as many blocks of `more_bytes` as of `bytes`, and they lie in as many OS pages.
constexpr bool fills_page_alike(size_t bytes, size_t more_bytes) {
  size_t count = kPageBytes / bytes;
  return count == kPageBytes / more_bytes &&
         divide_up(count * bytes, kOsPageBytes) == divide_up(count * more_bytes, kOsPageBytes);
}

/// A class whose page, full, takes as much memory with blocks of whole OS pages has such: what is live of the page
/// later then lies in as few OS pages as can be. (7680 -> 8192, 15360 -> 16384; 11264 -> 12288 would waste more than an
/// eighth of some blocks)
constexpr size_t computed_class_bytes(uint32_t size_class) {
  size_t bytes = step_bytes(size_class), whole_bytes = round_up(bytes, kOsPageBytes);
  if (bytes <= kOsPageBytes || bytes > kPageBytes / 2) return bytes;
  size_t most_waste = whole_bytes - step_bytes(size_class - 1) - 1;
  return fills_page_alike(bytes, whole_bytes) && most_waste * 8 <= whole_bytes ? whole_bytes : bytes;
}

struct ClassTable {
  uint32_t bytes[kClassCount];
  uint8_t small_class[kSteppedFromBytes / kSmallUnit + 1];  // (bytes + 3) / 4 -> smallest class
};

constexpr ClassTable make_class_table() {
  ClassTable table = {};
  for (uint32_t c = 0; c < kClassCount; c++) table.bytes[c] = static_cast<uint32_t>(computed_class_bytes(c));
  for (uint32_t i = 0, c = 0; i <= kSteppedFromBytes / kSmallUnit; i++) {
    if (table.bytes[c] < i * kSmallUnit) c++;
    table.small_class[i] = static_cast<uint8_t>(c);
  }
  return table;
}

inline constexpr ClassTable kClassTable = make_class_table();

constexpr size_t class_bytes(uint32_t size_class) { return kClassTable.bytes[size_class]; }

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
  // A multiple of the alignment needs no search: where the steps between classes are finer than the alignment, every
  // multiple of it is a class, and where they are not, every class is a multiple of it.
  size_t rounded = round_up(bytes == 0 ? 1 : bytes, alignment);
  return rounded > kSteppedFromBytes ? stepped_class_of(rounded)
                                     : kClassTable.small_class[(rounded + kSmallUnit - 1) / kSmallUnit];
}

static_assert(kClassCount == 82 && class_bytes(kClassCount - 1) == kMaxBlockBytes);
static_assert(class_bytes(kSmallClasses) == 72 && class_of(65, 1) == kSmallClasses &&
              class_of(65, 16) == kSmallClasses + 1 && class_of(kMaxBlockBytes, 1) == kClassCount - 1);

}  // namespace pagerun
