// The table of ranges: random mapping, protection and unmapping against a model of single OS pages and against the
// kernel itself; holds and pins; refusals of every call.
#include "core/range_table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>

#include "base/bits.h"
#include "base/config.h"
#include "harness.h"
#include "inspect/snapshot.h"
#include "inspect/verify.h"
#include "os/fault.h"
#include "threads.h"

namespace pagerun {
namespace {

using os::Protection;

constexpr size_t kUnit = kOsPageBytes;
constexpr RangeOptions kPlain = {Protection::kReadWrite, false, false, false};
constexpr RangeOptions kGuarded = {Protection::kReadWrite, false, false, true};

// What the kernel lets the process do at an address: system calls answer EFAULT where an access would be a signal.
Protection protection_of(const void* address) {
  static int ends[2] = {-1, -1};
  if (ends[0] < 0 && pipe(ends) != 0) return Protection::kNone;
  if (write(ends[1], address, 1) != 1) return Protection::kNone;
  return read(ends[0], const_cast<void*>(address), 1) == 1 ? Protection::kReadWrite : [] {
    char byte;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    return Protection::kRead;
  }();
}

bool is_mapped(const void* address) {
  unsigned char resident = 0;
  return mincore(const_cast<void*>(address), kUnit, &resident) == 0;
}

void expect_verified() {
  Verdict verdict = verify();
  if (!EXPECT(verdict.invariant == nullptr)) fprintf(stderr, "  %s\n", verdict.invariant);
}

char* taken(size_t bytes, const RangeOptions& options = kPlain) {
  void* start = nullptr;
  EXPECT(range_table.take(bytes, options, &start) == RangeStatus::kDone);
  return static_cast<char*>(start);
}

void expect_put(char* start) { EXPECT_EQ(range_table.put(start), Misuse::kNone); }

// First address of a range -> protection of each of its OS pages.
using Model = std::map<char*, std::vector<Protection>>;

void expect_range(char* start, const std::vector<Protection>& pages) {
  Range range = {};
  EXPECT(range_table.find(start, &range) && range.address == start && range.bytes == pages.size() * kUnit);
  for (size_t i = 0; i < pages.size(); i++) {
    char* at = start + i * kUnit;
    EXPECT(protection_of(at + kUnit - 1) == pages[i]);
    size_t first = i, end = i + 1;
    while (first > 0 && pages[first - 1] >= pages[i]) first--;
    while (end < pages.size() && pages[end] >= pages[i]) end++;
    RangePart part = {};
    EXPECT(range_table.find_allowing(at + 5, pages[i], &part));
    EXPECT(part.address == start + first * kUnit && part.bytes == (end - first) * kUnit);
    bool is_writable = range_table.hold(at, kUnit, Protection::kReadWrite);
    EXPECT_EQ(is_writable, pages[i] == Protection::kReadWrite);
    if (is_writable) range_table.let_view_go(at), range_table.unpin(at);
  }
}

void protect_at_random(harness::Random& random, char* start, std::vector<Protection>& pages) {
  size_t first = random.below(pages.size()), count = random.between(1, pages.size() - first);
  auto protection = static_cast<Protection>(random.below(3));
  EXPECT(range_table.protect(start + first * kUnit, count * kUnit, protection) == RangeStatus::kDone);
  for (size_t i = first; i < first + count; i++) pages[i] = protection;
}

TEST("random take, protect and put agree with a model of single OS pages, and with the kernel") {
  harness::Random random(harness::seed());
  Model model;
  for (uint64_t step = 0; step < harness::rounds(3000); step++) {
    auto chosen = model.begin();
    if (!model.empty()) std::advance(chosen, static_cast<long>(random.below(model.size())));
    uint64_t kind = random.below(10);
    if (model.empty() || (kind < 3 && model.size() < 40)) {
      size_t pages = random.between(1, 30);
      auto protection = static_cast<Protection>(random.below(3));
      char* start = taken(pages * kUnit - random.below(kUnit), {protection, random.one_in(4), false, random.one_in(2)});
      EXPECT(model.emplace(start, std::vector<Protection>(pages, protection)).second);
    } else if (kind < 5) {
      expect_put(chosen->first);
      model.erase(chosen);
    } else {
      protect_at_random(random, chosen->first, chosen->second);
    }
    if (step % 32 == 0 && !model.empty()) expect_range(model.rbegin()->first, model.rbegin()->second);
    if (step % 32 == 0) expect_verified();
  }
  for (auto& [start, pages] : model) {
    expect_range(start, pages);
    expect_put(start);
  }
  EXPECT_EQ(range_table.ranges().count() + range_table.parts().count() + range_table.total_bytes(), 0u);
}

TEST("guards are one OS page on each side that nobody may touch") {
  char* start = taken(3 * kUnit, kGuarded);
  EXPECT(protection_of(start) == Protection::kReadWrite &&
         protection_of(start + 3 * kUnit - 1) == Protection::kReadWrite);
  for (char* guard : {start - 1, start - kUnit, start + 3 * kUnit, start + 4 * kUnit - 1}) {
    EXPECT(is_mapped(reinterpret_cast<void*>(round_down(reinterpret_cast<uintptr_t>(guard), kUnit))));
    EXPECT(protection_of(guard) == Protection::kNone);
  }
  Range range = {};
  EXPECT(!range_table.find(start - 1, &range) && !range_table.find(start + 3 * kUnit, &range));
  EXPECT(range_table.protect(start - kUnit, kUnit, Protection::kReadWrite) == RangeStatus::kOutOfBounds);
  expect_put(start);
  EXPECT(!is_mapped(start - kUnit) && !is_mapped(start) && !is_mapped(start + 3 * kUnit));
}

TEST("a range for huge OS pages starts at a multiple of their size and costs no more address space") {
  for (bool has_guards : {false, true}) {
    char* start = taken(os::kHugePageBytes, {Protection::kReadWrite, true, false, has_guards});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(start) % os::kHugePageBytes, 0u);
    memset(start, 1, os::kHugePageBytes);
    expect_put(start);
    EXPECT(!is_mapped(start) && !is_mapped(start + os::kHugePageBytes - kUnit));
  }
}

TEST("a range that was locked is in memory at once") {
  if (harness::kSanitized) return;  // sanitizers make mlock do nothing
  char* start = taken(4 * kUnit, {Protection::kReadWrite, false, true, false});
  uint8_t resident[4] = {};
  EXPECT_EQ(os::find_resident(start, sizeof(resident) * kUnit, resident), 0);
  for (uint8_t page : resident) EXPECT_EQ(page, 1);
  int error = 0;
  EXPECT(range_table.advise(start, kUnit, os::Advice::kDontNeed, &error) == RangeStatus::kRefused);
  EXPECT_EQ(error, EINVAL);
  expect_put(start);
}

TEST("what is not all in one range is out of bounds; what is no start of one is a misuse") {
  char* start = taken(2 * kUnit, kGuarded);
  int local = 0, error = 0;
  void* wild[] = {&local, nullptr, reinterpret_cast<void*>(~0ull << 12), reinterpret_cast<void*>(1ull << 63)};
  for (void* ptr : wild) {
    Range range = {};
    RangePart part = {};
    EXPECT(!range_table.find(ptr, &range) && !range_table.find_allowing(ptr, Protection::kNone, &part));
    EXPECT(!range_table.hold(ptr, 0, Protection::kNone));
    EXPECT(range_table.protect(ptr, kUnit, Protection::kRead) == RangeStatus::kOutOfBounds);
    EXPECT(range_table.advise(ptr, kUnit, os::Advice::kDontNeed, &error) == RangeStatus::kOutOfBounds);
    EXPECT_EQ(range_table.put(ptr), Misuse::kForeignPointer);
  }
  EXPECT(!range_table.hold(start, 2 * kUnit + 1, Protection::kRead) &&
         !range_table.hold(start + 1, 2 * kUnit, Protection::kRead));
  EXPECT(!range_table.hold(start + 1, SIZE_MAX, Protection::kRead));
  EXPECT(range_table.protect(start + kUnit, 2 * kUnit, Protection::kRead) == RangeStatus::kOutOfBounds);
  EXPECT_EQ(range_table.put(start + 1), Misuse::kInteriorPointer);
  EXPECT_EQ(range_table.put(start + kUnit), Misuse::kInteriorPointer);
  expect_put(start);
  EXPECT_EQ(range_table.put(start), Misuse::kDoubleFree);
}

TEST("sizes that no machine has are refused as memory that is not there") {
  for (size_t bytes : {SIZE_MAX, SIZE_MAX - kUnit, size_t{1} << 63, (size_t{1} << 63) - 1, size_t{1} << 47}) {
    void* start = &start;
    EXPECT(range_table.take(bytes, {Protection::kReadWrite, true, false, true}, &start) == RangeStatus::kOutOfMemory);
    EXPECT_EQ(start, static_cast<void*>(nullptr));
  }
  expect_verified();
}

TEST("a held range keeps what its holders reach: no protection takes it away, and its address outlives its unmapping") {
  char* start = taken(4 * kUnit);
  EXPECT(range_table.hold(start + kUnit, 10, Protection::kReadWrite));
  EXPECT(range_table.protect(start, kUnit, Protection::kRead) == RangeStatus::kInUse);
  EXPECT(range_table.protect(start, kUnit, Protection::kReadWrite) == RangeStatus::kDone);
  start[kUnit] = 77;
  expect_put(start);
  expect_verified();
  EXPECT_EQ(start[kUnit], 0);  // the memory has gone
  start[kUnit] = 78;           // and what still writes here does no harm
  EXPECT_EQ(range_table.put(start), Misuse::kDoubleFree);
  Range range = {};
  EXPECT(!range_table.find(start, &range) && !range_table.hold(start, 1, Protection::kRead));
  range_table.let_view_go(start + kUnit);
  EXPECT(is_mapped(start));
  range_table.unpin(start + kUnit);
  EXPECT(!is_mapped(start));
  EXPECT_EQ(range_table.put(start), Misuse::kDoubleFree);
}

TEST("a view that was let go does not stand in the way of a protection, though its pin is still there") {
  char* start = taken(kUnit);
  EXPECT(range_table.hold(start, kUnit, Protection::kReadWrite));
  range_table.pin(start);
  range_table.let_view_go(start);
  EXPECT(range_table.protect(start, kUnit, Protection::kNone) == RangeStatus::kDone);
  expect_put(start);
  range_table.unpin(start);
  EXPECT(is_mapped(start));
  range_table.unpin(start);
  EXPECT(!is_mapped(start));
}

TEST("a hold for reading is had where reading is allowed, also across parts; one for writing is not") {
  char* start = taken(3 * kUnit);
  EXPECT(range_table.protect(start + kUnit, kUnit, Protection::kRead) == RangeStatus::kDone);
  EXPECT(range_table.hold(start, 3 * kUnit, Protection::kRead));
  range_table.let_view_go(start), range_table.unpin(start);
  EXPECT(!range_table.hold(start, kUnit + 1, Protection::kReadWrite));
  EXPECT(!range_table.hold(start + kUnit, 0, Protection::kReadWrite));
  EXPECT(range_table.protect(start + 2 * kUnit, kUnit, Protection::kNone) == RangeStatus::kDone);
  EXPECT(!range_table.hold(start, 2 * kUnit + 1, Protection::kRead));
  expect_put(start);
}

TEST("advice reaches the kernel: content that is not needed is gone, and its OS pages are not in memory") {
  char* start = taken(8 * kUnit);
  memset(start, 1, 8 * kUnit);
  int error = 0;
  EXPECT(range_table.advise(start + 2 * kUnit, 3 * kUnit, os::Advice::kDontNeed, &error) == RangeStatus::kDone);
  uint8_t resident[8] = {};
  EXPECT_EQ(os::find_resident(start, 8 * kUnit, resident), 0);
  for (size_t i = 0; i < 8; i++) EXPECT_EQ(resident[i], i < 2 || i >= 5);
  EXPECT_EQ(start[2 * kUnit], 0);
  EXPECT_EQ(start[5 * kUnit], 1);
  expect_put(start);
}

TEST("a snapshot has the ranges with their parts, and not those that only pins keep") {
  char* start = taken(4 * kUnit, kGuarded);
  char* gone = taken(kUnit);
  EXPECT(range_table.hold(gone, 1, Protection::kRead));
  expect_put(gone);
  EXPECT(range_table.protect(start + kUnit, kUnit, Protection::kNone) == RangeStatus::kDone);
  const Snapshot* snapshot = snapshot_take();
  if (!EXPECT(snapshot != nullptr && snapshot->range_count == 1 && snapshot->part_count == 3)) return;
  EXPECT_EQ(snapshot->ranges[0].address, reinterpret_cast<uint64_t>(start));
  EXPECT_EQ(snapshot->ranges[0].guard_bytes, kUnit);
  for (size_t i = 0; i < 3; i++) EXPECT_EQ(snapshot->parts[i].protection, i == 1 ? 0u : 2u);
  EXPECT(snapshot->totals.ranges == 1 && snapshot->totals.range_bytes == 4 * kUnit);
  EXPECT(memory_totals().ranges == 1 && memory_totals().range_bytes == 4 * kUnit);
  snapshot_release(snapshot);
  range_table.let_view_go(gone), range_table.unpin(gone);
  expect_put(start);
}

// Everything that makes system calls, with whatever of it is refused.
void work() {
  void* start = nullptr;
  RangeStatus status = range_table.take(8 * kUnit, {Protection::kRead, true, true, true}, &start);
  if (status != RangeStatus::kDone) {
    EXPECT(start == nullptr && (status == RangeStatus::kOutOfMemory || status == RangeStatus::kLockLimit));
    return;
  }
  auto* bytes = static_cast<char*>(start);
  int error = 0;
  range_table.protect(bytes + kUnit, 2 * kUnit, Protection::kReadWrite);
  range_table.advise(bytes, 8 * kUnit, os::Advice::kWillNeed, &error);
  bool is_held = range_table.hold(bytes, 8 * kUnit, Protection::kRead);
  EXPECT(is_held);
  EXPECT_EQ(range_table.put(bytes), Misuse::kNone);
  if (is_held) range_table.let_view_go(bytes), range_table.unpin(bytes);
}

TEST("every system call refused once leaves the table whole, and what was refused undone") {
  for (uint64_t n = 1; n <= 16; n++) {
    os::fail_call(n, 1);
    work();
    os::fail_call(0, 0);
    EXPECT_EQ(range_table.ranges().count() + range_table.parts().count(), 0u);
    expect_verified();
  }
  os::fail_call(1, 1000);
  work();
  os::fail_call(0, 0);
  expect_verified();
}

TEST("a refused protection leaves the OS pages as they were") {
  char* start = taken(4 * kUnit);
  for (uint64_t n = 1; n <= 2; n++) {
    os::fail_call(n, 1);
    bool is_done = range_table.protect(start + kUnit, kUnit, Protection::kRead) == RangeStatus::kDone;
    os::fail_call(0, 0);
    EXPECT(protection_of(start + kUnit) == (is_done ? Protection::kRead : Protection::kReadWrite));
    EXPECT_EQ(range_table.hold(start, 4 * kUnit, Protection::kReadWrite), !is_done);
    if (!is_done) range_table.let_view_go(start), range_table.unpin(start);
  }
  expect_verified();
  expect_put(start);
}

TEST("threads that map, protect and unmap at the same time do not meet") {
  harness::on_threads(4, [](size_t thread) {
    harness::Random random(harness::seed() + thread);
    for (uint64_t i = 0; i < harness::rounds(2000); i++) {
      char* start = taken(4 * kUnit, random.one_in(2) ? kGuarded : kPlain);
      start[0] = static_cast<char>(thread);
      EXPECT(range_table.protect(start + kUnit, 2 * kUnit, Protection::kNone) == RangeStatus::kDone);
      EXPECT(range_table.hold(start, 1, Protection::kReadWrite));
      EXPECT(start[0] == static_cast<char>(thread));
      range_table.let_view_go(start), range_table.unpin(start);
      expect_put(start);
    }
  });
  EXPECT_EQ(range_table.ranges().count(), 0u);
  expect_verified();
}

}  // namespace
}  // namespace pagerun
