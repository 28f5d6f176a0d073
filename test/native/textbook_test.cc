// The teaching allocators one by one: what each fit chooses, how blocks split and merge, what arenas choose, what a
// bucket page holds, and that check() names each broken invariant.
#include <set>

#include "os/fault.h"
#include "textbook_heap.h"
#include "threads.h"

namespace pagerun::textbook {
namespace {

HeapOptions list_of(Fit fit, uint32_t field_bytes = 4) {
  HeapOptions options;
  options.fit = fit;
  options.field_bytes = field_bytes;
  return options;
}

HeapOptions arenas_of(uint32_t count, Choice choice, Origin origin = Origin::kAddress) {
  HeapOptions options;
  options.kind = Kind::kArenas;
  options.arenas = count;
  options.choice = choice;
  options.origin = origin;
  return options;
}

HeapOptions bucket_pages() {
  HeapOptions options;
  options.kind = Kind::kBucketPages;
  return options;
}

// Free blocks of 100, 20 and 40 bytes, with live blocks between them; returns what was freed, in this order.
std::vector<char*> three_holes(HeapUnderTest& heap) {
  std::vector<char*> holes;
  for (size_t bytes : {100u, 20u, 40u}) {
    holes.push_back(heap.allocate(bytes));
    heap.allocate(8);
  }
  for (char* hole : holes) heap->deallocate(hole);
  return holes;
}

TEST("first fit takes the first block that is large enough") {
  HeapUnderTest heap(list_of(Fit::kFirst));
  std::vector<char*> holes = three_holes(heap);
  EXPECT(heap.allocate(36) == holes[0]);
  EXPECT(heap.allocate(36) == holes[0] + 40);
  EXPECT(heap.allocate(36) == holes[2]);
}

TEST("best fit takes the smallest block that is large enough") {
  HeapUnderTest heap(list_of(Fit::kBest));
  std::vector<char*> holes = three_holes(heap);
  EXPECT(heap.allocate(36) == holes[2]);
  EXPECT(heap.allocate(16) == holes[1]);
  EXPECT(heap.allocate(36) == holes[0]);
}

TEST("next fit goes on behind the place of the last one, and round") {
  HeapUnderTest heap(list_of(Fit::kNext));
  std::vector<char*> holes = three_holes(heap);
  while (heap.blocks().back().is_free) heap.allocate(heap.blocks().back().size);
  EXPECT(heap.allocate(100) == holes[0]);
  EXPECT(heap.allocate(20) == holes[1]);
  heap->deallocate(holes[0]);
  EXPECT(heap.allocate(20) == holes[2]);  // first fit would take the first hole
  EXPECT(heap.allocate(20) == holes[0]);  // the 16 bytes behind the last one are too few: round
}

TEST("next fit forgets no place when nodes come and go in front of it, or merge around it") {
  HeapUnderTest heap(list_of(Fit::kNext));
  std::vector<char*> blocks;
  for (int i = 0; i < 8; i++) blocks.push_back(heap.allocate(60));
  while (heap.blocks().back().is_free) heap.allocate(heap.blocks().back().size);
  for (int i : {1, 3, 5}) heap->deallocate(blocks[static_cast<size_t>(i)]);
  EXPECT(heap.allocate(56) == blocks[1]);  // whole: the four bytes left over are less than a node
  EXPECT(heap.allocate(40) == blocks[3]);
  heap->deallocate(blocks[1]);
  heap->deallocate(blocks[0]);
  heap->deallocate(blocks[2]);  // one node now, in front of the place
  EXPECT(heap.allocate(10) == blocks[3] + 44);
  heap->deallocate(blocks[3]);  // and now around it
  EXPECT_CHECKED(*heap);
  EXPECT(heap.allocate(60) == blocks[5]);
  EXPECT(heap.allocate(60) == blocks[0]);
}

TEST("a freed block merges with a free neighbour before it, behind it, on both sides, and with none") {
  for (uint32_t field_bytes : {4u, 8u}) {
    for (uint32_t freed = 0; freed < 4; freed++) {
      HeapUnderTest heap(list_of(Fit::kFirst, field_bytes));
      char* before = heap.allocate(64);
      char* middle = heap.allocate(64);
      char* behind = heap.allocate(64);
      heap.allocate(64);
      if ((freed & 1) != 0) heap->deallocate(before);
      if ((freed & 2) != 0) heap->deallocate(behind);
      size_t nodes = 0;
      heap->deallocate(middle);
      for (const BlockRecord& block : heap.blocks()) nodes += block.is_free;
      EXPECT_EQ(nodes, 2u);  // the merged one and the rest of the OS page
      EXPECT_EQ(heap.blocks().size(), 5u - (freed & 1) - (freed >> 1));
    }
  }
}

TEST("the heap grows behind its last block, and what is new merges with what was free there") {
  HeapUnderTest heap(list_of(Fit::kFirst, 8));
  char* first = heap.allocate(5000);
  char* second = heap.allocate(5000);
  EXPECT(second == first + 5008);
  std::vector<BlockRecord> blocks = heap.blocks();
  EXPECT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[2].address + 8 + blocks[2].size - blocks[0].address, 4 * 4096);
}

TEST("a block that grows in place keeps its address, one that shrinks gives a node back, one that moves its content") {
  HeapUnderTest heap(list_of(Fit::kFirst));
  char* ptr = heap.allocate(1000);
  memset(ptr, 7, 1000);
  EXPECT(heap->reallocate(ptr, 500) == ptr);
  EXPECT_EQ(heap.blocks()[0].size, 500u);
  auto* moved = static_cast<char*>(heap->reallocate(ptr, 9000));
  EXPECT(moved != ptr);
  for (int i = 0; i < 500; i++) EXPECT_EQ(moved[i], 7);
}

TEST("aligned blocks are aligned, and what lies around them is free") {
  for (const HeapOptions& options : all_options()) {
    HeapUnderTest heap(options);
    std::vector<void*> blocks;
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
      blocks.push_back(heap->allocate_aligned(alignment, 100 + alignment % 77));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks.back()) % alignment, 0u);
      memset(blocks.back(), 1, 100 + alignment % 77);
      EXPECT_CHECKED(*heap);
    }
    for (void* block : blocks) heap->deallocate(block);
  }
}

