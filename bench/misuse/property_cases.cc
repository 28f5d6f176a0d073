// What every malloc owes a caller who makes no mistake, on one thread: alignment, errno, zeroes, sizes that cannot be
// had.
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <exception>
#include <initializer_list>
#include <new>

#include "case.h"

namespace pagerun::misuse {
namespace {

constexpr int kUntouched = 4321;

void* (*volatile resize_array)(void*, size_t, size_t) = reallocarray;
void* (*volatile take_aligned)(size_t, size_t) = memalign;
void* (*volatile take_c_aligned)(size_t, size_t) = aligned_alloc;
int (*volatile take_posix_aligned)(void**, size_t, size_t) = posix_memalign;
constexpr size_t kMost = PTRDIFF_MAX;

bool is_aligned(const void* ptr, size_t alignment) { return reinterpret_cast<uintptr_t>(ptr) % alignment == 0; }

bool is_filled(const void* ptr, size_t bytes, unsigned char value) {
  auto* at = static_cast<const unsigned char*>(ptr);
  return bytes == 0 || (at[0] == value && memcmp(at, at + 1, bytes - 1) == 0);
}

void* taken(size_t bytes) {
  void* ptr = take(bytes);
  require(ptr != nullptr, "malloc returns a block");
  return ptr;
}

void malloc_alignment() {
  for (size_t bytes = 1; bytes < 300000; bytes += 1 + bytes / 7) {
    void* blocks[4];
    for (void*& block : blocks) {
      block = taken(bytes);
      require(is_aligned(block, bytes >= 16 ? 16 : 8), "malloc aligns for every type of that size");
    }
    for (void* block : blocks) give(block);
  }
}

void malloc_zero() {
  void* a = take(0);
  void* b = take(0);
  require(a != nullptr && b != nullptr && a != b, "malloc(0) returns a pointer of its own");
  give(a);
  give(b);
}

void free_null() {
  errno = kUntouched;
  give(nullptr);
  require(errno == kUntouched, "free(NULL) does nothing");
}

void free_keeps_errno() {
  for (size_t bytes : {size_t{10}, size_t{5000}, size_t{40000}, size_t{1} << 20, size_t{80} << 20}) {
    void* block = taken(bytes);
    errno = kUntouched;
    give(block);
    require(errno == kUntouched, "free keeps errno");
  }
}

void calloc_zeroes() {
  for (size_t bytes :
       {size_t{1}, size_t{24}, size_t{500}, size_t{5000}, size_t{40000}, size_t{1} << 20, size_t{80} << 20}) {
    for (int round = 0; round < 4; round++) {
      void* dirty = taken(bytes);
      memset(dirty, 0xff, bytes);
      give(dirty);
      void* block = take_zeroed(1, bytes);
      require(block != nullptr && is_filled(block, bytes, 0), "calloc returns zeroes");
      memset(block, 0xff, bytes);
      give(block);
    }
  }
}

void expect_no_memory(const void* ptr, const char* text) {
  require(ptr == nullptr, text);
  require(errno == ENOMEM, "errno is ENOMEM");
  errno = 0;
}

void malloc_too_much() {
  errno = 0;
  for (size_t bytes :
       {kMost + 1, kMost, kMost - 4096, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 4096, size_t{1} << 62})
    expect_no_memory(take(bytes), "malloc of more than there is returns null");
}

void calloc_overflow() {
  errno = 0;
  expect_no_memory(take_zeroed(SIZE_MAX, 2), "calloc sees an overflow");
  expect_no_memory(take_zeroed(2, SIZE_MAX), "calloc sees an overflow");
  expect_no_memory(take_zeroed(size_t{1} << 32, size_t{1} << 32), "calloc sees an overflow to 0");
  expect_no_memory(take_zeroed((size_t{1} << 32) + 1, size_t{1} << 32), "calloc sees an overflow to a small number");
  expect_no_memory(take_zeroed(kMost, 1), "calloc of more than there is returns null");
  require(take_zeroed(0, SIZE_MAX) != nullptr, "calloc(0, n) is malloc(0)");
}

void reallocarray_overflow() {
  char* block = static_cast<char*>(taken(100));
  memset(block, 7, 100);
  errno = 0;
  expect_no_memory(resize_array(block, SIZE_MAX, 2), "reallocarray sees an overflow");
  expect_no_memory(resize_array(block, size_t{1} << 32, size_t{1} << 32), "reallocarray sees an overflow to 0");
  require(is_filled(block, 100, 7), "the block is as it was");
  block = static_cast<char*>(resize_array(block, 50, 100));
  require(block != nullptr && is_filled(block, 100, 7), "reallocarray grows");
  give(block);
}

void realloc_too_much() {
  for (size_t bytes : {size_t{24}, size_t{5000}, size_t{100000}, size_t{64} << 20}) {
    void* block = taken(bytes);
    memset(block, 9, bytes);
    errno = 0;
    for (size_t more : {kMost + 1, kMost, SIZE_MAX, SIZE_MAX - 4096})
      expect_no_memory(resize(block, more), "realloc to more than there is returns null");
    require(is_filled(block, bytes, 9), "the block is as it was");
    give(block);
  }
}

void realloc_null() {
  void* block = resize(nullptr, 100);
  require(block != nullptr && usable_size(block) >= 100, "realloc(NULL, n) is malloc(n)");
  give(block);
}

void realloc_keeps_content() {
  constexpr size_t kSizes[] = {1,        16,       17,      100,    3000,  20000, 33000, 70000, 1 << 20,
                               40 << 20, 90 << 20, 1 << 20, 100000, 40000, 500,   64,    8,     200000};
  for (size_t first : kSizes) {
    auto* block = static_cast<unsigned char*>(taken(first));
    size_t bytes = first;
    memset(block, 0x31, bytes);
    for (size_t next : {kSizes[first % 18], first * 2 + 1, first / 2 + 1, first + 5000}) {
      block = static_cast<unsigned char*>(resize(block, next));
      require(block != nullptr, "realloc returns a block");
      require(is_filled(block, next < bytes ? next : bytes, 0x31), "realloc keeps the content");
      memset(block, 0x31, next);
      bytes = next;
    }
    give(block);
  }
}

void realloc_stepwise() {
  size_t bytes = 1;
  auto* block = static_cast<unsigned char*>(taken(bytes));
  block[0] = 0x42;
  for (; bytes < 3000000; bytes += 1 + bytes / 20) {
    size_t next = bytes + 1 + bytes / 20;
    block = static_cast<unsigned char*>(resize(block, next));
    require(block != nullptr && is_filled(block, bytes, 0x42), "a block that grows step by step keeps its content");
    memset(block, 0x42, next);
  }
  give(block);
}

void usable_size_holds() {
  require(usable_size(nullptr) == 0, "malloc_usable_size(NULL) is 0");
  for (size_t bytes = 0; bytes < 3000000; bytes += 1 + bytes / 5) {
    void* block = taken(bytes);
    size_t usable = usable_size(block);
    require(usable >= bytes, "malloc_usable_size is no less than what was asked for");
    memset(block, 0x77, usable);
    require(usable_size(block) == usable, "malloc_usable_size stays");
    give(block);
  }
}

void posix_memalign_alignment() {
  for (size_t alignment = sizeof(void*); alignment <= 16 << 20; alignment *= 2) {
    for (size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{5000}, size_t{70000}}) {
      void* block = nullptr;
      errno = kUntouched;
      require(take_posix_aligned(&block, alignment, bytes) == 0 && errno == kUntouched, "posix_memalign returns 0");
      require(is_aligned(block, alignment) && usable_size(block) >= bytes, "and an aligned block");
      memset(block, 1, bytes);
      give(block);
    }
  }
}

void posix_memalign_refusals() {
  void* block = &block;
  for (size_t alignment : {size_t{0}, size_t{1}, size_t{2}, size_t{4}, size_t{24}, size_t{100}, SIZE_MAX})
    require(take_posix_aligned(&block, alignment, 100) == EINVAL, "posix_memalign refuses an alignment that is none");
  require(take_posix_aligned(&block, 64, SIZE_MAX) == ENOMEM, "posix_memalign says ENOMEM");
  require(take_posix_aligned(&block, 64, kMost) == ENOMEM, "posix_memalign says ENOMEM");
  require(block == &block, "posix_memalign leaves the pointer alone when it refuses");
}

void other_alignments() {
  for (size_t alignment = 1; alignment <= 4 << 20; alignment *= 2) {
    void* a = take_c_aligned(alignment, alignment * 3);
    void* b = take_aligned(alignment, 100);
    require(a != nullptr && is_aligned(a, alignment), "aligned_alloc aligns");
    require(b != nullptr && is_aligned(b, alignment), "memalign aligns");
    memset(a, 1, alignment * 3);
    a = resize(a, alignment * 5);
    require(a != nullptr && is_filled(a, alignment * 3, 1), "realloc takes an aligned block");
    give(a);
    give(b);
  }
  auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* v = valloc(100);
  void* p = pvalloc(page + 1);
  require(is_aligned(v, page) && is_aligned(p, page) && usable_size(p) >= 2 * page,
          "valloc and pvalloc give whole pages");
  give(v);
  give(p);
  errno = 0;
  expect_no_memory(take_aligned(4096, SIZE_MAX - 100), "memalign of more than there is returns null");
  expect_no_memory(take_c_aligned(size_t{1} << 62, 16), "an alignment beyond memory returns null");
}

void new_of_nothing() {
  void* a = ::operator new(0);
  void* b = ::operator new(0);
  require(a != nullptr && b != nullptr && a != b, "new of 0 bytes returns a pointer of its own");
  ::operator delete(a);
  delete_sized(b, 0);
}

void new_aligned() {
  for (size_t alignment = 1; alignment <= 1 << 16; alignment *= 2) {
    auto as = static_cast<std::align_val_t>(alignment);
    for (size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{5000}, size_t{100000}}) {
      void* block = ::operator new(bytes, as);
      require(is_aligned(block, alignment), "new aligns");
      memset(block, 1, bytes);
      delete_aligned_sized(block, bytes, alignment);
    }
  }
}

