// Two thousand system calls, each refused once: nothing dies, what was allocated stays intact, and once all is freed a
// block of 1 MiB can be had again. The workload makes many calls and touches little memory, so that every number is
// walked in seconds. Options: --every n (each n-th call; 1 is all), --calls n (up to this one).
#include <sys/mman.h>

#include "core/block_hold.h"
#include "core/made_arena.h"
#include "core/mapping_table.h"
#include "core/range_table.h"
#include "core/run_list.h"
#include "heap.h"
#include "os/fault.h"
#include "threads.h"

namespace pagerun {
namespace {

constexpr uint64_t kCalls = 2000;
constexpr int kRounds = 130, kRoundsOfAThread = 26;
constexpr size_t kSizes[] = {24, 200, 5000, 20000, 70000, 300000};
constexpr size_t kMappedBytes = 33 << 20, kWideAlignment = 16 << 20;
constexpr size_t kKeptBlocks = 24;

struct Held {
  void* ptr;
  size_t bytes;
  uint64_t tag;
};

// What is allocated carries a pattern at both ends; a refusal is taken as it comes.
class Workload {
 public:
  void run() {
    for (int round = 0; round < kRounds; round++) {
      for (size_t bytes : kSizes) hold(allocate(bytes), bytes);
      hold_mapped();
      resize_one();
      use_made_arena();
      use_holds();
      use_range();
      if (round % kRoundsOfAThread == 0) harness::on_other_thread([this] { elsewhere(); });
      give(kKeptBlocks);
      run_list.give_back(0);
    }
  }

  void give(size_t kept) {
    while (held_.size() > kept) {
      size_t at = tag_ * 7 % held_.size();
      expect_ends(held_[at]);
      EXPECT_EQ(deallocate(held_[at].ptr), Misuse::kNone);
      held_[at] = held_.back();
      held_.pop_back();
    }
    for (const Held& held : held_) expect_ends(held);
  }

 private:
  static constexpr size_t kEndBytes = 8;

  static void fill_ends(const Held& held) {
    fill_pattern(held.ptr, kEndBytes, held.tag);
    fill_pattern(static_cast<char*>(held.ptr) + held.bytes - kEndBytes, kEndBytes, held.tag);
  }

  static void expect_ends(const Held& held) {
    EXPECT(has_pattern(held.ptr, kEndBytes, held.tag));
    EXPECT(has_pattern(static_cast<char*>(held.ptr) + held.bytes - kEndBytes, kEndBytes, held.tag));
  }

  void hold(void* ptr, size_t bytes) {
    if (ptr == nullptr) return;
    held_.push_back({ptr, bytes, ++tag_});
    fill_ends(held_.back());
  }

  void hold_mapped() {
    hold(allocate(kMappedBytes), kMappedBytes);
    hold(allocate_aligned(kWideAlignment, kMappedBytes), kMappedBytes);
    hold(allocate_aligned(1 << 17, 5000), 5000);
    void* zeroed = allocate_zeroed(1, kMappedBytes);
    if (zeroed != nullptr) EXPECT(is_zero(zeroed, 64));
    hold(zeroed, kMappedBytes);
  }

  void resize_one() {
    if (held_.empty()) return;
    for (size_t at : {held_.size() - 1, held_.size() / 2}) {
      Held& held = held_[at];
      size_t bytes = held.bytes + held.bytes / 2;
      void* ptr = resized(held.ptr, bytes);
      if (ptr == nullptr) {
        expect_ends(held);
        continue;
      }
      EXPECT(has_pattern(ptr, kEndBytes, held.tag));
      held = {ptr, bytes, held.tag};
      fill_ends(held);
    }
  }

  static void use_made_arena() {
    MadeArena* arena = made_arena_make(kNoLimit, "sweep", 5);
    if (arena == nullptr) return;
    for (size_t bytes : {size_t{100}, size_t{70000}, kMappedBytes}) {
      Refusal refusal = Refusal::kNone;
      void* ptr = made_arena_take(arena, bytes, kMaxAlignBytes, &refusal);
      if (ptr == nullptr) {
        EXPECT_EQ(refusal, Refusal::kMemory);
      } else {
        memset(ptr, 1, 64);
      }
    }
    made_arena_destroy(arena);
  }

  // Memory that a view reaches is freed and stays until the view lets go.
  static void use_holds() {
    for (size_t bytes : {size_t{200}, size_t{70000}, kMappedBytes}) {
      auto* ptr = static_cast<char*>(allocate(bytes));
      if (ptr == nullptr) continue;
      memset(ptr, 7, 64);
      void* start = nullptr;
      bool is_held = block_hold(ptr, bytes, &start) == HoldStatus::kHeld;
      EXPECT_EQ(deallocate(ptr), Misuse::kNone);
      if (!is_held) continue;
      EXPECT(ptr[0] == 7 || ptr[0] == 0);  // a mapping gives its content back, and keeps its address
      block_let_go(start);
    }
  }

