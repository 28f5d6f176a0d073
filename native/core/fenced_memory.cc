#include "fenced_memory.h"

#include <cstdint>

#include "../base/bits.h"
#include "../os/memory.h"

namespace pagerun {

namespace {

// Address space with room for both guards round `bytes` at a multiple of `alignment`; the address of the latter.
char* reserve_fenced(size_t bytes, size_t alignment) {
  size_t whole_bytes = bytes + 2 * kGuardBytes, spare = alignment > kOsPageBytes ? alignment : 0;
  if (bytes > SIZE_MAX / 2 || spare > SIZE_MAX / 4) return nullptr;
  auto* raw = static_cast<char*>(os::reserve(whole_bytes + spare));
  if (raw == nullptr || spare == 0) return raw == nullptr ? nullptr : raw + kGuardBytes;
  auto* start = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(raw) + kGuardBytes, alignment));
  // A refusal to trim costs address space, no memory.
  auto before = static_cast<size_t>(start - kGuardBytes - raw);
  if (before > 0) os::release(raw, before);
  if (spare > before) os::release(start + bytes + kGuardBytes, spare - before);
  return start;
}

}  // namespace

char* fenced_map(size_t bytes, size_t alignment) {
  char* address = reserve_fenced(bytes, alignment);
  if (address == nullptr || os::commit(address, bytes)) return address;
  os::release(address - kGuardBytes, bytes + 2 * kGuardBytes);
  return nullptr;
}

char* fenced_move(char* address, size_t bytes, size_t new_bytes) {
  char* target = reserve_fenced(new_bytes, kOsPageBytes);
  if (target == nullptr) return nullptr;
  if (os::remap_to(address, bytes, new_bytes, target) != nullptr) {
    os::release(address - kGuardBytes, kGuardBytes);
    os::release(address + bytes, kGuardBytes);
    return target;
  }
  os::release(target - kGuardBytes, new_bytes + 2 * kGuardBytes);
  return nullptr;
}

void KeptRanges::let_oldest_go() {
  Range range = ranges_[first_];
  first_ = (first_ + 1) % kMostRanges;
  count_--;
  bytes_ -= range.bytes;
  os::release(range.address, range.bytes);
}

void KeptRanges::keep(char* address, size_t bytes) {
  if (bytes > kMostBytes || !os::seal_off(address, bytes)) {
    if (!os::release(address, bytes)) os::purge(address, bytes);
    return;
  }
  while (count_ == kMostRanges || bytes_ + bytes > kMostBytes) let_oldest_go();
  ranges_[(first_ + count_++) % kMostRanges] = {address, bytes};
  bytes_ += bytes;
}

bool KeptRanges::let_go() {
  bool are_there = count_ > 0;
  while (count_ > 0) let_oldest_go();
  return are_there;
}

}  // namespace pagerun
