#include "memory.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

#include <cerrno>

#include "../base/config.h"
#include "errno_keeper.h"
#include "fault.h"

namespace pagerun::os {

namespace {

void* map_with(void* hint, size_t bytes, int protection, int flags, bool* is_taken = nullptr) {
  ErrnoKeeper keeper;
  if (should_fail()) return nullptr;
  void* address = mmap(hint, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (address != MAP_FAILED) return address;
  if (is_taken != nullptr) *is_taken = errno == EEXIST;
  return nullptr;
}

}  // namespace

bool has_known_os_pages() { return getauxval(AT_PAGESZ) == kOsPageBytes; }

void* reserve(size_t bytes) { return map_with(nullptr, bytes, PROT_NONE, MAP_NORESERVE); }

void* reserve_at(void* address, size_t bytes, bool* is_taken) {
  *is_taken = false;
  void* got = map_with(address, bytes, PROT_NONE, MAP_NORESERVE | MAP_FIXED_NOREPLACE, is_taken);
  if (got == nullptr || got == address) return got;
  release(got, bytes);  // a kernel before 4.17 takes the address as a hint only
  *is_taken = true;
  return nullptr;
}

void* reserve_counted(size_t bytes) { return map_with(nullptr, bytes, PROT_NONE, 0); }

bool commit(void* address, size_t bytes) {
  ErrnoKeeper keeper;
  return !should_fail() && mprotect(address, bytes, PROT_READ | PROT_WRITE) == 0;
}

bool purge(void* address, size_t bytes) {
  ErrnoKeeper keeper;
  return !should_fail() && madvise(address, bytes, MADV_DONTNEED) == 0;
}

void refuse_huge(void* address, size_t bytes) {
  ErrnoKeeper keeper;
  if (!should_fail()) madvise(address, bytes, MADV_NOHUGEPAGE);
}

bool release(void* address, size_t bytes) {
  ErrnoKeeper keeper;
  return !should_fail() && munmap(address, bytes) == 0;
}

void* map(size_t bytes) { return map_with(nullptr, bytes, PROT_READ | PROT_WRITE, 0); }

void* remap(void* address, size_t old_bytes, size_t new_bytes, bool may_move) {
  ErrnoKeeper keeper;
  if (should_fail()) return nullptr;
  void* moved = mremap(address, old_bytes, new_bytes, may_move ? MREMAP_MAYMOVE : 0);
  return moved == MAP_FAILED ? nullptr : moved;
}

bool seal_off(void* address, size_t bytes) { return map_with(address, bytes, PROT_NONE, MAP_FIXED) != nullptr; }

void* remap_to(void* address, size_t old_bytes, size_t new_bytes, void* target) {
  ErrnoKeeper keeper;
  if (should_fail()) return nullptr;
  void* moved = mremap(address, old_bytes, new_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, target);
  return moved == MAP_FAILED ? nullptr : moved;
}

uint64_t random_bits() {
  ErrnoKeeper keeper;
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) == sizeof(bits)) return bits;
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (static_cast<uint64_t>(now.tv_nsec) << 20 ^ reinterpret_cast<uintptr_t>(&now)) * 0x9e3779b97f4a7c15ull;
}

uint64_t milliseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

size_t address_space_limit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit.rlim_cur;
}

}  // namespace pagerun::os
