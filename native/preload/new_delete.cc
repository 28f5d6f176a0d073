// Every form of C++ operator new and delete, straight onto the fast paths. Thread rule: as malloc.
//
// The standard lets a program replace the basic forms and says that the others then go through these: a program with
// its own operator new(size_t) gets its arrays from there, and its sized deletes go to its own operator delete(void*).
// So every other form first asks whether the basic one that the program sees is ours.
//
// The C++ library is looked up at run time, so that a C program need not load it: it has the new-handler, throws
// std::bad_alloc, and catches what a handler throws in a form that must not throw.
#include <dlfcn.h>

#include <cstdlib>
#include <new>

#include "../base/bits.h"
#include "../base/relaxed.h"
#include "calls.h"
#include "seen.h"

// libstdc++'s own names; absent in a program without it.
extern "C" [[gnu::weak]] void pagerun_throw_bad_alloc() __asm__("_ZSt17__throw_bad_allocv");
extern "C" [[gnu::weak]] std::new_handler pagerun_get_new_handler() __asm__("_ZSt15get_new_handlerv");

#define PAGERUN_OPERATOR [[gnu::visibility("default")]]
#define PAGERUN_OWN(symbol) [[gnu::visibility("hidden"), gnu::alias(symbol)]]

extern "C" {

// The forms that a program may replace, as they are here.
[[gnu::malloc, gnu::alloc_size(1)]] PAGERUN_OWN("_Znwm") void* own_new(size_t);
[[gnu::malloc, gnu::alloc_size(1)]] PAGERUN_OWN("_Znam") void* own_new_array(size_t);
[[gnu::malloc, gnu::alloc_size(1)]] PAGERUN_OWN("_ZnwmSt11align_val_t") void* own_new_aligned(size_t, std::align_val_t);
[[gnu::malloc, gnu::alloc_size(1)]] PAGERUN_OWN("_ZnamSt11align_val_t") void* own_new_array_aligned(size_t,
                                                                                                    std::align_val_t);
PAGERUN_OWN("_ZdlPv") void own_delete(void*) noexcept;
PAGERUN_OWN("_ZdaPv") void own_delete_array(void*) noexcept;
PAGERUN_OWN("_ZdlPvSt11align_val_t") void own_delete_aligned(void*, std::align_val_t) noexcept;
PAGERUN_OWN("_ZdaPvSt11align_val_t") void own_delete_array_aligned(void*, std::align_val_t) noexcept;

}  // extern "C"

