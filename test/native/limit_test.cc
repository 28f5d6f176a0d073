// Exhausted address space, for real: under limits that the kernel keeps, allocation ends in null, what was allocated
// stays intact, and after everything is freed there is memory again.
#include <sys/resource.h>

#include "core/thread_arena.h"
#include "heap.h"
#include "os/memory.h"
#include "process_memory.h"

namespace pagerun {
namespace {

struct Held {
  void* ptr;
  size_t bytes;
};

size_t data_bytes() {
  FILE* file = fopen("/proc/self/status", "r");
  char line[256];
  size_t kib = 0;
  while (file != nullptr && fgets(line, sizeof(line), file) != nullptr) {
    if (sscanf(line, "VmData: %zu kB", &kib) == 1) break;
  }
  if (file != nullptr) fclose(file);
  return kib * 1024;
}

void limit_to(int resource, size_t bytes) {
  rlimit limit = {bytes, RLIM_INFINITY};
  EXPECT_EQ(setrlimit(static_cast<__rlimit_resource>(resource), &limit), 0);
}

// A list of what is held, in room that was made before the limit: libc must not ask for memory behind it.
class Holder {
 public:
  Holder() { held_.reserve(kMost); }

  /// Allocates blocks of these sizes in turn until one is refused; the number of bytes got.
  size_t fill(const std::vector<size_t>& sizes) {
    size_t got = 0;
    for (size_t i = 0; held_.size() < kMost; i++) {
      size_t bytes = sizes[i % sizes.size()];
      void* ptr = allocate(bytes);
      if (ptr == nullptr) return got;
      fill_pattern(ptr, bytes, held_.size());
      held_.push_back({ptr, bytes});
      got += bytes;
    }
    EXPECT(held_.size() < kMost);
    return got;
  }

  void expect_intact() const {
    for (size_t i = 0; i < held_.size(); i++) EXPECT(has_pattern(held_[i].ptr, held_[i].bytes, i));
  }

  void free_all() {
    for (const Held& one : held_) EXPECT_EQ(deallocate(one.ptr), Misuse::kNone);
    held_.clear();
  }

  const std::vector<Held>& held() const { return held_; }

