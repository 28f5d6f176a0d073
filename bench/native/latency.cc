// See latency.h.
#include "latency.h"

#include <algorithm>

namespace pagerun::bench {

void Histogram::merge(const Histogram& other) {
  for (size_t place = 0; place < kPlaces; place++) counts_[place] += other.counts_[place];
}

uint64_t Histogram::total() const {
  uint64_t sum = 0;
  for (uint64_t count : counts_) sum += count;
  return sum;
}

double Histogram::middle_of(size_t place) {
  if (place < kFine) return static_cast<double>(place);
  size_t shift = place / kFine - 1;
  double low = static_cast<double>((kFine + place % kFine) << shift);
  return low + static_cast<double>((uint64_t{1} << shift) - 1) / 2;
}

double Histogram::quantile(double share) const {
  double wanted = share * static_cast<double>(total());
  uint64_t seen = 0;
  for (size_t place = 0; place < kPlaces; place++) {
    seen += counts_[place];
    if (counts_[place] != 0 && static_cast<double>(seen) >= wanted) return middle_of(place);
  }
  return 0;
}

uint64_t empty_sample_ticks() {
  static const uint64_t cost = [] {
    constexpr size_t kTries = 2001;
    uint64_t tries[kTries];
    for (uint64_t& ticks : tries) {
      uint64_t start = ticks_now();
      ticks = ticks_now() - start;
    }
    std::nth_element(tries, tries + kTries / 2, tries + kTries);
    return tries[kTries / 2];
  }();
  return cost;
}

}  // namespace pagerun::bench
