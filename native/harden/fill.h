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

/// Sees which vectors the machine has; until then it is taken to have the least.
void fill_choose();

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

inline void clear_pair(char* at) { memset(at, 0, sizeof(Pair)); }

// What is looked at, or cleared, follows from a block's length, not from its slack's: that is another one each time,
// and no processor foresees a branch by it. Up to these lengths a block of malloc has slack for one pair, and for two.
constexpr size_t kOnePairBytes = 128;
constexpr size_t kShortBytes = 512;

constexpr size_t kMostPairs = 2;
constexpr size_t kRowBytes = kMostPairs * sizeof(Pair);

// A row of bytes from which every mask of last_bytes() can be read.
struct MaskRow {
  unsigned char bytes[2 * kRowBytes];
};

constexpr MaskRow make_mask_row() {
  MaskRow row = {};
  for (size_t i = kRowBytes; i < 2 * kRowBytes; i++) row.bytes[i] = 0xff;
  return row;
}

inline constexpr MaskRow kMaskRow = make_mask_row();

/// The last `bytes` - `less` bytes of a pair, none below 0 and at most all of it. bytes <= kRowBytes, less <= kRowBytes
/// less one pair.
inline Pair last_bytes(size_t bytes, size_t less) {
  Pair mask;
  memcpy(&mask, kMaskRow.bytes + (kRowBytes - sizeof(Pair)) + bytes - less, sizeof(mask));
  return mask;
}

/// Calls visit(at, mask) for the pairs before `end` that a slack can be in, which is_short_slack().
template <class Visit>
[[gnu::always_inline]] inline void visit_slack(char* end, size_t block_bytes, size_t slack, Visit visit) {
  visit(end - sizeof(Pair), last_bytes(slack, 0));
  if (block_bytes > kOnePairBytes) visit(end - 2 * sizeof(Pair), last_bytes(slack, sizeof(Pair)));
}

/// Calls visit(at) for so many pairs from `start` on and so many up to `end`: all that lies between them, where that is
/// at most twice as long.
template <size_t kPairs, class Visit>
[[gnu::always_inline]] inline void visit_both_ends(char* start, char* end, Visit visit) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kPairs; i++) {
    visit(start + i * sizeof(Pair));
    visit(end - (i + 1) * sizeof(Pair));
  }
}

/// Calls visit(at) for pairs that cover `bytes` bytes, 16 to kShortBytes, some of them twice: with few branches.
template <class Visit>
[[gnu::always_inline]] inline void visit_short(char* start, size_t bytes, Visit visit) {
  char* end = start + bytes;
  if (bytes <= 4 * sizeof(Pair)) {
    size_t inner = bytes - sizeof(Pair) < sizeof(Pair) ? bytes - sizeof(Pair) : sizeof(Pair);
    visit(start);
    visit(start + inner);
    visit(end - sizeof(Pair) - inner);
    visit(end - sizeof(Pair));
  } else if (bytes <= 8 * sizeof(Pair)) {
    visit_both_ends<4>(start, end, visit);
  } else if (bytes <= 16 * sizeof(Pair)) {
    visit_both_ends<8>(start, end, visit);
  } else {
    visit_both_ends<16>(start, end, visit);
  }
}

bool is_long_all_zero(const char* start, size_t bytes);

/// The upper `bytes` bytes of a word, 0 < bytes < 8.
inline Word upper_bytes(size_t bytes) { return ~Word{0} << (8 * (kWordBytes - bytes)); }

}  // namespace fill

/// Writes the canary of `block` into its slack: the `slack` bytes before `end`, a multiple of 8. What lies before the
/// slack stays.
void canary_write(void* block, char* end, size_t slack);

/// True when it is still there.
bool canary_holds(const void* block, const char* end, size_t slack);

/// True for what a block of at most kShortBytes bytes has as slack when malloc has just handed it out.
inline bool is_short_slack(size_t block_bytes, size_t slack) {
  return slack <= (block_bytes <= fill::kOnePairBytes ? 1 : 2) * sizeof(fill::Pair);
}

/// The two for such a block; the first where nobody holds it, and it is zero but for the canary then.
[[gnu::always_inline]] inline void canary_write_short(char* block, size_t block_bytes, size_t slack) {
  uint64_t canary = canary_of(block);
  fill::visit_slack(block + block_bytes, block_bytes, slack, [=](char* at, fill::Pair mask) {
    fill::Pair written = fill::Pair{canary, canary} & mask;
    memcpy(at, &written, sizeof(written));
  });
}

[[gnu::always_inline]] inline bool canary_holds_short(char* block, size_t block_bytes, size_t slack) {
  uint64_t canary = canary_of(block);
  fill::Pair difference = {};
  fill::visit_slack(block + block_bytes, block_bytes, slack, [&](const char* at, fill::Pair mask) {
    difference |= (fill::load_pair(at) ^ fill::Pair{canary, canary}) & mask;
  });
  return fill::is_zero(difference);
}

/// The two for any block of 16 bytes or more, and any slack.
inline void canary_write_first(char* block, size_t block_bytes, size_t slack) {
  bool is_short = block_bytes <= fill::kShortBytes && is_short_slack(block_bytes, slack);
  is_short ? canary_write_short(block, block_bytes, slack) : canary_write(block, block + block_bytes, slack);
}

inline bool canary_holds_any(char* block, size_t block_bytes, size_t slack) {
  bool is_short = block_bytes <= fill::kShortBytes && is_short_slack(block_bytes, slack);
  return is_short ? canary_holds_short(block, block_bytes, slack) : canary_holds(block, block + block_bytes, slack);
}

/// True when `bytes` bytes, 16 to kShortBytes, are all zero.
[[gnu::always_inline]] inline bool is_short_all_zero(const char* start, size_t bytes) {
  fill::Pair any = {};
  fill::visit_short(const_cast<char*>(start), bytes, [&](const char* at) { any |= fill::load_pair(at); });
  return fill::is_zero(any);
}

/// Clears such a block.
[[gnu::always_inline]] inline void clear_short(char* start, size_t bytes) {
  fill::visit_short(start, bytes, fill::clear_pair);
}

/// The two for any block of 16 bytes or more.
inline bool is_all_zero(const char* start, size_t bytes) {
  return bytes > fill::kShortBytes ? fill::is_long_all_zero(start, bytes) : is_short_all_zero(start, bytes);
}

inline void fill_zero(char* start, size_t bytes) {
  bytes > fill::kShortBytes ? static_cast<void>(memset(start, 0, bytes)) : clear_short(start, bytes);
}

}  // namespace pagerun
