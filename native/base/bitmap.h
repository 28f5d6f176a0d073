// Bitmaps as arrays of 64-bit words: bit i is bit i % 64 of word i / 64. No state of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bits.h"
#include "relaxed.h"

namespace pagerun {

constexpr uint32_t kWordBits = 64;
constexpr uint32_t kBitsPerByte = 8;

/// Words that a bitmap of `bits` bits takes.
constexpr uint32_t words_of(uint32_t bits) { return (bits + kWordBits - 1) / kWordBits; }

constexpr uint32_t word_of(uint32_t bit) { return bit / kWordBits; }

/// The byte offset of the word that holds bit `bit`: where a word is found both ways, an offset saves an instruction.
constexpr size_t offset_of_word(uint64_t bit) { return bit / kBitsPerByte & ~(sizeof(uint64_t) - 1); }

// NOLINTNEXTLINE(readability-non-const-parameter): what it returns is written to
inline uint64_t& word_at(uint64_t* words, size_t offset) {
  return *reinterpret_cast<uint64_t*>(reinterpret_cast<char*>(words) + offset);
}

constexpr uint64_t mask_of(uint32_t bit) { return 1ull << (bit % kWordBits); }

/// Sets bits 0 .. bits-1 and clears the rest of the last word.
inline void bitmap_fill(uint64_t* words, uint32_t bits) {
  uint32_t whole = bits / kWordBits;
  for (uint32_t w = 0; w < whole; w++) store_relaxed(words[w], ~0ull);
  if (bits % kWordBits != 0) store_relaxed(words[whole], low_bits(bits % kWordBits));
}

inline bool bitmap_test(const uint64_t* words, uint32_t bit) {
  return (load_relaxed(words[word_of(bit)]) & mask_of(bit)) != 0;
}

// Words that are looked at together: less than a branch for each of them, which nobody can predict.
constexpr uint32_t kGroupWords = 4;

/// Bit i: word i of the group at `words` has a set bit. All of the group is read.
inline uint32_t group_not_empty(const uint64_t* words) {
  uint32_t mask = 0;
  for (uint32_t i = 0; i < kGroupWords; i++) mask |= uint32_t{words[i] != 0} << i;
  return mask;
}

/// A word with a set bit among the first `count`; `count` when there is none. Looks round by groups, from that of the
/// word before `next` on, where words from `next` on come first. Reads whole groups.
inline uint32_t bitmap_find_word(const uint64_t* words, uint32_t count, uint32_t next) {
  uint32_t first = (next - uint32_t{next != 0}) / kGroupWords * kGroupWords;
  if (first >= count) [[unlikely]]
    first = 0;
  uint32_t later = ~0u << (next - first) % 32;
  for (uint32_t looked = 0; looked < count; looked += kGroupWords, later = ~0u) {
    uint64_t there = (2ull << (count - first - 1)) - 1;
    uint32_t found = group_not_empty(words + first) & static_cast<uint32_t>(there);
    if (found != 0) return first + lowest_bit((found & later) != 0 ? found & later : found);
    first = first + kGroupWords < count ? first + kGroupWords : 0;
  }
  return count;
}

/// True when none of the first `count` words has a set bit.
inline bool bitmap_is_empty(const uint64_t* words, uint32_t count) {
  uint64_t any = 0;
  for (uint32_t w = 0; w < count; w++) any |= words[w];
  return any == 0;
}

/// Number of set bits among the first `bits`.
inline uint32_t bitmap_count(const uint64_t* words, uint32_t bits) {
  uint32_t count = 0;
  for (uint32_t w = 0; w < words_of(bits); w++) count += count_bits(load_relaxed(words[w]));
  return count;
}

}  // namespace pagerun