  static void use_range() {
    void* start = nullptr;
    RangeOptions options = {os::Protection::kReadWrite, false, false, true};
    if (range_table.take(3 * kOsPageBytes, options, &start) != RangeStatus::kDone) return;
    auto* bytes = static_cast<char*>(start);
    bytes[0] = 1;
    range_table.protect(bytes + kOsPageBytes, kOsPageBytes, os::Protection::kRead);
    range_table.protect(bytes, kOsPageBytes, os::Protection::kReadWrite);
    EXPECT_EQ(bytes[0], 1);
    EXPECT_EQ(range_table.put(start), Misuse::kNone);
  }

  // Blocks that outlive their thread, and frees of others'.
  void elsewhere() {
    for (size_t bytes : {size_t{48}, size_t{3000}, size_t{100000}}) hold(allocate(bytes), bytes);
    give(kKeptBlocks);
    use_made_arena();
  }

  std::vector<Held> held_;
  uint64_t tag_ = 0;
};

void expect_recovery(Workload& workload) {
  EXPECT_VERIFIED();
  workload.give(0);
  EXPECT_EQ(live_blocks(), 0u);
  void* block = allocate(1 << 20);
  if (EXPECT(block != nullptr)) memset(block, 1, 1 << 20);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_VERIFIED();
}

// The workload on a fresh heap, with `count` calls refused from the n-th on.
void expect_survival(uint64_t n, uint64_t count) {
  harness::ChildEnd end = harness::run_in_child([=] {
    Workload workload;
    os::fail_call(n, count);
    workload.run();
    os::fail_call(0, 0);
    expect_recovery(workload);
  });
  if (!EXPECT_CLEAN(end))
    fprintf(stderr, "  %llu calls refused from call %llu on\n", static_cast<unsigned long long>(count),
            static_cast<unsigned long long>(n));
}

uint64_t last_call() { return harness::option("--calls", kCalls); }
uint64_t step() { return harness::option("--every", harness::kSanitized ? 199 : 29); }
uint64_t first_call() { return 1 + harness::seed() % step(); }

TEST("the workload makes more system calls than are refused") {
  uint64_t before = os::call_count();
  Workload workload;
  workload.run();
  EXPECT_AT_MOST(last_call(), os::call_count() - before);
  expect_recovery(workload);
}

TEST("each system call up to the two thousandth is refused once") {
  for (uint64_t n = first_call(); n <= last_call(); n += step()) expect_survival(n, 1);
}

TEST("from each system call on three are refused, and ever more") {
  for (uint64_t n = first_call(); n <= last_call(); n += 4 * step()) {
    expect_survival(n, 3);
    expect_survival(n, n);
  }
}

// Every second OS page with another protection is a mapping of its own: the kernel's limit is reached, with hardly any
// memory in use.
bool exhaust_map_count(std::vector<char*>& ranges) {
  constexpr size_t kPages = 1 << 16;
  for (int range = 0; range < 64; range++) {
    void* got = mmap(nullptr, kPages * kOsPageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED) return true;
    ranges.push_back(static_cast<char*>(got));
    for (size_t page = 0; page < kPages; page += 2) {
      if (mprotect(ranges.back() + page * kOsPageBytes, kOsPageBytes, PROT_READ) != 0) return true;
    }
  }
  return false;
}

TEST("with the map count exhausted the heap refuses, goes on with what it has, and recovers") {
  if (harness::kSanitized) return harness::skip("the sanitizers' own memory needs mappings");
  Workload workload;
  void* kept = allocate(40 << 20);
  fill_pattern(kept, 40 << 20, 3);
  EXPECT_EQ(deallocate(allocate(100)), Misuse::kNone);  // there is a region from now on
  std::vector<char*> ranges;
  ranges.reserve(64);
  if (!exhaust_map_count(ranges))
    return harness::skip("this system's limit on the map count is too high to be reached");
  for (int i = 0; i < 100; i++) {
    for (size_t bytes : kSizes) {
      void* ptr = allocate(bytes);
      if (ptr != nullptr) memset(ptr, 1, bytes);
      EXPECT_EQ(deallocate(ptr), Misuse::kNone);
    }
  }
  // What a region has to give is no mapping more, and ends no sooner, with guards or without.
  std::vector<void*> blocks;
  for (int i = 0; i < 200; i++) blocks.push_back(allocate(100'000));
  for (void* ptr : blocks) {
    if (EXPECT(ptr != nullptr)) memset(ptr, 1, 100'000);
    EXPECT_EQ(deallocate(ptr), Misuse::kNone);
  }
  // Null, unless the kernel can make a neighbour longer.
  void* mapped = allocate(kMappedBytes);
  if (mapped != nullptr) fill_pattern(mapped, kMappedBytes, 4);
  EXPECT_EQ(deallocate(mapped), Misuse::kNone);
  EXPECT(has_pattern(kept, 40 << 20, 3));
  EXPECT_EQ(deallocate(kept), Misuse::kNone);
  EXPECT_VERIFIED();
  for (char* range : ranges) munmap(range, (1 << 16) * kOsPageBytes);
  workload.run();
  expect_recovery(workload);
}

}  // namespace
}  // namespace pagerun
