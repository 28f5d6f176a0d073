// A program with its own basic forms of operator new and delete, whose blocks begin behind a header. The other forms
// must go through these: one that did not would free an address inside a block. Prints how often each was called; the
// test compares that with what the C++ library's own forms do. One thread.
//   -DREPLACES_ARRAYS  the array forms as well
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {

constexpr size_t kHeaderBytes = 64;
int news = 0, deletes = 0, array_news = 0, array_deletes = 0, aligned_news = 0, aligned_deletes = 0;
bool is_exhausted = false;

void* take(size_t bytes) {
  if (is_exhausted) throw std::bad_alloc();
  auto* whole = static_cast<char*>(malloc(bytes + kHeaderBytes));
  if (whole == nullptr) throw std::bad_alloc();
  *reinterpret_cast<uint64_t*>(whole) = 0x1234567812345678;
  return whole + kHeaderBytes;
}

void give(void* ptr) {
  if (ptr == nullptr) return;
  char* whole = static_cast<char*>(ptr) - kHeaderBytes;
  if (*reinterpret_cast<uint64_t*>(whole) != 0x1234567812345678) abort();
  free(whole);
}

struct alignas(64) Wide {
  char bytes[64];
};

void tell(const char* what) {
  printf("%s: new %d, delete %d, new[] %d, delete[] %d, aligned new %d, aligned delete %d\n", what, news, deletes,
         array_news, array_deletes, aligned_news, aligned_deletes);
}

}  // namespace

void* operator new(size_t bytes) {
  news++;
  return take(bytes);
}
void operator delete(void* ptr) noexcept {
  deletes++;
  give(ptr);
}
void* operator new(size_t bytes, std::align_val_t) {
  aligned_news++;
  void* block = nullptr;
  return posix_memalign(&block, 4096, bytes) == 0 ? take(0), block : throw std::bad_alloc();
}
void operator delete(void* ptr, std::align_val_t) noexcept {
  aligned_deletes++;
  free(ptr);
}
#ifdef REPLACES_ARRAYS
void* operator new[](size_t bytes) {
  array_news++;
  return take(bytes);
}
void operator delete[](void* ptr) noexcept {
  array_deletes++;
  give(ptr);
}
#endif

int main() {
  volatile size_t n = 100;
  using std::nothrow;
  operator delete(operator new(n), n);
  tell("sized delete");
  operator delete(operator new(n), nothrow);
  tell("nothrow delete");
  operator delete[](operator new[](n));
  tell("arrays");
  operator delete[](operator new[](n), n);
  tell("sized delete[]");
  operator delete[](operator new[](n, nothrow), nothrow);
  tell("nothrow arrays");
  operator delete(operator new(n, nothrow));
  tell("nothrow new");
  auto a = std::align_val_t(64);
  operator delete(operator new(n, a), n, a);
  operator delete(operator new(n, a, nothrow), a, nothrow);
  tell("aligned");
  operator delete[](operator new[](n, a), n, a);
  operator delete[](operator new[](n, a, nothrow), a, nothrow);
  operator delete[](operator new[](n, a), a);
  tell("aligned arrays");
  delete new Wide;
  delete[] new Wide[n];
  delete[] new std::string[n];
  tell("objects");
  {
    std::vector<std::string> texts(50, std::string(n, 'x'));
    auto shared = std::make_shared<std::vector<int>>(n, 7);
  }
  tell("the library's own classes");
  is_exhausted = true;
  printf("nothrow new without memory: %s\n", operator new(n, nothrow) == nullptr ? "null" : "a block");
  printf("nothrow new[] without memory: %s\n", operator new[](n, nothrow) == nullptr ? "null" : "a block");
}
