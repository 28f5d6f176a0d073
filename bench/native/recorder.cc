// The recorder: a preload library that writes down every malloc, free, ... of a process and of its children.
// Owns the interposed functions and the way to the next allocator. Does not allocate: the next allocator does, the log
// (recorder_log.h) maps its own file. Thread rule: any thread, before main and after exit too.
//
//     PAGERUN_RECORD=directory LD_PRELOAD=librecorder.so command
//
// A free is written before the block is given back and a malloc after it was taken, so that in the common order of the
// log no block is taken twice. A realloc is both and is written twice.
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atomic>

#include "recorder_log.h"

namespace pagerun::bench {
namespace {

struct NextAllocator {
  void* (*malloc)(size_t);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void (*free)(void*);
  int (*posix_memalign)(void**, size_t, size_t);
  void* (*aligned_alloc)(size_t, size_t);
  void* (*memalign)(size_t, size_t);
  void* (*valloc)(size_t);
  void* (*pvalloc)(size_t);
};

enum class Lookup : uint32_t { kNotStarted, kRunning, kDone };

NextAllocator next_allocator;
std::atomic<Lookup> lookup;

// What dlsym itself asks for while it looks up the next allocator. Never given back.
constexpr size_t kEarlyBytes = size_t{64} << 10;
alignas(16) char early_memory[kEarlyBytes];
std::atomic<size_t> early_used;

// Calls that the next allocator makes to itself, and those of a signal handler that interrupts one of ours, are not
// recorded.
__thread bool is_inside;

template <class Function>
void find_next(Function** function, const char* name) {
  *function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

void find_next_allocator() {
  find_next(&next_allocator.malloc, "malloc");
  find_next(&next_allocator.calloc, "calloc");
  find_next(&next_allocator.realloc, "realloc");
  find_next(&next_allocator.free, "free");
  find_next(&next_allocator.posix_memalign, "posix_memalign");
  find_next(&next_allocator.aligned_alloc, "aligned_alloc");
  find_next(&next_allocator.memalign, "memalign");
  find_next(&next_allocator.valloc, "valloc");
  find_next(&next_allocator.pvalloc, "pvalloc");
}

bool is_ready_slow() {
  Lookup seen = Lookup::kNotStarted;
  if (!lookup.compare_exchange_strong(seen, Lookup::kRunning)) return seen == Lookup::kDone;
  find_next_allocator();
  lookup.store(Lookup::kDone, std::memory_order_release);  // release: pairs with is_ready()
  return true;
}

inline bool is_ready() { return lookup.load(std::memory_order_acquire) == Lookup::kDone || is_ready_slow(); }

bool is_early(const void* ptr) {
  return reinterpret_cast<uintptr_t>(ptr) - reinterpret_cast<uintptr_t>(early_memory) < kEarlyBytes;
}

void* take_early(size_t bytes) {
  constexpr size_t kUnit = 16;
  size_t rounded = (bytes + kUnit - 1) & ~(kUnit - 1);
  size_t start = bytes > kEarlyBytes ? kEarlyBytes : early_used.fetch_add(rounded);
  if (start + rounded <= kEarlyBytes) return early_memory + start;
  errno = ENOMEM;
  return nullptr;
}

class Inside {
 public:
  Inside() : is_outermost_(!is_inside) { is_inside = true; }
  ~Inside() {
    if (is_outermost_) is_inside = false;
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  void note(RawKind kind, const void* ptr, size_t bytes, unsigned alignment_log2 = 0) const {
    if (is_outermost_) log_event(kind, ptr, bytes, alignment_log2);
  }

  void* note_made(RawKind kind, void* ptr, size_t bytes, size_t alignment = 1) const {
    unsigned alignment_log2 = alignment == 0 ? 0 : static_cast<unsigned>(__builtin_ctzll(alignment));
    if (ptr != nullptr) note(kind, ptr, bytes, alignment_log2);
    return ptr;
  }

 private:
  bool is_outermost_;
};

void* realloc_early(void* ptr, size_t bytes) {
  void* moved = malloc(bytes);
  size_t readable = static_cast<size_t>(early_memory + kEarlyBytes - static_cast<char*>(ptr));
  if (moved != nullptr) memcpy(moved, ptr, bytes < readable ? bytes : readable);
  return moved;
}

}  // namespace
}  // namespace pagerun::bench

using pagerun::bench::Inside;
using pagerun::bench::is_early;
using pagerun::bench::is_ready;
using pagerun::bench::next_allocator;
using pagerun::bench::RawKind;
using pagerun::bench::take_early;

extern "C" {
#pragma GCC visibility push(default)

void* malloc(size_t bytes) noexcept {
  if (!is_ready()) return take_early(bytes);
  Inside inside;
  return inside.note_made(RawKind::kMalloc, next_allocator.malloc(bytes), bytes);
}

void* calloc(size_t count, size_t each) noexcept {
  if (!is_ready()) return take_early(count * each);
  Inside inside;
  return inside.note_made(RawKind::kCalloc, next_allocator.calloc(count, each), count * each);
}

void free(void* ptr) noexcept {
  if (ptr == nullptr || is_early(ptr) || !is_ready()) return;
  Inside inside;
  inside.note(RawKind::kFree, ptr, 0);
  next_allocator.free(ptr);
}

void* realloc(void* ptr, size_t bytes) noexcept {
  if (ptr == nullptr) return malloc(bytes);
  if (is_early(ptr)) return pagerun::bench::realloc_early(ptr, bytes);
  if (!is_ready()) return nullptr;
  Inside inside;
  inside.note(RawKind::kReallocBegin, ptr, bytes);
  void* moved = next_allocator.realloc(ptr, bytes);
  inside.note(RawKind::kReallocEnd, moved, bytes);
  return moved;
}

void* reallocarray(void* ptr, size_t count, size_t each) noexcept {
  size_t bytes = 0;
  if (!__builtin_mul_overflow(count, each, &bytes)) return realloc(ptr, bytes);
  errno = ENOMEM;
  return nullptr;
}

int posix_memalign(void** result, size_t alignment, size_t bytes) noexcept {
  if (!is_ready()) return ENOMEM;
  Inside inside;
  int error = next_allocator.posix_memalign(result, alignment, bytes);
  if (error == 0) inside.note_made(RawKind::kAligned, *result, bytes, alignment);
  return error;
}

void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  if (!is_ready()) return nullptr;
  Inside inside;
  return inside.note_made(RawKind::kAligned, next_allocator.aligned_alloc(alignment, bytes), bytes, alignment);
}

void* memalign(size_t alignment, size_t bytes) noexcept {
  if (!is_ready()) return nullptr;
  Inside inside;
  return inside.note_made(RawKind::kAligned, next_allocator.memalign(alignment, bytes), bytes, alignment);
}

void* valloc(size_t bytes) noexcept {
  if (!is_ready()) return nullptr;
  Inside inside;
  return inside.note_made(RawKind::kAligned, next_allocator.valloc(bytes), bytes, static_cast<size_t>(getpagesize()));
}

void* pvalloc(size_t bytes) noexcept {
  if (!is_ready()) return nullptr;
  Inside inside;
  size_t os_page_bytes = static_cast<size_t>(getpagesize());
  size_t rounded = (bytes + os_page_bytes - 1) & ~(os_page_bytes - 1);
  return inside.note_made(RawKind::kAligned, next_allocator.pvalloc(bytes), rounded, os_page_bytes);
}

#pragma GCC visibility pop
}
