// See die.h.
#include "die.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

namespace pagerun::bench {

void die(const char* format, ...) {
  int reason = errno;  // for %m in the format
  va_list values;
  va_start(values, format);
  fputs("pagerun_bench: ", stderr);
  errno = reason;
  vfprintf(stderr, format, values);
  fputc('\n', stderr);
  va_end(values);
  // Not exit: other threads may still be inside an allocator that has just failed.
  _exit(kExitFailed);
}

}  // namespace pagerun::bench
