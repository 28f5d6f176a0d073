#include "region.h"

#include "../base/check.h"
#include "../harden/policy.h"
#include "../os/memory.h"
#include "thread_arena.h"

namespace pagerun {

RegionTable region_table;
uintptr_t primary_base = 0;
size_t primary_committed_bytes = 0;
PageHeader* primary_headers = nullptr;
size_t primary_local_bytes = 0;
size_t primary_replaceable_bytes = 0;
ptrdiff_t primary_bitmaps_distance = 0;
char* primary_slack_table = nullptr;

namespace {

constexpr int kPlacementTries = 8;
constexpr size_t kLargestCommitStepBytes = 64 << 20;
constexpr size_t kCommitShare = 8;    // a step commits this part of what is committed already
constexpr size_t kLimitedShare = 16;  // under a limit on address space a region takes this part of it

constexpr size_t header_bytes(size_t bytes) { return bytes / kPageBytes * sizeof(PageHeader); }
constexpr size_t bitmap_bytes(size_t bytes) { return bytes / kPageBytes * kBitmapStride; }
constexpr size_t slack_bytes(size_t bytes) { return bytes / kPageBytes * kSlackStride; }

// Address space for one region at a multiple of the window. Small regions are placed by hint, so that a process with a
// limit on its address space need not have a whole window to spare.
char* reserve_aligned(size_t bytes) {
  if (bytes >= kWindowBytes) {
    auto* raw = static_cast<char*>(os::reserve(bytes + kWindowBytes));
    if (raw == nullptr) return nullptr;
    auto* base = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(raw), kWindowBytes));
    if (base > raw) os::release(raw, static_cast<size_t>(base - raw));
    size_t behind = kWindowBytes - static_cast<size_t>(base - raw);
    if (behind > 0) os::release(base + bytes, behind);
    return base;
  }
  constexpr uintptr_t kLowest = 1ull << 32, kChoice = 1ull << 46;  // of the user's half of a 47-bit address space
  bool is_taken = true;
  for (int i = 0; i < kPlacementTries && is_taken; i++) {
    uintptr_t hint = round_down(kLowest + os::random_bits() % kChoice, kWindowBytes);
    if (void* got = os::reserve_at(reinterpret_cast<void*>(hint), bytes, &is_taken)) return static_cast<char*>(got);
  }
  return nullptr;
}

constexpr size_t kLeastTablePages = 16;  // of a run: less is hardly an OS page of each table

// The OS pages that lie wholly between the two.
void purge_between(const void* start, const void* end) {
  uintptr_t from = round_up(reinterpret_cast<uintptr_t>(start), kOsPageBytes);
  uintptr_t to = round_down(reinterpret_cast<uintptr_t>(end), kOsPageBytes);
  if (from < to) os::purge(reinterpret_cast<void*>(from), to - from);
}

std::atomic<bool> is_replaceable_served{false};

// The kernel counts the whole of a region against a limit on address space, and would let all of it be committed where
// the limit came later.
bool is_within_limit(size_t more_bytes) {
  size_t limit = os::address_space_limit(), committed = 0;
  if (limit == SIZE_MAX) return true;
  uint32_t count = region_table.count.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < count; i++)
    committed += region_table.regions[i].committed_bytes.load(std::memory_order_relaxed);
  return committed <= limit && more_bytes <= limit - committed;
}

// Not where the fast path of free could not tell whose thread it is on.
void primary_publish(const Region& region) {
  if (!arena_place_find()) return;
  store_relaxed(primary_base, reinterpret_cast<uintptr_t>(region.base));
  store_relaxed(primary_headers, region.headers);
  store_relaxed(primary_bitmaps_distance, region.remote_bitmaps - region.free_bitmaps);
  size_t committed_bytes = region.committed_bytes.load(std::memory_order_relaxed);
  // release: pairs with nothing, only keeps this store behind the two above
  __atomic_store_n(&primary_committed_bytes, committed_bytes, __ATOMIC_RELEASE);
  size_t local_bytes = load_shared(process_policies) == 0 ? committed_bytes : 0;
  __atomic_store_n(&primary_local_bytes, local_bytes, __ATOMIC_RELEASE);
  if (is_replaceable_served.load(std::memory_order_relaxed))
    __atomic_store_n(&primary_replaceable_bytes, local_bytes, __ATOMIC_RELEASE);
}

}  // namespace