TEST("sizes beyond any memory get null, in every kind") {
  for (const HeapOptions& options : all_options()) {
    HeapUnderTest heap(options);
    for (size_t bytes : {size_t{1} << 40, SIZE_MAX / 2, SIZE_MAX - 8, SIZE_MAX}) {
      EXPECT_EQ(heap->allocate(bytes), nullptr);
      EXPECT_EQ(heap->allocate_aligned(64, bytes), nullptr);
    }
    EXPECT_EQ(heap->allocate_zeroed(SIZE_MAX / 2, 3), nullptr);
    EXPECT(heap->allocate(0) != heap->allocate(0));
  }
}

TEST("a refused system call is a null, and the heap is as it was") {
  for (const HeapOptions& options : all_options()) {
    for (uint64_t n = 1; n <= 4; n++) {
      os::fail_call(n, 1);
      Heap* heap = Heap::create(options);
      if (heap == nullptr) continue;
      size_t refused = 0;
      for (int i = 0; i < 20; i++) refused += heap->allocate(5000) == nullptr;
      os::fail_call(0, 0);
      EXPECT_AT_MOST(refused, 1u);
      EXPECT_CHECKED(*heap);
      EXPECT(heap->allocate(5000) != nullptr);
      heap->destroy();
    }
    os::fail_call(0, 0);
  }
}

TEST("options out of their range make no heap") {
  HeapOptions options;
  options.field_bytes = 5;
  EXPECT(Heap::create(options) == nullptr);
  options = arenas_of(0, Choice::kModulo);
  EXPECT(Heap::create(options) == nullptr);
  options = arenas_of(kMostArenas + 1, Choice::kModulo);
  EXPECT(Heap::create(options) == nullptr);
  options = {};
  options.align_bytes = 24;
  EXPECT(Heap::create(options) == nullptr);
  HeapUnderTest most(arenas_of(kMostArenas, Choice::kModulo));
  EXPECT(most.allocate(100) != nullptr);
}

TEST("a thread that is chosen by its number stays in one arena, and the next thread has the next one") {
  HeapUnderTest heap(arenas_of(3, Choice::kModulo));
  std::vector<uint32_t> arenas;
  for (int thread = 0; thread < 6; thread++) {
    harness::on_other_thread([&] {
      uint32_t arena = heap->arenas().index_of(heap.allocate(10));
      for (int i = 0; i < 10; i++) EXPECT_EQ(heap->arenas().index_of(heap.allocate(10)), arena);
      arenas.push_back(arena);
    });
  }
  for (size_t i = 1; i < arenas.size(); i++) EXPECT_EQ(arenas[i], (arenas[i - 1] + 1) % 3);
}

