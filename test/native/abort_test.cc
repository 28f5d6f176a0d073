// libpagerun.so as a C program sees it: misuse ends the program with one fixed line and SIGABRT, and the calls keep
// glibc's promises about errno. The library is opened beside this program, not put in place of its malloc.
#include <dlfcn.h>
#include <malloc.h>

#include <climits>

#include "base/config.h"
#include "harden/misuse.h"
#include "harness.h"

namespace pagerun {
namespace {

void* library() {
  static void* handle = [] {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    std::string name(path, length < 0 ? 0 : static_cast<size_t>(length));
    name = name.substr(0, name.rfind('/')) + "/libpagerun.so";
    void* opened = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr) {
      fprintf(stderr, "%s\n", dlerror());
      abort();
    }
    return opened;
  }();
  return handle;
}

template <class Function>
Function call(const char* name) {
  return reinterpret_cast<Function>(dlsym(library(), name));
}

void* our_malloc(size_t bytes) { return call<void* (*)(size_t)>("malloc")(bytes); }
void our_free(void* ptr) { call<void (*)(void*)>("free")(ptr); }
void* our_realloc(void* ptr, size_t bytes) { return call<void* (*)(void*, size_t)>("realloc")(ptr, bytes); }
size_t our_usable_size(void* ptr) { return call<size_t (*)(void*)>("malloc_usable_size")(ptr); }

void expect_clean_heap() { EXPECT_EQ(call<const char* (*)(const void**)>("pagerun_verify")(nullptr) == nullptr, true); }

std::string text_of_line(const char* misuse, const void* ptr, const char* in, const std::string& known) {
  return std::string("pagerun: ") + misuse + " of " + harness::text_of(ptr) + " in " + in + known + "\n";
}

std::string inside(const void* start, size_t bytes) {
  return " (inside a live block of " + std::to_string(bytes) + " bytes at " + harness::text_of(start) + ")";
}

const size_t kSizes[] = {24, 1000, 20000, 100000, 40 << 20};

TEST("misuse_abort prints its fixed line and raises SIGABRT, for every misuse") {
  char here = 0;
  Block none;
  Block block = {&here, 48, 5, 1};
  for (Misuse misuse : {Misuse::kDoubleFree, Misuse::kInteriorPointer, Misuse::kForeignPointer}) {
    harness::ChildEnd end = harness::run_in_child([&] { misuse_abort(misuse, "free", &here, none); });
    EXPECT_DEATH(end, SIGABRT, text_of_line(misuse_name(misuse), &here, "free", ""));
    end = harness::run_in_child([&] { misuse_abort(misuse, "realloc", &here + 1, block); });
    EXPECT_DEATH(end, SIGABRT, text_of_line(misuse_name(misuse), &here + 1, "realloc", inside(&here, 48)));
  }
}

TEST("the names of misuse are fixed") {
  EXPECT_EQ(std::string(misuse_name(Misuse::kDoubleFree)), "double free");
  EXPECT_EQ(std::string(misuse_name(Misuse::kInteriorPointer)), "interior pointer");
  EXPECT_EQ(std::string(misuse_name(Misuse::kForeignPointer)), "foreign pointer");
}

TEST("free of a free block ends the program, for every kind of block") {
  for (size_t bytes : kSizes) {
    void* kept = our_malloc(bytes);
    void* block = our_malloc(bytes);
    harness::ChildEnd end = harness::run_in_child([=] {
      our_free(block);
      our_free(block);
    });
    EXPECT_DEATH(end, SIGABRT, text_of_line("double free", block, "free", ""));
    our_free(block);
    our_free(kept);
  }
  expect_clean_heap();
}

TEST("free of an interior pointer ends the program and names the block it is inside of") {
  for (size_t bytes : kSizes) {
    auto* block = static_cast<char*>(our_malloc(bytes));
    size_t usable = our_usable_size(block);
    for (size_t offset : {size_t{1}, size_t{8}, size_t{16}, usable - 1}) {
      harness::ChildEnd end = harness::run_in_child([=] { our_free(block + offset); });
      EXPECT_DEATH(end, SIGABRT, text_of_line("interior pointer", block + offset, "free", inside(block, usable)));
    }
    our_free(block);
  }
  expect_clean_heap();
}

TEST("free of a foreign pointer ends the program") {
  static int global = 0;
  int local = 0;
  our_free(our_malloc(1));
  for (void* ptr : {static_cast<void*>(&global), static_cast<void*>(&local), reinterpret_cast<void*>(8),
                    reinterpret_cast<void*>(~0ull)}) {
    harness::ChildEnd end = harness::run_in_child([=] { our_free(ptr); });
    EXPECT_DEATH(end, SIGABRT, text_of_line("foreign pointer", ptr, "free", ""));
  }
  expect_clean_heap();
}

TEST("realloc and malloc_usable_size of a wrong pointer end the program under their own names") {
  auto* block = static_cast<char*>(our_malloc(100));
  size_t usable = our_usable_size(block);
  harness::ChildEnd end = harness::run_in_child([=] { our_realloc(block + 4, 10); });
  EXPECT_DEATH(end, SIGABRT, text_of_line("interior pointer", block + 4, "realloc", inside(block, usable)));
  end = harness::run_in_child([=] {
    our_free(block);
    our_realloc(block, 10);
  });
  EXPECT_DEATH(end, SIGABRT, text_of_line("double free", block, "realloc", ""));
  end = harness::run_in_child([=] { our_usable_size(block + 4); });
  EXPECT_DEATH(end, SIGABRT, text_of_line("interior pointer", block + 4, "malloc_usable_size", inside(block, usable)));
  our_free(block);
  expect_clean_heap();
}

TEST("errno is ENOMEM after every refusal and untouched by free") {
  auto* our_calloc = call<void* (*)(size_t, size_t)>("calloc");
  auto* our_aligned_alloc = call<void* (*)(size_t, size_t)>("aligned_alloc");
  auto* our_memalign = call<int (*)(void**, size_t, size_t)>("posix_memalign");
  void* block = our_malloc(100);
  errno = 0;
  EXPECT(our_malloc(SIZE_MAX) == nullptr && errno == ENOMEM);
  errno = 0;
  EXPECT(our_calloc(SIZE_MAX, 2) == nullptr && errno == ENOMEM);
  errno = 0;
  EXPECT(our_realloc(block, SIZE_MAX) == nullptr && errno == ENOMEM);
  errno = 0;
  EXPECT(our_aligned_alloc(64, SIZE_MAX) == nullptr && errno == ENOMEM);
  errno = 4711;
  void* untouched = block;
  EXPECT_EQ(our_memalign(&untouched, 24, 100), EINVAL);
  EXPECT_EQ(our_memalign(&untouched, 4, 100), EINVAL);
  EXPECT_EQ(errno, 4711);
  EXPECT_EQ(our_memalign(&untouched, 64, SIZE_MAX), ENOMEM);
  EXPECT(untouched == block && errno == ENOMEM);
  errno = 4711;
  our_free(block);
  our_free(nullptr);
  EXPECT_EQ(errno, 4711);
  expect_clean_heap();
}

TEST("realloc of null is malloc, realloc to zero bytes frees and returns null") {
  void* block = our_realloc(nullptr, 100);
  EXPECT(block != nullptr && our_usable_size(block) >= 100);
  EXPECT_EQ(our_realloc(block, 0), static_cast<void*>(nullptr));
  harness::ChildEnd end = harness::run_in_child([=] { our_free(block); });
  EXPECT_DEATH(end, SIGABRT, text_of_line("double free", block, "free", ""));
  EXPECT_EQ(our_usable_size(nullptr), 0u);
  expect_clean_heap();
}

TEST("a sized free of more bytes than the block has ends the program") {
  auto* free_sized = call<void (*)(void*, size_t)>("free_sized");
  void* block = our_malloc(100);
  size_t usable = our_usable_size(block);
  harness::ChildEnd end = harness::run_in_child([=] { free_sized(block, usable + 1); });
  EXPECT_DEATH(end, SIGABRT, text_of_line("wrong size", block, "free_sized", inside(block, usable)));
  free_sized(block, 100);
  expect_clean_heap();
}

}  // namespace
}  // namespace pagerun
