// libpagerun.so as a C program sees it: misuse ends the program with one fixed line and SIGABRT, and the calls keep
// glibc's promises about errno. The library is opened beside this program, not put in place of its malloc.
#include <dlfcn.h>
#include <malloc.h>

#include <climits>

#include "core/allocator.h"
#include "core/page.h"
#include "core/size_class.h"
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

// What the line tells of a block of `bytes` that starts at `start`: its kind, and the owner of a small one.
std::string block_text(const char* state, const void* start, size_t bytes) {
  std::string text = std::string(state) + " of " + std::to_string(bytes) + " bytes at " + harness::text_of(start);
  if (bytes <= kMaxBlockBytes)
    return text + ", size class " + std::to_string(class_of(bytes, kMaxAlignBytes)) + ", arena 1)";
  return text + (bytes <= kMaxRunBytes ? ", a run)" : ", a mapping of its own)");
}

std::string inside(const void* start, size_t bytes) { return " (inside " + block_text("a live block", start, bytes); }

const size_t kSizes[] = {24, 1000, 20000, 100000, 40 << 20};

// What it tells of a block that was freed while its neighbour stayed.
std::string freed(const void* start, size_t bytes) {
  if (bytes > kMaxRunBytes) return " (a mapping that was freed)";
  return bytes > kMaxBlockBytes ? " (in a free run)" : " (" + block_text("a free block", start, bytes);
}

const char* const kNothingKnown = " (no memory of this heap)";

