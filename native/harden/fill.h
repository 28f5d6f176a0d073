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

// Two words at once, as the machine's vectors have them.
using Pair [[gnu::vector_size(16)]] = uint64_t;

inline Pair load_pair(const char* at) {
  Pair pair;
  memcpy(&pair, at, sizeof(pair));
  return pair;
}

inline bool is_zero(Pair pair) { return (pair[0] | pair[1]) == 0; }

// A row of bytes from which every mask of last_bytes() can be read.
struct MaskRow {
  unsigned char bytes[2 * sizeof(Pair)];
};

constexpr MaskRow make_mask_row() {
  MaskRow row = {};
  for (size_t i = sizeof(Pair); i < sizeof(row); i++) row.bytes[i] = 0xff;
  return row;
}

inline constexpr MaskRow kMaskRow = make_mask_row();

/// The last `bytes` bytes of a pair, at most all of it.
inline Pair last_bytes(size_t bytes) {
  Pair mask;
  memcpy(&mask, kMaskRow.bytes + bytes, sizeof(mask));
  return mask;
}

/// The upper `bytes` bytes of a word, 0 < bytes < 8.
inline Word upper_bytes(size_t bytes) { return ~Word{0} << (8 * (kWordBytes - bytes)); }

}  // namespace fill

/// Writes the canary of `block` into its slack: the `slack` bytes before `end`, a multiple of 8. What lies before the
/// slack stays.
void canary_write(void* block, char* end, size_t slack);

/// True when it is still there.
bool canary_holds_slow(const void* block, const char* end, size_t slack);

/// The two for blocks of 16 bytes or more, most of which have little slack; the first where nobody holds the 16 bytes
/// before `end`, which are zero but for the canary then.
inline void canary_write_first(void* block, char* end, size_t slack) {
  if (slack > sizeof(fill::Pair)) [[unlikely]]
    return canary_write(block, end, slack);
  uint64_t canary = canary_of(block);
  fill::Pair written = fill::Pair{canary, canary} & fill::last_bytes(slack);
  memcpy(end - sizeof(written), &written, sizeof(written));
}

inline bool canary_holds(const void* block, const char* end, size_t slack) {
  if (slack > sizeof(fill::Pair)) [[unlikely]]
    return canary_holds_slow(block, end, slack);
  uint64_t canary = canary_of(block);
  fill::Pair difference = fill::load_pair(end - sizeof(fill::Pair)) ^ fill::Pair{canary, canary};
  return fill::is_zero(difference & fill::last_bytes(slack));
}

/// True when `bytes` bytes, a multiple of 8, are all zero.
inline bool is_all_zero(const char* start, size_t bytes) {
  using fill::Pair;
  constexpr size_t kStep = 4 * sizeof(Pair);
  const char* end = start + bytes;
  Pair any = {};
  for (; static_cast<size_t>(end - start) >= kStep; start += kStep) {
    any = (fill::load_pair(start) | fill::load_pair(start + sizeof(Pair))) |
          (fill::load_pair(start + 2 * sizeof(Pair)) | fill::load_pair(start + 3 * sizeof(Pair)));
    if (!fill::is_zero(any)) return false;
  }
  for (; static_cast<size_t>(end - start) >= sizeof(Pair); start += sizeof(Pair)) any |= fill::load_pair(start);
  uint64_t rest = start < end ? fill::load(start) : 0;
  return (any[0] | any[1] | rest) == 0;
}

/// Clears a block of `bytes` bytes, a multiple of 8: short ones without a call.
inline void fill_zero(char* start, size_t bytes) {
  constexpr size_t kShortBytes = 256;
  if (bytes > kShortBytes) {
    memset(start, 0, bytes);
    return;
  }
  char* end = start + bytes;
  for (; static_cast<size_t>(end - start) >= sizeof(fill::Pair); start += sizeof(fill::Pair))
    memset(start, 0, sizeof(fill::Pair));
  if (start < end) fill::store(start, 0);
}

}  // namespace pagerun
