// Bit arithmetic: questions and answers on single words. No state.
#pragma once

#include <cstddef>
#include <cstdint>

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

/// Takes the lowest set bit out of `word`, which must not be 0; returns its index.
#ifdef __x86_64__
inline uint64_t take_lowest_bit(uint64_t& word) {
  uint64_t bit;
  // A bsf on machines without tzcnt, which is the same for a word that is not 0.
  __asm__("rep bsfq %0, %1\n\tbtrq %1, %0" : "+&r"(word), "=&r"(bit) : : "cc");
  return bit;
}
#else
inline uint64_t take_lowest_bit(uint64_t& word) {
  uint64_t bit = lowest_bit(word);
  word &= word - 1;
  return bit;
}
#endif

/// The same value, of which the compiler knows nothing: it computes no address from both beforehand, and uses the
/// machine's addressing modes.
template <class T>
inline T opaque(T x) {
  __asm__("" : "+r"(x));
  return x;
}

constexpr uint32_t count_bits(uint64_t x) { return static_cast<uint32_t>(__builtin_popcountll(x)); }

/// The `n` lowest bits set, 0 <= n <= 64.
constexpr uint64_t low_bits(uint32_t n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }

/// `x` rounded up to a multiple of `unit`, a power of two; wraps for x above 2^64 - unit.
constexpr uint64_t round_up(uint64_t x, uint64_t unit) { return (x + unit - 1) & ~(unit - 1); }

constexpr uint64_t round_down(uint64_t x, uint64_t unit) { return x & ~(unit - 1); }

constexpr uint64_t divide_up(uint64_t x, uint64_t by) { return (x + by - 1) / by; }

constexpr uint64_t power_of_two_at_least(uint64_t x) { return x <= 1 ? 1 : 1ull << (highest_bit(x - 1) + 1); }

}  // namespace pagerun
