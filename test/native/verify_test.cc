// verify() finds what is broken in bucket pages and in the lists that hold them: one thing is overwritten in a sound
// heap, and it names the invariant that no longer holds.
#include "broken_heap.h"

namespace pagerun {
namespace {

const Corruption kOfBucketPages[] = {
    {"the used count of a current page is one more", "used == popcount(used bitmap)",
     [](Heap& heap) -> const void* {
       heap.current->countdown++;
       return heap.current;
     }},
    {"the used count of a partial page is one less", "used == popcount(used bitmap)",
     [](Heap& heap) -> const void* {
       heap.partial->countdown--;
       return heap.partial;
     }},
    {"a bit of the bitmap flips to free", "used == popcount(used bitmap)",
     [](Heap& heap) -> const void* {
       heap.partial->free_bits[2] ^= 1ull << 0;
       return heap.partial;
     }},
    {"a bit of the bitmap flips to used", "used == popcount(used bitmap)",
     [](Heap& heap) -> const void* {
       heap.current->free_bits[words_of(heap.current->capacity) - 1] ^= 1ull << 63;
       return heap.current;
     }},
    {"a bit of a full page's bitmap flips", "used == popcount(used bitmap)",
     [](Heap& heap) -> const void* {
       heap.full->free_bits[5] |= 1;
       return heap.full;
     }},
    {"a bit inside the header flips", "used == popcount(used bitmap)",
     [](Heap& heap) -> const void* {
       heap.inside->inline_free_bits[0] ^= 1ull << 20;
       return heap.inside;
     }},
    {"a free bit beyond the last block", "no free bit beyond capacity",
     [](Heap& heap) -> const void* {
       heap.middle->free_bits[0] |= 1ull << 63;
       return heap.middle;
     }},
    {"the hot word is not there", "the hot word is one of the bitmap's",
     [](Heap& heap) -> const void* {
       heap.inside->hot_offset = 50 * sizeof(uint64_t);
       return heap.inside;
     }},
    {"the search for a word goes on beyond the bitmap", "the hot word is one of the bitmap's",
     [](Heap& heap) -> const void* {
       heap.inside->next_word = 50;
       return heap.inside;
     }},
    {"a remote bit of a block that is free", "remote bitmap is within the used bitmap",
     [](Heap& heap) -> const void* {
       heap.partial->remote_bits[0].fetch_or(1ull << 3);
       return heap.partial;
     }},
    {"an OS page with blocks in use counts as given back", "purged OS pages are within free blocks",
     [](Heap& heap) -> const void* {
       heap.full->purged |= 1;
       return heap.full;
     }},
    {"the size class is another", "block_bytes == class_bytes(size_class)",
     [](Heap& heap) -> const void* {
       heap.full->size_class++;
       return heap.full;
     }},
    {"the size class is none", "size_class < class count",
     [](Heap& heap) -> const void* {
       heap.full->size_class = 200;
       return heap.full;
     }},
    {"the block size is another", "block_bytes == class_bytes(size_class)",
     [](Heap& heap) -> const void* {
       heap.current->block_bytes += 16;
       return heap.current;
     }},
    {"the capacity is one more", "capacity == class_capacity(size_class)",
     [](Heap& heap) -> const void* {
       heap.inside->capacity++;
       return heap.inside;
     }},
    {"the reciprocal is another", "reciprocal == reciprocal_of(block_bytes)",
     [](Heap& heap) -> const void* {
       heap.inside->reciprocal++;
       return heap.inside;
     }},
    {"the limit of starts is another", "start_limit == start_limit_of(page)",
     [](Heap& heap) -> const void* {
       heap.current->start_limit++;
       return heap.current;
     }},
    {"the owner's number is another's", "script_owner == script_number of the owner",
     [](Heap& heap) -> const void* {
       heap.current->script_owner = heap.arena->script_number + 1;
       return heap.current;
     }},
    {"the start is another", "start == address of the page",
     [](Heap& heap) -> const void* {
       heap.current->start += 8;
       return heap.current;
     }},
    {"the bitmap is another page's", "free_bits == its place beside the page",
     [](Heap& heap) -> const void* {
       heap.current->free_bits = heap.full->free_bits;
       return heap.current;
     }},
    {"the remote bitmap is another page's", "remote_bits == its place beside the page",
     [](Heap& heap) -> const void* {
       heap.current->remote_bits = heap.full->remote_bits;
       return heap.current;
     }},
    {"the owner is no arena", "owner is an arena",
     [](Heap& heap) -> const void* {
       heap.full->owner = reinterpret_cast<Arena*>(heap.region);
       return heap.full;
     }},
};

const Corruption kOfLists[] = {
    {"a page's next is lost", nullptr,
     [](Heap& heap) -> const void* {
       (heap.partial->next == nullptr ? heap.second_partial : heap.partial)->next = nullptr;
       return nullptr;
     }},
    {"a page's prev is another", "next/prev agree",
     [](Heap& heap) -> const void* {
       heap.partial->prev = heap.full;
       return heap.partial;
     }},
    {"a page's next is itself", "next/prev agree",
     [](Heap& heap) -> const void* {
       heap.full->next = heap.full;
       return heap.full;
     }},
    {"a free run's prev is another", "next/prev agree",
     [](Heap& heap) -> const void* {
       heap.free_run->prev = heap.run;
       return heap.free_run;
     }},
    {"a partial page says that it is full", nullptr,
     [](Heap& heap) -> const void* {
       set_notify(*heap.partial, heap.partial->capacity - 1u);
       return nullptr;
     }},
    {"a full page says that it is partial", "a full page has few free blocks",
     [](Heap& heap) -> const void* {
       set_notify(*heap.full, 0);
       return heap.full;
     }},
    {"the count of an arena's pages is one more", "page_count == pages on the arena's lists",
     [](Heap& heap) -> const void* {
       heap.arena->page_count++;
       return heap.arena;
     }},
    {"an arena has no id", "an arena has an id",
     [](Heap& heap) -> const void* {
       heap.arena->id = 0;
       return heap.arena;
     }},
    {"a bucket takes from the bits of another page", "a bucket takes from its current page",
     [](Heap& heap) -> const void* {
       Bucket* bucket = &heap.arena->buckets[heap.current->size_class];
       bucket->bits = heap.full->free_bits;
       return bucket;
     }},
    {"a bucket has forgotten its page", "a bucket takes from its current page",
     [](Heap& heap) -> const void* {
       Bucket* bucket = &heap.arena->buckets[heap.current->size_class];
       bucket->page = nullptr;
       return bucket;
     }},
    {"what a runtime would take from is another page", "page_word == place of the current page's header",
     [](Heap& heap) -> const void* {
       heap.arena->page_word[heap.current->size_class] += kScriptWordsPerHeader;
       return &heap.arena->buckets[heap.current->size_class];
     }},
};

TEST("what is wrong with a bucket page is found: counts, bitmaps, class, capacity, start, owner") {
  for (const Corruption& corruption : kOfBucketPages) expect_found(corruption);
}

TEST("what is wrong with lists is found: next, prev, states, counts, the current page") {
  for (const Corruption& corruption : kOfLists) expect_found(corruption);
}

TEST("any single bit that flips in line 1 of a live page's header is found") {
  Heap heap = make_heap();
  // `distance` means nothing at a head; a limit of 0 is that of a page with remote frees, which only its thread can
  // tell.
  auto is_distance = [](size_t byte) {
    return byte >= offsetof(PageHeader, distance) &&
           byte < offsetof(PageHeader, distance) + sizeof(PageHeader::distance);
  };
  auto* bytes = reinterpret_cast<unsigned char*>(heap.partial);
  for (size_t byte = 0; byte < offsetof(PageHeader, kind) + sizeof(PageHeader::kind); byte++) {
    for (int bit = 0; bit < 8 && !is_distance(byte); bit++) {
      bytes[byte] ^= static_cast<unsigned char>(1 << bit);
      if (heap.partial->start_limit != 0 && !EXPECT(verify().invariant != nullptr))
        fprintf(stderr, "  byte %zu, bit %d\n", byte, bit);
      bytes[byte] ^= static_cast<unsigned char>(1 << bit);
    }
  }
  EXPECT_VERIFIED();
}

TEST("verify() reads only: a sound heap is the same afterwards, and works on") {
  Heap heap = make_heap();
  SnapshotTotals before = memory_totals();
  for (int i = 0; i < 100; i++) EXPECT_VERIFIED();
  SnapshotTotals after = memory_totals();
  EXPECT_EQ(memcmp(&before, &after, sizeof(before)), 0);
  EXPECT_EQ(deallocate(heap.mapping), Misuse::kNone);
  EXPECT_EQ(deallocate(heap.run->start), Misuse::kNone);
  EXPECT_EQ(deallocate(heap.middle->start), Misuse::kNone);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