TEST("a thread that is chosen at random comes to all arenas") {
  HeapUnderTest heap(arenas_of(8, Choice::kRandom));
  std::set<uint32_t> seen;
  for (int i = 0; i < 400; i++) seen.insert(heap->arenas().index_of(heap.allocate(10)));
  EXPECT_EQ(seen.size(), 8u);
}

TEST("the least contended arena is another one than that in which a thread is at work") {
  HeapUnderTest heap(arenas_of(2, Choice::kLeastContended));
  for (uint32_t busy : {0u, 1u}) {
    ArenaGuard guard(heap->arenas().arena(busy));
    EXPECT_EQ(heap->arenas().index_of(heap.allocate(10)), 1 - busy);
  }
}

TEST("a free finds the arena of a block that another thread allocated, by its header and by its address") {
  for (Origin origin : {Origin::kHeader, Origin::kAddress}) {
    HeapUnderTest heap(arenas_of(4, Choice::kModulo, origin));
    std::vector<char*> blocks;
    for (int i = 0; i < 8; i++) harness::on_other_thread([&] { blocks.push_back(heap.allocate(100)); });
    for (char* block : blocks) heap->deallocate(block);
    for (const BlockRecord& block : heap.blocks()) EXPECT(block.is_free);
    EXPECT_EQ(heap.blocks().size(), 4u);
  }
}

TEST("a page is full at its last block, leaves the list, and comes back with the first free block") {
  HeapUnderTest heap(bucket_pages());
  std::vector<char*> blocks;
  for (uint32_t i = 0; i < page_capacity(16); i++) blocks.push_back(heap.allocate(16));
  EXPECT_EQ(heap.pages().size(), 1u);
  EXPECT_EQ(heap.pages()[0].used, page_capacity(16));
  char* beyond = heap.allocate(16);
  EXPECT_EQ(heap.pages().size(), 2u);
  EXPECT(heap.pages()[1].next == nullptr);
  heap->deallocate(blocks[100]);
  EXPECT(heap.pages()[0].next == heap.pages()[1].address);
  EXPECT(heap.pages()[1].prev == heap.pages()[0].address);
  EXPECT(heap.allocate(16) == blocks[100]);
  heap->deallocate(beyond);
  EXPECT_EQ(heap.pages().size(), 1u);
  EXPECT_EQ(static_cast<char*>(heap->allocate(700)) - blocks[0], 4096);  // the empty page, for another size
}

TEST("bucket pages know a double free, an interior and a foreign pointer by themselves") {
  HeapUnderTest heap(bucket_pages());
  char* ptr = heap.allocate(24);
  char* other = heap.allocate(24);
  int local = 0;
  EXPECT_EQ(heap->deallocate(ptr + 1), Fault::kInteriorPointer);
  EXPECT_EQ(heap->deallocate(&local), Fault::kForeignPointer);
  EXPECT_EQ(heap->deallocate(ptr), Fault::kNone);
  EXPECT_EQ(heap->deallocate(ptr), Fault::kDoubleFree);
  EXPECT_EQ(heap->deallocate(other), Fault::kNone);
  EXPECT_EQ(heap->deallocate(other), Fault::kDoubleFree);
}

TEST("the checked calls refuse what the textbook believes, in every kind, and nothing has changed") {
  for (const HeapOptions& options : all_options()) {
    HeapUnderTest heap(options);
    char* ptr = heap.allocate(100);
    char* large = heap.allocate(6000);
    int local = 0;
    void* result = nullptr;
    for (char* block : {ptr, large}) {
      EXPECT_EQ(heap->try_deallocate(block + 1), Fault::kInteriorPointer);
      EXPECT_EQ(heap->try_reallocate(block + 99, 10, &result), Fault::kInteriorPointer);
      EXPECT_EQ(heap->try_deallocate(&local), Fault::kForeignPointer);
      EXPECT_EQ(heap->try_reallocate(nullptr, 10, &result), Fault::kForeignPointer);
      EXPECT_EQ(heap->try_deallocate(block), Fault::kNone);
      EXPECT_EQ(heap->try_deallocate(block), Fault::kDoubleFree);
      EXPECT_EQ(heap->try_reallocate(block, 10, &result), Fault::kDoubleFree);
    }
  }
}

