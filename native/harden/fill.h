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

/// True when it has vectors of a cache line, and is not slowed by their use: functions compiled for these may be
/// called.
extern bool has_lines [[gnu::visibility("hidden")]];

#ifdef __x86_64__
#define PAGERUN_FOR_LINES [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,bmi,bmi2")]]
#else
#define PAGERUN_FOR_LINES
#endif

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

// Two words at once, as every machine's vectors have them; four; a whole cache line, as some machines' have it. Aligned
// as the stack is, so that no function that uses them must align its own.
struct Pairs {
  using Vector [[gnu::vector_size(16)]] = uint64_t;
};

struct Halves {
  using Vector [[gnu::vector_size(32), gnu::aligned(16)]] = uint64_t;
};

struct Lines {
  using Vector [[gnu::vector_size(64), gnu::aligned(16)]] = uint64_t;
};

template <class Vectors>
constexpr size_t kVectorBytes = sizeof(typename Vectors::Vector);

[[gnu::always_inline]] inline bool is_zero(const Pairs::Vector& pair) { return (pair[0] | pair[1]) == 0; }

// Halves are copied out: g++ 11 has no __builtin_shufflevector, and all compilers make the same of it.
[[gnu::always_inline]] inline bool is_zero(const Halves::Vector& half) {
  Pairs::Vector pairs[2];
  memcpy(pairs, &half, sizeof(half));
  return is_zero(pairs[0] | pairs[1]);
}

[[gnu::always_inline]] inline bool is_zero(const Lines::Vector& line) {
  Halves::Vector halves[2];
  memcpy(halves, &line, sizeof(line));
  return is_zero(halves[0] | halves[1]);
}

// A row of bytes from which every mask of visit_slack() can be read.
struct MaskRow {
  unsigned char bytes[2 * kVectorBytes<Lines>];
};

constexpr MaskRow make_mask_row() {
  MaskRow row = {};
  for (size_t i = kVectorBytes<Lines>; i < 2 * kVectorBytes<Lines>; i++) row.bytes[i] = 0xff;
  return row;
}

inline constexpr MaskRow kMaskRow = make_mask_row();

/// Calls visit(at, mask) for `kCount` vectors before `end`; the mask has the bytes that are among the last `slack`,
/// which are at most kVectorBytes<Lines>, or all that is visited.
template <class Vectors, size_t kCount, class Visit>
[[gnu::always_inline]] inline void visit_slack(char* end, size_t slack, Visit visit) {
#pragma GCC unroll 4
  for (size_t less = 0; less < kCount * kVectorBytes<Vectors>; less += kVectorBytes<Vectors>) {
    size_t from = kVectorBytes<Lines> - kVectorBytes<Vectors> + slack - less;
    if constexpr (kCount * kVectorBytes<Vectors> > kVectorBytes<Lines>) {
      from = slack < less ? 0 : slack - less < kVectorBytes<Vectors> ? slack - less : kVectorBytes<Vectors>;
    }
    typename Vectors::Vector mask;
    memcpy(&mask, kMaskRow.bytes + from, sizeof(mask));
    visit(end - less - kVectorBytes<Vectors>, mask);
  }
}

/// Calls visit(at) for so many vectors from `start` on and so many up to `end`: all that lies between them, where that
/// is at most twice as long.
template <class Vectors, size_t kCount, class Visit>
[[gnu::always_inline]] inline void visit_both_ends(char* start, char* end, Visit visit) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kCount; i++) {
    visit(start + i * kVectorBytes<Vectors>);
    visit(end - (i + 1) * kVectorBytes<Vectors>);
  }
}

/// Calls visit(at) for vectors that cover `bytes` bytes, some of them twice: more than half of `kCount` vectors, at
/// most all; of four also one to two.
template <class Vectors, size_t kCount, class Visit>
[[gnu::always_inline]] inline void visit_short(char* start, size_t bytes, Visit visit) {
  constexpr size_t kStep = kVectorBytes<Vectors>;
  char* end = start + bytes;
  if constexpr (kCount > 4) return visit_both_ends<Vectors, kCount / 2>(start, end, visit);
  size_t inner = bytes - kStep < kStep ? bytes - kStep : kStep;
  visit(start);
  visit(start + inner);
  visit(end - kStep - inner);
  visit(end - kStep);
}

/// Writes the canary of a block that nobody holds, and which is zero: its slack is that of visit_slack().
template <class Vectors, size_t kCount>
[[gnu::always_inline]] inline void write_slack(char* block, size_t block_bytes, size_t slack) {
  using Vector = typename Vectors::Vector;
  uint64_t canary = canary_of(block);
  visit_slack<Vectors, kCount>(block + block_bytes, slack, [=](char* at, const Vector& mask) {
    Vector written = (Vector{} | canary) & mask;
    memcpy(at, &written, sizeof(written));
  });
}

template <class Vectors, size_t kCount>
[[gnu::always_inline]] inline bool holds_slack(const void* block, const char* end, size_t slack) {
  using Vector = typename Vectors::Vector;
  uint64_t canary = canary_of(block);
  Vector difference = {};
  visit_slack<Vectors, kCount>(const_cast<char*>(end), slack, [&](const char* at, const Vector& mask) {
    Vector vector;
    memcpy(&vector, at, sizeof(vector));
    difference |= (vector ^ canary) & mask;
  });
  return is_zero(difference);
}

