// See memory_reading.h.
#include "memory_reading.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mapped.h"

namespace pagerun::bench {
namespace {

constexpr size_t kMapsBytes = size_t{256} << 10;
char text[kMapsBytes];

// No stdio: its buffers would come from the malloc under test.
size_t read_text(const char* path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) die("cannot open %s", path);
  size_t size = 0;
  while (size < kMapsBytes - 1) {
    ssize_t count = read(file, text + size, kMapsBytes - 1 - size);
    if (count <= 0) break;
    size += static_cast<size_t>(count);
  }
  close(file);
  text[size] = 0;
  return size;
}

size_t read_status_bytes(const char* key) {
  read_text("/proc/self/status");
  const char* line = strstr(text, key);
  if (line == nullptr) die("/proc/self/status has no %s", key);
  return strtoull(line + strlen(key), nullptr, 10) * 1024;
}

void populate_files() {
  constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ; refused by kernels before 5.14, which costs exactness only
  read_text("/proc/self/maps");
  for (char* line = text; line != nullptr && *line != 0;) {
    char* end = nullptr;
    uintptr_t from = strtoull(line, &end, 16);
    uintptr_t to = strtoull(end + 1, &end, 16);
    bool is_read_only_file = strncmp(end, " r", 2) == 0 && end[2] == '-';
    char* next = strchr(line, '\n');
    if (next != nullptr) *next = 0;
    if (is_read_only_file && strchr(line, '/') != nullptr)
      madvise(reinterpret_cast<void*>(from), to - from, kPopulateRead);
    line = next == nullptr ? nullptr : next + 1;
  }
}

void reset_peak() {
  int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  bool is_reset = file >= 0 && write(file, "5", 1) == 1;
  if (file >= 0) close(file);
  if (!is_reset) fputs("pagerun_bench: the kernel keeps its high-water mark, peak_rss may be too large\n", stderr);
}

}  // namespace

void MemoryReading::start() {
  populate_files();
  file_bytes_ = read_status_bytes("RssFile:") + read_status_bytes("RssShmem:");
  reset_peak();
}

size_t MemoryReading::without_others(size_t bytes) const {
  size_t others = file_bytes_ + mapped_bytes;
  return bytes > others ? bytes - others : 0;
}

size_t MemoryReading::peak_bytes() const { return without_others(read_status_bytes("VmHWM:")); }

size_t MemoryReading::rest_bytes() const { return without_others(read_status_bytes("VmRSS:")); }

}  // namespace pagerun::bench
