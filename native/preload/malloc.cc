// malloc and its family with glibc's meaning, over the core: what LD_PRELOAD=libpagerun.so puts in place.
// Owns errno (ENOMEM on every failure, untouched by free) and the end of a program that misuses a pointer.
// Thread rule: every function from every thread; before main, too.
#include <malloc.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "../abi/core_api.h"
#include "../base/bits.h"
#include "../core/allocator_inline.h"
#include "../core/mapping_table.h"
#include "../core/run_list.h"
#include "../inspect/snapshot.h"
#include "../inspect/verify.h"
#include "../inspect/walk.h"
#include "pagerun.h"

#define PAGERUN_EXPORT extern "C" [[gnu::visibility("default")]]

namespace {

using namespace pagerun;

void* with_errno(void* ptr) {
  if (ptr == nullptr) errno = ENOMEM;
  return ptr;
}

void* fail_with(int error) {
  errno = error;
  return nullptr;
}

struct ErrnoSlowPath {
  [[gnu::noinline, gnu::cold]] static void* beyond(Arena* arena, size_t bytes) {
    return with_errno(allocate_beyond(arena, bytes));
  }
  [[gnu::noinline]] static void* refill(Arena* arena, Bucket* bucket) {
    void* ptr = bucket_take_found(bucket);
    return ptr != nullptr ? ptr : refill_slow(arena, bucket);
  }
  [[gnu::noinline]] static void* refill_slow(Arena* arena, Bucket* bucket) {
    return with_errno(allocate_refill(arena, bucket));
  }
};

[[gnu::noinline, gnu::cold]] void stop(Misuse misuse, const char* call, const void* ptr) {
  Block block;
  locate(ptr, &block);
  misuse_abort(misuse, call, ptr, block);
}

// Takes the offset, so that the fast path need not keep the pointer beside it.
[[gnu::noinline]] void free_slow(size_t offset) {
  void* ptr = ptr_at(offset);
  Misuse misuse = deallocate_slow(ptr);
  if (misuse != Misuse::kNone) stop(misuse, "free", ptr);
}

// Alignments that malloc gives anyway get malloc's blocks; a caller who wants the small ones asks for less than 16
// bytes.
void* aligned(size_t alignment, size_t bytes) {
  if (alignment <= kMaxAlignBytes && bytes >= kMaxAlignBytes) return allocate_fast<ErrnoSlowPath>(bytes);
  return with_errno(allocate_aligned(alignment, bytes));
}

// A block of at least `bytes` bytes and at most what such a request gets: the check that sized deletes allow for.
void free_checked(void* ptr, size_t bytes, const char* call) {
  if (ptr == nullptr) return;
  Block block;
  Misuse misuse = locate(ptr, &block);
  if (misuse == Misuse::kNone && bytes > block.usable_bytes) misuse = Misuse::kWrongSize;
  if (misuse != Misuse::kNone) misuse_abort(misuse, call, ptr, block);
  free(ptr);
}

}  // namespace

PAGERUN_EXPORT const CoreApi* pagerun_core_api() { return core_api_own(); }

PAGERUN_EXPORT void* malloc(size_t bytes) { return allocate_fast<ErrnoSlowPath>(bytes); }

PAGERUN_EXPORT void free(void* ptr) {
  size_t offset = offset_of(ptr);
  if (!deallocate_fast(offset)) [[unlikely]]
    free_slow(offset);
}

PAGERUN_EXPORT void* calloc(size_t count, size_t bytes) { return with_errno(allocate_zeroed(count, bytes)); }

PAGERUN_EXPORT void* realloc(void* ptr, size_t bytes) {
  if (ptr == nullptr) return malloc(bytes);
  if (bytes == 0) {
    free(ptr);
    return nullptr;
  }
  void* result = nullptr;
  Misuse misuse = reallocate(ptr, bytes, &result);
  if (misuse != Misuse::kNone) stop(misuse, "realloc", ptr);
  return with_errno(result);
}

PAGERUN_EXPORT void* reallocarray(void* ptr, size_t count, size_t bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return fail_with(ENOMEM);
  return realloc(ptr, total);
}

PAGERUN_EXPORT void* aligned_alloc(size_t alignment, size_t bytes) {
  return is_power_of_two(alignment) ? aligned(alignment, bytes) : fail_with(EINVAL);
}

// glibc's memalign takes any alignment and rounds it up.
PAGERUN_EXPORT void* memalign(size_t alignment, size_t bytes) {
  if (alignment > SIZE_MAX / 2 + 1) return fail_with(EINVAL);
  return aligned(power_of_two_at_least(alignment), bytes);
}

