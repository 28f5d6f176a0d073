// verify() finds what is broken in runs, free runs and mappings: one thing is overwritten in a sound heap, and it names
// the invariant that no longer holds.
#include "broken_heap.h"

namespace pagerun {
namespace {

Mapping* mapping_at(size_t i) { return const_cast<Mapping*>(&mapping_table.entries()[i]); }

const Corruption kOfRuns[] = {
    {"a free run's length is one more", nullptr,
     [](Heap& heap) -> const void* {
       heap.free_run->run_pages++;
       return nullptr;
     }},
    {"a free run's last page names another length", "both ends of a free run name its length",
     [](Heap& heap) -> const void* {
       heap.free_run[2].run_pages = 2;
       return heap.free_run;
     }},
    {"a free run's last page is no end", "both ends of a free run name its length",
     [](Heap& heap) -> const void* {
       heap.second_free_run[2].kind = PageKind::kNone;
       return heap.second_free_run;
     }},
    {"a free run is not in its bin any more", "every free run is in one bin",
     [](Heap& heap) -> const void* {
       PageHeader* first = heap.free_run->next != nullptr ? heap.free_run : heap.second_free_run;
       first->next = nullptr;
       return &run_list;
     }},
    {"a dirty run says that it is clean", "a bin holds free runs of its kind",
     [](Heap& heap) -> const void* {
       heap.free_run->run_dirty = heap.free_run->dirty_end = heap.free_run->dirty_first = 0;
       return heap.free_run;
     }},
    {"a free run has more dirty pages than lie where they do", "a free run's dirty pages are its own",
     [](Heap& heap) -> const void* {
       heap.free_run->run_dirty = heap.free_run->dirty_end - heap.free_run->dirty_first + 1;
       return heap.free_run;
     }},
    {"a free run's dirty pages end behind it", "a free run's dirty pages are its own",
     [](Heap& heap) -> const void* {
       heap.free_run->dirty_end = heap.free_run->run_pages + 1;
       return heap.free_run;
     }},
    {"a free run has an owner", "a free run has no owner",
     [](Heap& heap) -> const void* {
       heap.free_run->owner = heap.arena;
       return heap.free_run;
     }},
    {"a run's owner is a thread's arena", "a run's owner is a made arena",
     [](Heap& heap) -> const void* {
       heap.run->owner = heap.arena;
       return heap.run;
     }},
    {"a run's bytes are more than its pages", "run_pages == run_bytes in pages",
     [](Heap& heap) -> const void* {
       heap.run->run_bytes = 5 * kPageBytes;
       return heap.run;
     }},
    {"a run's bytes are none", "run_pages == run_bytes in pages",
     [](Heap& heap) -> const void* {
       heap.run->run_bytes = 0;
       return heap.run;
     }},
    {"a run's start is another", "start == address of the page",
     [](Heap& heap) -> const void* {
       heap.run->start -= 1;
       return heap.run;
     }},
    {"a run's length is one more", nullptr,
     [](Heap& heap) -> const void* {
       heap.run->run_pages++;
       return nullptr;
     }},
    {"a run's length is none", "every page belongs to a head",
     [](Heap& heap) -> const void* {
       heap.run->run_pages = 0;
       return heap.run;
     }},
    {"a run has become nothing", "every page belongs to a head",
     [](Heap& heap) -> const void* {
       heap.run->kind = PageKind::kNone;
       return heap.run;
     }},
    {"a run's second page names another head", "a further page names its head",
     [](Heap& heap) -> const void* {
       heap.run[1].distance = 2;
       return heap.run + 1;
     }},
    {"a run's last page is nobody's", "a further page names its head",
     [](Heap& heap) -> const void* {
       heap.run[3].kind = PageKind::kNone;
       return heap.run + 3;
     }},
    {"a run's second page has an owner", "a further page has no owner",
     [](Heap& heap) -> const void* {
       heap.run[1].owner = heap.arena;
       return heap.run + 1;
     }},
    {"more pages are used than committed", "used pages are committed",
     [](Heap& heap) -> const void* {
       heap.region->used_pages = heap.region->committed_bytes / kPageBytes + 1;
       return heap.region->base;
     }},
    {"fewer pages are used than there are", "every page belongs to a head",
     [](Heap& heap) -> const void* {
       heap.region->used_pages -= 1;
       return nullptr;
     }},
};

const Corruption kOfMappings[] = {
    {"a mapping is longer", nullptr,
     [](Heap&) -> const void* {
       mapping_at(0)->bytes += 4096;
       return nullptr;
     }},
    {"a mapping has moved behind the next", "mappings are sorted and apart",
     [](Heap&) -> const void* {
       mapping_at(0)->address = mapping_at(1)->address + 4096;
       return nullptr;
     }},
    {"a freed mapping is still there without a pin", "a freed mapping is pinned",
     [](Heap&) -> const void* {
       mapping_at(1)->is_freed = true;
       return mapping_at(1)->address;
     }},
};

TEST("what is wrong with runs is found: both ends, lengths, bins, dirt, heads, the end of what is used") {
  for (const Corruption& corruption : kOfRuns) expect_found(corruption);
}

TEST("what is wrong with mappings is found: order, lengths, pins") {
  for (const Corruption& corruption : kOfMappings) expect_found(corruption);
}

}  // namespace
}  // namespace pagerun