void new_sized() {
  for (size_t bytes = 0; bytes < 200000; bytes += 1 + bytes / 9) {
    delete_sized(::operator new(bytes), bytes);
    delete_array_sized(::operator new[](bytes), bytes);
  }
}

void new_nothrow() {
  require(::operator new(kMost, std::nothrow) == nullptr, "new (nothrow) returns null");
  void* block = ::operator new(100, std::nothrow);
  require(block != nullptr, "new (nothrow) returns a block");
  ::operator delete(block, std::nothrow);
}

int handler_calls = 0;

void new_handler() {
  std::set_new_handler([] {
    if (++handler_calls == 3) std::set_new_handler(nullptr);
  });
  require(::operator new(kMost, std::nothrow) == nullptr&& handler_calls == 3,
          "the new-handler is asked until it is gone");
}

// Where nobody catches, bad_alloc ends in terminate: the handler is where this case passes.
void new_throws() {
  std::set_terminate([] { end_with("passed"); });
  void* volatile block = ::operator new(kMost);
  static_cast<void>(block);
  require(false, "new throws when there is no memory");
}

// Blocks of all sizes come and go at random; each carries a mark in its first and last bytes.
void no_overlap() {
  constexpr size_t kPlaces = 2000;
  static unsigned char* blocks[kPlaces];
  static size_t sizes[kPlaces];
  uint64_t random = 12345;
  for (int i = 0; i < 200000; i++) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    size_t place = (random >> 33) % kPlaces;
    auto mark = static_cast<unsigned char>(place * 37 + 1);
    if (blocks[place] != nullptr) {
      require(blocks[place][0] == mark && blocks[place][sizes[place] - 1] == mark, "a block keeps what was written");
      give(blocks[place]);
      blocks[place] = nullptr;
    } else {
      sizes[place] = 1 + (random >> 20) % (random >> 62 == 0 ? 60000 : 600);
      blocks[place] = static_cast<unsigned char*>(taken(sizes[place]));
      blocks[place][0] = blocks[place][sizes[place] - 1] = mark;
    }
  }
}

