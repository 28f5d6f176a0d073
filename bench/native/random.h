// Random numbers of the workloads: the same in every run, and cheap next to malloc. Thread rule: one generator, one
// thread.
#pragma once

#include <stdint.h>

namespace pagerun::bench {

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}

  uint32_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<uint32_t>((state_ * 0x2545F4914F6CDD1Du) >> 32);
  }

  /// Even in `low` to `high`, both included; the range is below 2^32.
  uint64_t between(uint64_t low, uint64_t high) { return low + ((next() * (high - low + 1)) >> 32); }

  /// From `low` to below `low * 2^doublings`; every doubling is half as likely as the one before.
  uint64_t power_law(uint64_t low, unsigned doublings) {
    unsigned level = static_cast<unsigned>(__builtin_ctz(next() | 1u << (doublings - 1)));
    uint64_t base = low << level;
    return base + ((next() * base) >> 32);
  }

  /// From `low` to below `low * 2^doublings`; every doubling is as likely as the others.
  uint64_t log_even(uint64_t low, unsigned doublings) {
    uint64_t base = low << between(0, doublings - 1);
    return base + ((next() * base) >> 32);
  }

 private:
  uint64_t state_;
};

}  // namespace pagerun::bench
