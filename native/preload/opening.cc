// dlopen, as the program finds it: without RTLD_DEEPBIND. A library opened with that would have the C library's malloc
// and free, while all others have this one's, and what one allocates another frees. PHP opens its extensions so.
// Owns nothing else of the loader's. Thread rule: any thread; before main, too.
#include <dlfcn.h>

#include <atomic>

#include "calls.h"

namespace pagerun {

namespace {

using Open = void* (*)(const char*, int);

Open next_open() {
  static std::atomic<Open> found{nullptr};
  Open open = found.load(std::memory_order_relaxed);
  if (open != nullptr) return open;
  open = reinterpret_cast<Open>(dlsym(RTLD_NEXT, "dlopen"));
  found.store(open, std::memory_order_relaxed);
  return open;
}

}  // namespace

}  // namespace pagerun

using namespace pagerun;

// A call in tail position, which is a jump: the loader looks where it is called from, because a library's own search
// path serves what the library opens.
PAGERUN_EXPORT void* dlopen(const char* path, int flags) {
  Open open = next_open();
  return open(path, is_malloc_of_program() ? flags & ~RTLD_DEEPBIND : flags);
}
