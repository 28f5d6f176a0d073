// What the process holds, as the kernel counts it. Owns the meaning of the bench's memory figures. Allocates nothing.
// Thread rule: one thread, while no measured work runs.
//
//     peak_rss = highest resident set since start() - resident pages of files - tables of the bench
//     rest_rss = resident set now                   - resident pages of files - tables of the bench
//
// Files are code, above all; start() makes that of all loaded libraries resident and then sets the kernel's high-water
// mark (VmHWM) back by writing 5 to clear_refs, so that neither code nor what came before counts. What an allocator
// took when it was loaded is there at start(), and counts: a program that uses the allocator pays for it.
#pragma once

#include <stddef.h>

namespace pagerun::bench {

class MemoryReading {
 public:
  void start();
  size_t peak_bytes() const;
  size_t rest_bytes() const;

 private:
  size_t without_others(size_t bytes) const;

  size_t file_bytes_ = 0;
};

}  // namespace pagerun::bench