TEST("misuse_report prints its fixed line and raises SIGABRT, for every misuse and everything that can be known") {
  char here = 0;
  for (Misuse misuse : {Misuse::kDoubleFree, Misuse::kInteriorPointer, Misuse::kForeignPointer, Misuse::kWrongSize}) {
    harness::ChildEnd end = harness::run_in_child([&] { misuse_report(misuse, "free", &here, {}); });
    EXPECT_DEATH(end, SIGABRT, text_of_line(misuse_name(misuse), &here, "free", kNothingKnown));
  }
  const void* there = &here + 1;
  const struct {
    Known known;
    const char* text;
  } cases[] = {
      {{LastState::kFreedElsewhere, there, 48, 7, 3},
       " (a block that another thread has freed of 48 bytes at X, size class 7, arena 3)"},
      {{LastState::kHeld, there, 48, 7, 3},
       " (a freed block that an ArrayBuffer still holds of 48 bytes at X, size class 7, arena 3)"},
      {{LastState::kTail, nullptr, 48, 7, 3},
       " (behind the last block of a page of 48-byte blocks, size class 7, arena 3)"},
      {{LastState::kFreeRun, nullptr, 48, 7}, " (in a free run, last a page of 48-byte blocks, size class 7)"},
      {{LastState::kFreeRun, nullptr, 0}, " (in a free run)"},
      {{LastState::kNeverUsed, nullptr, 0}, " (in a page that was never used)"},
      {{LastState::kTable, nullptr, 0}, " (in the tables of this heap)"},
  };
  for (const auto& one : cases) {
    harness::ChildEnd end =
        harness::run_in_child([&] { misuse_report(Misuse::kDoubleFree, "free", there, one.known); });
    std::string text = one.text;
    if (size_t at = text.find('X'); at != std::string::npos) text.replace(at, 1, harness::text_of(there));
    EXPECT_DEATH(end, SIGABRT, text_of_line("double free", there, "free", text));
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
    size_t usable = our_usable_size(block);
    harness::ChildEnd end = harness::run_in_child([=] {
      our_free(block);
      our_free(block);
    });
    EXPECT_DEATH(end, SIGABRT, text_of_line("double free", block, "free", freed(block, usable)));
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
    EXPECT_DEATH(end, SIGABRT, text_of_line("foreign pointer", ptr, "free", kNothingKnown));
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
  EXPECT_DEATH(end, SIGABRT, text_of_line("double free", block, "realloc", freed(block, usable)));
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
  size_t usable = our_usable_size(block);
  EXPECT_EQ(our_realloc(block, 0), static_cast<void*>(nullptr));
  harness::ChildEnd end = harness::run_in_child([=] { our_free(block); });
  EXPECT_DEATH(end, SIGABRT, text_of_line("double free", block, "free", freed(block, usable)));
  EXPECT_EQ(our_usable_size(nullptr), 0u);
  expect_clean_heap();
}

TEST("a sized free of a size that leads to another class ends the program, one that realloc may have left does not") {
  auto* free_sized = call<void (*)(void*, size_t)>("free_sized");
  for (size_t bytes : {size_t{300}, size_t{5000}, size_t{100000}, size_t{40} << 20}) {
    void* block = our_malloc(bytes);
    size_t usable = our_usable_size(block);
    for (size_t wrong : {size_t{0}, size_t{1}, bytes / 4, usable / 2 - 16, usable * 2}) {
      harness::ChildEnd end = harness::run_in_child([=] { free_sized(block, wrong); });
      EXPECT_DEATH(end, SIGABRT,
                   text_of_line("wrong size", block, "free_sized", " (" + block_text("a live block", block, usable)));
    }
    if (bytes > kMaxBlockBytes) {
      free_sized(block, bytes);
    } else {
      void* shrunk = our_realloc(block, usable / 2);
      EXPECT_EQ(shrunk, block);
      free_sized(shrunk, usable / 2);
    }
  }
  for (size_t bytes = 0; bytes < 70000; bytes += 1 + bytes / 9) free_sized(our_malloc(bytes), bytes);
  expect_clean_heap();
}

TEST("an aligned sized free takes every size and alignment that such a block can be asked for with") {
  auto* our_aligned_alloc = call<void* (*)(size_t, size_t)>("aligned_alloc");
  auto* free_aligned_sized = call<void (*)(void*, size_t, size_t)>("free_aligned_sized");
  for (size_t alignment = 1; alignment <= 1 << 20; alignment *= 2) {
    for (size_t bytes = 0; bytes < 200000; bytes = bytes * 2 + 1)
      free_aligned_sized(our_aligned_alloc(alignment, bytes), alignment, bytes);
  }
  void* block = our_malloc(112);
  auto* odd = static_cast<char*>(our_aligned_alloc(4096, 4096));
  harness::ChildEnd end = harness::run_in_child([=] { free_aligned_sized(block, 1 << 20, 112); });
  EXPECT_EQ(end.signal, SIGABRT);
  end = harness::run_in_child([=] { free_aligned_sized(odd, 4096, 100000); });
  EXPECT_EQ(end.signal, SIGABRT);
  expect_clean_heap();
}

TEST("with PAGERUN_ON_MISUSE=report the line is printed, the call is refused, and the program goes on") {
  if (getenv("PAGERUN_ON_MISUSE") == nullptr) {  // read when a process begins
    harness::ChildEnd end = harness::run_in_child([] {
      setenv("PAGERUN_ON_MISUSE", "report", 1);
      execl("/proc/self/exe", "abort_test", "--here", "--filter", "with PAGERUN_ON_MISUSE=report", nullptr);
      EXPECT(false);
    });
    EXPECT_CLEAN(end);
    return;
  }
  auto* free_sized = call<void (*)(void*, size_t)>("free_sized");
  for (size_t bytes : kSizes) {
    auto* block = static_cast<char*>(our_malloc(bytes));
    size_t usable = our_usable_size(block);
    std::string known = inside(block, usable);
    harness::ChildEnd end = harness::run_in_child([=] {
      errno = 4711;
      our_free(block + 8);
      EXPECT_EQ(errno, 4711);
      EXPECT(our_realloc(block + 8, 10) == nullptr && errno == EINVAL);
      EXPECT_EQ(our_usable_size(block + 8), 0u);
      free_sized(block + 8, 10);
      EXPECT_EQ(our_usable_size(block), usable);
      our_free(block);
      expect_clean_heap();
    });
    EXPECT_CLEAN(end);
    std::string expected;
    for (const char* in : {"free", "realloc", "malloc_usable_size", "free_sized"})
      expected += text_of_line("interior pointer", block + 8, in, known);
    EXPECT_EQ(end.output, expected);
    our_free(block);
  }
}

TEST("a sized free of more bytes than the block has ends the program") {
  auto* free_sized = call<void (*)(void*, size_t)>("free_sized");
  void* block = our_malloc(100);
  size_t usable = our_usable_size(block);
  harness::ChildEnd end = harness::run_in_child([=] { free_sized(block, usable + 1); });
  EXPECT_DEATH(end, SIGABRT,
               text_of_line("wrong size", block, "free_sized", " (" + block_text("a live block", block, usable)));
  free_sized(block, 100);
  expect_clean_heap();
}

}  // namespace
}  // namespace pagerun
