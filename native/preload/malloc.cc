// malloc and its family with glibc's meaning, over the core: what LD_PRELOAD=libpagerun.so puts in place.
// Owns errno (ENOMEM on every failure, untouched by free) and the end of a program that misuses a pointer.
// Thread rule: every function from every thread; before main, too.
#include <gnu/libc-version.h>
#include <malloc.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "../abi/core_api.h"
#include "../base/bits.h"
#include "../core/hardened.h"
#include "../core/place.h"
#include "../core/purger.h"
#include "../inspect/verify.h"
#include "calls.h"
#include "pagerun.h"
#include "seen.h"

namespace pagerun {

namespace {

void* fail_with(int error) {
  errno = error;
  return nullptr;
}

// Returns when misuse is to be reported only; the call has no effect then.
[[gnu::noinline, gnu::cold]] void refuse(Misuse misuse, const char* call, const void* ptr) {
  misuse_report(misuse, call, ptr, known_of(ptr));
}

[[gnu::noinline]] void* refill_slow(Arena* arena, Bucket* bucket) { return with_errno(allocate_refill(arena, bucket)); }

// Rounded up to the alignment, a size has a class whose blocks are aligned so: malloc of that size.
[[gnu::noinline]] void* aligned_beyond(size_t alignment, size_t bytes) {
  size_t unit = alignment < kMaxAlignBytes ? kMaxAlignBytes : alignment;
  size_t rounded = round_up(bytes == 0 ? 1 : bytes, unit);
  if (bytes <= kMaxBlockBytes && rounded <= kMaxBlockBytes && load_shared(direct_end) != 0)
    return ErrnoSlowPath::beyond(rounded);
  return with_errno(allocate_aligned(unit, bytes));
}

// `alignment` is a power of two.
inline void* aligned(size_t alignment, size_t bytes) {
  size_t last = (bytes - 1) | (alignment - 1) | (kMaxAlignBytes - 1);  // of 0 bytes: no size of the fast path's
  if (last < kMaxDirectBytes && load_shared(direct_end) != 0) [[likely]]
    return allocate_fast<ErrnoSlowPath>(last + 1);
  return aligned_beyond(alignment, bytes);
}

// glibc before 2.38 has one function for aligned_alloc and memalign; later ones refuse what is no power of two.
bool is_aligned_alloc_strict() {
  char* end = nullptr;
  unsigned long major = strtoul(gnu_get_libc_version(), &end, 10);
  return major > 2 || (major == 2 && *end == '.' && strtoul(end + 1, nullptr, 10) >= 38);
}

void free_sized_otherwise(size_t offset, size_t bytes) {
  free_sized_slow(offset, bytes, kMaxAlignBytes, Shrinking::kPossible, "free_sized");
}

// What aligned() makes of the size and the alignment.
bool is_class_of(uint32_t size_class, size_t bytes, size_t alignment) {
  size_t unit = alignment < kMaxAlignBytes ? kMaxAlignBytes : alignment;
  size_t rounded = round_up(bytes == 0 ? 1 : bytes, unit);
  if (rounded <= kMaxBlockBytes && class_of(rounded, kMaxAlignBytes) == size_class) return true;
  return bytes <= kMaxBlockBytes && alignment <= kMaxBlockBytes && class_of(bytes, alignment) == size_class;
}

// True when the block can have been asked for as one of `bytes`, or shrunk to that by realloc.
bool can_have_size(const Block& block, size_t bytes, size_t alignment, Shrinking shrinking) {
  if (bytes > block.usable_bytes) return false;
  if (shrinking == Shrinking::kPossible && stays_in_block(block.usable_bytes, bytes)) return true;
  if (block.size_class != kNoSizeClass) return is_class_of(block.size_class, bytes, alignment);
  return round_up(bytes == 0 ? 1 : bytes, kOsPageBytes) == block.usable_bytes;
}

}  // namespace

[[gnu::noinline]] void* ErrnoSlowPath::beyond(size_t bytes) { return with_errno(allocate_beyond(bytes)); }

[[gnu::noinline]] void* ErrnoSlowPath::refill(Arena* arena, Bucket* bucket) {
  void* ptr = bucket_take_found(bucket);
  return ptr != nullptr ? ptr : refill_slow(arena, bucket);
}

[[gnu::noinline]] void free_slow(size_t offset) {
  void* ptr = ptr_at(offset);
  Misuse misuse = deallocate_slow(ptr);
  if (misuse != Misuse::kNone) refuse(misuse, "free", ptr);
}

[[gnu::noinline]] void* realloc_slow(void* ptr, size_t bytes) {
  if (ptr == nullptr) return malloc(bytes);
  if (bytes == 0) {
    free(ptr);
    return nullptr;
  }
  void* result = nullptr;
  Misuse misuse = reallocate(ptr, bytes, &result);
  if (misuse == Misuse::kNone) return with_errno(result);
  refuse(misuse, "realloc", ptr);
  return fail_with(EINVAL);
}

[[gnu::noinline]] void free_sized_slow(size_t offset, size_t bytes, size_t alignment, Shrinking shrinking,
                                       const char* call) {
  void* ptr = ptr_at(offset);
  if (ptr == nullptr) return;
  Block block;
  bool is_checked = load_shared(process_policies) != 0;
  Misuse misuse = is_checked ? hardened_deallocate(ptr, bytes) : locate(ptr, &block);
  if (is_checked) return misuse == Misuse::kNone ? void() : refuse(misuse, call, ptr);
  if (misuse == Misuse::kNone && !can_have_size(block, bytes, alignment, shrinking)) misuse = Misuse::kWrongSize;
  if (misuse == Misuse::kNone) misuse = deallocate(ptr);
  if (misuse != Misuse::kNone) refuse(misuse, call, ptr);
}

[[gnu::noinline]] size_t usable_size_slow(void* ptr) {
  if (ptr == nullptr) return 0;
  Block block;
  Misuse misuse = locate(ptr, &block);
  if (misuse == Misuse::kNone) return block.usable_bytes;
  refuse(misuse, "malloc_usable_size", ptr);
  return 0;
}

// Out of line, so that calloc of a small block keeps nothing for it.
[[gnu::noinline, gnu::cold]] void* calloc_slow(size_t count, size_t bytes) {
  return with_errno(allocate_zeroed(count, bytes));
}

void free_checked_aligned(void* ptr, size_t bytes, size_t alignment, const char* call) {
  if (alignment != 0 && reinterpret_cast<uintptr_t>(ptr) % alignment != 0) return refuse(Misuse::kWrongSize, call, ptr);
  free_sized_slow(offset_of(ptr), bytes, alignment, Shrinking::kNone, call);
}

}  // namespace pagerun