void libc_and_ours() {
  char* text = nullptr;
  require(asprintf(&text, "%d %s", 42, "words") == 8, "asprintf allocates");
  give(text);
  text = strdup("a string");
  require(strcmp(text, "a string") == 0, "strdup allocates");
  give(text);
  text = realpath("/", nullptr);
  require(text != nullptr, "realpath allocates");
  give(text);
  char* line = static_cast<char*>(taken(4));
  size_t room = 4;
  FILE* file = fopen("/proc/self/maps", "r");
  require(file != nullptr && getline(&line, &room, file) > 4, "getline resizes what malloc gave");
  fclose(file);
  give(line);
}

void tuning_calls() {
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  malloc_trim(0);
  struct mallinfo2 before = mallinfo2();
  static_cast<void>(before);
  FILE* nowhere = fopen("/dev/null", "w");
  require(nowhere != nullptr && malloc_info(0, nowhere) == 0, "malloc_info writes");
  fclose(nowhere);
  give(taken(100));
}

size_t resident_pages() {
  size_t size = 0, resident = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  require(file != nullptr && fscanf(file, "%zu %zu", &size, &resident) == 2, "statm can be read");
  fclose(file);
  return resident;
}

// 10,000 times 1 MiB in blocks of a size that changes: memory that was freed is used again, for other sizes too.
void freed_memory_is_reused() {
  size_t most = 0;
  for (int round = 0; round < 300; round++) {
    static void* blocks[4096];
    size_t bytes = 256 + static_cast<size_t>(round) % 50 * 40, count = (1 << 20) / bytes;
    for (size_t i = 0; i < count; i++) memset(blocks[i] = taken(bytes), 1, bytes);
    for (size_t i = 0; i < count; i++) give(blocks[i]);
    if (round % 20 == 19 && resident_pages() > most) most = resident_pages();
  }
  require(most < (128 << 20) / 4096, "300 MiB that came and went leave less than 128 MiB");
}

