// The table of blocks with a mapping of their own: random take, put, resize and look-up against a map; pins; refusals.
#include "core/mapping_table.h"

#include <sys/mman.h>

#include <map>

#include "base/bits.h"
#include "base/config.h"
#include "core/page.h"
#include "harness.h"
#include "os/fault.h"
#include "process_memory.h"

namespace pagerun {
namespace {

constexpr size_t kUnit = kOsPageBytes;

bool is_mapped(const void* address) {
  unsigned char resident = 0;
  return mincore(const_cast<void*>(address), kOsPageBytes, &resident) == 0;
}

using Model = std::map<char*, size_t>;

void expect_same(const MappingTable& table, const Model& model) {
  size_t i = 0, total = 0;
  EXPECT_EQ(table.count(), model.size());
  for (auto [address, bytes] : model) {
    if (i >= table.count()) return;
    EXPECT(table.entries()[i].address == address && table.entries()[i].bytes == bytes);
    total += bytes;
    i++;
  }
  EXPECT_EQ(table.total_bytes(), total);
}

void expect_found(MappingTable& table, char* address, size_t bytes) {
  Block block;
  EXPECT_EQ(table.find(address, &block), Misuse::kNone);
  EXPECT(block.start == address && block.usable_bytes == bytes && block.size_class == kNoSizeClass);
  EXPECT_EQ(block.kind, static_cast<uint32_t>(PageKind::kMapping));
  for (size_t inside : {size_t{1}, bytes / 2, bytes - 1}) {
    block = {};
    EXPECT_EQ(table.find(address + inside, &block), Misuse::kInteriorPointer);
    EXPECT_EQ(block.start, static_cast<void*>(address));
  }
}

char* take_from(MappingTable& table, Model& model, size_t bytes, size_t alignment) {
  auto* address = static_cast<char*>(table.take(bytes, alignment));
  if (!EXPECT(address != nullptr)) return nullptr;
  EXPECT_EQ(reinterpret_cast<uintptr_t>(address) % alignment, 0u);
  EXPECT(model.emplace(address, round_up(bytes, kUnit)).second);
  address[0] = 1;
  address[bytes - 1] = 1;
  return address;
}

TEST("random take, put, resize and find agree with a map, in address order") {
  static MappingTable table;
  harness::Random random(harness::seed());
  Model model;
  for (uint64_t step = 0; step < harness::rounds(8000); step++) {
    auto chosen = model.begin();
    if (!model.empty()) std::advance(chosen, static_cast<long>(random.below(model.size())));
    uint64_t kind = random.below(10);
    if (model.empty() || (kind < 5 && model.size() < 300)) {
      take_from(table, model, random.between(1, 40 * kUnit), random.one_in(3) ? 1ull << random.between(4, 22) : 16);
    } else if (kind < 7) {
      char* address = chosen->first;
      EXPECT_EQ(table.put(address + 1), Misuse::kInteriorPointer);
      EXPECT_EQ(table.put(address), Misuse::kNone);
      model.erase(chosen);
    } else {
      size_t bytes = random.between(1, 80 * kUnit);
      auto* moved = static_cast<char*>(table.resize(chosen->first, bytes));
      if (moved == nullptr) continue;
      EXPECT_EQ(moved[0], 1);
      model.erase(chosen);
      model[moved] = round_up(bytes, kUnit);
    }
    if (step % 64 == 0) expect_same(table, model);
    if (step % 16 == 0 && !model.empty()) expect_found(table, model.rbegin()->first, model.rbegin()->second);
  }
  while (!model.empty()) {
    EXPECT_EQ(table.put(model.begin()->first), Misuse::kNone);
    model.erase(model.begin());
  }
  expect_same(table, model);
}

TEST("an address in no mapping is foreign: below, behind, between, null, and the largest") {
  static MappingTable table;
  Model model;
  char* a = take_from(table, model, 8 * kUnit, 16);
  Block block;
  int local = 0;
  for (const void* address : {static_cast<const void*>(&local), static_cast<const void*>(nullptr),
                              reinterpret_cast<const void*>(~0ull), reinterpret_cast<const void*>(1ull << 63)}) {
    EXPECT_EQ(table.find(address, &block), Misuse::kForeignPointer);
    EXPECT_EQ(table.put(const_cast<void*>(address)), Misuse::kForeignPointer);
  }
  EXPECT(table.find(a + 8 * kUnit, &block) == Misuse::kForeignPointer &&
         table.find(a - 1, &block) == Misuse::kForeignPointer);
  EXPECT_EQ(table.put(a), Misuse::kNone);
}

TEST("a second put is a double free, at once and after thousands of others were released") {
  static MappingTable table;
  Model model;
  std::vector<char*> freed;
  for (size_t i = 0; i < 5000; i++) freed.push_back(take_from(table, model, (i % 20 + 1) * kUnit, 16));
  for (char* address : freed) EXPECT_EQ(table.put(address), Misuse::kNone);
  Block block;
  for (char* address : freed) {
    EXPECT_EQ(table.put(address), Misuse::kDoubleFree);
    EXPECT_EQ(table.find(address, &block), Misuse::kDoubleFree);
  }
}

TEST("the address from before a move is a double free, not a foreign pointer") {
  static MappingTable table;
  Model model;
  char* a = take_from(table, model, 4 * kUnit, 16);
  void* wall = mmap(a + 4 * kUnit, kUnit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  auto* moved = static_cast<char*>(table.resize(a, 64 * kUnit));
  EXPECT(moved != nullptr && moved != a);
  EXPECT_EQ(table.put(a), Misuse::kDoubleFree);
  EXPECT_EQ(table.put(moved), Misuse::kNone);
  if (wall != MAP_FAILED) munmap(wall, kUnit);
}

TEST("resize keeps the content, zeroes what is new, and gives back what is cut off") {
  static MappingTable table;
  Model model;
  char* a = take_from(table, model, 16 * kUnit, 16);
  memset(a, 0x2e, 16 * kUnit);
  auto* grown = static_cast<char*>(table.resize(a, 1000 * kUnit));
  EXPECT(grown != nullptr);
  for (size_t i = 0; i < 1000 * kUnit; i++) {
    if (!EXPECT_EQ(grown[i], i < 16 * kUnit ? 0x2e : 0)) break;
  }
  EXPECT_EQ(table.resize(grown, 4 * kUnit), static_cast<void*>(grown));
  EXPECT(!is_mapped(grown + 4 * kUnit) && is_mapped(grown + 3 * kUnit));
  EXPECT_EQ(table.resize(grown, 4 * kUnit - 7), static_cast<void*>(grown));
  EXPECT_EQ(table.put(grown), Misuse::kNone);
  EXPECT(!is_mapped(grown));
}

TEST("alignment up to 1 GiB holds, and the rest of the search is given back") {
  static MappingTable table;
  Model model;
  for (size_t alignment = kUnit; alignment <= 1ull << 30; alignment *= 2) {
    char* a = take_from(table, model, 3 * kUnit, alignment);
    if (a == nullptr) return;
    EXPECT_EQ(model[a], 3 * kUnit);
    EXPECT_EQ(table.put(a), Misuse::kNone);
    model.erase(a);
  }
  EXPECT_EQ(table.take(SIZE_MAX - kUnit, 1ull << 30), static_cast<void*>(nullptr));
  EXPECT_EQ(table.take(1ull << 62, 16), static_cast<void*>(nullptr));
  EXPECT_EQ(table.count(), 0u);
}

TEST("what the search for an aligned address maps on both sides is given back") {
  static MappingTable table;
  Model model;
  take_from(table, model, kUnit, 16);
  size_t before = mapped_bytes();
  for (int i = 0; i < 50; i++) take_from(table, model, kUnit, 64 << 20);
  EXPECT_AT_MOST(mapped_bytes(), before + 50 * kUnit + (8 << 20));
  for (auto [address, bytes] : model) EXPECT_EQ(table.put(address), Misuse::kNone);
  EXPECT_AT_MOST(mapped_bytes(), before + (8 << 20));
}

TEST("a pinned block stays readable after its free, without its memory, and its address goes with the last pin") {
  static MappingTable table;
  Model model;
  char* a = take_from(table, model, 4 * kUnit, 16);
  a[100] = 77;
  EXPECT(table.pin(a) && table.pin(a + 5));
  EXPECT_EQ(table.put(a), Misuse::kNone);
  EXPECT_EQ(a[100], 0);
  Block block;
  EXPECT_EQ(table.put(a), Misuse::kDoubleFree);
  EXPECT_EQ(table.find(a, &block), Misuse::kDoubleFree);
  EXPECT_EQ(table.find(a + 9, &block), Misuse::kDoubleFree);
  EXPECT(!table.pin(a));
  table.unpin(a);
  EXPECT(is_mapped(a) && a[100] == 0);
  table.unpin(a);
  EXPECT(!is_mapped(a));
  EXPECT_EQ(table.put(a), Misuse::kDoubleFree);
  EXPECT(!table.pin(a));
}

TEST("one pin is enough to keep a block that is freed") {
  static MappingTable table;
  Model model;
  char* a = take_from(table, model, 4 * kUnit, 16);
  EXPECT(table.pin(a));
  EXPECT_EQ(table.put(a), Misuse::kNone);
  if (!EXPECT(is_mapped(a))) return;
  table.unpin(a);
  EXPECT(!is_mapped(a));
}

TEST("a block that is freed with its only pin goes at once, and else with the last one") {
  for (int others : {0, 1}) {
    MappingTable table;
    auto* block = static_cast<char*>(table.take(4 * kUnit, kUnit));
    for (int i = 0; i <= others; i++) EXPECT(table.pin(block));
    EXPECT_EQ(table.put_pinned(block), Misuse::kNone);
    EXPECT_EQ(is_mapped(block), others > 0);
    EXPECT_EQ(table.count(), static_cast<size_t>(others));
    EXPECT_EQ(table.put(block), Misuse::kDoubleFree);
    if (others > 0) table.unpin(block);
    EXPECT_EQ(table.count(), 0u);
    EXPECT(!is_mapped(block));
  }
}

TEST("a pinned block that another thread freed is not freed again with its pin") {
  MappingTable table;
  void* block = table.take(kUnit, kUnit);
  EXPECT(table.pin(block));
  EXPECT_EQ(table.put(block), Misuse::kNone);
  EXPECT_EQ(table.put_pinned(block), Misuse::kDoubleFree);
  EXPECT_EQ(table.count(), 0u);
}

TEST("a pinned block neither moves nor shrinks under its view") {
  static MappingTable table;
  Model model;
  char* a = take_from(table, model, 8 * kUnit, 16);
  EXPECT(table.pin(a));
  EXPECT_EQ(table.resize(a, 2 * kUnit), static_cast<void*>(nullptr));
  void* grown = table.resize(a, 4000 * kUnit);
  EXPECT(grown == nullptr || grown == a);
  EXPECT(is_mapped(a + 7 * kUnit));
  table.unpin(a);
  EXPECT_EQ(table.put(a), Misuse::kNone);
}

TEST("a system call that fails at any of its calls leaves the table as it was") {
  static MappingTable table;
  Model model;
  char* kept = take_from(table, model, 8 * kUnit, 16);
  for (uint64_t n = 1; n <= 8; n++) {
    os::fail_call(n, 1);
    auto* a = static_cast<char*>(table.take(4 * kUnit, 64 * kUnit));
    if (a != nullptr) {
      a[0] = 1;
      EXPECT_EQ(table.put(a), Misuse::kNone);
    }
    os::fail_call(n, 1);
    void* resized = table.resize(kept, (8 + n) * kUnit);
    if (resized != nullptr) {
      model.clear();
      kept = static_cast<char*>(resized);
      model[kept] = (8 + n) * kUnit;
    }
    os::fail_call(0, 0);
    EXPECT_EQ(kept[0], 1);
    expect_same(table, model);
  }
  EXPECT_EQ(table.put(kept), Misuse::kNone);
}

TEST("the table grows past its first capacity and keeps every entry") {
  static MappingTable table;
  Model model;
  for (int i = 0; i < 1000; i++) take_from(table, model, kUnit, 16);
  expect_same(table, model);
  for (auto [address, bytes] : model) expect_found(table, address, bytes);
  for (auto [address, bytes] : model) EXPECT_EQ(table.put(address), Misuse::kNone);
  EXPECT_EQ(table.count(), 0u);
}

}  // namespace
}  // namespace pagerun