void primary_serve_replaceable() {
  is_replaceable_served.store(true, std::memory_order_relaxed);
  __atomic_store_n(&primary_replaceable_bytes, load_shared(primary_local_bytes), __ATOMIC_RELEASE);
}

bool Region::reserve_tables() {
  size_t headers_bytes = header_bytes(reserved_bytes), bits_bytes = bitmap_bytes(reserved_bytes);
  table_bytes = headers_bytes + 2 * bits_bytes + 4 * kTableGuardBytes;
  auto* tables = static_cast<char*>(os::reserve(table_bytes));
  if (tables == nullptr) return false;
  os::refuse_huge(tables, table_bytes);  // of which little is ever used, here and there
  headers = reinterpret_cast<PageHeader*>(tables + kTableGuardBytes);
  free_bitmaps = tables + 2 * kTableGuardBytes + headers_bytes;
  remote_bitmaps = free_bitmaps + bits_bytes + kTableGuardBytes;
  return true;
}

bool Region::reserve(size_t want_bytes, size_t least_bytes) {
  for (size_t bytes = want_bytes; bytes >= least_bytes; bytes /= 2) {
    store_relaxed(base, reserve_aligned(bytes));
    if (base == nullptr) continue;
    reserved_bytes = bytes;
    if (reserve_tables()) {
      // At once: a limit on address space may come before the first page. This may be the process's very first call.
      policies_choose();
      if (load_shared(process_policies) != 0) keep_slack();
      used_pages = 1;  // page 0 stays unused: no page has a neighbour outside the table
      return true;
    }
    os::release(base, bytes);
  }
  store_relaxed(base, nullptr);
  reserved_bytes = 0;
  return false;
}

bool Region::commit_to(size_t bytes) {
  size_t from = committed_bytes.load(std::memory_order_relaxed), more = bytes - from;
  if (!is_within_limit(more)) return false;
  bool all = os::commit(base + from, more) &&
             os::commit(reinterpret_cast<char*>(headers) + header_bytes(from), header_bytes(more)) &&
             os::commit(free_bitmaps + bitmap_bytes(from), bitmap_bytes(more)) &&
             os::commit(remote_bitmaps + bitmap_bytes(from), bitmap_bytes(more)) &&
             (slack_table == nullptr || os::commit(slack_table + slack_bytes(from), slack_bytes(more)));
  if (!all) return false;
  committed_bytes.store(bytes, std::memory_order_release);
  if (this == &region_table.regions[0]) primary_publish(*this);
  return true;  // a part that was committed before the refusal is committed again next time
}

bool Region::keep_slack() {
  if (slack_table != nullptr) return true;
  size_t bytes = slack_bytes(reserved_bytes) + 2 * kTableGuardBytes;
  auto* table = static_cast<char*>(os::reserve(bytes));
  if (table == nullptr) return false;
  size_t committed = committed_bytes.load(std::memory_order_relaxed);
  if (committed > 0 && !os::commit(table + kTableGuardBytes, slack_bytes(committed))) {
    os::release(table, bytes);
    return false;
  }
  slack_table = table + kTableGuardBytes;
  if (this == &region_table.regions[0]) store_relaxed(primary_slack_table, slack_table);
  table_bytes += bytes;
  return true;
}

