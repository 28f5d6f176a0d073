#include "fill.h"

#include "../base/relaxed.h"

namespace pagerun {

bool has_lines = false;

using namespace fill;

namespace {

constexpr size_t kStepVectors = 4;
constexpr size_t kLeastBytes = kStepVectors * kVectorBytes<Halves>;  // of what is looked at by vectors

// True when each 8 bytes are `word`, of kStepVectors vectors or more. All is looked at before anything is said: there
// is nearly never something to be found.
template <class Vectors>
[[gnu::always_inline]] inline bool are_words_by(const char* start, size_t bytes, uint64_t word) {
  using Vector = typename Vectors::Vector;
  constexpr size_t kStepBytes = kStepVectors * sizeof(Vector);
  const char* last = start + bytes - kStepBytes;
  Vector any[kStepVectors] = {};
  auto collect = [&](const char* at) {
#pragma GCC unroll 4
    for (size_t i = 0; i < kStepVectors; i++) {
      Vector vector;
      memcpy(&vector, at + i * sizeof(Vector), sizeof(vector));
      any[i] |= vector ^ word;
    }
  };
  for (; start < last; start += kStepBytes) collect(start);
  collect(last);
  return is_zero((any[0] | any[1]) | (any[2] | any[3]));
}

bool are_words_pairs(const char* start, size_t bytes, uint64_t word) { return are_words_by<Pairs>(start, bytes, word); }

#ifdef __x86_64__
bool has_halves = false;

// Of the machines with lines the first ones were slowed by them; those that followed have VBMI2 as well.
void see_vectors() {
  __builtin_cpu_init();
  store_relaxed(has_halves, __builtin_cpu_supports("avx2") != 0);
  bool has_all = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  store_relaxed(has_lines, has_all && __builtin_cpu_supports("avx512vbmi2") != 0);
}

PAGERUN_FOR_LINES bool are_words_lines(const char* start, size_t bytes, uint64_t word) {
  return are_words_by<Lines>(start, bytes, word);
}

constexpr size_t kCanaryLines = 4;
constexpr size_t kCanaryLinesBytes = kCanaryLines * kVectorBytes<Lines>;

// True when the canary in that many bytes holds, of a block that is as long.
PAGERUN_FOR_LINES bool canary_holds_lines(const void* block, const char* end, size_t slack) {
  return holds_slack<Lines, kCanaryLines>(block, end, slack);
}

[[gnu::target("avx2")]] bool are_words_halves(const char* start, size_t bytes, uint64_t word) {
  return are_words_by<Halves>(start, bytes, word);
}

bool are_words(const char* start, size_t bytes, uint64_t word) {
  if (load_relaxed(has_lines) && bytes >= kStepVectors * kVectorBytes<Lines>)
    return are_words_lines(start, bytes, word);
  return load_relaxed(has_halves) ? are_words_halves(start, bytes, word) : are_words_pairs(start, bytes, word);
}
#else
void see_vectors() {}

bool are_words(const char* start, size_t bytes, uint64_t word) { return are_words_pairs(start, bytes, word); }
#endif

}  // namespace

// Pair by pair while there is a whole one, then what is left of one.
void canary_write(void* block, char* end, size_t slack) {
  uint64_t canary = canary_of(block);
  Pairs::Vector whole = {canary, canary};
  for (; slack >= sizeof(whole); slack -= sizeof(whole)) memcpy(end -= sizeof(whole), &whole, sizeof(whole));
  for (; slack >= kWordBytes; slack -= kWordBytes) store(end -= kWordBytes, canary);
  if (slack == 0) return;
  char* last = end - kWordBytes;
  uint64_t mask = upper_bytes(slack);
  store(last, (load(last) & ~mask) | (canary & mask));
}

bool canary_holds(const void* block, const char* end, size_t slack) {
#ifdef __x86_64__
  bool is_long = static_cast<size_t>(end - static_cast<const char*>(block)) >= kCanaryLinesBytes;
  if (load_relaxed(has_lines) && is_long && slack <= kCanaryLinesBytes) return canary_holds_lines(block, end, slack);
#endif
  uint64_t canary = canary_of(block), difference = 0;
  size_t whole = slack / kWordBytes * kWordBytes;
  if (whole >= kLeastBytes && !are_words(end - whole, whole, canary)) return false;
  const char* start = end - whole;
  for (const char* at = start; whole < kLeastBytes && at < end; at += kWordBytes) difference |= load(at) ^ canary;
  if (slack > whole) difference |= (load(start - kWordBytes) ^ canary) & upper_bytes(slack - whole);
  return difference == 0;
}

bool is_long_all_zero(const char* start, size_t bytes) { return are_words(start, bytes, 0); }

void fill_choose() { see_vectors(); }

}  // namespace pagerun