using namespace pagerun;

extern "C" [[gnu::visibility("hidden"), gnu::alias("malloc"), gnu::copy(malloc)]] void* own_malloc(size_t);

bool pagerun::is_malloc_of_program() { return kSeenMalloc == own_malloc; }

PAGERUN_EXPORT const CoreApi* pagerun_core_api() { return core_api_own(); }

PAGERUN_EXPORT void* malloc(size_t bytes) { return allocate_fast<ErrnoSlowPath>(bytes); }

PAGERUN_EXPORT void free(void* ptr) { free_checked(ptr); }

PAGERUN_EXPORT void* calloc(size_t count, size_t bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total) || total >= load_shared(bucket_end)) [[unlikely]]
    return calloc_slow(count, bytes);
  void* ptr = allocate_fast<ErrnoSlowPath>(total);
  return ptr != nullptr ? memset(ptr, 0, total) : nullptr;
}

PAGERUN_EXPORT void* realloc(void* ptr, size_t bytes) {
  LocalBlock block;
  if (find_local(*arena_place_near(), offset_of(ptr), &block) && stays_in_local(block, bytes)) return ptr;
  return realloc_slow(ptr, bytes);
}

PAGERUN_EXPORT void* reallocarray(void* ptr, size_t count, size_t bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return fail_with(ENOMEM);
  return realloc(ptr, total);
}

