// What the process holds, as the kernel counts it. Owns the meaning of the bench's memory figures. Allocates nothing.
// Thread rule: one thread, while no measured work runs.
//
//     peak_rss = highest resident set since start() - resident set at start() - tables of the bench made since
//     rest_rss = resident set now                   - resident set at start() - tables of the bench made since
//
// start() makes the code of all loaded libraries resident and then sets the kernel's high-water mark (VmHWM) back by
// writing 5 to clear_refs, so that neither code nor what came before counts.
#pragma once

#include <stddef.h>

namespace pagerun::bench {

class MemoryReading {
 public:
  void start();
  size_t peak_bytes() const;
  size_t rest_bytes() const;

 private:
  size_t above_baseline(size_t bytes) const;

  size_t baseline_bytes_ = 0;
  size_t tables_bytes_ = 0;
};

}  // namespace pagerun::bench
