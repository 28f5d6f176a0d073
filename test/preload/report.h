/* How the programs of the comparison say what a call did: one line a call, the same on every right allocator. Owns the
 * wording; addresses and anything else that may differ are left out. Thread rule: one thread. */
#ifndef REPORT_H
#define REPORT_H

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  kUntouched = 4321, /* what errno is before a call */
  kEnd = 4096,
};

static const char* errno_text(int value) {
  static char other[32];
  if (value == kUntouched) return "untouched";
  if (value == 0) return "0";
  if (value == ENOMEM) return "ENOMEM";
  if (value == EINVAL) return "EINVAL";
  snprintf(other, sizeof(other), "%d", value);
  return other;
}

/* Says whether a block came, how it is aligned (of what was asked for, and of what malloc promises), that it holds
 * `bytes` bytes, and what became of errno. Both its ends are written. */
static void report_block(const char* call, void* block, size_t alignment, size_t bytes) {
  int error = errno;
  if (block == NULL) {
    printf("%s: null, errno %s\n", call, errno_text(error));
    return;
  }
  uintptr_t address = (uintptr_t)block;
  int holds = malloc_usable_size(block) >= bytes;
  memset(block, 0xa5, bytes < kEnd ? bytes : kEnd);
  if (bytes > kEnd) memset((char*)block + bytes - kEnd, 0xa5, kEnd);
  printf("%s: a block, errno %s%s%s%s\n", call, errno_text(error),
         alignment != 0 && address % alignment != 0 ? ", NOT ALIGNED" : "",
         bytes >= 16 && address % 16 != 0 ? ", NOT ALIGNED TO 16" : "", holds ? "" : ", TOO SMALL");
}

#define TRY_BLOCK(alignment, bytes, ...)                      \
  do {                                                        \
    errno = kUntouched;                                       \
    void* block_ = (__VA_ARGS__);                             \
    report_block(#__VA_ARGS__, block_, (alignment), (bytes)); \
    free(block_);                                             \
  } while (0)

#define TRY_NULL(...) TRY_BLOCK(0, 0, __VA_ARGS__)

/* A call whose result is a number that does not depend on the heap. */
#define TRY_NUMBER(...)                                                        \
  do {                                                                         \
    errno = kUntouched;                                                        \
    long long number_ = (long long)(__VA_ARGS__);                              \
    int error_ = errno;                                                        \
    printf("%s: %lld, errno %s\n", #__VA_ARGS__, number_, errno_text(error_)); \
  } while (0)

#endif
