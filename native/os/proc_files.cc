#include "proc_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "errno_keeper.h"

namespace pagerun::os {

size_t read_file(const char* path, char* text, size_t room) {
  ErrnoKeeper keeper;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, text, room);
  close(file);
  return length < 0 ? 0 : static_cast<size_t>(length);
}

size_t available_bytes() {
  constexpr char kName[] = "MemAvailable:";
  constexpr unsigned kKilobyte = 1024;
  char text[256];
  text[read_file("/proc/meminfo", text, sizeof(text) - 1)] = 0;
  ErrnoKeeper keeper;
  const char* line = strstr(text, kName);
  return line == nullptr ? SIZE_MAX : strtoul(line + sizeof(kName) - 1, nullptr, 10) * kKilobyte;
}

}  // namespace pagerun::os
