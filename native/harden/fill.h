// Memory as the hardened profile fills it and looks at it: zero while a block is free, a canary behind what was asked
// for. Owns the canary's secret. Thread rule: any thread; who owns the memory calls.
//
//   block    | bytes that were asked for | slack: the canary |
//
// The byte at address a is byte a % 8 of the block's canary, which is made of the block's address and a secret of the
// process. Each byte has its highest bit set, the next one clear and the lowest set: none is 0, ASCII, or one of the
// bytes that memory is usually filled with (0xff, 0xaa, 0xcc, 0x55), so that what a program is likely to write over it
// is always seen, and any other byte in all but one of 256 cases.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pagerun {

extern uint64_t canary_secret [[gnu::visibility("hidden")]];

inline uint64_t canary_of(const void* block) {
  uint64_t mixed = (reinterpret_cast<uintptr_t>(block) ^ canary_secret) * 0x9e3779b97f4a7c15ull;
  mixed ^= mixed >> 32;
  return (mixed | 0x8181818181818181ull) & 0xbfbfbfbfbfbfbfbfull;
}

namespace fill {

using Word = uint64_t;
constexpr size_t kWordBytes = sizeof(Word);

inline Word load(const char* at) {
  Word word;
  memcpy(&word, at, kWordBytes);
  return word;
}

inline void store(char* at, Word word) { memcpy(at, &word, kWordBytes); }

/// The upper `bytes` bytes of a word, 0 < bytes < 8.
inline Word upper_bytes(size_t bytes) { return ~Word{0} << (8 * (kWordBytes - bytes)); }

}  // namespace fill

/// Writes the canary of `block` into its slack: the `slack` bytes before `end`. `end` is a multiple of 8, or of 4 for
/// blocks too short for that.
inline void canary_write(void* block, char* end, size_t slack) {
  uint64_t canary = canary_of(block);
  if (reinterpret_cast<uintptr_t>(end) % fill::kWordBytes != 0 || end - static_cast<char*>(block) < 8) [[unlikely]] {
    for (char* at = end - slack; at < end; at++)
      *at = static_cast<char>(canary >> 8 * (reinterpret_cast<uintptr_t>(at) % fill::kWordBytes));
    return;
  }
  for (; slack >= fill::kWordBytes; slack -= fill::kWordBytes) fill::store(end -= fill::kWordBytes, canary);
  if (slack == 0) return;
  char* last = end - fill::kWordBytes;
  uint64_t mask = fill::upper_bytes(slack);
  fill::store(last, (fill::load(last) & ~mask) | (canary & mask));
}

/// True when it is still there.
inline bool canary_holds(const void* block, const char* end, size_t slack) {
  uint64_t canary = canary_of(block);
  if (reinterpret_cast<uintptr_t>(end) % fill::kWordBytes != 0 || end - static_cast<const char*>(block) < 8)
      [[unlikely]] {
    for (const char* at = end - slack; at < end; at++) {
      if (*at != static_cast<char>(canary >> 8 * (reinterpret_cast<uintptr_t>(at) % fill::kWordBytes))) return false;
    }
    return true;
  }
  uint64_t difference = 0;
  for (; slack >= fill::kWordBytes; slack -= fill::kWordBytes)
    difference |= fill::load(end -= fill::kWordBytes) ^ canary;
  if (slack > 0) difference |= (fill::load(end - fill::kWordBytes) ^ canary) & fill::upper_bytes(slack);
  return difference == 0;
}

/// True when `bytes` bytes, a multiple of 4, are all zero.
inline bool is_all_zero(const char* start, size_t bytes) {
  constexpr size_t kStep = 64;
  const char* end = start + bytes;
  for (; static_cast<size_t>(end - start) >= kStep; start += kStep) {
    uint64_t any = 0;
    for (size_t i = 0; i < kStep; i += fill::kWordBytes) any |= fill::load(start + i);
    if (any != 0) return false;
  }
  uint64_t any = 0;
  for (; static_cast<size_t>(end - start) >= fill::kWordBytes; start += fill::kWordBytes) any |= fill::load(start);
  for (; start < end; start++) any |= static_cast<unsigned char>(*start);
  return any == 0;
}

/// Clears a block of `bytes` bytes, a multiple of 4: short ones without a call.
inline void fill_zero(char* start, size_t bytes) {
  constexpr size_t kShortBytes = 128;
  if (bytes > kShortBytes || bytes % 16 != 0) {
    memset(start, 0, bytes);
    return;
  }
  for (char* end = start + bytes; start < end; start += 16) memset(start, 0, 16);
}

}  // namespace pagerun
