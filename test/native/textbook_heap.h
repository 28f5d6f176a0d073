// What tests of the teaching heaps share: a heap that ends with its test, its blocks as a list, and all options.
// Owns the heap of a HeapUnderTest. Thread rule: as the heap's calls.
#pragma once

#include <string>
#include <vector>

#include "harness.h"
#include "textbook/heap.h"

namespace pagerun::textbook {

inline bool expect_checked(Heap& heap, const char* file, int line) {
  Verdict verdict = heap.check();
  if (verdict.invariant == nullptr) return true;
  return harness::report_failure(file, line, std::string("check(): not so: ") + verdict.invariant);
}

#define EXPECT_CHECKED(heap) expect_checked(heap, __FILE__, __LINE__)

class HeapUnderTest {
 public:
  explicit HeapUnderTest(const HeapOptions& options) : heap_(Heap::create(options)) { EXPECT(heap_ != nullptr); }
  ~HeapUnderTest() {
    EXPECT_CHECKED(*heap_);
    heap_->destroy();
  }
  HeapUnderTest(const HeapUnderTest&) = delete;
  HeapUnderTest& operator=(const HeapUnderTest&) = delete;

  Heap* operator->() const { return heap_; }
  Heap& operator*() const { return *heap_; }
  char* allocate(size_t bytes) { return static_cast<char*>(heap_->allocate(bytes)); }

  std::vector<BlockRecord> blocks() {
    std::vector<BlockRecord> all;
    heap_->each_block([&](const BlockRecord& block) { all.push_back(block); });
    return all;
  }

  std::vector<PageRecord> pages() {
    std::vector<PageRecord> all;
    heap_->each_page([&](const PageRecord& page) { all.push_back(page); });
    return all;
  }

 private:
  Heap* heap_;
};

inline std::string text_of(const HeapOptions& options) {
  auto number = [](auto value) { return std::to_string(static_cast<unsigned>(value)); };
  return "kind " + number(options.kind) + ", fit " + number(options.fit) + ", fields " + number(options.field_bytes) +
         ", arenas " + number(options.arenas) + ", choice " + number(options.choice) + ", origin " +
         number(options.origin) + ", align " + number(options.align_bytes);
}

/// Every kind with every option that it uses.
inline std::vector<HeapOptions> all_options() {
  std::vector<HeapOptions> all;
  for (Fit fit : {Fit::kFirst, Fit::kBest, Fit::kNext}) {
    for (uint32_t field_bytes : {4u, 8u}) {
      for (uint32_t align_bytes : {0u, 16u}) {
        HeapOptions options;
        options.fit = fit;
        options.field_bytes = field_bytes;
        options.align_bytes = align_bytes;
        all.push_back(options);
        options.kind = Kind::kBucketPages;
        all.push_back(options);
        options.kind = Kind::kArenas;
        for (uint32_t arenas : {1u, 3u}) {
          for (Choice choice : {Choice::kModulo, Choice::kRandom, Choice::kLeastContended}) {
            for (Origin origin : {Origin::kHeader, Origin::kAddress}) {
              options.arenas = arenas;
              options.choice = choice;
              options.origin = origin;
              all.push_back(options);
            }
          }
        }
      }
    }
  }
  return all;
}

}  // namespace pagerun::textbook
