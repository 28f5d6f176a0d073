// Regions and the system calls below them: what is reserved, what is committed, and that a refusal changes nothing.
#include "core/region.h"

#include <sys/mman.h>

#include "harness.h"
#include "os/fault.h"
#include "os/memory.h"

namespace pagerun {
namespace {

constexpr size_t kSmallRegionBytes = 16 * kStretchBytes;

bool is_mapped(const void* address) {
  unsigned char resident = 0;
  return mincore(const_cast<void*>(address), kOsPageBytes, &resident) == 0;
}

// ThreadSanitizer gives no address by hint, which is how regions below a window are placed.
bool skip_small_regions() {
  if (harness::kThreadSanitizer) harness::skip("ThreadSanitizer refuses mappings at a hint");
  return harness::kThreadSanitizer;
}

TEST("os: committed memory is zero and writable, purged memory is zero again, released memory is gone") {
  constexpr size_t kBytes = 64 << 10;
  auto* at = static_cast<char*>(os::reserve(kBytes));
  EXPECT(at != nullptr && os::commit(at, kBytes));
  for (size_t i = 0; i < kBytes; i++) EXPECT_EQ(at[i], 0);
  memset(at, 0x5a, kBytes);
  EXPECT(os::purge(at, kBytes));
  for (size_t i = 0; i < kBytes; i++) EXPECT_EQ(at[i], 0);
  EXPECT(os::release(at, kBytes));
  EXPECT(!is_mapped(at));
}

TEST("os: reserved memory that was not committed cannot be touched") {
  if (harness::kSanitized) return harness::skip("sanitizers handle the signal themselves");
  harness::ChildEnd end = harness::run_in_child([] { *static_cast<volatile char*>(os::reserve(kOsPageBytes)) = 1; });
  EXPECT_EQ(end.signal, SIGSEGV);
}

TEST("os: reserve_at never replaces what is there") {
  if (skip_small_regions()) return;
  auto* at = static_cast<char*>(os::map(kOsPageBytes));
  *at = 42;
  bool is_taken = false;
  EXPECT_EQ(os::reserve_at(at, kOsPageBytes, &is_taken), static_cast<void*>(nullptr));
  EXPECT(is_taken);
  EXPECT_EQ(*at, 42);
  EXPECT(os::release(at, kOsPageBytes));
  EXPECT_EQ(os::reserve_at(at, kOsPageBytes, &is_taken), static_cast<void*>(at));
  EXPECT(!is_taken);
  os::release(at, kOsPageBytes);
}

TEST("os: remap grows a mapping and keeps its content, and in place only when told so") {
  constexpr size_t kBytes = 16 * kOsPageBytes;
  auto* at = static_cast<char*>(os::map(kBytes));
  for (size_t i = 0; i < kBytes; i++) at[i] = static_cast<char>(i * 7);
  auto* grown = static_cast<char*>(os::remap(at, kBytes, 4 * kBytes, true));
  EXPECT(grown != nullptr);
  for (size_t i = 0; i < kBytes; i++) EXPECT_EQ(grown[i], static_cast<char>(i * 7));
  for (size_t i = kBytes; i < 4 * kBytes; i++) EXPECT_EQ(grown[i], 0);
  EXPECT_EQ(os::remap(grown, 4 * kBytes, kBytes, false), static_cast<void*>(grown));
  EXPECT(os::release(grown, kBytes));
}

TEST("os: refusals are values and leave errno alone") {
  errno = 4711;
  EXPECT_EQ(os::reserve(1ull << 62), static_cast<void*>(nullptr));
  EXPECT_EQ(os::map(1ull << 62), static_cast<void*>(nullptr));
  EXPECT(!os::commit(nullptr, kOsPageBytes));
  EXPECT_EQ(errno, 4711);
}

TEST("os: fail_call fails exactly the n-th call from now on, and as many as it is told") {
  for (uint64_t n = 1; n <= 4; n++) {
    uint64_t before = os::call_count();
    os::fail_call(n, 2);
    for (uint64_t i = 1; i <= 8; i++) {
      void* at = os::map(kOsPageBytes);
      EXPECT_EQ(at == nullptr, i == n || i == n + 1);
      if (at != nullptr) munmap(at, kOsPageBytes);
    }
    EXPECT_EQ(os::call_count(), before + 8);
    os::fail_call(0, 0);
  }
}

TEST("a region is aligned to the window, and page 0 is never handed out") {
  if (skip_small_regions()) return;
  static Region region;
  EXPECT(region.reserve(kSmallRegionBytes, kStretchBytes));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(region.base) % kWindowBytes, 0u);
  PageHeader* first = region.extend(1);
  EXPECT_EQ(first, region.headers + 1);
  EXPECT(!region.was_used(region.headers));
  EXPECT(region.was_used(first));
  EXPECT(!region.was_used(first + 1));
}

TEST("a region commits in whole stretches, with zero pages, headers and bitmaps") {
  static Region region;
  EXPECT(region.reserve(harness::kThreadSanitizer ? kWindowBytes : kSmallRegionBytes, kStretchBytes));
  EXPECT_EQ(region.committed_bytes.load(), 0u);
  EXPECT_EQ(region.metadata_bytes(), 0u);
  PageHeader* page = region.extend(kStretchPages + 3);
  EXPECT(page != nullptr);
  size_t committed = region.committed_bytes.load();
  EXPECT_EQ(committed % kStretchBytes, 0u);
  EXPECT(committed >= (kStretchPages + 4) * kPageBytes);
  EXPECT_EQ(region.metadata_bytes(), committed / kPageBytes * (sizeof(PageHeader) + 2 * kBitmapStride));
  for (size_t i = 0; i < committed / kPageBytes; i++) {
    PageHeader* header = region.headers + i;
    EXPECT(header->kind == PageKind::kNone && header->owner == nullptr);
    EXPECT_EQ(bitmap_count(region.free_bits_of(header), kMaxBlocks), 0u);
    EXPECT_EQ(region.remote_bits_of(header)[kBitmapWords - 1].load(), 0u);
  }
  for (size_t i = 0; i < committed; i += kOsPageBytes) EXPECT_EQ(region.base[i], 0);
  memset(region.base, 0x77, committed);
}

TEST("addresses and headers lead to each other, and no address outside is held") {
  static Region region;
  EXPECT(region.reserve(harness::kThreadSanitizer ? kWindowBytes : kSmallRegionBytes, kStretchBytes));
  EXPECT(region.extend(5) != nullptr);
  size_t committed = region.committed_bytes.load();
  for (size_t offset = 0; offset < committed; offset += 4099) {
    const char* at = region.base + offset;
    EXPECT(region.holds(at));
    PageHeader* page = region.header_of(at);
    EXPECT(region.holds_header(page));
    EXPECT_EQ(region.address_of(page), region.base + offset / kPageBytes * kPageBytes);
  }
  EXPECT(!region.holds(region.base + committed) && !region.holds(region.base - 1) && !region.holds(nullptr));
  EXPECT(!region.holds(reinterpret_cast<void*>(~0ull)) && !region.holds(region.headers));
  EXPECT(!region.holds_header(region.headers - 1) && !region.holds_header(region.headers + committed / kPageBytes));
}

TEST("a full region refuses and stays as it is; its last page can still be had") {
  if (skip_small_regions()) return;
  static Region region;
  EXPECT(region.reserve(kStretchBytes, kStretchBytes));
  EXPECT_EQ(region.pages_left(), kStretchPages - 1);
  EXPECT_EQ(region.extend(kStretchPages), static_cast<PageHeader*>(nullptr));
  EXPECT(region.extend(kStretchPages - 2) != nullptr);
  EXPECT_EQ(region.extend(2), static_cast<PageHeader*>(nullptr));
  EXPECT_EQ(region.extend(1), region.headers + kStretchPages - 1);
  EXPECT_EQ(region.pages_left(), 0u);
  EXPECT_EQ(region.extend(1), static_cast<PageHeader*>(nullptr));
}

TEST("a commit that is refused at any of its calls changes nothing, and works the next time") {
  if (skip_small_regions()) return;
  for (uint64_t n = 1; n <= 4; n++) {
    Region region;
    EXPECT(region.reserve(kSmallRegionBytes, kStretchBytes));
    os::fail_call(n, 1000);
    EXPECT_EQ(region.extend(1), static_cast<PageHeader*>(nullptr));
    os::fail_call(0, 0);
    EXPECT_EQ(region.used_pages, 1u);
    EXPECT_EQ(region.committed_bytes.load(), 0u);
    EXPECT_EQ(region.extend(1), region.headers + 1);
    region.base[kPageBytes] = 1;
  }
}

TEST("a region asks for less and less until it is given something") {
  if (skip_small_regions()) return;
  Region region;
  os::fail_call(1, 6);
  EXPECT(region.reserve(64ull << 30, kStretchBytes));
  os::fail_call(0, 0);
  EXPECT(region.reserved_bytes < 64ull << 30);
  EXPECT(region.reserved_bytes >= kStretchBytes);
  EXPECT(region.extend(1) != nullptr);
}

TEST("a region that gets nothing holds nothing") {
  Region region;
  os::fail_call(1, 100000);
  EXPECT(!region.reserve(1ull << 30, kStretchBytes));
  os::fail_call(0, 0);
  EXPECT_EQ(region.base, static_cast<char*>(nullptr));
  EXPECT_EQ(region.reserved_bytes, 0u);
  EXPECT_EQ(region.extend(1), static_cast<PageHeader*>(nullptr));
  EXPECT(!region.holds(nullptr));
}

TEST("regions are added to the table one behind the other and found by address and by header") {
  harness::ChildEnd end = harness::run_in_child([] {
    Region* first = region_add(1);
    EXPECT(first == &region_table.regions[0] && first->extend(1) != nullptr);
    Region* second = region_add(1);
    EXPECT(second == &region_table.regions[1] && second->extend(1) != nullptr);
    for (Region* region : {first, second}) {
      PageHeader* page = region->headers + 1;
      EXPECT_EQ(region_of(region->address_of(page)), region);
      EXPECT_EQ(&region_of_header(page), region);
    }
    int local = 0;
    EXPECT_EQ(region_of(&local), static_cast<Region*>(nullptr));
    EXPECT_EQ(region_of(nullptr), static_cast<Region*>(nullptr));
  });
  EXPECT_CLEAN(end);
}

TEST("the tables lie between guards that cannot be read or written") {
  if (harness::kSanitized) return harness::skip("sanitizers handle the signal themselves");
  static Region region;
  EXPECT(region.reserve(kStretchBytes, kStretchBytes));
  EXPECT(region.extend(kStretchPages - 1) != nullptr);
  char* ends[] = {reinterpret_cast<char*>(region.headers) - 1,
                  reinterpret_cast<char*>(region.headers + kStretchPages),
                  region.free_bitmaps - 1,
                  region.free_bitmaps + kStretchPages * kBitmapStride,
                  region.remote_bitmaps - 1,
                  region.remote_bitmaps + kStretchPages * kBitmapStride};
  for (char* at : ends) {
    harness::ChildEnd end = harness::run_in_child([at] { *const_cast<volatile char*>(at) = 1; });
    EXPECT_EQ(end.signal, SIGSEGV);
  }
}

}  // namespace
}  // namespace pagerun
