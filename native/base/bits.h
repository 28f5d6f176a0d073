// Bit arithmetic: questions and answers on single words. No state.
#pragma once

#include <cstddef>
#include <cstdint>

#include "relaxed.h"

namespace pagerun {

constexpr bool is_power_of_two(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }

/// Index of the lowest set bit; `x` must not be 0.
constexpr uint32_t lowest_bit(uint64_t x) { return static_cast<uint32_t>(__builtin_ctzll(x)); }

/// Index of the highest set bit; `x` must not be 0.
constexpr uint32_t highest_bit(uint64_t x) { return 63u - static_cast<uint32_t>(__builtin_clzll(x)); }

/// Sets bit `bit` % 64 of `word`; true when it was set already. One instruction where the machine has one for both.
#ifdef __x86_64__
inline bool set_bit(uint64_t& word, uint64_t bit) {
  bool was_set;
  __asm__("btsq %2, %0" : "+r"(word), "=@ccc"(was_set) : "r"(bit));
  return was_set;
}
#else
inline bool set_bit(uint64_t& word, uint64_t bit) {
  uint64_t mask = 1ull << (bit % 64);
  bool was_set = (word & mask) != 0;
  word |= mask;
  return was_set;
}
#endif

/// A word's lowest set bit, and the mask that takes it out of the word.
struct LowestBit {
  uint64_t bit;
  uint64_t mask;
};

/// False when the word is 0: the borrow of the subtraction says so, an instruction less than a comparison. Whoever
/// takes bit after bit waits for the word each time: so it is changed by a subtraction and an AND, and not by way of
/// the index.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
inline bool find_lowest_bit(uint64_t word, LowestBit* lowest) {
  // A bsf on machines without tzcnt, which is the same for a word that is not 0. volatile: it comes before the
  // subtraction, which needs no copy of the word then.
  __asm__ volatile("rep bsfq %1, %0" : "=r"(lowest->bit) : "r"(word) : "cc");
  return !__builtin_sub_overflow(word, uint64_t{1}, &lowest->mask);
}

inline void keep_bits(uint64_t& place, uint64_t mask) { __asm__("andq %1, %0" : "+m"(place) : "r"(mask) : "cc"); }
#else
inline bool find_lowest_bit(uint64_t word, LowestBit* lowest) {
  if (word == 0) return false;
  *lowest = {lowest_bit(word), word - 1};
  return true;
}

inline void keep_bits(uint64_t& place, uint64_t mask) { store_owned(place, place & mask); }
#endif

/// The same value, of which the compiler knows nothing: it computes no address from both beforehand, and uses the
/// machine's addressing modes.
template <class T>
inline T opaque(T x) {
  __asm__("" : "+r"(x));
  return x;
}

/// Number of set bits. By sums of ever wider fields where the machine may lack an instruction for it: the compiler
/// would call a function, which looks up a table byte by byte. Henry S. Warren, "Hacker's Delight", 5-1.
constexpr uint32_t count_bits(uint64_t x) {
#if defined(__x86_64__) && !defined(__POPCNT__)
  x -= x >> 1 & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  return static_cast<uint32_t>(x * 0x0101010101010101u >> 56);
#else
  return static_cast<uint32_t>(__builtin_popcountll(x));
#endif
}

/// The `n` lowest bits set, 0 <= n <= 64.
constexpr uint64_t low_bits(uint32_t n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }

/// `x` rounded up to a multiple of `unit`, a power of two; wraps for x above 2^64 - unit.
constexpr uint64_t round_up(uint64_t x, uint64_t unit) { return (x + unit - 1) & ~(unit - 1); }

constexpr uint64_t round_down(uint64_t x, uint64_t unit) { return x & ~(unit - 1); }

constexpr uint64_t divide_up(uint64_t x, uint64_t by) { return (x + by - 1) / by; }

constexpr uint64_t power_of_two_at_least(uint64_t x) { return x <= 1 ? 1 : 1ull << (highest_bit(x - 1) + 1); }

}  // namespace pagerun
