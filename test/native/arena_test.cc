// The protocol between an arena's thread and the others, a step at a time: what a race would need luck for is put in
// place by hand. (native/core/arena.h numbers the steps.)
#include "core/arena.h"

#include <utility>

#include "core/allocator_inline.h"
#include "core/arena_list.h"
#include "core/run_list.h"
#include "core/thread_arena.h"
#include "heap.h"
#include "threads.h"

namespace pagerun {
namespace {

constexpr size_t kBytes = 200;

PageHeader* header_of(const void* ptr) { return region_of(ptr)->header_of(ptr); }

uint32_t index_of(const void* ptr) {
  const PageHeader* page = header_of(ptr);
  return static_cast<uint32_t>(static_cast<size_t>(static_cast<const char*>(ptr) - page->start) / page->block_bytes);
}

uint32_t remote_count(const PageHeader* page) {
  uint32_t count = 0;
  for (uint32_t w = 0; w < words_of(page->capacity); w++) count += count_bits(page->remote_bits[w].load());
  return count;
}

// The pages of the tests' blocks that await the drain.
std::atomic<PageHeader*>& remote_pages(Arena* arena) { return arena->remote_pages[class_of(kBytes, kMaxAlignBytes)]; }

size_t list_length(Arena* arena) {
  size_t length = 0;
  for (const PageHeader* page = remote_pages(arena).load(); page != nullptr; page = page->remote_next) length++;
  return length;
}

// A thread that allocates, and then waits until it is told to end.
class Waiting {
 public:
  explicit Waiting(int count) {
    thread_ = std::thread([this, count] {
      for (int i = 0; i < count; i++) blocks_.push_back(allocate(kBytes));
      arena_ = current_arena;
      step_.wait();
      step_.wait();
      if (drains_) arena_drain(current_arena);
    });
    step_.wait();
  }
  ~Waiting() { end(); }

  void end() {
    if (!thread_.joinable()) return;
    step_.wait();
    thread_.join();
  }
  void drain_and_end() {
    drains_ = true;
    end();
  }

  Arena* arena() const { return arena_; }
  std::vector<void*>& blocks() { return blocks_; }

