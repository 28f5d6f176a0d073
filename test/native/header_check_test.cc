// Damaged headers at slow paths: one thing is overwritten in a sound heap, a call comes to it, and the program ends
// with the one line that names the invariant and the header, before anything there is followed.
#include <algorithm>

#include "broken_heap.h"
#include "core/purge.h"
#include "threads.h"

namespace pagerun {
namespace {

struct Damage {
  const char* what;
  const char* invariant;
  const PageHeader* (*make)(Heap& heap);  // the header that the line shall name; null when that is another's business
  void (*call)(Heap& heap);
};

PageHeader* const kNowhere = reinterpret_cast<PageHeader*>(0x10000);

void free_elsewhere(PageHeader* page) {
  harness::on_other_thread([=] { deallocate(block_address(*page, 0)); });
}

void free_whole(PageHeader* page) {
  for (uint32_t i = 0; i < page->capacity; i++) deallocate(block_address(*page, i));
}

// Takes blocks of the page's class until every page that waits for it was current once.
void take_many(PageHeader* page) {
  for (int i = 0; i < 4000; i++) allocate(class_bytes(page->size_class));
}

const Damage kDamages[] = {
    {"a link to nowhere", "next/prev agree",
     [](Heap& heap) -> const PageHeader* { return heap.partial->next = heap.partial->prev = kNowhere, heap.partial; },
     [](Heap& heap) { free_whole(heap.partial); }},
    {"a link into a block", "next/prev agree",
     [](Heap& heap) -> const PageHeader* {
       heap.second_partial->prev = reinterpret_cast<PageHeader*>(heap.second_partial->start);
       return heap.second_partial;
     },
     [](Heap& heap) { free_whole(heap.second_partial); }},
    {"a run that is longer than its bytes", "run_pages == run_bytes in pages",
     [](Heap& heap) -> const PageHeader* { return heap.run->run_pages++, heap.run; },
     [](Heap& heap) { deallocate(heap.run->start); }},
    {"the same, resized", "run_pages == run_bytes in pages",
     [](Heap& heap) -> const PageHeader* { return heap.run->run_pages++, heap.run; },
     [](Heap& heap) {
       void* result = nullptr;
       reallocate(heap.run->start, 2 * kPageBytes, &result);
     }},
    {"a free run that ends elsewhere", "both ends of a free run name its length",
     [](Heap& heap) -> const PageHeader* {
       heap.free_run->run_pages = 1u << 30;
       return nullptr;  // its other end is the one that is met
     },
     [](Heap& heap) {
       deallocate(heap.run->start);
       arena_put_spares(current_arena);
     }},
    {"free bits of another page, for another thread's free", "free_bits == its place beside the page",
     [](Heap& heap) -> const PageHeader* { return heap.full->free_bits = heap.partial->free_bits, heap.full; },
     [](Heap& heap) { free_elsewhere(heap.full); }},
    {"remote bits nowhere, for another thread's free", "remote_bits == its place beside the page",
     [](Heap& heap) -> const PageHeader* {
       heap.inside->remote_bits = reinterpret_cast<std::atomic<uint64_t>*>(kNowhere);
       return heap.inside;
     },
     [](Heap& heap) { free_elsewhere(heap.inside); }},
    {"a class that is none, for another thread's free", "size_class < class count",
     [](Heap& heap) -> const PageHeader* { return heap.full->size_class = 200, heap.full; },
     [](Heap& heap) { free_elsewhere(heap.full); }},
    {"an owner nowhere, for another thread's free", "owner is an arena",
     [](Heap& heap) -> const PageHeader* { return heap.full->owner = reinterpret_cast<Arena*>(kNowhere), heap.full; },
     [](Heap& heap) { free_elsewhere(heap.full); }},
    {"a page to drain that is none", "a page to drain has a header",
     [](Heap& heap) -> const PageHeader* {
       free_elsewhere(heap.full);
       heap.full->remote_next = kNowhere;
       return nullptr;
     },
     [](Heap& heap) { arena_drain(heap.arena); }},
    {"pages to drain in a circle", "a page to drain is on one list",
     [](Heap& heap) -> const PageHeader* {
       free_elsewhere(heap.full);
       free_elsewhere(heap.inside);
       return heap.full->remote_next = heap.inside;
     },
     [](Heap& heap) { arena_drain(heap.arena); }},
    {"a count that says empty too soon", "used == popcount(used bitmap)",
     [](Heap& heap) -> const PageHeader* { return heap.partial->countdown = 1, heap.partial; },
     [](Heap& heap) { deallocate(block_address(*heap.partial, 0)); }},
    {"a count that says full as soon as the hot word is empty", "used == popcount(used bitmap)",
     [](Heap& heap) -> const PageHeader* {
       PageHeader* page = heap.current;
       uint32_t left = count_bits(word_at(page->free_bits, page->hot_offset));
       page->countdown = page->capacity - left - page->notify_at;
       return page;
     },
     [](Heap& heap) { take_many(heap.current); }},
    {"a bit of a partial page that says free", "used == popcount(used bitmap)",
     [](Heap& heap) -> const PageHeader* { return heap.partial->free_bits[0] |= 1, heap.partial; },
     [](Heap& heap) { take_many(heap.partial); }},
    {"a bit that says free in the word that is looked at last", "used == popcount(used bitmap)",
     [](Heap& heap) -> const PageHeader* {
       heap.partial->free_bits[words_of(heap.partial->capacity) - 1] |= 1;
       return heap.partial;
     },
     [](Heap& heap) { take_many(heap.partial); }},
    {"bits of a partial page that say used", "used == popcount(used bitmap)",
     [](Heap& heap) -> const PageHeader* {
       for (uint32_t w = 0; w < words_of(heap.partial->capacity); w++) heap.partial->free_bits[w] = 0;
       return heap.partial;
     },
     [](Heap& heap) { take_many(heap.partial); }},
    {"a hot word behind the bitmap", "the hot word is one of the bitmap's",
     [](Heap& heap) -> const PageHeader* { return heap.partial->hot_offset = kBitmapStride, heap.partial; },
     [](Heap& heap) { take_many(heap.partial); }},
    {"more blocks than there are in a current page", "capacity == class_capacity(size_class)",
     [](Heap& heap) -> const PageHeader* { return heap.current->capacity += kWordBits, heap.current; },
     [](Heap& heap) { take_many(heap.current); }},
    {"longer blocks, for realloc", "block_bytes == class_bytes(size_class)",
     [](Heap& heap) -> const PageHeader* { return heap.partial->block_bytes *= 4, heap.partial; },
     [](Heap& heap) {
       void* result = nullptr;
       reallocate(heap.partial->start, class_bytes(heap.partial->size_class) * 3, &result);
     }},
    {"a longer page, for the purge of what is free in it", "run_pages == class_pages(size_class)",
     [](Heap& heap) -> const PageHeader* { return heap.inside->run_pages++, heap.inside; },
     [](Heap& heap) { arena_purge_free_blocks(heap.arena); }},
    {"a bucket page that says it is a run in use", "block_bytes of a run is its mark",
     [](Heap& heap) -> const PageHeader* { return heap.full->kind = PageKind::kRun, heap.full; },
     [](Heap& heap) { free_elsewhere(heap.full); }},
    {"a bucket page that says it is free, to its neighbour", "a free run has no owner",
     [](Heap& heap) -> const PageHeader* { return heap.full->kind = PageKind::kFree, heap.full; },
     [](Heap& heap) { free_whole(heap.second_partial); }},
    {"a start elsewhere", "start == address of the page",
     [](Heap& heap) -> const PageHeader* { return heap.partial->start += 64, heap.partial; },
     [](Heap& heap) { take_many(heap.partial); }},
};

TEST("a damaged header ends the program with its line at the next slow path that comes to it") {
  for (const Damage& damage : kDamages) {
    const PageHeader* named = nullptr;
    harness::ChildEnd end = harness::run_in_child([&] {
      Heap heap = make_heap();
      named = damage.make(heap);
      dprintf(STDERR_FILENO, "%s\n", harness::text_of(named).c_str());
      damage.call(heap);
    });
    size_t behind = end.output.find('\n');
    std::string address = end.output.substr(0, behind), line = end.output.substr(behind + 1);
    bool is_told = EXPECT_EQ(end.signal, SIGABRT) &&
                   EXPECT(line.starts_with(std::string("pagerun: broken invariant: ") + damage.invariant + " at 0x")) &&
                   EXPECT(address == "0x0" || line.find(" at " + address) != std::string::npos) &&
                   EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
    if (!is_told) fprintf(stderr, "  %s:\n%s", damage.what, end.output.c_str());
  }
}

TEST("a pointer into a further page whose head is out of the table is refused, not followed") {
  harness::ChildEnd end = harness::run_in_child([] {
    Heap heap = make_heap();
    for (uint32_t distance : {0u, 1u << 20, ~0u}) {
      heap.run[2].distance = distance;
      Block block;
      EXPECT_EQ(locate(heap.run->start + 2 * kPageBytes, &block), Misuse::kDoubleFree);
      EXPECT_EQ(deallocate(heap.run->start + 2 * kPageBytes), Misuse::kDoubleFree);
    }
  });
  EXPECT_CLEAN(end);
}

}  // namespace
}  // namespace pagerun