PageHeader* Region::extend(size_t pages) {
  if (pages > pages_left()) return nullptr;
  size_t committed = committed_bytes.load(std::memory_order_relaxed);
  size_t need = round_up((used_pages + pages) * kPageBytes, kStretchBytes);
  if (need > committed) {
    size_t step = round_down(committed / kCommitShare, kStretchBytes);
    if (step > kLargestCommitStepBytes) step = kLargestCommitStepBytes;
    size_t generous = need + step < reserved_bytes ? need + step : reserved_bytes;
    if (!commit_to(generous) && (generous == need || !commit_to(need))) return nullptr;
  }
  PageHeader* first = headers + used_pages;
  store_relaxed(used_pages, used_pages + pages);
  return first;
}

// All that is reserved: what is committed later would else be another kind of memory to the kernel, and a mapping more.
// A refusal is not asked about again: most are of kernels without huge pages.
void Region::keep_small() {
  if (is_small.load(std::memory_order_relaxed)) return;
  is_small.store(true, std::memory_order_relaxed);
  os::refuse_huge(base, reserved_bytes);
}

void Region::purge_tables(const PageHeader* first, size_t pages) {
  if (pages < kLeastTablePages) return;
  purge_between(free_bits_of(first), free_bits_of(first + pages));
  purge_between(remote_bits_of(first), remote_bits_of(first + pages));
  if (slack_table != nullptr) purge_between(slack_of(first), slack_of(first + pages));
}

size_t Region::metadata_bytes() const {
  size_t committed = committed_bytes.load(std::memory_order_relaxed);
  return header_bytes(committed) + 2 * bitmap_bytes(committed) + (slack_table == nullptr ? 0 : slack_bytes(committed));
}

Region* region_of(const void* ptr) {
  uint32_t count = region_table.count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; i++) {
    if (region_table.regions[i].holds(ptr)) return &region_table.regions[i];
  }
  return nullptr;
}

Region* region_with_header(const PageHeader* page) {
  uint32_t count = region_table.count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; i++) {
    Region& region = region_table.regions[i];
    if (!region.holds_header(page)) continue;
    auto distance = reinterpret_cast<uintptr_t>(page) - reinterpret_cast<uintptr_t>(region.headers);
    return distance % sizeof(PageHeader) == 0 ? &region : nullptr;
  }
  return nullptr;
}

Region& region_of_header(const PageHeader* page) {
  Region* region = region_with_header(page);
  CHECK_AT(region != nullptr, "a header belongs to a region", page);
  return *region;
}

bool is_limit_below_reserved() {
  size_t reserved = 0;
  uint32_t count = region_table.count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; i++) reserved += region_table.regions[i].reserved_bytes;
  return os::address_space_limit() < reserved;
}

bool is_in_tables(const void* ptr) {
  uint32_t count = region_table.count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; i++) {
    const Region& region = region_table.regions[i];
    const char* tables = reinterpret_cast<const char*>(region.headers) - kTableGuardBytes;
    if (reinterpret_cast<uintptr_t>(ptr) - reinterpret_cast<uintptr_t>(tables) < region.table_bytes) return true;
  }
  return false;
}

Region* region_add(size_t pages) {
  uint32_t count = region_table.count.load(std::memory_order_relaxed);
  if (count == kMaxRegions) return nullptr;
  CHECK_AT(os::has_known_os_pages(), "the kernel's pages are of 4096 bytes", nullptr);
  size_t least = round_up((pages + 1) * kPageBytes, kStretchBytes);
  size_t want = kLargestRegionBytes, limit = os::address_space_limit();
  if (limit != SIZE_MAX) want = round_down(limit / kLimitedShare, kStretchBytes);
  if (want < kSmallestRegionBytes) want = kSmallestRegionBytes;
  if (want < least) want = least;
  // Halving must end at `least` itself, not somewhere below it.
  Region& region = region_table.regions[count];
  if (!region.reserve(power_of_two_at_least(want), power_of_two_at_least(least)) && !region.reserve(least, least))
    return nullptr;
  region_table.count.store(count + 1, std::memory_order_release);
  return &region;
}

}  // namespace pagerun
