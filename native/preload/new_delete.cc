// Every form of C++ operator new and delete, over malloc and free of the same library.
// The C++ library is looked up at run time, so that a C program need not load it: it has the new-handler and throws
// std::bad_alloc. Thread rule: as malloc.
#include <cstdlib>
#include <new>

#include "pagerun.h"

extern "C" void* memalign(size_t, size_t) noexcept;

// libstdc++'s own names; absent in a program without it.
extern "C" [[gnu::weak]] void pagerun_throw_bad_alloc() __asm__("_ZSt17__throw_bad_allocv");
extern "C" [[gnu::weak]] std::new_handler pagerun_get_new_handler() __asm__("_ZSt15get_new_handlerv");

#define PAGERUN_EXPORT [[gnu::visibility("default")]]

namespace {

void* take(size_t bytes, size_t alignment) { return alignment == 0 ? malloc(bytes) : memalign(alignment, bytes); }

// After the C++ standard: ask the new-handler for memory until there is none.
[[gnu::noinline, gnu::cold]] void* take_slow(size_t bytes, size_t alignment, bool may_throw) {
  for (;;) {
    std::new_handler handler = pagerun_get_new_handler == nullptr ? nullptr : pagerun_get_new_handler();
    if (handler == nullptr) {
      if (!may_throw) return nullptr;
      if (pagerun_throw_bad_alloc != nullptr) pagerun_throw_bad_alloc();
      abort();
    }
    handler();
    if (void* ptr = take(bytes, alignment)) return ptr;
  }
}

inline void* take_or_fail(size_t bytes, size_t alignment, bool may_throw) {
  void* ptr = take(bytes, alignment);
  return ptr != nullptr ? ptr : take_slow(bytes, alignment, may_throw);
}

inline size_t of(std::align_val_t alignment) { return static_cast<size_t>(alignment); }

}  // namespace

PAGERUN_EXPORT void* operator new(size_t bytes) { return take_or_fail(bytes, 0, true); }
PAGERUN_EXPORT void* operator new[](size_t bytes) { return take_or_fail(bytes, 0, true); }
PAGERUN_EXPORT void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return take_or_fail(bytes, 0, false);
}
PAGERUN_EXPORT void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return take_or_fail(bytes, 0, false);
}
PAGERUN_EXPORT void* operator new(size_t bytes, std::align_val_t alignment) {
  return take_or_fail(bytes, of(alignment), true);
}
PAGERUN_EXPORT void* operator new[](size_t bytes, std::align_val_t alignment) {
  return take_or_fail(bytes, of(alignment), true);
}
PAGERUN_EXPORT void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return take_or_fail(bytes, of(alignment), false);
}
PAGERUN_EXPORT void* operator new[](size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return take_or_fail(bytes, of(alignment), false);
}

PAGERUN_EXPORT void operator delete(void* ptr) noexcept { free(ptr); }
PAGERUN_EXPORT void operator delete[](void* ptr) noexcept { free(ptr); }
PAGERUN_EXPORT void operator delete(void* ptr, const std::nothrow_t&) noexcept { free(ptr); }
PAGERUN_EXPORT void operator delete[](void* ptr, const std::nothrow_t&) noexcept { free(ptr); }
PAGERUN_EXPORT void operator delete(void* ptr, size_t bytes) noexcept { free_sized(ptr, bytes); }
PAGERUN_EXPORT void operator delete[](void* ptr, size_t bytes) noexcept { free_sized(ptr, bytes); }
PAGERUN_EXPORT void operator delete(void* ptr, std::align_val_t) noexcept { free(ptr); }
PAGERUN_EXPORT void operator delete[](void* ptr, std::align_val_t) noexcept { free(ptr); }
PAGERUN_EXPORT void operator delete(void* ptr, std::align_val_t, const std::nothrow_t&) noexcept { free(ptr); }
PAGERUN_EXPORT void operator delete[](void* ptr, std::align_val_t, const std::nothrow_t&) noexcept { free(ptr); }
PAGERUN_EXPORT void operator delete(void* ptr, size_t bytes, std::align_val_t alignment) noexcept {
  free_aligned_sized(ptr, of(alignment), bytes);
}
PAGERUN_EXPORT void operator delete[](void* ptr, size_t bytes, std::align_val_t alignment) noexcept {
  free_aligned_sized(ptr, of(alignment), bytes);
}