constexpr Case kCases[] = {
    {"malloc-alignment", "malloc aligns to 16 bytes, and to 8 below that", malloc_alignment},
    {"malloc-0", "malloc(0) returns a pointer of its own", malloc_zero},
    {"malloc-too-much", "malloc of PTRDIFF_MAX, SIZE_MAX and others is null with ENOMEM", malloc_too_much},
    {"free-null", "free(NULL) does nothing", free_null},
    {"free-errno", "free keeps errno", free_keeps_errno},
    {"calloc-zeroes", "calloc zeroes what was used before, 1 byte to 80 MiB", calloc_zeroes},
    {"calloc-overflow", "calloc sees products that overflow", calloc_overflow},
    {"reallocarray-overflow", "reallocarray sees products that overflow, and keeps the block", reallocarray_overflow},
    {"realloc-too-much", "realloc to more than there is keeps the block", realloc_too_much},
    {"realloc-null", "realloc(NULL, n) is malloc(n)", realloc_null},
    {"realloc-content", "realloc keeps the content, growing and shrinking over all kinds of blocks",
     realloc_keeps_content},
    {"realloc-stepwise", "a block that grows step by step keeps its content", realloc_stepwise},
    {"usable-size", "malloc_usable_size bytes can be used", usable_size_holds},
    {"posix-memalign", "posix_memalign aligns to 8 bytes up to 16 MiB", posix_memalign_alignment},
    {"posix-memalign-refusals", "posix_memalign refuses with EINVAL and ENOMEM and leaves the pointer alone",
     posix_memalign_refusals},
    {"other-alignments", "aligned_alloc, memalign, valloc and pvalloc align", other_alignments},
    {"new-0", "new of 0 bytes returns a pointer of its own", new_of_nothing},
    {"new-aligned", "new with an alignment, and delete with both", new_aligned},
    {"new-sized", "delete with the size that was asked for", new_sized},
    {"new-nothrow", "new (nothrow) returns null when there is no memory", new_nothrow},
    {"new-handler", "the new-handler is asked", new_handler},
    {"new-throws", "new throws bad_alloc when there is no memory", new_throws},
    {"no-overlap", "200,000 random calls: no two blocks overlap", no_overlap},
    {"libc-and-ours", "what the C library allocates can be freed and resized", libc_and_ours},
    {"tuning-calls", "mallopt, malloc_trim, mallinfo2 and malloc_info do no harm", tuning_calls},
    {"freed-memory-is-reused", "memory that was freed is used again", freed_memory_is_reused},
};

}  // namespace

Cases property_cases() { return {kCases, sizeof(kCases) / sizeof(kCases[0])}; }

}  // namespace pagerun::misuse