namespace {

using namespace pagerun;

inline size_t of(std::align_val_t alignment) { return static_cast<size_t>(alignment); }

void* take(size_t bytes, size_t alignment = kMaxAlignBytes) { return with_errno(allocate_aligned(alignment, bytes)); }

[[noreturn]] void throw_bad_alloc() {
  if (pagerun_throw_bad_alloc != nullptr) pagerun_throw_bad_alloc();
  abort();
}

// After the C++ standard: ask the new-handler for memory until there is none.
[[gnu::noinline, gnu::cold]] void* take_or_throw(size_t bytes, size_t alignment = kMaxAlignBytes) {
  if (!is_power_of_two(alignment)) throw_bad_alloc();
  for (;;) {
    if (void* ptr = take(bytes, alignment)) return ptr;
    std::new_handler handler = pagerun_get_new_handler == nullptr ? nullptr : pagerun_get_new_handler();
    if (handler == nullptr) throw_bad_alloc();
    handler();
  }
}

struct ThrowingSlowPath {
  [[gnu::noinline, gnu::cold]] static void* beyond(size_t bytes) {
    void* ptr = allocate_beyond(bytes);
    return ptr != nullptr ? ptr : take_or_throw(bytes);
  }
  [[gnu::noinline]] static void* refill(Arena* arena, Bucket* bucket) {
    void* ptr = bucket_take_found(bucket);
    return ptr != nullptr ? ptr : refill_slow(arena, bucket);
  }
  [[gnu::noinline]] static void* refill_slow(Arena* arena, Bucket* bucket) {
    void* ptr = allocate_refill(arena, bucket);
    return ptr != nullptr ? ptr : take_or_throw(bucket->block_bytes);
  }
};

inline void* new_here(size_t bytes) { return allocate_fast<ThrowingSlowPath>(bytes); }

inline void* new_here(size_t bytes, std::align_val_t alignment) {
  void* ptr = allocate_aligned(of(alignment), bytes);
  return ptr != nullptr ? ptr : take_or_throw(bytes, of(alignment));
}

// A form that must not throw, and the same of the C++ library: it calls the form that throws, as the program sees it,
// and catches.
struct NothrowForm {
  const char* symbol;
  void* next;
};

NothrowForm nothrow_new = {"_ZnwmRKSt9nothrow_t", nullptr};
NothrowForm nothrow_new_array = {"_ZnamRKSt9nothrow_t", nullptr};
NothrowForm nothrow_new_aligned = {"_ZnwmSt11align_val_tRKSt9nothrow_t", nullptr};
NothrowForm nothrow_new_array_aligned = {"_ZnamSt11align_val_tRKSt9nothrow_t", nullptr};

void* next_of(NothrowForm& form) {
  void* next = load_relaxed(form.next);
  if (next == nullptr) {
    next = dlsym(RTLD_NEXT, form.symbol);
    store_relaxed(form.next, next);
  }
  return next;
}

// A library that was opened late is not the program's malloc: what the program sees then is nothing of its own making.
[[gnu::noinline, gnu::cold]] void* new_nothrow_slow(NothrowForm& form, size_t bytes, const std::nothrow_t& tag) {
  using Form = void* (*)(size_t, const std::nothrow_t&);
  if (!is_malloc_of_program()) return take(bytes);
  void* next = next_of(form);
  return next == nullptr ? take(bytes) : reinterpret_cast<Form>(next)(bytes, tag);
}

[[gnu::noinline, gnu::cold]] void* new_nothrow_slow(NothrowForm& form, size_t bytes, std::align_val_t alignment,
                                                    const std::nothrow_t& tag) {
  using Form = void* (*)(size_t, std::align_val_t, const std::nothrow_t&);
  if (!is_malloc_of_program()) return take(bytes, of(alignment));
  void* next = next_of(form);
  return next == nullptr ? take(bytes, of(alignment)) : reinterpret_cast<Form>(next)(bytes, alignment, tag);
}

[[gnu::noinline, gnu::cold]] void* new_elsewhere(void* (*seen)(size_t), size_t bytes) {
  return is_malloc_of_program() ? seen(bytes) : new_here(bytes);
}

[[gnu::noinline, gnu::cold]] void* new_elsewhere(void* (*seen)(size_t, std::align_val_t), size_t bytes,
                                                 std::align_val_t alignment) {
  return is_malloc_of_program() ? seen(bytes, alignment) : new_here(bytes, alignment);
}

[[gnu::noinline, gnu::cold]] void delete_elsewhere(void (*seen)(void*), void* ptr) {
  is_malloc_of_program() ? seen(ptr) : free_checked(ptr);
}

[[gnu::noinline, gnu::cold]] void delete_elsewhere(void (*seen)(void*, std::align_val_t), void* ptr,
                                                   std::align_val_t alignment) {
  is_malloc_of_program() ? seen(ptr, alignment) : free_checked(ptr);
}

void delete_sized_slow(size_t offset, size_t bytes) {
  free_sized_slow(offset, bytes, kMaxAlignBytes, Shrinking::kNone, "operator delete");
}

// Exact, as realloc gives no block to delete: a size of another class is misuse.
[[gnu::noinline]] void delete_sized_of_class(size_t offset, size_t bytes) {
  free_checked_sized(ptr_at(offset), bytes, SizeOfClass(), delete_sized_slow);
}

[[gnu::constructor]] void serve_deletes() {
  if (kSeenDelete == own_delete) primary_serve_replaceable();
}

[[gnu::noinline]] void delete_sized_unless_replaced(size_t offset, size_t bytes) {
  kSeenDelete == own_delete ? delete_sized_of_class(offset, bytes) : delete_elsewhere(kSeenDelete, ptr_at(offset));
}

inline bool is_new_ours() { return kSeenNew == own_new; }
inline bool is_delete_ours() { return kSeenDelete == own_delete; }
inline bool is_new_aligned_ours() { return kSeenNewAligned == own_new_aligned; }
inline bool is_delete_aligned_ours() { return kSeenDeleteAligned == own_delete_aligned; }
inline bool is_new_array_ours() { return kSeenNewArray == own_new_array && is_new_ours(); }
inline bool is_delete_array_ours() { return kSeenDeleteArray == own_delete_array && is_delete_ours(); }
inline bool is_new_array_aligned_ours() {
  return kSeenNewArrayAligned == own_new_array_aligned && is_new_aligned_ours();
}
inline bool is_delete_array_aligned_ours() {
  return kSeenDeleteArrayAligned == own_delete_array_aligned && is_delete_aligned_ours();
}

}  // namespace

