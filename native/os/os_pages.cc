#include "os_pages.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>

#include "../base/config.h"
#include "fault.h"

namespace pagerun::os {

namespace {

constexpr int kProtections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
constexpr int kAdvices[] = {MADV_NORMAL, MADV_RANDOM,   MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,
                            MADV_FREE,   MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DONTFORK};
static_assert(sizeof(kAdvices) / sizeof(kAdvices[0]) == kAdviceCount);

// Makes the call, unless it shall fail; returns 0 or the error's number.
template <class Call>
int error_of(Call call) {
  int saved = errno;
  int error = should_fail() ? ENOMEM : call() == 0 ? 0 : errno;
  errno = saved;
  return error;
}

}  // namespace

int protect(void* address, size_t bytes, Protection protection) {
  return error_of([=] { return mprotect(address, bytes, kProtections[static_cast<uint32_t>(protection)]); });
}

int advise(void* address, size_t bytes, Advice advice) {
  return error_of([=] { return madvise(address, bytes, kAdvices[static_cast<uint32_t>(advice)]); });
}

int lock(void* address, size_t bytes) {
  return error_of([=] { return mlock(address, bytes); });
}

int unlock(void* address, size_t bytes) {
  return error_of([=] { return munlock(address, bytes); });
}

int find_resident(const void* address, size_t bytes, uint8_t* resident) {
  int error = error_of([=] { return mincore(const_cast<void*>(address), bytes, resident); });
  // Only the lowest bit is said to mean this.
  for (size_t i = 0; error == 0 && i < bytes / kOsPageBytes; i++) resident[i] &= 1;
  return error;
}

size_t lock_limit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit.rlim_cur;
}

}  // namespace pagerun::os