/// How blocks of like lengths are filled: so many vectors cover one, so many what malloc leaves as its slack.
template <class Vectors, size_t kCount, class SlackVectors, size_t kSlackCount>
struct Reach {
  using Vector = typename Vectors::Vector;

  /// True for what such a block has as slack when malloc has just handed it out: only then the two calls for canaries.
  static bool is_slack(size_t slack) { return slack <= kSlackCount * kVectorBytes<SlackVectors>; }

  /// Where nobody holds the block, and it is zero.
  [[gnu::always_inline]] static void write_canary(char* block, size_t block_bytes, size_t slack) {
    write_slack<SlackVectors, kSlackCount>(block, block_bytes, slack);
  }

  [[gnu::always_inline]] static bool holds_canary(char* block, size_t block_bytes, size_t slack) {
    return holds_slack<SlackVectors, kSlackCount>(block, block + block_bytes, slack);
  }

  [[gnu::always_inline]] static bool is_clear(const char* block, size_t block_bytes) {
    Vector any = {};
    visit_short<Vectors, kCount>(const_cast<char*>(block), block_bytes, [&](const char* at) {
      Vector vector;
      memcpy(&vector, at, sizeof(vector));
      any |= vector;
    });
    return is_zero(any);
  }

  [[gnu::always_inline]] static void clear(char* block, size_t block_bytes) {
    visit_short<Vectors, kCount>(block, block_bytes, [](char* at) {
      Vector none = {};
      memcpy(at, &none, sizeof(none));
    });
  }
};

/// The upper `bytes` bytes of a word, 0 < bytes < 8.
inline Word upper_bytes(size_t bytes) { return ~Word{0} << (8 * (kWordBytes - bytes)); }

}  // namespace fill

/// Writes the canary of `block` into its slack: the `slack` bytes before `end`, a multiple of 8. What lies before the
/// slack stays.
void canary_write(void* block, char* end, size_t slack);

/// True when it is still there.
bool canary_holds(const void* block, const char* end, size_t slack);

// What is looked at, or cleared, follows from a block's length, not from its slack's: that is another one each time,
// and no processor foresees a branch by it. Few lengths are told apart, and once in a call, for the same reason.

/// Blocks of malloc up to kShortBytes, of 16 bytes or more, by what every machine has.
struct ByPairs {
  static constexpr size_t kShortBytes = 512;

  /// Answers what act(reach) does.
  template <class Act>
  [[gnu::always_inline]] static auto reach(size_t block_bytes, Act act) {
    using fill::Pairs;
    if (block_bytes <= 64) return act(fill::Reach<Pairs, 4, Pairs, 1>{});
    if (block_bytes <= 128) return act(fill::Reach<Pairs, 8, Pairs, 1>{});
    if (block_bytes <= 256) return act(fill::Reach<Pairs, 16, Pairs, 1>{});
    return act(fill::Reach<Pairs, 32, Pairs, 2>{});
  }
};

/// The same by cache lines, in functions that are compiled for machines that have such vectors.
struct ByLines {
  static constexpr size_t kShortBytes = 1024;

  template <class Act>
  [[gnu::always_inline]] static auto reach(size_t block_bytes, Act act) {
    using fill::Lines, fill::Pairs;
    if (block_bytes <= 64) return act(fill::Reach<Pairs, 4, Pairs, 1>{});
    if (block_bytes <= 128) return act(fill::Reach<Pairs, 8, Pairs, 1>{});
    if (block_bytes <= 256) return act(fill::Reach<Lines, 4, Pairs, 1>{});
    if (block_bytes <= 512) return act(fill::Reach<Lines, 8, Lines, 1>{});
    return act(fill::Reach<Lines, 16, Lines, 1>{});
  }
};

/// The same for any block of 16 bytes or more, any slack, and any machine.
inline void canary_write_first(char* block, size_t block_bytes, size_t slack) {
  bool is_done = block_bytes <= ByPairs::kShortBytes && ByPairs::reach(block_bytes, [=](auto reach) {
                   if (reach.is_slack(slack)) reach.write_canary(block, block_bytes, slack);
                   return reach.is_slack(slack);
                 });
  if (!is_done) canary_write(block, block + block_bytes, slack);
}

bool is_long_all_zero(const char* start, size_t bytes);

/// True when `bytes` bytes, 16 or more, are all zero.
inline bool is_all_zero(const char* start, size_t bytes) {
  return bytes > ByPairs::kShortBytes ? is_long_all_zero(start, bytes)
                                      : ByPairs::reach(bytes, [=](auto reach) { return reach.is_clear(start, bytes); });
}

/// Clears them.
inline void fill_zero(char* start, size_t bytes) {
  if (bytes > ByPairs::kShortBytes) return static_cast<void>(memset(start, 0, bytes));
  ByPairs::reach(bytes, [=](auto reach) { reach.clear(start, bytes); });
}

}  // namespace pagerun
