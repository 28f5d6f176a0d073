// libtextbook.so: a teaching heap in place of malloc, so that whole programs and the bench can run on it.
// Owns the one heap of the process. Thread rule: any thread; before main, too.
//
//     PAGERUN_TEXTBOOK=free-list LD_PRELOAD=libtextbook.so command         or arenas, or bucket-pages
//
// With PAGERUN_TEXTBOOK_ORIGIN=header the arenas find a block by an id in its header, else by its address.
//
// The heap believes its callers, as textbooks do: only bucket pages find a wrong pointer, and end the program then.
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atomic>

#include "base/bits.h"
#include "base/check.h"
#include "base/config.h"
#include "base/lock.h"
#include "textbook/heap.h"

namespace pagerun::bench {
namespace {

using textbook::Fault;
using textbook::Heap;
using textbook::HeapOptions;
using textbook::Kind;

std::atomic<Heap*> made_heap{nullptr};
Lock making;

// The notes' first answer to "how many arenas?": two for each hardware thread.
uint32_t arena_count() {
  long threads = sysconf(_SC_NPROCESSORS_ONLN);
  auto wanted = static_cast<uint32_t>(threads < 1 ? 2 : threads * 2);
  return wanted < textbook::kMostArenas ? wanted : textbook::kMostArenas;
}

HeapOptions chosen_options() {
  HeapOptions options;
  options.align_bytes = kMaxAlignBytes;
  const char* kind = getenv("PAGERUN_TEXTBOOK");
  if (kind == nullptr || strcmp(kind, "free-list") == 0) return options;
  if (strcmp(kind, "bucket-pages") == 0) {
    options.kind = Kind::kBucketPages;
    return options;
  }
  if (strcmp(kind, "arenas") != 0) check_failed("PAGERUN_TEXTBOOK is free-list, arenas or bucket-pages", __FILE__, 0);
  options.kind = Kind::kArenas;
  options.arenas = arena_count();
  const char* origin = getenv("PAGERUN_TEXTBOOK_ORIGIN");
  if (origin != nullptr && strcmp(origin, "header") == 0) options.origin = textbook::Origin::kHeader;
  return options;
}

// A child of fork has the parent's heap, whose locks nobody may hold at that moment.
void before_fork() { made_heap.load(std::memory_order_relaxed)->take_locks(); }
void after_fork() { made_heap.load(std::memory_order_relaxed)->give_locks(); }

[[gnu::noinline]] Heap* make_heap() {
  LockGuard guard(making);
  Heap* heap = made_heap.load(std::memory_order_relaxed);
  if (heap != nullptr) return heap;
  heap = Heap::create(chosen_options());
  CHECK(heap != nullptr);
  made_heap.store(heap, std::memory_order_release);  // pairs with the acquire in heap()
  return heap;
}

inline Heap& heap() {
  Heap* made = made_heap.load(std::memory_order_acquire);  // pairs with the release in make_heap()
  return made != nullptr ? *made : *make_heap();
}

[[gnu::constructor]] void start() {
  heap();
  pthread_atfork(before_fork, after_fork, after_fork);
}

void* with_errno(void* ptr) {
  if (ptr == nullptr) errno = ENOMEM;
  return ptr;
}

[[noreturn, gnu::cold]] void stop(Fault fault, const void* ptr) {
  const char* what = fault == Fault::kDoubleFree        ? "textbook: double free in free: "
                     : fault == Fault::kInteriorPointer ? "textbook: interior pointer in free: "
                                                        : "textbook: foreign pointer in free: ";
  Line().text(what).address(ptr).print();
  abort();
}

void* aligned(size_t alignment, size_t bytes) {
  if (alignment > SIZE_MAX / 2 + 1) {
    errno = EINVAL;  // there is no power of two above
    return nullptr;
  }
  size_t least = alignment < kMaxAlignBytes ? kMaxAlignBytes : power_of_two_at_least(alignment);
  return with_errno(heap().allocate_aligned(least, bytes));
}

}  // namespace
}  // namespace pagerun::bench

using namespace pagerun;
using namespace pagerun::bench;

#define TEXTBOOK_EXPORT extern "C" [[gnu::visibility("default")]]

TEXTBOOK_EXPORT void* malloc(size_t bytes) { return with_errno(heap().allocate(bytes)); }

TEXTBOOK_EXPORT void free(void* ptr) {
  if (ptr == nullptr) return;
  Fault fault = heap().deallocate(ptr);
  if (fault != Fault::kNone) stop(fault, ptr);
}

TEXTBOOK_EXPORT void* calloc(size_t count, size_t bytes) { return with_errno(heap().allocate_zeroed(count, bytes)); }

TEXTBOOK_EXPORT void* realloc(void* ptr, size_t bytes) {
  if (ptr == nullptr) return malloc(bytes);
  if (bytes != 0) return with_errno(heap().reallocate(ptr, bytes));
  free(ptr);
  return nullptr;
}

TEXTBOOK_EXPORT void* reallocarray(void* ptr, size_t count, size_t bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return with_errno(nullptr);
  return realloc(ptr, total);
}

TEXTBOOK_EXPORT void* memalign(size_t alignment, size_t bytes) { return aligned(alignment, bytes); }

TEXTBOOK_EXPORT void* aligned_alloc(size_t alignment, size_t bytes) { return aligned(alignment, bytes); }

TEXTBOOK_EXPORT int posix_memalign(void** result, size_t alignment, size_t bytes) {
  if (!is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  void* ptr = aligned(alignment, bytes);
  if (ptr == nullptr) return ENOMEM;
  *result = ptr;
  return 0;
}

TEXTBOOK_EXPORT void* valloc(size_t bytes) { return aligned(kOsPageBytes, bytes); }

TEXTBOOK_EXPORT void* pvalloc(size_t bytes) {
  if (bytes > PTRDIFF_MAX) return with_errno(nullptr);
  return aligned(kOsPageBytes, bytes == 0 ? kOsPageBytes : round_up(bytes, kOsPageBytes));
}

TEXTBOOK_EXPORT size_t malloc_usable_size(void* ptr) { return ptr == nullptr ? 0 : heap().usable_bytes(ptr); }
