// Every system call refused once, and every one from some call on: nothing dies, what was allocated stays intact, the
// heap is whole, and when the kernel gives again so does the core.
#include "os/fault.h"
#include "abi/core_api.h"
#include "core/run_list.h"
#include "heap.h"
#include "threads.h"

namespace pagerun {
namespace {

struct Held {
  void* ptr;
  size_t bytes;
  uint64_t tag;
};

const size_t kSizes[] = {16, 100, 1000, 5000, 20000, 32768, 70000, 300000, 3 << 20};
constexpr size_t kMappedBytes = 33 << 20;

// A mixed workload that goes on whatever is refused, and knows what it holds.
class Workload {
 public:
  void run() {
    for (int round = 0; round < 3; round++) {
      for (size_t bytes : kSizes) {
        hold(allocate(bytes), bytes);
        hold_zeroed(bytes);
        hold(allocate_aligned(1 << 17, bytes), bytes);
        hold(allocate_aligned(4, 4), 4);
      }
      for (int i = 0; i < 3; i++) hold(allocate(kMappedBytes), kMappedBytes);
      resize_all();
      harness::on_other_thread([this] { elsewhere(); });
      if (round == 1) give_some();
      run_list.give_back(0);
      snapshot_release(snapshot_take());
      expect_intact();
    }
  }

  void expect_intact() const {
    for (const Held& held : held_) EXPECT(has_pattern(held.ptr, held.bytes, held.tag));
  }

  void give_all() {
    expect_intact();
    for (const Held& held : held_) EXPECT_EQ(deallocate(held.ptr), Misuse::kNone);
    held_.clear();
  }

 private:
  void hold(void* ptr, size_t bytes) {
    if (ptr == nullptr) return;
    held_.push_back({ptr, bytes, held_.size() + 1});
    fill_pattern(ptr, bytes, held_.back().tag);
  }

  void hold_zeroed(size_t bytes) {
    void* ptr = allocate_zeroed(1, bytes);
    if (ptr != nullptr) EXPECT(is_zero(ptr, bytes < kPageBytes ? bytes : kPageBytes));
    hold(ptr, bytes);
  }

  void resize_all() {
    for (size_t i = 0; i < held_.size(); i += 3) {
      Held& held = held_[i];
      size_t bytes = held.bytes * 2 + 5000;
      void* ptr = resized(held.ptr, bytes);
      if (ptr == nullptr) continue;
      EXPECT(has_pattern(ptr, held.bytes, held.tag));
      held = {ptr, bytes, held.tag};
      fill_pattern(ptr, bytes, held.tag);
    }
  }

  // On another thread: blocks of its own that outlive it, and frees of ours.
  void elsewhere() {
    for (size_t bytes : {size_t{48}, size_t{3000}, size_t{100000}}) hold(allocate(bytes), bytes);
    give_some();
  }

  void give_some() {
    for (size_t i = 0; i + 1 < held_.size(); i += 2) {
      EXPECT(has_pattern(held_[i].ptr, held_[i].bytes, held_[i].tag));
      EXPECT_EQ(deallocate(held_[i].ptr), Misuse::kNone);
      held_[i] = held_.back();
      held_.pop_back();
    }
  }

  std::vector<Held> held_;
};

// The heap after a refusal: whole; empty once all is freed; and it gives memory again.
void expect_recovery(Workload& workload) {
  EXPECT_VERIFIED();
  workload.give_all();
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
  for (size_t bytes : {size_t{100}, size_t{1} << 20, size_t{33} << 20}) {
    void* block = allocate(bytes);
    if (EXPECT(block != nullptr)) memset(block, 1, 100);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

uint64_t calls_of_workload() {
  // In a child, so that this process's heap stays fresh. The count comes back as text.
  harness::ChildEnd end = harness::run_in_child([] {
    Workload().run();
    fprintf(stderr, "%llu", static_cast<unsigned long long>(os::call_count()));
  });
  EXPECT_CLEAN(end);
  return strtoull(end.output.c_str(), nullptr, 10);
}

// Runs the workload on a fresh heap with `count` calls refused from the n-th on.
void expect_survival(uint64_t n, uint64_t count, bool frees_while_refused) {
  harness::ChildEnd end = harness::run_in_child([=] {
    Workload workload;
    os::fail_call(n, count);
    workload.run();
    if (frees_while_refused) workload.give_all();
    os::fail_call(0, 0);
    expect_recovery(workload);
  });
  if (!EXPECT_CLEAN(end))
    fprintf(stderr, "  %llu calls refused from call %llu on\n", static_cast<unsigned long long>(count),
            static_cast<unsigned long long>(n));
}

// Under sanitizers every step costs more: some of the calls, other ones with every seed.
constexpr uint64_t kStep = harness::kThreadSanitizer ? 8 : harness::kAddressSanitizer ? 3 : 1;
uint64_t first_call() { return 1 + harness::seed() % kStep; }

TEST("the workload makes enough system calls to be worth a refusal of each") { EXPECT(calls_of_workload() > 60); }

TEST("each system call of a mixed workload is refused once, at call 1, 2, 3 and so on to the last") {
  uint64_t calls = calls_of_workload();
  for (uint64_t n = first_call(); n <= calls + kStep; n += kStep) expect_survival(n, 1, false);
}

TEST("two and three calls in a row are refused") {
  uint64_t calls = calls_of_workload();
  for (uint64_t n = first_call(); n <= calls; n += 3 * kStep) expect_survival(n, 2 + n % 2, true);
}

TEST("every call from some call on is refused, until all is over") {
  uint64_t calls = calls_of_workload();
  for (uint64_t n = first_call(); n <= calls; n += 2 * kStep) expect_survival(n, ~0u, n % 4 == 1);
}

TEST("each call is refused once on a heap that has seen refusals before") {
  Workload workload;
  for (uint64_t n = 1; n <= harness::rounds(100); n++) {
    os::fail_call(n, 1);
    workload.run();
    os::fail_call(0, 0);
    if (n % 8 == 0) EXPECT_VERIFIED();
    workload.give_all();
    EXPECT_EQ(live_blocks(), 0u);
  }
  expect_recovery(workload);
}

TEST("the table of the core refuses a call as the bindings' tests ask for it") {
  const CoreApi& api = *core_api_own();
  EXPECT_EQ(api.deallocate(api.allocate(1)), Misuse::kNone);
  uint64_t before = api.system_calls();
  api.fail_system_call(1);
  EXPECT_EQ(api.allocate(64 << 20), static_cast<void*>(nullptr));
  EXPECT(api.system_calls() > before);
  void* block = api.allocate(64 << 20);
  EXPECT(block != nullptr);
  api.fail_system_call(1);
  EXPECT_EQ(api.deallocate(block), Misuse::kNone);
  api.fail_system_call(0);
  EXPECT_EQ(api.deallocate(block), Misuse::kDoubleFree);
  EXPECT_VERIFIED();
}

TEST("refusals while four threads allocate and free leave a whole heap") {
  std::atomic<bool> is_over{false};
  std::thread refuser([&] {
    harness::Random random(harness::seed());
    while (!is_over) {
      os::fail_call(random.between(1, 30), random.between(1, 3));
      std::this_thread::yield();
    }
  });
  harness::on_threads(4, [](size_t) {
    for (uint64_t i = 0; i < harness::rounds(20); i++) {
      Workload workload;
      workload.run();
      workload.give_all();
    }
  });
  is_over = true;
  refuser.join();
  os::fail_call(0, 0);
  EXPECT_EQ(live_blocks(), 0u);
  Workload workload;
  expect_recovery(workload);
}

}  // namespace
}  // namespace pagerun
