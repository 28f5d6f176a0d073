// Every form of operator new and delete, with sizes and alignments that can be had and that cannot, without a
// new-handler, with one that gives up, and with ones that throw. Prints what each did; the test compares the text with
// that of the C++ library's own operators. One thread.
#include <malloc.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <new>

namespace {

constexpr int kUntouched = 4321;
constexpr size_t kHalf = PTRDIFF_MAX;
constexpr size_t kSizes[] = {0,     1,      8,         16,          24,        500,          1024,     5000,
                             32768, 100000, 40u << 20, kHalf - 100, kHalf + 1, SIZE_MAX - 1, SIZE_MAX, 1ull << 62};
constexpr size_t kAlignments[] = {1,       2, 8,  16, 32,       64,         4096,      65536,
                                  1 << 20, 3, 24, 0,  SIZE_MAX, 1ull << 63, 1ull << 48};

int handler_calls = 0;

void handler_that_gives_up() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}
void handler_that_throws_bad_alloc() {
  handler_calls++;
  throw std::bad_alloc();
}
void handler_that_throws_a_number() {
  handler_calls++;
  throw 42;
}

const char* text_of_errno(int error) {
  return error == kUntouched ? "untouched" : error == ENOMEM ? "ENOMEM" : error == EINVAL ? "EINVAL" : "another";
}

void set_handler(std::new_handler handler) {
  handler_calls = 0;
  std::set_new_handler(handler);
}

template <class Take, class Give>
void trial(const char* form, size_t bytes, size_t alignment, Take take, Give give) {
  printf("%s, %zu bytes at %zu: ", form, bytes, alignment);
  errno = kUntouched;
  void* block = nullptr;
  try {
    block = take();
    int error = errno;
    bool fits = block == nullptr || malloc_usable_size(block) >= bytes;
    bool is_aligned = alignment == 0 || reinterpret_cast<uintptr_t>(block) % alignment == 0;
    printf("%s, errno %s%s%s", block == nullptr ? "null" : "a block", text_of_errno(error), fits ? "" : ", TOO SMALL",
           is_aligned ? "" : ", NOT ALIGNED");
    if (block != nullptr) memset(block, 1, bytes < 5000 ? bytes : 5000);
  } catch (const std::bad_alloc& failure) {
    int error = errno;
    printf("%s, errno %s", failure.what(), text_of_errno(error));
  } catch (int number) {
    printf("the number %d", number);
  }
  printf(", handler called %d times\n", handler_calls);
  errno = kUntouched;
  give(block);
  if (errno != kUntouched) printf("  delete CHANGED errno\n");
}

#define FORMS(what, bytes, alignment, take, ...)                                                       \
  do {                                                                                                 \
    for (std::new_handler handler : {std::new_handler(nullptr), &handler_that_gives_up,                \
                                     &handler_that_throws_bad_alloc, &handler_that_throws_a_number}) { \
      set_handler(handler);                                                                            \
      trial(what, bytes, alignment, [&] { return take; }, __VA_ARGS__);                                \
    }                                                                                                  \
    set_handler(nullptr);                                                                              \
  } while (0)

void try_plain(size_t n) {
  using std::nothrow;
  FORMS("new, delete", n, 0, operator new(n), [](void* p) { operator delete(p); });
  FORMS("new, sized delete", n, 0, operator new(n), [=](void* p) { operator delete(p, n); });
  FORMS("new, nothrow delete", n, 0, operator new(n), [](void* p) { operator delete(p, nothrow); });
  FORMS("new[], delete[]", n, 0, operator new[](n), [](void* p) { operator delete[](p); });
  FORMS("new[], sized delete[]", n, 0, operator new[](n), [=](void* p) { operator delete[](p, n); });
  FORMS("new[], nothrow delete[]", n, 0, operator new[](n), [](void* p) { operator delete[](p, nothrow); });
  FORMS("nothrow new", n, 0, operator new(n, nothrow), [](void* p) { operator delete(p); });
  FORMS("nothrow new[]", n, 0, operator new[](n, nothrow), [=](void* p) { operator delete[](p, n); });
}

// Not with sizes that overflow when they are rounded up to the alignment: libstdc++ then returns a block that is too
// small.
void try_aligned(size_t n, size_t alignment) {
  using std::nothrow;
  if (n > SIZE_MAX / 2 && (alignment & (alignment - 1)) == 0 && n + alignment < n) return;
  auto a = static_cast<std::align_val_t>(alignment);
  FORMS("aligned new, delete", n, alignment, operator new(n, a), [=](void* p) { operator delete(p, a); });
  FORMS("aligned new, sized delete", n, alignment, operator new(n, a), [=](void* p) { operator delete(p, n, a); });
  FORMS("aligned new, nothrow delete", n, alignment, operator new(n, a),
        [=](void* p) { operator delete(p, a, nothrow); });
  FORMS("aligned new[], delete[]", n, alignment, operator new[](n, a), [=](void* p) { operator delete[](p, a); });
  FORMS("aligned new[], sized delete[]", n, alignment, operator new[](n, a),
        [=](void* p) { operator delete[](p, n, a); });
  FORMS("aligned new[], nothrow delete[]", n, alignment, operator new[](n, a),
        [=](void* p) { operator delete[](p, a, nothrow); });
  FORMS("aligned nothrow new", n, alignment, operator new(n, a, nothrow), [=](void* p) { operator delete(p, a); });
  FORMS("aligned nothrow new[]", n, alignment, operator new[](n, a, nothrow),
        [=](void* p) { operator delete[](p, a); });
}

}  // namespace

int main() {
  for (size_t bytes : kSizes) {
    try_plain(bytes);
    for (size_t alignment : kAlignments) try_aligned(bytes, alignment);
  }
}
