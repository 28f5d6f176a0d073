// How much memory the process of a test has. Owns nothing. Thread rule: any thread.
#pragma once

#include <stdio.h>

#include <cstddef>

#include "base/config.h"

namespace pagerun {

struct ProcessMemory {
  size_t mapped_bytes = 0, resident_bytes = 0;
};

/// From the kernel, at this moment; both 0, which no test takes for an answer, where it cannot be read.
inline ProcessMemory process_memory() {
  ProcessMemory memory;
  FILE* file = fopen("/proc/self/statm", "r");
  if (file == nullptr) return memory;
  size_t mapped_pages = 0, resident_pages = 0;
  if (fscanf(file, "%zu %zu", &mapped_pages, &resident_pages) == 2)
    memory = {mapped_pages * kOsPageBytes, resident_pages * kOsPageBytes};
  fclose(file);
  return memory;
}

inline size_t mapped_bytes() { return process_memory().mapped_bytes; }
inline size_t resident_bytes() { return process_memory().resident_bytes; }

}  // namespace pagerun
