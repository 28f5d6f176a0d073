// A sound heap with one of everything in it, and the check that verify() finds what was overwritten there.
// Owns nothing. Thread rule: one thread.
#pragma once

#include "core/arena.h"
#include "core/mapping_table.h"
#include "core/run_list.h"
#include "core/thread_arena.h"
#include "heap.h"

namespace pagerun {

// A heap with every kind of page in it: bits inside the header and outside, current, partial and full pages, pages of
// few blocks, runs, free runs of one length (two, so that a list has two entries), mappings.
struct Heap {
  PageHeader *current, *partial, *second_partial, *full, *inside, *middle, *run, *free_run, *second_free_run;
  Arena* arena;
  Region* region;
  void* mapping;
};

constexpr size_t kSmallBytes = 64, kInsideBytes = 1024, kMiddleBytes = kMaxBlockBytes - 2000;

inline PageHeader* header_of(const void* ptr) { return region_of(ptr)->header_of(ptr); }

// Fills pages of the size until `count` are full, and one more is begun.
inline std::vector<PageHeader*> fill_pages(size_t bytes, size_t count) {
  std::vector<PageHeader*> pages;
  while (pages.size() <= count) {
    PageHeader* page = header_of(allocate(bytes));
    if (pages.empty() || pages.back() != page) pages.push_back(page);
  }
  return pages;
}

inline Heap make_heap() {
  Heap heap = {};
  std::vector<PageHeader*> pages = fill_pages(kSmallBytes, 3);
  heap.partial = pages[0];
  heap.second_partial = pages[1];
  heap.full = pages[2];
  heap.current = pages[3];
  for (PageHeader* page : {heap.partial, heap.second_partial}) {
    for (uint32_t i = 3; i < 200; i += 2) EXPECT_EQ(deallocate(block_address(*page, i)), Misuse::kNone);
  }
  heap.inside = fill_pages(kInsideBytes, 1)[1];
  void* middle = allocate(kMiddleBytes);
  heap.middle = header_of(middle);
  void* a = allocate(3 * kPageBytes);
  void* run = allocate(4 * kPageBytes);
  void* b = allocate(3 * kPageBytes);
  allocate(2 * kPageBytes);
  EXPECT_EQ(deallocate(a), Misuse::kNone);
  EXPECT_EQ(deallocate(b), Misuse::kNone);
  heap.run = header_of(run);
  arena_put_spares(current_arena);
  heap.free_run = header_of(a);
  heap.second_free_run = header_of(b);
  heap.mapping = allocate(40 << 20);
  allocate(41 << 20);
  heap.arena = current_arena;
  heap.region = region_of(run);
  EXPECT(heap.partial->notify_at == 0 && is_full(*heap.full) && is_current(heap.arena, heap.current));
  EXPECT(has_inline_bits(*heap.inside) && !has_inline_bits(*heap.current));
  EXPECT(heap.free_run->run_pages == 3 && heap.second_free_run->run_pages == 3);
  return heap;
}

struct Corruption {
  const char* what;
  const char* invariant;
  const void* (*make)(Heap& heap);  // the address that verify() shall name; null when it is not looked at
};

// Each in a process of its own, as nothing sound can be done with such a heap.
inline void expect_found(const Corruption& corruption) {
  harness::ChildEnd end = harness::run_in_child([&] {
    Heap heap = make_heap();
    EXPECT_VERIFIED();
    const void* address = corruption.make(heap);
    Verdict verdict = verify();
    if (!EXPECT(verdict.invariant != nullptr)) return;
    if (corruption.invariant != nullptr) EXPECT_EQ(std::string(verdict.invariant), corruption.invariant);
    if (address != nullptr) EXPECT_EQ(verdict.address, address);
    EXPECT(verdict.address != nullptr);
  });
  if (!EXPECT_CLEAN(end)) fprintf(stderr, "  %s\n", corruption.what);
}

}  // namespace pagerun