PAGERUN_OPERATOR void* operator new(size_t bytes) { return new_here(bytes); }
PAGERUN_OPERATOR void* operator new[](size_t bytes) {
  return is_new_ours() ? new_here(bytes) : new_elsewhere(kSeenNew, bytes);
}
PAGERUN_OPERATOR void* operator new(size_t bytes, std::align_val_t alignment) { return new_here(bytes, alignment); }
PAGERUN_OPERATOR void* operator new[](size_t bytes, std::align_val_t alignment) {
  return is_new_aligned_ours() ? new_here(bytes, alignment) : new_elsewhere(kSeenNewAligned, bytes, alignment);
}

PAGERUN_OPERATOR void* operator new(size_t bytes, const std::nothrow_t& tag) noexcept {
  void* ptr = is_new_ours() ? allocate(bytes) : nullptr;
  return ptr != nullptr ? ptr : new_nothrow_slow(nothrow_new, bytes, tag);
}
PAGERUN_OPERATOR void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept {
  void* ptr = is_new_array_ours() ? allocate(bytes) : nullptr;
  return ptr != nullptr ? ptr : new_nothrow_slow(nothrow_new_array, bytes, tag);
}
PAGERUN_OPERATOR void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
  void* ptr = is_new_aligned_ours() ? allocate_aligned(of(alignment), bytes) : nullptr;
  return ptr != nullptr ? ptr : new_nothrow_slow(nothrow_new_aligned, bytes, alignment, tag);
}
PAGERUN_OPERATOR void* operator new[](size_t bytes, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
  void* ptr = is_new_array_aligned_ours() ? allocate_aligned(of(alignment), bytes) : nullptr;
  return ptr != nullptr ? ptr : new_nothrow_slow(nothrow_new_array_aligned, bytes, alignment, tag);
}

PAGERUN_OPERATOR void operator delete(void* ptr) noexcept { free_checked(ptr); }
PAGERUN_OPERATOR void operator delete[](void* ptr) noexcept {
  is_delete_ours() ? free_checked(ptr) : delete_elsewhere(kSeenDelete, ptr);
}
PAGERUN_OPERATOR void operator delete(void* ptr, const std::nothrow_t&) noexcept {
  is_delete_ours() ? free_checked(ptr) : delete_elsewhere(kSeenDelete, ptr);
}
PAGERUN_OPERATOR void operator delete[](void* ptr, const std::nothrow_t&) noexcept {
  is_delete_array_ours() ? free_checked(ptr) : delete_elsewhere(kSeenDeleteArray, ptr);
}
// Whether delete is ours, the most common of these forms need not ask: where it is not, its fast path serves nothing.
PAGERUN_OPERATOR void operator delete(void* ptr, size_t bytes) noexcept {
  free_checked_sized(ptr, bytes, SizeWhole(), delete_sized_unless_replaced, primary_replaceable_bytes);
}
PAGERUN_OPERATOR void operator delete[](void* ptr, size_t bytes) noexcept {
  is_delete_array_ours() ? free_checked_sized(ptr, bytes, SizeWhole(), delete_sized_of_class)
                         : delete_elsewhere(kSeenDeleteArray, ptr);
}

PAGERUN_OPERATOR void operator delete(void* ptr, std::align_val_t) noexcept { free_checked(ptr); }
PAGERUN_OPERATOR void operator delete[](void* ptr, std::align_val_t alignment) noexcept {
  is_delete_aligned_ours() ? free_checked(ptr) : delete_elsewhere(kSeenDeleteAligned, ptr, alignment);
}
PAGERUN_OPERATOR void operator delete(void* ptr, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  is_delete_aligned_ours() ? free_checked(ptr) : delete_elsewhere(kSeenDeleteAligned, ptr, alignment);
}
PAGERUN_OPERATOR void operator delete[](void* ptr, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  is_delete_array_aligned_ours() ? free_checked(ptr) : delete_elsewhere(kSeenDeleteArrayAligned, ptr, alignment);
}
PAGERUN_OPERATOR void operator delete(void* ptr, size_t bytes, std::align_val_t alignment) noexcept {
  is_delete_aligned_ours() ? free_checked_aligned(ptr, bytes, of(alignment), "operator delete")
                           : delete_elsewhere(kSeenDeleteAligned, ptr, alignment);
}
PAGERUN_OPERATOR void operator delete[](void* ptr, size_t bytes, std::align_val_t alignment) noexcept {
  is_delete_array_aligned_ours() ? free_checked_aligned(ptr, bytes, of(alignment), "operator delete")
                                 : delete_elsewhere(kSeenDeleteArrayAligned, ptr, alignment);
}
