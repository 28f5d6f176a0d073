// See mapped.h.
#include "mapped.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pagerun::bench {

MappedFile::MappedFile(const char* path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status = {};
  if (file < 0 || fstat(file, &status) != 0) die("cannot open %s: %m", path);
  if (!S_ISREG(status.st_mode)) die("%s is not a file", path);
  size_ = static_cast<size_t>(status.st_size);
  if (size_ != 0) {
    void* memory = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    if (memory == MAP_FAILED) die("cannot map %s: %m", path);
    bytes_ = static_cast<const uint8_t*>(memory);
  }
  close(file);
}

MappedFile::~MappedFile() {
  if (bytes_ != nullptr) munmap(const_cast<uint8_t*>(bytes_), size_);
}

}  // namespace pagerun::bench