 private:
  harness::Barrier step_{2};
  bool drains_ = false;
  Arena* arena_ = nullptr;
  std::vector<void*> blocks_;
  std::thread thread_;
};

TEST("the first remote free of a page puts it on its owner's list, the others only set their bits") {
  Waiting owner(50);
  PageHeader* page = header_of(owner.blocks()[0]);
  uint32_t used = used_of(*page);
  for (int i = 0; i < 30; i++) EXPECT_EQ(deallocate(owner.blocks()[static_cast<size_t>(i)]), Misuse::kNone);
  EXPECT_EQ(list_length(owner.arena()), 1u);
  EXPECT_EQ(remote_pages(owner.arena()).load(), page);
  EXPECT_EQ(remote_count(page), 30u);
  EXPECT_EQ(used_of(*page), used);
  EXPECT_EQ(page->start_limit, 0u);
  EXPECT_VERIFIED();
}

TEST("the drain makes the blocks free, opens the fast path again and empties the list") {
  std::vector<void*> blocks;
  for (int i = 0; i < 50; i++) blocks.push_back(allocate(kBytes));
  PageHeader* page = header_of(blocks[0]);
  harness::on_other_thread([&] {
    for (size_t i = 0; i < 30; i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  });
  EXPECT_EQ(page->start_limit, 0u);
  arena_drain(current_arena);
  EXPECT_EQ(list_length(current_arena), 0u);
  EXPECT_EQ(remote_count(page), 0u);
  EXPECT_EQ(page->remote_summary.load(), 0u);
  EXPECT_EQ(used_of(*page), 20u);
  EXPECT_EQ(page->start_limit, kStartLimits.of_class[page->size_class]);
  EXPECT_VERIFIED();
  for (size_t i = 30; i < 50; i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("a bucket whose pages are full takes what another thread has freed before it takes another page") {
  std::vector<void*> blocks = {allocate(kBytes)};
  Bucket* bucket = bucket_at(current_arena, class_of(kBytes, kMaxAlignBytes));
  while (blocks.size() < size_t{2} * bucket->capacity || !is_full(*bucket->page) || !bucket->partial.is_empty())
    blocks.push_back(allocate(kBytes));
  PageHeader* page = bucket->page;
  harness::on_other_thread([&] {
    for (void*& block : blocks) {
      if (header_of(block) == page && remote_count(page) < page->capacity / 2)
        EXPECT_EQ(deallocate(std::exchange(block, nullptr)), Misuse::kNone);
    }
  });
  blocks.push_back(allocate(kBytes));
  EXPECT_EQ(header_of(blocks.back()), page);
  for (void* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("a page that was pushed to an arena which does not own it any more goes on to its owner") {
  Waiting owner(50);
  EXPECT_EQ(deallocate(allocate(kBytes)), Misuse::kNone);
  EXPECT_EQ(deallocate(owner.blocks()[0]), Misuse::kNone);
  PageHeader* page = remote_pages(owner.arena()).exchange(nullptr);
  remote_pages(current_arena).store(page);
  arena_drain(current_arena);
  EXPECT_EQ(list_length(current_arena), 0u);
  EXPECT_EQ(remote_pages(owner.arena()).load(), page);
  EXPECT_EQ(remote_count(page), 1u);
  EXPECT_EQ(owner_of(*page), owner.arena());
  owner.drain_and_end();
  EXPECT_EQ(remote_count(page), 0u);
  EXPECT_VERIFIED();
}

TEST("a free into an ended thread's page adopts the page, with the remote frees that were on their way") {
  Waiting owner(30);
  std::vector<void*> blocks = owner.blocks();
  PageHeader* page = header_of(blocks[0]);
  EXPECT_EQ(deallocate(allocate(kBytes)), Misuse::kNone);
  owner.end();
  EXPECT_EQ(owner_of(*page), owner.arena());
  // As if another thread had been stopped between its bit and its push.
  page->start_limit = 0;
  EXPECT_EQ(page->remote_bits[0].fetch_or(mask_of(index_of(blocks[1]))), 0u);
  EXPECT_EQ(deallocate(blocks[0]), Misuse::kNone);
  EXPECT_EQ(owner_of(*page), current_arena);
  EXPECT_VERIFIED();
  current_arena->closed_frees = 0;  // no drain comes of the frees below
  // It goes on: summary, push. The owner is another one by now.
  page->remote_summary.fetch_or(1);
  page->remote_next = nullptr;
  remote_pages(current_arena).store(page);
  EXPECT_EQ(deallocate(blocks[1]), Misuse::kDoubleFree);
  for (size_t i = 2; i < blocks.size(); i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  EXPECT_EQ(used_of(*page), 1u);
  arena_drain(current_arena);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("frees of the page's own thread, which others' frees keep slow, have the page drained in the end") {
  std::vector<void*> blocks;
  for (int i = 0; i < 150; i++) blocks.push_back(allocate(kBytes));
  PageHeader* page = header_of(blocks[0]);
  harness::on_other_thread([&] { EXPECT_EQ(deallocate(blocks[0]), Misuse::kNone); });
  size_t freed = 1;
  while (freed < blocks.size() && remote_count(page) > 0) EXPECT_EQ(deallocate(blocks[freed++]), Misuse::kNone);
  EXPECT(freed > 1 && freed < blocks.size());
  EXPECT_EQ(page->start_limit, kStartLimits.of_class[page->size_class]);
  EXPECT_EQ(used_of(*page), blocks.size() - freed);
  for (; freed < blocks.size(); freed++) EXPECT_EQ(deallocate(blocks[freed]), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("partial and full pages are adopted into the list of their state") {
  std::vector<void*> blocks;
  Waiting owner(2000);
  blocks = owner.blocks();
  EXPECT_EQ(deallocate(allocate(kBytes)), Misuse::kNone);  // an arena of its own: the other's would be taken over whole
  owner.end();
  for (size_t i = 0; i < blocks.size(); i += 100) {
    EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
    EXPECT_EQ(owner_of(*header_of(blocks[i])), current_arena);
    EXPECT_VERIFIED();
  }
  for (size_t i = 0; i < blocks.size(); i++) {
    if (i % 100 != 0) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  }
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("a full page waits until its share of blocks is free, by its thread or by others, and becomes partial then") {
  uint32_t capacity = class_capacity(class_of(kBytes, kMaxAlignBytes)), few = capacity / kFullShare;
  EXPECT(few > 1);
  for (bool is_remote : {false, true}) {
    std::vector<void*> blocks;
    for (uint32_t i = 0; i < 3 * capacity; i++) blocks.push_back(allocate(kBytes));
    PageHeader* page = header_of(blocks[3 * capacity / 2]);
    Bucket* bucket = bucket_at(current_arena, page->size_class);
    EXPECT(is_full(*page) && !is_current(current_arena, page));
    uint32_t freed = 0;
    auto free_until = [&](uint32_t count) {
      auto release = [&] {
        for (; freed < count; freed++) deallocate(block_address(*page, freed));
      };
      is_remote ? harness::on_other_thread(release) : release();
      arena_drain(current_arena);
    };
    free_until(few - 1);
    EXPECT(page->notify_at == capacity - few && bucket->partial.is_empty());
    free_until(few);
    EXPECT(page->notify_at == 0 && bucket->partial.first() == page);
    for (void* block : blocks) {
      bool is_freed = header_of(block) == page && index_of(block) < freed;
      if (!is_freed) deallocate(block);
    }
    EXPECT_EQ(verify().invariant, nullptr);
  }
}

TEST("freed runs serve the thread's next blocks of their length, are no blocks meanwhile, and go back at rest") {
  constexpr size_t kRunBytes = 2 * kPageBytes - 1;
  deallocate(allocate(kBytes));  // else the thread has no arena yet
  std::vector<void*> blocks;
  for (uint32_t i = 0; i < kMostSpares + 1; i++) blocks.push_back(allocate(kRunBytes));
  for (void* block : blocks) EXPECT(deallocate(block) == Misuse::kNone);
  EXPECT_EQ(current_arena->spare_count, kMostSpares);
  for (void* block : blocks) EXPECT(deallocate(block) == Misuse::kDoubleFree);
  EXPECT_EQ(verify().invariant, nullptr);
  uint64_t taken = run_list.lock().taken();
  for (uint32_t i = 0; i < kMostSpares; i++) {
    void* block = allocate(kRunBytes);
    EXPECT(block == blocks[kMostSpares - 1 - i] && header_of(block)->run_dirty == 1);
    blocks[kMostSpares - 1 - i] = block;
  }
  EXPECT(current_arena->spare_count == 0 && run_list.lock().taken() == taken);
  void* cleared = allocate_zeroed(1, kRunBytes);
  EXPECT(is_zero(cleared, kRunBytes));
  deallocate(cleared);
  for (uint32_t i = 0; i < kMostSpares; i++) deallocate(blocks[i]);
  EXPECT_EQ(current_arena->spare_count, kMostSpares);
  arena_rest(current_arena);
  EXPECT_EQ(current_arena->spare_count, 0u);
  EXPECT_EQ(verify().invariant, nullptr);
}

TEST("two remote frees of one block: the second is told, though both found the block in use") {
  Waiting owner(50);
  void* block = owner.blocks()[7];
  PageHeader* page = header_of(block);
  EXPECT_EQ(page_free_remote(page, index_of(block)), Misuse::kNone);
  EXPECT_EQ(page_free_remote(page, index_of(block)), Misuse::kDoubleFree);
  EXPECT_EQ(remote_count(page), 1u);
  owner.drain_and_end();
  EXPECT_VERIFIED();
}

TEST("a page whose last block owner and stranger free at once stays until the drain") {
  std::vector<void*> blocks;
  while (blocks.empty() || header_of(blocks.back()) == header_of(blocks[0])) blocks.push_back(allocate(kBytes));
  PageHeader* page = header_of(blocks[0]);
  for (size_t i = 1; i < blocks.size(); i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  // The owner's free has found the block in use, and goes on after the stranger's.
  LocalBlock found = {};
  if (!EXPECT(find_local(current_arena, offset_of(blocks[0]), &found))) return;
  harness::on_other_thread([&] { EXPECT_EQ(page_free_remote(page, index_of(blocks[0])), Misuse::kNone); });
  free_local(current_arena, found);
  EXPECT_EQ(used_of(*page), 0u);
  EXPECT_EQ(owner_of(*page), current_arena);
  EXPECT_EQ(remote_pages(current_arena).load(), page);
  arena_drain(current_arena);
  EXPECT(owner_of(*page) != current_arena);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("a push between an ending thread's drain and its last look is not left behind") {
  Waiting owner(1);
  void* block = owner.blocks()[0];
  Bucket* bucket = bucket_at(owner.arena(), header_of(block)->size_class);
  arenas_lock.take();
  std::thread ending([&] { owner.end(); });
  while (load_relaxed(bucket->page) != &no_page) std::this_thread::yield();  // it has drained, and waits for the lock
  EXPECT(owner.arena()->state.load() == ArenaState::kActive);
  EXPECT_EQ(page_free_remote(header_of(block), index_of(block)), Misuse::kNone);
  arenas_lock.give();
  ending.join();
  EXPECT_EQ(list_length(owner.arena()), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("a page is not adopted from an arena whose thread lives, nor one that has no owner") {
  Waiting owner(50);
  EXPECT_EQ(deallocate(allocate(kBytes)), Misuse::kNone);
  PageHeader* page = header_of(owner.blocks()[0]);
  EXPECT(!page_adopt(current_arena, page));
  EXPECT_EQ(owner_of(*page), owner.arena());
  void* run = allocate(kPageBytes * 2);
  EXPECT(!page_adopt(current_arena, header_of(run)));
  EXPECT_EQ(deallocate(run), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("a thread without an arena of its own frees into an ended thread's page, and nothing stays behind") {
  Waiting owner(300);
  std::vector<void*> blocks = owner.blocks();
  owner.end();
  EXPECT_EQ(current_arena, &empty_arena);
  free_all(blocks);
  EXPECT_EQ(current_arena, &empty_arena);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("a thread without an arena takes the lock once for a page of an ended thread, not once for each of its blocks") {
  uint32_t capacity = class_capacity(class_of(kBytes, kMaxAlignBytes));
  constexpr uint32_t kPages = 4;
  Waiting owner(static_cast<int>(kPages * capacity));
  std::vector<void*> blocks = owner.blocks();
  owner.end();
  uint64_t taken = arenas_lock.taken();
  for (size_t i = 0; i + 1 < blocks.size(); i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  EXPECT(arenas_lock.taken() - taken <= kPages + 1);
  EXPECT_EQ(live_blocks(), 1u);
  EXPECT_EQ(deallocate(blocks.back()), Misuse::kNone);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("what waits on a list of an ended thread's arena goes to the thread that adopts the page") {
  Waiting owner(50);
  std::vector<void*> blocks = owner.blocks();
  PageHeader* page = header_of(blocks[0]);
  harness::Barrier step{2};
  std::thread heir([&] {
    EXPECT_EQ(deallocate(allocate(kBytes)), Misuse::kNone);  // an arena of its own
    step.wait();
    step.wait();
    EXPECT_EQ(deallocate(blocks[1]), Misuse::kNone);
    EXPECT_EQ(owner_of(*page), current_arena);
    EXPECT_EQ(list_length(current_arena), 1u);
    arena_drain(current_arena);
    EXPECT_EQ(used_of(*page), 48u);
  });
  step.wait();
  owner.end();
  EXPECT_EQ(deallocate(blocks[0]), Misuse::kNone);  // this thread has no arena
  EXPECT_EQ(list_length(owner.arena()), 1u);
  step.wait();
  heir.join();
  EXPECT_EQ(list_length(owner.arena()), 0u);
  for (size_t i = 2; i < blocks.size(); i++) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("pages that others have freed into are drained when they are wanted, the one that has waited longest first") {
  uint32_t capacity = class_capacity(class_of(kBytes, kMaxAlignBytes));
  std::vector<void*> blocks;
  for (uint32_t i = 0; i < 4 * capacity; i++) blocks.push_back(allocate(kBytes));
  std::vector<PageHeader*> pages;
  for (void* block : blocks)
    if (pages.empty() || pages.back() != header_of(block)) pages.push_back(header_of(block));
  auto is_pending = [](PageHeader* page) { return remote_count(page) > 0; };
  PageHeader *first = pages[2], *second = pages[1];
  harness::on_other_thread([&] {
    for (PageHeader* page : {first, second})
      for (uint32_t i = 0; i < capacity; i++) EXPECT_EQ(deallocate(block_address(*page, i)), Misuse::kNone);
  });
  std::vector<void*> more;
  while (is_pending(first)) more.push_back(allocate(kBytes));
  EXPECT(is_current(current_arena, first) && is_pending(second));
  EXPECT_EQ(current_arena->waiting_pages[first->size_class], second);
  for (uint32_t i = 1; i < capacity; i++) {
    more.push_back(allocate(kBytes));
    EXPECT_EQ(header_of(more.back()), first);
  }
  EXPECT(is_pending(second));
  more.push_back(allocate(kBytes));
  EXPECT(!is_pending(second) && header_of(more.back()) == second);
  EXPECT_VERIFIED();
  for (void* block : more) EXPECT_EQ(deallocate(block), Misuse::kNone);
  for (void* block : blocks)
    if (header_of(block) != first && header_of(block) != second) EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("an arena that is taken over keeps its id and pages; ids are never used twice") {
  Waiting owner(50);
  Arena* arena = owner.arena();
  uint64_t id = arena->id, pages = arena->page_count;
  std::vector<void*> blocks = owner.blocks();
  owner.end();
  EXPECT(arena->state.load() == ArenaState::kAbandoned);
  Waiting heir(50);
  EXPECT_EQ(heir.arena(), arena);
  EXPECT_EQ(arena->id, id);
  EXPECT(arena->page_count >= pages && arena->state.load() == ArenaState::kActive);
  Waiting other(50);
  EXPECT(other.arena()->id != id && other.arena()->id != 0);
  free_all(blocks);
  EXPECT_VERIFIED();
}

TEST("the arenas of threads before their first malloc and after their end hold nothing") {
  for (const Arena* arena : {&empty_arena, &ended_arena}) {
    EXPECT_EQ(arena->id, 0u);
    EXPECT_EQ(arena->page_count, 0u);
    for (const Bucket& bucket : arena->buckets)
      EXPECT(!has_page(bucket) && bucket.bits == no_page.inline_free_bits && bucket.partial.is_empty() &&
             arena->full[bucket.size_class].is_empty());
  }
  EXPECT_EQ(no_page.inline_free_bits[0], 0u);
  EXPECT_EQ(deallocate(allocate(1)), Misuse::kNone);
  EXPECT_EQ(no_page.inline_free_bits[0], 0u);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