// Overwrites one field of `bytes` bytes and returns what check() says. The heap is given up.
std::string broken_by(Heap* heap, char* at, uint64_t value, size_t bytes) {
  EXPECT(heap->copy_in(at, &value, bytes));
  void* result = nullptr;
  EXPECT_EQ(heap->try_allocate(10, &result), Fault::kBrokenHeap);
  EXPECT_EQ(heap->try_deallocate(at), Fault::kBrokenHeap);
  Verdict verdict = heap->check();
  std::string invariant = verdict.invariant == nullptr ? "" : verdict.invariant;
  heap->destroy();
  return invariant;
}

TEST("check() names the invariant of a list that was overwritten, and the checked calls refuse the heap") {
  for (uint32_t field_bytes : {4u, 8u}) {
    HeapOptions options = list_of(Fit::kFirst, field_bytes);
    // Two live blocks with a free one between them, then the rest; `at` is in fields from the first block on.
    auto broken = [&](size_t block, size_t field, uint64_t value) {
      Heap* heap = Heap::create(options);
      void* blocks[3];
      for (void*& ptr : blocks) ptr = heap->allocate(40);
      heap->deallocate(blocks[1]);
      char* at = static_cast<char*>(blocks[block]) - heap->header_bytes() + field * field_bytes;
      return broken_by(heap, at, value, field_bytes);
    };
    EXPECT_EQ(broken(0, 0, 1 << 30), "every byte is in exactly one block");
    EXPECT_EQ(broken(0, 0, 41), "every byte is in exactly one block");
    EXPECT_EQ(broken(2, 0, 0), "no block is smaller than a node");
    EXPECT_EQ(broken(0, 0, 80 + field_bytes), "next is a free block behind");
    EXPECT_EQ(broken(1, 1, field_bytes == 4 ? 1 << 30 : 0x123456), "next is a free block behind");
    EXPECT_EQ(broken(1, 0, 80 + field_bytes), "no two neighbours are both free");
  }
}

TEST("check() names the header whose arena id was overwritten") {
  Heap* heap = Heap::create(arenas_of(2, Choice::kModulo, Origin::kHeader));
  auto* ptr = static_cast<char*>(heap->allocate(40));
  EXPECT_EQ(broken_by(heap, ptr - 8, 77, 8), "the id in the header is its arena's");
}

TEST("check() names the invariant of a bucket page that was overwritten") {
  auto broken = [](size_t offset, uint64_t value, bool is_linked = false) {
    Heap* heap = Heap::create(bucket_pages());
    auto* page = static_cast<char*>(heap->allocate(16));
    for (uint32_t i = 0; is_linked && i < page_capacity(16); i++) heap->allocate(16);
    return broken_by(heap, page + offset, value, 8);
  };
  size_t bitmap = kFieldsOffset - 32, next = kFieldsOffset, prev = next + 8, size = next + 16;
  EXPECT_EQ(broken(bitmap, 3), "bitmap equals live blocks");
  EXPECT_EQ(broken(bitmap, 0), "bitmap equals live blocks");
  EXPECT_EQ(broken(bitmap + 24, 1ull << 63), "bitmap equals live blocks");
  EXPECT_EQ(broken(next, 4096), "next and prev agree");
  EXPECT_EQ(broken(prev, 4096), "next and prev agree");
  EXPECT_EQ(broken(size, 17), "size is that of a bucket, or 0");
  EXPECT_EQ(broken(size, 0), "bitmap equals live blocks");
  EXPECT_EQ(broken(next, 4096, true), "a page is listed once if it has free blocks, and never if it is full");
}

TEST("bytes are copied within the heap's memory alone") {
  for (const HeapOptions& options : all_options()) {
    HeapUnderTest heap(options);
    char* ptr = heap.allocate(100);
    char text[6] = "hello";
    char copy[6] = {};
    EXPECT(heap->copy_in(ptr, text, sizeof(text)));
    EXPECT(heap->copy_out(ptr, copy, sizeof(copy)));
    EXPECT_EQ(std::string(copy), "hello");
    char* page = ptr - reinterpret_cast<uintptr_t>(ptr) % 4096;
    EXPECT(heap->copy_out(page, copy, 1));
    EXPECT(!heap->copy_out(page - 1, copy, 1));
    EXPECT(!heap->copy_out(page - 1, copy, 2));
    EXPECT(!heap->copy_in(page + 2 * kOsPageBytes - 1, copy, 2));
    EXPECT(!heap->copy_out(text, copy, 1));
    EXPECT(!heap->copy_out(nullptr, copy, 1));
    EXPECT(!heap->copy_out(ptr, copy, SIZE_MAX));
  }
}

}  // namespace
}  // namespace pagerun::textbook
