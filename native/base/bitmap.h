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

/// Number of set bits among the first `bits`.
inline uint32_t bitmap_count(const uint64_t* words, uint32_t bits) {
  uint32_t count = 0;
  for (uint32_t w = 0; w < words_of(bits); w++) count += count_bits(load_relaxed(words[w]));
  return count;
}

}  // namespace pagerun