// glibc's memalign takes any alignment and rounds it up.
PAGERUN_EXPORT void* memalign(size_t alignment, size_t bytes) {
  if (alignment > SIZE_MAX / 2 + 1) return fail_with(EINVAL);
  return aligned(power_of_two_at_least(alignment), bytes);
}

PAGERUN_EXPORT void* aligned_alloc(size_t alignment, size_t bytes) {
  if (!is_power_of_two(alignment) && is_aligned_alloc_strict()) return fail_with(EINVAL);
  return memalign(alignment, bytes);
}

// errno is none of its results, but glibc's sets it when memory is exhausted.
PAGERUN_EXPORT int posix_memalign(void** result, size_t alignment, size_t bytes) {
  if (!is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  void* ptr = aligned(alignment, bytes);
  if (ptr == nullptr) return ENOMEM;
  *result = ptr;
  return 0;
}

PAGERUN_EXPORT void* valloc(size_t bytes) { return aligned(kOsPageBytes, bytes); }

PAGERUN_EXPORT void* pvalloc(size_t bytes) {
  if (bytes > PTRDIFF_MAX) return fail_with(ENOMEM);
  return aligned(kOsPageBytes, bytes == 0 ? kOsPageBytes : round_up(bytes, kOsPageBytes));
}

// Some programs ask at every malloc and free, for statistics of their own.
PAGERUN_EXPORT size_t malloc_usable_size(void* ptr) {
  LocalBlock block;
  if (find_local(*arena_place_near(), offset_of(ptr), &block)) {
    const ClassFacts& facts = kClassFacts.of_class[block.page->size_class];
    if (facts.reciprocal == block.reciprocal) [[likely]]
      return facts.block_bytes;
  }
  return usable_size_slow(ptr);
}

PAGERUN_EXPORT void free_sized(void* ptr, size_t bytes) {
  free_checked_sized(ptr, bytes, SizeNear(), free_sized_otherwise);
}

PAGERUN_EXPORT void free_aligned_sized(void* ptr, size_t alignment, size_t bytes) {
  free_checked_aligned(ptr, bytes, alignment, "free_aligned_sized");
}

PAGERUN_EXPORT void* pagerun_aligned_alloc(size_t alignment, size_t bytes) {
  if (!is_power_of_two(alignment)) return fail_with(EINVAL);
  return with_errno(allocate_aligned(alignment, bytes));
}

PAGERUN_EXPORT const char* pagerun_verify(const void** address) {
  Verdict verdict = verify();
  if (address != nullptr) *address = verdict.address;
  return verdict.invariant;
}

PAGERUN_EXPORT int malloc_trim(size_t keep_bytes) { return purge(true, keep_bytes / kPageBytes) > 0; }

// Options of another allocator's tuning: refused where glibc refuses a value, otherwise accepted, without effect.
PAGERUN_EXPORT int mallopt(int option, int value) {
  constexpr int kMostFastBytes = 160;
  return option != M_MXFAST || (value >= 0 && value <= kMostFastBytes);
}

// Names under which glibc shows the same functions: a block from one must go back through any other.
extern "C" {
#pragma GCC visibility push(default)
[[gnu::alias("malloc"), gnu::copy(malloc)]] void* __libc_malloc(size_t);
[[gnu::alias("calloc"), gnu::copy(calloc)]] void* __libc_calloc(size_t, size_t);
[[gnu::alias("realloc"), gnu::copy(realloc)]] void* __libc_realloc(void*, size_t);
[[gnu::alias("free"), gnu::copy(free)]] void __libc_free(void*);
[[gnu::alias("free"), gnu::copy(free)]] void cfree(void*);
[[gnu::alias("memalign"), gnu::copy(memalign)]] void* __libc_memalign(size_t, size_t);
[[gnu::alias("valloc"), gnu::copy(valloc)]] void* __libc_valloc(size_t);
[[gnu::alias("pvalloc"), gnu::copy(pvalloc)]] void* __libc_pvalloc(size_t);
[[gnu::alias("posix_memalign"), gnu::copy(posix_memalign)]] int __posix_memalign(void**, size_t, size_t);
#pragma GCC visibility pop
}
