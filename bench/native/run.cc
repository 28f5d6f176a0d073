// See run.h.
#include "run.h"

#include <stdio.h>

#include "json.h"

namespace pagerun::bench {

Run::Run(uint64_t operations, uint32_t threads, bool samples_latency)
    : wanted_operations_(operations), threads_(threads), histogram_(samples_latency ? 1 : 0) {
  if (samples_latency) empty_sample_ticks();
}

void Run::start_clock() {
  lock_count_.start();
  started_ticks_ = ticks_now();
  started_ = seconds_now();
  worked_from_ = worked_seconds_now();
}

void Run::stop_clock() {
  worked_seconds_ += worked_seconds_now() - worked_from_;
  seconds_ += seconds_now() - started_;
  ticks_ += ticks_now() - started_ticks_;
  lock_count_.stop();
}

void Run::read_peak() {
  size_t bytes = memory_.peak_bytes();
  if (bytes > peak_bytes_) peak_bytes_ = bytes;
}

void Run::read_rest() { rest_bytes_ = memory_.rest_bytes(); }

void Run::add_counts(uint64_t operations, uint64_t sum, const Histogram* histogram) {
  pthread_mutex_lock(&lock_);
  operations_ += operations;
  sum_ += sum;
  if (histogram != nullptr) histogram_[0].merge(*histogram);
  pthread_mutex_unlock(&lock_);
}

double Run::nanoseconds(double quantile_ticks) const {
  return ticks_ == 0 ? 0 : quantile_ticks * seconds_ * 1e9 / static_cast<double>(ticks_);
}

void Run::print(const char* name) const {
  struct Quantile {
    const char* key;
    double share;
  };
  JsonPrinter json;
  json.open('{');
  json.text("workload", name);
  json.number("ops", operations_);
  json.decimal("time", time(), 9);
  json.decimal("ns_per_op", operations_ == 0 ? 0 : time() * 1e9 / static_cast<double>(operations_), 3);
  for (Quantile quantile : {Quantile{"p50_ns", 0.5}, Quantile{"p99_ns", 0.99}, Quantile{"p999_ns", 0.999}}) {
    if (histogram_.size() == 0) {
      json.null(quantile.key);
    } else {
      json.decimal(quantile.key, nanoseconds(histogram_[0].quantile(quantile.share)), 1);
    }
  }
  if (lock_count_.is_known() && operations_ != 0) {
    json.decimal("locks_per_million", static_cast<double>(lock_count_.taken()) * 1e6 / static_cast<double>(operations_),
                 3);
  } else {
    json.null("locks_per_million");
  }
  json.number("peak_rss", peak_bytes_);
  json.number("rest_rss", rest_bytes_);
  json.number("threads", threads_);
  json.close('}');
  puts("");
}

}  // namespace pagerun::bench