// Returns its error and leaves errno as it was.
PAGERUN_EXPORT int posix_memalign(void** result, size_t alignment, size_t bytes) {
  if (!is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  void* ptr = alignment <= kMaxAlignBytes ? allocate(bytes) : allocate_aligned(alignment, bytes);
  if (ptr == nullptr) return ENOMEM;
  *result = ptr;
  return 0;
}

PAGERUN_EXPORT void* valloc(size_t bytes) { return aligned(kOsPageBytes, bytes); }

PAGERUN_EXPORT void* pvalloc(size_t bytes) {
  if (bytes > PTRDIFF_MAX) return fail_with(ENOMEM);
  return aligned(kOsPageBytes, bytes == 0 ? kOsPageBytes : round_up(bytes, kOsPageBytes));
}

PAGERUN_EXPORT size_t malloc_usable_size(void* ptr) {
  if (ptr == nullptr) return 0;
  Block block;
  Misuse misuse = locate(ptr, &block);
  if (misuse != Misuse::kNone) misuse_abort(misuse, "malloc_usable_size", ptr, block);
  return block.usable_bytes;
}

PAGERUN_EXPORT void free_sized(void* ptr, size_t bytes) { free_checked(ptr, bytes, "free_sized"); }

PAGERUN_EXPORT void free_aligned_sized(void* ptr, size_t alignment, size_t bytes) {
  if (alignment != 0 && reinterpret_cast<uintptr_t>(ptr) % alignment != 0)
    stop(Misuse::kWrongSize, "free_aligned_sized", ptr);
  free_checked(ptr, bytes, "free_aligned_sized");
}

PAGERUN_EXPORT void* pagerun_aligned_alloc(size_t alignment, size_t bytes) {
  return is_power_of_two(alignment) ? with_errno(allocate_aligned(alignment, bytes)) : fail_with(EINVAL);
}

PAGERUN_EXPORT const char* pagerun_verify(const void** address) {
  Verdict verdict = verify();
  if (address != nullptr) *address = verdict.address;
  return verdict.invariant;
}

PAGERUN_EXPORT unsigned long long pagerun_lock_acquisitions() {
  static uint64_t calls = 0;  // guarded by the heap's locks
  HeapLock lock;
  calls++;
  const Lock* locks[] = {&arenas_lock, &run_list.lock(), &mapping_table.lock()};
  uint64_t taken = 0;
  for (const Lock* each : locks) taken += each->taken() - calls;
  return taken;
}

PAGERUN_EXPORT int malloc_trim(size_t keep_bytes) { return run_list.give_back(keep_bytes / kPageBytes) > 0; }

// Options of another allocator's tuning: accepted, without effect.
PAGERUN_EXPORT int mallopt(int, int) { return 1; }

PAGERUN_EXPORT struct mallinfo2 mallinfo2() {
  SnapshotTotals totals = memory_totals();
  struct mallinfo2 info = {};
  info.arena = totals.committed_bytes - totals.mapping_bytes;
  info.hblkhd = totals.mapping_bytes;
  info.uordblks = totals.live_bytes;
  info.fordblks = totals.committed_bytes - totals.live_bytes;
  info.keepcost = totals.free_run_bytes;
  return info;
}

PAGERUN_EXPORT struct mallinfo mallinfo() {
  struct mallinfo2 wide = mallinfo2();
  struct mallinfo info = {};
  info.arena = static_cast<int>(wide.arena);
  info.hblkhd = static_cast<int>(wide.hblkhd);
  info.uordblks = static_cast<int>(wide.uordblks);
  info.fordblks = static_cast<int>(wide.fordblks);
  info.keepcost = static_cast<int>(wide.keepcost);
  return info;
}

PAGERUN_EXPORT int malloc_info(int options, FILE* stream) {
  if (options != 0) {
    errno = EINVAL;
    return -1;
  }
  SnapshotTotals totals = memory_totals();
  fprintf(stream,
          "<malloc version=\"1\">\n<total type=\"live\" count=\"%llu\" size=\"%llu\"/>\n<total type=\"mmap\" "
          "count=\"0\" size=\"%llu\"/>\n"
          "<system type=\"current\" size=\"%llu\"/>\n<aspace type=\"total\" size=\"%llu\"/>\n</malloc>\n",
          static_cast<unsigned long long>(totals.live_blocks), static_cast<unsigned long long>(totals.live_bytes),
          static_cast<unsigned long long>(totals.mapping_bytes),
          static_cast<unsigned long long>(totals.committed_bytes),
          static_cast<unsigned long long>(totals.reserved_bytes));
  return 0;
}

PAGERUN_EXPORT void malloc_stats() { malloc_info(0, stderr); }
