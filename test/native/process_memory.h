// How much memory the process of a test has. Owns nothing. Thread rule: any thread.
#pragma once

#include <stdio.h>
#include <string.h>

#include <cstddef>
#include <cstdint>

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

/// Whether the kernel's flags of the mapping at the address have this one of two letters (proc(5), VmFlags of smaps).
inline bool has_mapping_flag(const void* address, const char* flag) {
  FILE* file = fopen("/proc/self/smaps", "r");
  if (file == nullptr) return false;
  char line[512];
  bool is_here = false, has_flag = false;
  while (fgets(line, sizeof(line), file) != nullptr) {
    unsigned long start = 0, end = 0;
    auto at = reinterpret_cast<uintptr_t>(address);
    if (sscanf(line, "%lx-%lx ", &start, &end) == 2) is_here = start <= at && at < end;
    if (is_here && strncmp(line, "VmFlags:", 8) == 0) has_flag = strstr(line + 8, flag) != nullptr;
  }
  fclose(file);
  return has_flag;
}

}  // namespace pagerun
