#include "fill.h"

#include "../base/relaxed.h"

namespace pagerun {

using namespace fill;

namespace {

constexpr size_t kLeastVectorBytes = 128;  // of what is looked at by vectors: four of the longest

// True when each 8 bytes are `word`. All is looked at before anything is said: there is nearly never something to be
// found.
template <class Vector>
[[gnu::always_inline]] inline bool are_words_by(const char* start, size_t bytes, uint64_t word) {
  constexpr size_t kStep = 4 * sizeof(Vector);
  static_assert(kStep <= kLeastVectorBytes);
  const char* last = start + bytes - kStep;
  Vector any[4] = {}, expected = Vector{} | word;
  auto collect = [&](const char* at) {
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
      Vector vector;
      memcpy(&vector, at + i * sizeof(Vector), sizeof(vector));
      any[i] |= vector ^ expected;
    }
  };
  for (; start < last; start += kStep) collect(start);
  collect(last);
  Vector all = (any[0] | any[1]) | (any[2] | any[3]);
  uint64_t difference = 0;
  for (size_t i = 0; i < sizeof(Vector) / sizeof(uint64_t); i++) difference |= all[i];
  return difference == 0;
}

bool has_wide_vectors = false;

#ifdef __x86_64__
using Quad [[gnu::vector_size(32)]] = uint64_t;

bool see_wide_vectors() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}

[[gnu::target("avx2")]] bool is_all_zero_wide(const char* start, size_t bytes) {
  return are_words_by<Quad>(start, bytes, 0);
}

[[gnu::target("avx2")]] bool are_words_wide(const char* start, size_t bytes, uint64_t word) {
  return are_words_by<Quad>(start, bytes, word);
}
#else
bool see_wide_vectors() { return false; }

bool is_all_zero_wide(const char* start, size_t bytes) { return are_words_by<Pair>(start, bytes, 0); }

bool are_words_wide(const char* start, size_t bytes, uint64_t word) { return are_words_by<Pair>(start, bytes, word); }
#endif

// The same, of a multiple of 8 and at least kLeastVectorBytes bytes.
bool are_words(const char* start, size_t bytes, uint64_t word) {
  return load_relaxed(has_wide_vectors) ? are_words_wide(start, bytes, word) : are_words_by<Pair>(start, bytes, word);
}

}  // namespace

// Pair by pair while there is a whole one, then what is left of one.
void canary_write(void* block, char* end, size_t slack) {
  uint64_t canary = canary_of(block);
  Pair whole = {canary, canary};
  for (; slack >= sizeof(Pair); slack -= sizeof(Pair)) memcpy(end -= sizeof(Pair), &whole, sizeof(whole));
  for (; slack >= kWordBytes; slack -= kWordBytes) store(end -= kWordBytes, canary);
  if (slack == 0) return;
  char* last = end - kWordBytes;
  uint64_t mask = upper_bytes(slack);
  store(last, (load(last) & ~mask) | (canary & mask));
}

bool canary_holds(const void* block, const char* end, size_t slack) {
  uint64_t canary = canary_of(block), difference = 0;
  size_t whole = slack / kWordBytes * kWordBytes;
  if (whole >= kLeastVectorBytes && !are_words(end - whole, whole, canary)) return false;
  const char* start = end - whole;
  for (const char* at = start; whole < kLeastVectorBytes && at < end; at += kWordBytes) difference |= load(at) ^ canary;
  if (slack > whole) difference |= (load(start - kWordBytes) ^ canary) & upper_bytes(slack - whole);
  return difference == 0;
}

bool fill::is_long_all_zero(const char* start, size_t bytes) {
  return load_relaxed(has_wide_vectors) ? is_all_zero_wide(start, bytes) : are_words_by<Pair>(start, bytes, 0);
}

void fill_choose() { store_relaxed(has_wide_vectors, see_wide_vectors()); }

}  // namespace pagerun