 private:
  static constexpr size_t kMost = 4000000;
  std::vector<Held> held_;
};

// When the limit comes: before the first allocation, behind it, or behind it and far below what is reserved by then.
enum class Moment { kFirst, kWarm, kFarBelow };

// The whole story under one limit; the child's checks tell.
void expect_end_and_recovery(int resource, size_t room_bytes, const std::vector<size_t>& sizes, Moment moment) {
  harness::ChildEnd end = harness::run_in_child([&] {
    Holder holder;
    if (moment != Moment::kFirst) deallocate(allocate(100));
    size_t had_bytes = resource == RLIMIT_AS ? mapped_bytes() : data_bytes();
    limit_to(resource, moment == Moment::kFarBelow ? room_bytes : had_bytes + room_bytes);
    for (int round = 0; round < 2; round++) {
      size_t got = holder.fill(sizes);
      EXPECT(got > room_bytes / 4);
      holder.expect_intact();
      void* result = nullptr;
      if (!holder.held().empty()) {
        const Held& last = holder.held().back();
        EXPECT_EQ(reallocate(last.ptr, room_bytes * 2, &result), Misuse::kNone);
        EXPECT_EQ(result, static_cast<void*>(nullptr));
      }
      EXPECT_EQ(allocate(room_bytes * 2), static_cast<void*>(nullptr));
      EXPECT_EQ(allocate_aligned(1 << 20, room_bytes * 2), static_cast<void*>(nullptr));
      EXPECT_VERIFIED();
      holder.expect_intact();
      holder.free_all();
      // A snapshot is a mapping, for which there is no room then.
      if (moment != Moment::kFarBelow) EXPECT_EQ(live_blocks(), 0u);
      EXPECT_VERIFIED();
      void* block = allocate(1 << 20);
      if (EXPECT(block != nullptr)) memset(block, 1, 1 << 20);
      EXPECT_EQ(deallocate(block), Misuse::kNone);
    }
    EXPECT_VERIFIED();
  });
  EXPECT_CLEAN(end);
}

bool skip_under_sanitizers() {
  if (harness::kSanitized) harness::skip("sanitizers map far more than any limit");
  return harness::kSanitized;
}

const std::vector<size_t> kMixed = {16, 5000, 100, 40, 100000, 24, 9000, 1 << 20, 300, 70000};

TEST("a limit on address space ends in null for small, middle, large and mixed blocks, and memory comes back") {
  if (skip_under_sanitizers()) return;
  for (size_t room_mib : {16u, 40u, 64u}) {
    for (const std::vector<size_t>& sizes : {std::vector<size_t>{64}, {5000}, {100000}, {3 << 20}, kMixed}) {
      expect_end_and_recovery(RLIMIT_AS, room_mib << 20, sizes, Moment::kFirst);
    }
  }
  expect_end_and_recovery(RLIMIT_AS, 200 << 20, kMixed, Moment::kFirst);
}

TEST("a limit on address space that comes after the first allocation ends the largest blocks, and they come back") {
  if (skip_under_sanitizers()) return;
  expect_end_and_recovery(RLIMIT_AS, 200 << 20, {33 << 20}, Moment::kWarm);
}

TEST("a limit on address space far below what is reserved already holds for what is allocated from then on") {
  if (skip_under_sanitizers()) return;
  for (const std::vector<size_t>& sizes : {std::vector<size_t>{64}, {5000}, {100000}, {3 << 20}, {33 << 20}, kMixed})
    expect_end_and_recovery(RLIMIT_AS, 100 << 20, sizes, Moment::kFarBelow);
}

TEST("where memory is exhausted, each block that is freed can be had again, of whatever page") {
  if (skip_under_sanitizers()) return;
  harness::ChildEnd end = harness::run_in_child([] {
    Holder holder;
    limit_to(RLIMIT_AS, mapped_bytes() + (16 << 20));
    EXPECT(holder.fill({64}) > 4 << 20);
    harness::Random random(harness::seed());
    for (int i = 0; i < 200; i++) {
      void* freed = holder.held()[random.below(holder.held().size())].ptr;
      EXPECT_EQ(deallocate(freed), Misuse::kNone);
      EXPECT_EQ(allocate(64), freed);
      EXPECT_EQ(allocate(64), static_cast<void*>(nullptr));
    }
    EXPECT_VERIFIED();
  });
  EXPECT_CLEAN(end);
}

TEST("a limit on data size ends in null for small, middle, large and mixed blocks, and memory comes back") {
  if (skip_under_sanitizers()) return;
  for (Moment moment : {Moment::kFirst, Moment::kWarm}) {
    for (const std::vector<size_t>& sizes : {std::vector<size_t>{64}, {5000}, {100000}, {3 << 20}, kMixed}) {
      expect_end_and_recovery(RLIMIT_DATA, 48 << 20, sizes, moment);
    }
  }
}

TEST("a runtime that looks into the tables itself is shown pages of the primary region alone") {
  if (skip_under_sanitizers()) return;
  harness::ChildEnd end = harness::run_in_child([] {
    limit_to(RLIMIT_AS, mapped_bytes() + (size_t{1} << 30));
    // What is free above the first header table is where the kernel puts the second.
    constexpr size_t kHoleBytes = 4 << 20;
    void* hole = os::reserve(kHoleBytes);
    Region* primary = region_add(1);
    os::release(hole, kHoleBytes);
    Region* second = region_add(1);
    if (!EXPECT(primary != nullptr && second != nullptr && second->headers > primary->headers)) return;
    auto distance = reinterpret_cast<uintptr_t>(second->headers) - reinterpret_cast<uintptr_t>(primary->headers);
    EXPECT(distance < kScriptPages * sizeof(PageHeader));
    size_t shown = 0, hidden = 0;
    for (size_t i = 0; i < 5 * primary->reserved_bytes / 4096; i++) {
      void* block = allocate(4096);
      if (block == nullptr) break;
      const Arena* arena = arena_now();
      uint32_t size_class = region_of(block)->header_of(block)->size_class;
      uint32_t word = arena->page_word[size_class];
      if (word == 0) hidden++;
      if (word == 0) continue;
      shown++;
      EXPECT_EQ(primary->headers + word / kScriptWordsPerHeader, arena->buckets[size_class].page);
      EXPECT(primary->holds_header(arena->buckets[size_class].page));
    }
    EXPECT(shown > 0 && hidden > 0);
  });
  EXPECT_CLEAN(end);
}

TEST("with no room at all every call is null from the very first, and works once there is room") {
  if (skip_under_sanitizers()) return;
  harness::ChildEnd end = harness::run_in_child([] {
    limit_to(RLIMIT_AS, mapped_bytes());
    for (size_t bytes : {size_t{1}, size_t{5000}, size_t{100000}, size_t{64} << 20}) {
      EXPECT_EQ(allocate(bytes), static_cast<void*>(nullptr));
      EXPECT_EQ(allocate_zeroed(1, bytes), static_cast<void*>(nullptr));
      EXPECT_EQ(allocate_aligned(64, bytes), static_cast<void*>(nullptr));
    }
    EXPECT_EQ(snapshot_take(), static_cast<const Snapshot*>(nullptr));
    EXPECT_VERIFIED();
    limit_to(RLIMIT_AS, RLIM_INFINITY);
    void* block = allocate(1 << 20);
    EXPECT(block != nullptr);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    EXPECT_VERIFIED();
  });
  EXPECT_CLEAN(end);
}

}  // namespace
}  // namespace pagerun
