// What the kernel can be told and asked about OS pages that are mapped already. Owns nothing.
// Every refusal is a value: 0 where it was done, else the error's number; errno is left as it was. Thread rule: any
// thread. All addresses and lengths are multiples of the OS page; lengths are not 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagerun::os {

/// What a program may do with an OS page; each allows what the one before does.
enum class Protection : uint32_t { kNone = 0, kRead = 1, kReadWrite = 2 };

/// What a program says of its use of OS pages (madvise).
enum class Advice : uint32_t {
  kNormal = 0,
  kRandom = 1,
  kSequential = 2,
  kWillNeed = 3,
  kDontNeed = 4,  // gives the content back at once: it reads as zero again
  kFree = 5,      // the same, when the system is short of memory
  kHuge = 6,
  kNoHuge = 7,
  kNoDump = 8,  // not in core dumps
  kNoFork = 9,  // not in forked children
};

constexpr uint32_t kAdviceCount = 10;
constexpr size_t kHugePageBytes = 2 << 20;

int protect(void* address, size_t bytes, Protection protection);

int advise(void* address, size_t bytes, Advice advice);

/// Keeps OS pages in memory, and brings in those that are not; back.
int lock(void* address, size_t bytes);
int unlock(void* address, size_t bytes);

/// Sets byte i of `resident` to 1 when OS page i of the range is in memory, else to 0.
int find_resident(const void* address, size_t bytes, uint8_t* resident);

/// Bytes that the process may lock, or SIZE_MAX.
size_t lock_limit();

}  // namespace pagerun::os
