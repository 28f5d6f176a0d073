// Resizing: in place where it can be, moved where it cannot, content kept in both, and the old block intact on refusal.
#include "core/mapping_table.h"
#include "core/run_list.h"
#include "heap.h"
#include "os/fault.h"

namespace pagerun {
namespace {

TEST("within its class a block stays where it is, growing and shrinking") {
  for (size_t bytes : {size_t{20}, size_t{100}, size_t{500}, size_t{5000}, size_t{30000}}) {
    void* block = allocate(bytes);
    size_t usable = usable_bytes(block);
    fill_pattern(block, bytes, 3);
    EXPECT_EQ(resized(block, usable), block);
    EXPECT_EQ(resized(block, usable - 1), block);
    EXPECT_EQ(resized(block, bytes), block);
    EXPECT(has_pattern(block, bytes, 3));
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("a block that grows byte by byte moves once for each quarter that it gains") {
  constexpr size_t kFirstBytes = 16;
  constexpr uint32_t kMostMoves = 36;  // quarters from there to kMaxBlockBytes, and two at the end, without room
  void* block = allocate(kFirstBytes);
  uint32_t moves = 0;
  for (size_t bytes = kFirstBytes + 1; bytes <= kMaxBlockBytes; bytes++) {
    void* grown = resized(block, bytes);
    moves += grown != block;
    block = grown;
  }
  EXPECT(moves <= kMostMoves);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("a shrink to a small part of the block gives the rest back") {
  for (size_t bytes : {size_t{1000}, size_t{30000}, size_t{200000}, size_t{40} << 20}) {
    void* block = allocate(bytes);
    fill_pattern(block, 20, 8);
    block = resized(block, 20);
    EXPECT(block != nullptr && usable_bytes(block) >= 20 && usable_bytes(block) <= 64);
    EXPECT(has_pattern(block, 20, 8));
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("growth across all sizes keeps every byte") {
  char* block = static_cast<char*>(allocate(1));
  std::vector<char> model(1, 'x');
  block[0] = 'x';
  for (size_t bytes = 2; bytes < 3 << 20; bytes += bytes / 3 + 1) {
    block = static_cast<char*>(resized(block, bytes));
    EXPECT(usable_bytes(block) >= bytes);
    EXPECT_EQ(memcmp(block, model.data(), model.size()), 0);
    while (model.size() < bytes) {
      model.push_back(static_cast<char>(model.size() * 131 + bytes));
      block[model.size() - 1] = model.back();
    }
  }
  for (size_t bytes = model.size(); bytes > 1; bytes -= bytes / 3 + 1) {
    block = static_cast<char*>(resized(block, bytes));
    EXPECT_EQ(memcmp(block, model.data(), bytes), 0);
  }
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("a run shrinks in place, and its end can be had by someone else") {
  char* block = static_cast<char*>(allocate(10 * kPageBytes));
  void* wall = allocate(2 * kPageBytes);
  fill_pattern(block, 4 * kPageBytes, 9);
  EXPECT_EQ(resized(block, 4 * kPageBytes), static_cast<void*>(block));
  EXPECT_EQ(usable_bytes(block), 4 * kPageBytes);
  EXPECT(has_pattern(block, 4 * kPageBytes, 9));
  EXPECT_EQ(allocate(6 * kPageBytes), static_cast<void*>(block + 4 * kPageBytes));
  EXPECT_VERIFIED();
  EXPECT(wall != nullptr);
}

TEST("what a shrink gives back is not taken for zero memory") {
  for (size_t pages = 4; pages < 40; pages += 5) {
    auto* block = static_cast<char*>(allocate(pages * kPageBytes));
    memset(block, 0x77, pages * kPageBytes);
    EXPECT_EQ(resized(block, 2 * kPageBytes), static_cast<void*>(block));
    size_t rest_bytes = (pages - 2) * kPageBytes;
    void* rest = allocate_zeroed(1, rest_bytes);
    EXPECT(is_zero(rest, rest_bytes));
    EXPECT_EQ(deallocate(rest), Misuse::kNone);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("a run grows in place into a free neighbour, exactly to its end and not beyond") {
  char* block = static_cast<char*>(allocate(4 * kPageBytes));
  void* neighbour = allocate(6 * kPageBytes);
  void* wall = allocate(kPageBytes);
  EXPECT(neighbour == block + 4 * kPageBytes && wall == block + 10 * kPageBytes);
  fill_pattern(block, 4 * kPageBytes, 5);
  EXPECT_EQ(deallocate(neighbour), Misuse::kNone);
  EXPECT_EQ(resized(block, 7 * kPageBytes - 100), static_cast<void*>(block));
  EXPECT_EQ(resized(block, 10 * kPageBytes), static_cast<void*>(block));
  EXPECT_VERIFIED();
  char* moved = static_cast<char*>(resized(block, 10 * kPageBytes + 1));
  EXPECT(moved != nullptr && moved != block);
  EXPECT(has_pattern(moved, 4 * kPageBytes, 5));
  EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
  EXPECT_VERIFIED();
}

TEST("the last run of the heap grows in place into pages that were never used") {
  char* block = static_cast<char*>(allocate(3 * kPageBytes));
  fill_pattern(block, 3 * kPageBytes, 6);
  for (size_t pages = 4; pages < 300; pages += 37)
    EXPECT_EQ(resized(block, pages * kPageBytes), static_cast<void*>(block));
  EXPECT(has_pattern(block, 3 * kPageBytes, 6));
  EXPECT_VERIFIED();
}

TEST("the largest blocks grow through the kernel: no byte is copied, and few OS pages are in memory") {
  constexpr size_t kStart = 64 << 20, kEnd = 4ull << 30;
  char* block = static_cast<char*>(allocate(kStart));
  EXPECT_EQ(kind_of_block(block), PageKind::kMapping);
  fill_pattern(block, 4096, 1);
  memset(block + kStart - 100, 0x42, 100);
  uint64_t calls = os::call_count();
  int steps = 0;
  for (size_t bytes = kStart * 2; bytes <= kEnd; bytes *= 2, steps++) {
    block = static_cast<char*>(resized(block, bytes));
    if (!EXPECT(block != nullptr)) return;
    EXPECT(has_pattern(block, 4096, 1) && block[kStart - 1] == 0x42 && block[kStart] == 0 && block[bytes - 1] == 0);
  }
  EXPECT_EQ(os::call_count() - calls, static_cast<uint64_t>(steps));
  block = static_cast<char*>(resized(block, kStart));
  EXPECT(has_pattern(block, 4096, 1) && block[kStart - 1] == 0x42);
  EXPECT_EQ(memory_totals().mapping_bytes, kStart);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_EQ(memory_totals().mapping_bytes, 0u);
  EXPECT_VERIFIED();
}

TEST("a block goes from bucket to run to mapping and back with its content") {
  const size_t steps[] = {50, 20000, 100000, 40 << 20, 33 << 20, 1 << 20, 70000, 30000, 600, 10, 5 << 20, 48 << 20, 12};
  void* block = allocate(10);
  fill_pattern(block, 10, 4);
  for (size_t bytes : steps) {
    block = resized(block, bytes);
    EXPECT(block != nullptr && usable_bytes(block) >= bytes && has_pattern(block, 10, 4));
    EXPECT(is_aligned(block, kMaxAlignBytes));
  }
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("an aligned block may be resized and keeps its content") {
  for (size_t alignment = 4; alignment <= 1 << 20; alignment *= 4) {
    void* block = allocate_aligned(alignment, 1000);
    fill_pattern(block, 1000, alignment);
    for (size_t bytes : {size_t{900}, size_t{5000}, size_t{200000}, size_t{2000}}) {
      block = resized(block, bytes);
      EXPECT(has_pattern(block, 1000, alignment, bytes < 1000 ? bytes : 900));
    }
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("when memory is refused the old block is intact, whatever its kind and whatever is asked") {
  std::vector<void*> blocks;
  const size_t sizes[] = {24, 700, 9000, 100000, 1 << 20, 40 << 20};
  for (size_t bytes : sizes) {
    blocks.push_back(allocate(bytes));
    fill_pattern(blocks.back(), bytes, bytes);
  }
  os::fail_call(1, ~0u);
  for (size_t wanted : {size_t{60} << 20, size_t{1} << 40}) {
    for (size_t i = 0; i < blocks.size(); i++) {
      EXPECT_EQ(resized(blocks[i], wanted), static_cast<void*>(nullptr));
      EXPECT(has_pattern(blocks[i], sizes[i], sizes[i]));
      EXPECT(usable_bytes(blocks[i]) >= sizes[i]);
    }
  }
  EXPECT_VERIFIED();
  os::fail_call(0, 0);
  for (size_t i = 0; i < blocks.size(); i++) {
    blocks[i] = resized(blocks[i], 60 << 20);
    EXPECT(blocks[i] != nullptr && has_pattern(blocks[i], sizes[i], sizes[i], 24));
  }
  free_all(blocks);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("random resizing of many blocks at once keeps all contents") {
  harness::Random random(harness::seed());
  struct Held {
    void* ptr;
    size_t bytes;
    uint64_t tag;
  };
  std::vector<Held> held(60, Held{nullptr, 0, 0});
  for (uint64_t step = 0; step < harness::rounds(20000); step++) {
    Held& one = held[random.below(held.size())];
    size_t bytes = random.between(1, 1ull << random.between(1, random.one_in(200) ? 26 : 19));
    void* next = one.ptr == nullptr ? allocate(bytes) : resized(one.ptr, bytes);
    if (!EXPECT(next != nullptr)) break;
    size_t kept = one.bytes < bytes ? one.bytes : bytes;
    EXPECT(one.ptr == nullptr || has_pattern(next, one.bytes, one.tag, kept));
    one = {next, bytes, step};
    fill_pattern(next, bytes, step);
    if (step % 500 == 0) EXPECT_VERIFIED();
  }
  for (Held& one : held) EXPECT_EQ(deallocate(one.ptr), Misuse::kNone);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
