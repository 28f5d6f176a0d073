// Latency of single operations: a histogram and the probes that fill it. Owns the sampling rule.
// Thread rule: a probe and its histogram belong to one thread; merge() needs a lock of the caller.
//
// Every kSampleEvery-th operation is timed from before the call to after it; the memory is touched outside. The cost of
// reading the counter twice, measured at start, is taken off each sample.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "clock.h"

namespace pagerun::bench {

inline constexpr uint32_t kSampleEvery = 7;  // a prime, so that no pattern of the work falls into step with it

/// Counts ticks in steps of at most 1/64 of their value.
class Histogram {
 public:
  void add(uint64_t ticks) { counts_[place_of(ticks)]++; }
  void merge(const Histogram& other);
  uint64_t total() const;
  /// The value in ticks below which `share` of the samples lie; 0 when there are none.
  double quantile(double share) const;

 private:
  static constexpr unsigned kFineBits = 6;
  static constexpr size_t kFine = size_t{1} << kFineBits;
  static constexpr size_t kPlaces = (64 - kFineBits + 1) * kFine;

  static size_t place_of(uint64_t ticks) {
    if (ticks < kFine) return ticks;
    unsigned shift = 63u - static_cast<unsigned>(__builtin_clzll(ticks)) - kFineBits;
    return (shift + 1) * kFine + static_cast<size_t>((ticks >> shift) - kFine);
  }
  static double middle_of(size_t place);

  uint64_t counts_[kPlaces];
};

/// Cost in ticks of a sample of nothing; measured at the first call.
uint64_t empty_sample_ticks();

/// Times nothing: every call of it vanishes.
class NoProbe {
 public:
  static constexpr bool kSamples = false;
  explicit NoProbe(Histogram*) {}
  uint64_t begin() { return 0; }
  void end(uint64_t) {}
};

/// Times every kSampleEvery-th operation.
class SampleProbe {
 public:
  static constexpr bool kSamples = true;
  explicit SampleProbe(Histogram* histogram) : histogram_(histogram), empty_ticks_(empty_sample_ticks()) {}

  uint64_t begin() {
    if (--countdown_ != 0) return 0;
    countdown_ = kSampleEvery;
    return ticks_now();
  }
  void end(uint64_t start) {
    if (start == 0) return;
    uint64_t ticks = ticks_now() - start;
    histogram_->add(ticks > empty_ticks_ ? ticks - empty_ticks_ : 0);
  }

 private:
  Histogram* histogram_;
  uint64_t empty_ticks_;
  uint32_t countdown_ = kSampleEvery;
};

}  // namespace pagerun::bench
