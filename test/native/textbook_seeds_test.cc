// The course notes that this project began from, where they speak of C++ or of threads: each test is named after its
// sentence. The others are in test/bindings/seeds.test.ts.
#include <unistd.h>

#include <cstddef>

#include "core/size_class.h"
#include "textbook_heap.h"
#include "threads.h"

namespace pagerun::textbook {
namespace {

HeapOptions arenas_of(uint32_t count, Choice choice) {
  HeapOptions options;
  options.kind = Kind::kArenas;
  options.arenas = count;
  options.choice = choice;
  return options;
}

TEST("char*, void* and uintptr_t are all byte addresses, and sizeof(size_t) is 8") {
  HeapUnderTest heap(HeapOptions{});
  char* bytes = heap.allocate(24);
  void* anything = bytes;
  auto number = reinterpret_cast<uintptr_t>(bytes);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes + 5), number + 5);
  EXPECT(static_cast<char*>(anything) + 5 == reinterpret_cast<char*>(number + 5));
  EXPECT_EQ(sizeof(bytes), sizeof(size_t));
  EXPECT_EQ(sizeof(anything), sizeof(number));
  EXPECT_EQ(sizeof(size_t), 8u);
}

TEST("a struct's address is the address of its first field") {
  struct Goat {
    uint64_t size;
    uint32_t color_code;
  };
  HeapUnderTest heap(HeapOptions{});
  auto* goat = reinterpret_cast<Goat*>(heap.allocate(sizeof(Goat)));
  goat->size = 90;
  goat->color_code = 7;
  EXPECT(static_cast<void*>(goat) == static_cast<void*>(&goat->size));
  EXPECT_EQ(*reinterpret_cast<uint64_t*>(goat), 90u);
  EXPECT_EQ(offsetof(Goat, color_code), 8u);
}

// Whether a malloc of another thread ends while this one holds the arena of index 0.
bool gets_by(HeapUnderTest& heap) {
  std::atomic<bool> is_done{false};
  std::thread other;
  bool got_by = false;
  {
    ArenaGuard guard(heap->arenas().arena(0));
    other = std::thread([&] {
      heap.allocate(10);
      is_done.store(true, std::memory_order_release);
    });
    for (int i = 0; i < 200 && !got_by; i++) {
      usleep(1000);
      got_by = is_done.load(std::memory_order_acquire);
    }
  }
  other.join();
  EXPECT(is_done.load());
  return got_by;
}

TEST("one free list means contention between threads: while one is in it, the other waits") {
  HeapUnderTest heap(arenas_of(1, Choice::kModulo));
  EXPECT(!gets_by(heap));
}

TEST("with more than one arena a thread has a mechanism to pick one, which keeps contention low") {
  HeapUnderTest heap(arenas_of(2, Choice::kLeastContended));
  for (int i = 0; i < 10; i++) EXPECT(gets_by(heap));
}

TEST("how many: two per hardware thread, ten, and any number up to a thousand") {
  auto hardware_threads = static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_ONLN));
  for (uint32_t count : {1u, 2 * hardware_threads, 10u, 1000u}) {
    HeapUnderTest heap(arenas_of(count, Choice::kRandom));
    for (int i = 0; i < 100; i++) EXPECT(heap.allocate(100) != nullptr);
    EXPECT_EQ(heap->arenas().count(), count);
  }
}

TEST("which one first: arenas[t % n], so that n threads in a row have n arenas") {
  constexpr uint32_t kArenas = 5;
  HeapUnderTest heap(arenas_of(kArenas, Choice::kModulo));
  uint32_t seen = 0;
  for (uint32_t i = 0; i < kArenas; i++) {
    harness::on_other_thread([&] { seen |= 1u << heap->arenas().index_of(heap.allocate(10)); });
  }
  EXPECT_EQ(seen, (1u << kArenas) - 1);
}

TEST("or arenas[rand()], so that one thread has them all") {
  constexpr uint32_t kArenas = 5;
  HeapUnderTest heap(arenas_of(kArenas, Choice::kRandom));
  uint32_t seen = 0;
  for (int i = 0; i < 500; i++) seen |= 1u << heap->arenas().index_of(heap.allocate(10));
  EXPECT_EQ(seen, (1u << kArenas) - 1);
}

TEST("frees[0] holds blocks of 4 bytes, frees[1] 8, then 12, 16, 24, 32: in the textbook and in the product's core") {
  constexpr size_t kDrawn[] = {4, 8, 12, 16, 24, 32};
  for (uint32_t i = 0; i < 6; i++) {
    EXPECT_EQ(bucket_bytes(i), kDrawn[i]);
    EXPECT_EQ(class_bytes(i), kDrawn[i]);
  }
}

}  // namespace
}  // namespace pagerun::textbook
