// Memory of the bench itself, straight from the system: it must not come from the malloc that is being measured.
// Owns arrays and mapped files, and the count of bytes in them. Thread rule: an array belongs to its maker; the count
// is atomic.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <atomic>

#include "die.h"

namespace pagerun::bench {

/// Bytes of all arrays that exist now. They are populated, so this is what they add to the resident set.
inline std::atomic<size_t> mapped_bytes{0};

/// A fixed number of elements of a type for which zero bytes are a good start, populated at once and unmapped at the
/// end.
template <class T>
class MappedArray {
 public:
  MappedArray() = default;
  explicit MappedArray(size_t count) { make(count); }
  ~MappedArray() { drop(); }
  MappedArray(const MappedArray&) = delete;
  MappedArray& operator=(const MappedArray&) = delete;

  void make(size_t count) {
    drop();
    if (count == 0) return;
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, sizeof(T), &bytes) || bytes > PTRDIFF_MAX) die("a table is too large");
    bytes = (bytes + kOsPageBytes - 1) & ~(kOsPageBytes - 1);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) die("no memory for a table of %zu bytes", bytes);
    first_ = static_cast<T*>(memory);
    count_ = count;
    bytes_ = bytes;
    mapped_bytes += bytes;
  }

  void drop() {
    if (first_ == nullptr) return;
    munmap(first_, bytes_);
    mapped_bytes -= bytes_;
    first_ = nullptr;
    count_ = bytes_ = 0;
  }

  T& operator[](size_t index) { return first_[index]; }
  const T& operator[](size_t index) const { return first_[index]; }
  T* begin() { return first_; }
  T* end() { return first_ + count_; }
  size_t size() const { return count_; }

 private:
  static constexpr size_t kOsPageBytes = 4096;
  T* first_ = nullptr;
  size_t count_ = 0;
  size_t bytes_ = 0;
};

/// A whole file, read only, unmapped at the end. Dies when it cannot be read.
class MappedFile {
 public:
  explicit MappedFile(const char* path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const uint8_t* bytes() const { return bytes_; }
  size_t size() const { return size_; }

 private:
  const uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
};

}  // namespace pagerun::bench
