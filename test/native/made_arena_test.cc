// Arenas that a program makes: what is handed out, counted and refused; the end of all blocks at once; other threads'
// frees, thread ends and forks in the middle of it; pins; and what verify() and snapshot() say of them.
#include "core/made_arena.h"

#include <algorithm>

#include "core/mapping_table.h"
#include "core/run_list.h"
#include "heap.h"
#include "os/fault.h"
#include "process_memory.h"
#include "threads.h"

namespace pagerun {
namespace {

constexpr size_t kSizes[] = {1, 16, 100, 1000, 5000, 20000, 32768, 40000, 300000, 3 << 20};
constexpr size_t kMappingBytes = 33 << 20;

MadeArena* make(uint64_t limit_bytes = kNoLimit) { return made_arena_make(limit_bytes, "test", 4); }

void* take(MadeArena* arena, size_t bytes) {
  Refusal refusal = Refusal::kNone;
  return made_arena_take(arena, bytes, kMaxAlignBytes, &refusal);
}

Refusal refusal_of(MadeArena* arena, size_t bytes) {
  Refusal refusal = Refusal::kNone;
  return made_arena_take(arena, bytes, kMaxAlignBytes, &refusal) == nullptr ? refusal : Refusal::kNone;
}

Arena* owner_of_block(const void* ptr) {
  Block block;
  Arena* owner = nullptr;
  locate_owned(ptr, &block, &owner);
  return owner;
}

Misuse state_of(const void* ptr) {
  Block block;
  return locate(ptr, &block);
}

bool pin(const void* ptr, ArenaMemory* memory) {
  Block block;
  made_arena_find(ptr, &block, memory);
  return memory->arena != nullptr && made_arena_pin(*memory);
}

std::vector<void*> take_all_sizes(MadeArena* arena) {
  std::vector<void*> blocks;
  for (size_t bytes : kSizes) {
    blocks.push_back(take(arena, bytes));
    fill_pattern(blocks.back(), bytes, bytes);
  }
  return blocks;
}

TEST("blocks of a made arena are its own, ordinary blocks, and counted to the byte") {
  MadeArena* arena = make();
  uint64_t expected = 0;
  std::vector<void*> blocks = take_all_sizes(arena);
  for (size_t i = 0; i < blocks.size(); i++) {
    EXPECT(owner_of_block(blocks[i]) == arena && is_aligned(blocks[i], kSizes[i] >= 16 ? 16 : 4));
    EXPECT_AT_MOST(kSizes[i], usable_bytes(blocks[i]));
    EXPECT(has_pattern(blocks[i], kSizes[i], kSizes[i]));
    expected += usable_bytes(blocks[i]);
  }
  EXPECT_EQ(made_arena_bytes(arena), expected);
  EXPECT_VERIFIED();
  for (void* block : blocks) {
    expected -= usable_bytes(block);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    EXPECT_EQ(made_arena_bytes(arena), expected);
    EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
  }
  EXPECT_VERIFIED();
  made_arena_destroy(arena);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("a zeroed block is zero, also where another block was before") {
  MadeArena* arena = make();
  Refusal refusal = Refusal::kNone;
  for (int round = 0; round < 3; round++) {
    for (size_t bytes : kSizes) {
      void* block = made_arena_take_zeroed(arena, bytes, &refusal);
      EXPECT(is_zero(block, bytes));
      memset(block, 0xa5, bytes);
    }
    made_arena_reset(arena);
  }
  made_arena_destroy(arena);
}

TEST("a reset frees blocks of every kind at once, and each is free for whoever asks") {
  MadeArena* arena = make();
  void* kept = allocate(100);
  for (int round = 0; round < 3; round++) {
    std::vector<void*> blocks = take_all_sizes(arena);
    for (int i = 0; i < 3000; i++) blocks.push_back(take(arena, 200));
    blocks.push_back(take(arena, kMappingBytes));
    EXPECT_VERIFIED();
    made_arena_reset(arena);
    EXPECT_EQ(made_arena_bytes(arena), 0u);
    EXPECT_EQ(live_blocks(), 1u);
    for (void* block : blocks) EXPECT_EQ(state_of(block), Misuse::kDoubleFree);
    for (void* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
    EXPECT_VERIFIED();
  }
  made_arena_destroy(arena);
  EXPECT_EQ(deallocate(kept), Misuse::kNone);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("the limit is exact: a block that fits is given, one that does not is refused and changes nothing") {
  MadeArena* arena = make(10000);
  void* first = take(arena, 4096);
  EXPECT(first != nullptr && refusal_of(arena, 6000) == Refusal::kLimit);
  EXPECT_EQ(made_arena_bytes(arena), 4096u);
  void* second = take(arena, 5120);
  EXPECT(second != nullptr && made_arena_bytes(arena) == 9216u);
  EXPECT(refusal_of(arena, 785) == Refusal::kLimit && take(arena, 768) != nullptr && take(arena, 16) != nullptr);
  EXPECT(made_arena_bytes(arena) == 10000u && refusal_of(arena, 1) == Refusal::kLimit);
  EXPECT(refusal_of(arena, 100000) == Refusal::kLimit && refusal_of(arena, SIZE_MAX) == Refusal::kLimit);
  EXPECT_EQ(deallocate(second), Misuse::kNone);
  EXPECT(take(arena, 5000) != nullptr);
  EXPECT_VERIFIED();
  made_arena_destroy(arena);
  EXPECT_EQ(live_blocks(), 0u);
}

TEST("runs and mappings count against the limit with the bytes that may be used of them") {
  MadeArena* arena = make(40 << 20);
  void* mapping = take(arena, kMappingBytes);
  void* run = take(arena, 100000);
  EXPECT_EQ(made_arena_bytes(arena), kMappingBytes + 102400);
  EXPECT(refusal_of(arena, 8 << 20) == Refusal::kLimit);
  EXPECT_EQ(deallocate(mapping), Misuse::kNone);
  EXPECT_EQ(made_arena_bytes(arena), 102400u);
  EXPECT(take(arena, 8 << 20) != nullptr);
  EXPECT_EQ(deallocate(run), Misuse::kNone);
  made_arena_destroy(arena);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("what other threads free makes room under the limit, as soon as room is asked for") {
  MadeArena* arena = make(1 << 20);
  std::vector<void*> blocks;
  while (void* block = take(arena, 1024)) blocks.push_back(block);
  EXPECT_EQ(blocks.size(), 1024u);
  harness::on_other_thread([&] { free_all(blocks); });
  for (int i = 0; i < 1024; i++) EXPECT(take(arena, 1024) != nullptr);
  EXPECT(refusal_of(arena, 16) == Refusal::kLimit);
  EXPECT_VERIFIED();
  made_arena_destroy(arena);
  EXPECT_EQ(live_blocks(), 0u);
}

TEST("resized by its arena a block stays in it; resized by anybody it keeps its content") {
  MadeArena* arena = make();
  for (size_t from : kSizes) {
    for (size_t to : {size_t{10}, size_t{3000}, size_t{50000}, size_t{1} << 20, kMappingBytes}) {
      void* moved = nullptr;
      Refusal refusal = Refusal::kNone;
      void* block = take(arena, from);
      fill_pattern(block, from, from + to);
      EXPECT_EQ(made_arena_resize(arena, block, to, &moved, &refusal), Misuse::kNone);
      EXPECT(moved != nullptr && owner_of_block(moved) == arena && usable_bytes(moved) >= to);
      EXPECT(has_pattern(moved, from, from + to, std::min(from, to)));
      EXPECT_EQ(made_arena_bytes(arena), usable_bytes(moved));
      fill_pattern(moved, to, from);
      void* out = resized(moved, 2 * to);
      EXPECT(has_pattern(out, to, from) && usable_bytes(out) >= 2 * to);
      EXPECT(owner_of_block(out) == arena ? made_arena_bytes(arena) > 0 : made_arena_bytes(arena) == 0);
      EXPECT_EQ(deallocate(out), Misuse::kNone);
      EXPECT_EQ(made_arena_bytes(arena), 0u);
    }
    EXPECT_VERIFIED();
  }
  made_arena_destroy(arena);
  EXPECT_EQ(live_blocks(), 0u);
}

TEST("a block may grow up to the limit, and is as it was when it may not") {
  MadeArena* arena = make(100000);
  for (size_t bytes : {size_t{50000}, size_t{20000}}) {
    void* block = take(arena, bytes);
    fill_pattern(block, bytes, 5);
    void* result = nullptr;
    Refusal refusal = Refusal::kNone;
    EXPECT_EQ(made_arena_resize(arena, block, 100001, &result, &refusal), Misuse::kNone);
    EXPECT(result == nullptr && refusal == Refusal::kLimit && has_pattern(block, bytes, 5));
    EXPECT_EQ(made_arena_resize(arena, block, 98304, &result, &refusal), Misuse::kNone);
    EXPECT(result != nullptr && has_pattern(result, bytes, 5));
    EXPECT_VERIFIED();
    made_arena_reset(arena);
  }
  made_arena_destroy(arena);
}

TEST("a hundred thousand arenas made and destroyed leave nothing behind") {
  uint64_t count = harness::rounds(100000);
  size_t resident = 0;
  SnapshotTotals before = {};
  uint64_t ids = 0;
  for (uint64_t i = 0; i < count; i++) {
    MadeArena* arena = make();
    EXPECT(arena->id > ids);
    ids = arena->id;
    for (size_t bytes : {size_t{24}, size_t{200}, size_t{3000}, size_t{3000}}) memset(take(arena, bytes), 1, bytes);
    if (i % 50 == 0) memset(take(arena, 100000), 1, 100000);
    made_arena_destroy(arena);
    if (i != count / 10) continue;
    resident = resident_bytes();
    before = memory_totals();
  }
  SnapshotTotals after = memory_totals();
  EXPECT_EQ(after.committed_bytes, before.committed_bytes);
  EXPECT_EQ(after.arenas, before.arenas);
  EXPECT_EQ(after.live_blocks, 0u);
  if (!harness::kSanitized) EXPECT_AT_MOST(resident_bytes(), resident + (1 << 20));
  EXPECT_VERIFIED();
}

TEST("a thousand arenas live at once, and end in any order") {
  harness::Random random(harness::seed());
  std::vector<MadeArena*> arenas;
  for (int i = 0; i < 1000; i++) {
    arenas.push_back(make());
    for (int k = 0; k < 5; k++) take(arenas.back(), random.between(1, 9000));
  }
  EXPECT_VERIFIED();
  EXPECT_EQ(live_blocks(), 5000u);
  while (!arenas.empty()) {
    size_t at = random.below(arenas.size());
    made_arena_destroy(arenas[at]);
    arenas.erase(arenas.begin() + static_cast<ptrdiff_t>(at));
  }
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("memory of an arena whose blocks are all freed one by one goes back, but for its first pages") {
  MadeArena* arena = make();
  std::vector<void*> blocks;
  for (int i = 0; i < 50000; i++) blocks.push_back(take(arena, 1024));
  EXPECT(arena->extent_count > 3);
  free_all(blocks);
  EXPECT_EQ(made_arena_bytes(arena), 0u);
  EXPECT_AT_MOST(arena->extent_count, 2u);  // one more may have the page that the next block would come from
  EXPECT_VERIFIED();
  made_arena_destroy(arena);
  EXPECT_EQ(live_blocks(), 0u);
}

TEST("pages that one class has left serve another, of whatever length") {
  MadeArena* arena = make();
  uint32_t most = 0;
  for (int round = 0; round < 20; round++) {
    std::vector<void*> blocks;
    size_t bytes = round % 2 == 0 ? 20000 : 100 + static_cast<size_t>(round) * 50;
    for (size_t total = 0; total < 4 << 20; total += bytes) blocks.push_back(take(arena, bytes));
    free_all(blocks);
    if (round == 3) most = arena->extent_count;
    if (round > 3) EXPECT_AT_MOST(arena->extent_count, most + 2);
    EXPECT_VERIFIED();
  }
  made_arena_destroy(arena);
}

TEST("random calls on several arenas agree with a model, to the byte and the block") {
  struct Known {
    void* ptr;
    size_t bytes;
    uint64_t tag;
    size_t arena;
  };
  constexpr size_t kArenas = 3;
  harness::Random random(harness::seed());
  MadeArena* arenas[kArenas] = {make(), make(), make(4 << 20)};
  std::vector<Known> known;
  for (uint64_t step = 0; step < harness::rounds(60000); step++) {
    size_t a = random.below(kArenas), at = known.empty() ? 0 : random.below(known.size());
    uint64_t choice = random.below(1000);
    if (choice < 520 || known.empty()) {
      size_t bytes = random.between(0, random.one_in(40) ? 200000 : random.one_in(5) ? 20000 : 600);
      void* ptr = take(arenas[a], bytes);
      EXPECT(ptr != nullptr || a == 2);
      if (ptr == nullptr) continue;
      fill_pattern(ptr, bytes, step);
      known.push_back({ptr, bytes, step, a});
    } else if (choice < 900) {
      EXPECT(has_pattern(known[at].ptr, known[at].bytes, known[at].tag));
      EXPECT_EQ(deallocate(known[at].ptr), Misuse::kNone);
      known[at] = known.back();
      known.pop_back();
    } else if (choice < 997) {
      Known& block = known[at];
      size_t bytes = random.between(1, 40000);
      void* moved = nullptr;
      Refusal refusal = Refusal::kNone;
      EXPECT_EQ(made_arena_resize(arenas[block.arena], block.ptr, bytes, &moved, &refusal), Misuse::kNone);
      if (moved == nullptr) continue;
      EXPECT(has_pattern(moved, block.bytes, block.tag, std::min(bytes, block.bytes)));
      block = {moved, bytes, block.tag, block.arena};
      fill_pattern(moved, bytes, block.tag);
    } else {
      made_arena_reset(arenas[a]);
      known.erase(std::remove_if(known.begin(), known.end(), [&](const Known& k) { return k.arena == a; }),
                  known.end());
    }
    if (step % 5000 == 0) EXPECT_VERIFIED();
  }
  uint64_t bytes[kArenas] = {};
  for (const Known& block : known) bytes[block.arena] += usable_bytes(block.ptr);
  for (size_t a = 0; a < kArenas; a++) EXPECT_EQ(made_arena_bytes(arenas[a]), bytes[a]);
  EXPECT_EQ(live_blocks(), known.size());
  EXPECT_VERIFIED();
  for (MadeArena* arena : arenas) made_arena_destroy(arena);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("blocks that other threads free while the arena is used are freed once each") {
  harness::Channel<void*> channel(500);
  MadeArena* arena = make();
  std::thread consumer([&] {
    void* block = nullptr;
    while (channel.receive(&block)) {
      EXPECT_EQ(*static_cast<void**>(block), block);
      EXPECT_EQ(deallocate(block), Misuse::kNone);
    }
  });
  harness::Random random(harness::seed());
  for (uint64_t i = 0; i < harness::rounds(100000); i++) {
    void* block = take(arena, random.between(8, random.one_in(50) ? 60000 : 400));
    *static_cast<void**>(block) = block;
    if (random.one_in(3)) {
      EXPECT_EQ(deallocate(block), Misuse::kNone);
    } else {
      channel.send(block);
    }
  }
  channel.close();
  consumer.join();
  arena_drain(arena);
  EXPECT_EQ(made_arena_bytes(arena), 0u);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
  made_arena_destroy(arena);
}

// The frees either come in time or find that the block is free: never both blocks of one address, never a crash.
TEST("frees by other threads that race a reset, and the use of the pages by others, do no harm") {
  constexpr size_t kBlocks = 200, kSure = 20;  // the first are freed before the race, the last behind it
  MadeArena* arena = make();
  for (uint64_t round = 0; round < harness::rounds(600); round++) {
    std::vector<void*> blocks;
    for (size_t i = 0; i < kBlocks; i++) blocks.push_back(take(arena, i % 4 == 3 ? 40000 : 100 + 20 * i));
    harness::Barrier ready(3), done(3);
    auto freer = [&](size_t from) {
      for (size_t i = from; i < kSure; i += 2) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
      ready.wait();
      for (size_t i = kSure + from; i < kBlocks - kSure; i += 2) {
        Misuse misuse = deallocate(blocks[i]);
        EXPECT(misuse == Misuse::kNone || misuse == Misuse::kDoubleFree);
      }
      done.wait();
      for (size_t i = kBlocks - kSure + from; i < kBlocks; i += 2) {
        EXPECT_EQ(deallocate(blocks[i]), Misuse::kDoubleFree);
      }
    };
    std::thread first(freer, 0), second(freer, 1);
    ready.wait();
    for (uint64_t spins = round * 7 % 3000; spins > 0; spins--) std::atomic_signal_fence(std::memory_order_seq_cst);
    if (round % 3 == 0) {
      made_arena_destroy(arena);
      arena = make();
    } else {
      made_arena_reset(arena);
    }
    done.wait();
    first.join();
    second.join();
    EXPECT_EQ(made_arena_bytes(arena), 0u);
    if (round % 100 == 0) EXPECT_VERIFIED();
  }
  made_arena_destroy(arena);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("a thread that ends takes its made arenas along, and their blocks are free for everybody") {
  std::vector<void*> blocks;
  void* own = nullptr;
  MadeArena* ended = nullptr;
  harness::on_other_thread([&] {
    for (int i = 0; i < 20; i++) {
      MadeArena* arena = make();
      std::vector<void*> more = take_all_sizes(arena);
      blocks.insert(blocks.end(), more.begin(), more.end());
      blocks.push_back(take(arena, kMappingBytes));
      ended = arena;
    }
    own = allocate(100);
  });
  EXPECT_EQ(live_blocks(), 1u);
  EXPECT(ended->state.load() == ArenaState::kEnded);
  for (void* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
  EXPECT_EQ(deallocate(own), Misuse::kNone);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("a thread that ends while others free its arenas' blocks leaves nothing behind") {
  for (uint64_t round = 0; round < harness::rounds(300); round++) {
    std::vector<void*> blocks;
    harness::Barrier ready(2);
    std::thread owner([&] {
      MadeArena* arena = make();
      for (int i = 0; i < 300; i++) blocks.push_back(take(arena, i % 3 == 0 ? 3000 : 60));
      ready.wait();
    });
    ready.wait();
    for (void* block : blocks) {
      Misuse misuse = deallocate(block);
      EXPECT(misuse == Misuse::kNone || misuse == Misuse::kDoubleFree);
    }
    owner.join();
    EXPECT_EQ(live_blocks(), 0u);
  }
  EXPECT_VERIFIED();
}

TEST("a child of fork goes on with the arenas of the thread that forked, and leaves those of others alone") {
  MadeArena* mine = make();
  void* block = take(mine, 100);
  void* others = nullptr;
  harness::Barrier step(2);
  std::thread other([&] {
    MadeArena* arena = make();
    others = take(arena, 100);
    step.wait();
    step.wait();
    made_arena_destroy(arena);
  });
  step.wait();
  harness::ChildEnd end = harness::run_in_child([&] {
    EXPECT_EQ(deallocate(others), Misuse::kNone);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    EXPECT(take(mine, 5000) != nullptr && take(mine, 100000) != nullptr);
    EXPECT_VERIFIED();
    made_arena_destroy(mine);
    made_arena_destroy(make());
    EXPECT_VERIFIED();
  });
  EXPECT_CLEAN(end);
  step.wait();
  other.join();
  made_arena_destroy(mine);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("pinned memory stays where it is and with nobody, through frees, reset and destroy, until the last pin goes") {
  for (size_t bytes : {size_t{100}, size_t{100000}, kMappingBytes}) {
    MadeArena* arena = make();
    auto* block = static_cast<char*>(take(arena, bytes));
    ArenaMemory memory = {};
    EXPECT(pin(block + 50, &memory) && pin(block, &memory));
    EXPECT(memory.start <= block && block + bytes <= memory.start + memory.bytes);
    if (bytes > 100) EXPECT_EQ(deallocate(block), Misuse::kNone);
    made_arena_destroy(arena);
    EXPECT_EQ(state_of(block), Misuse::kDoubleFree);
    EXPECT_EQ(live_blocks(), 0u);
    EXPECT_VERIFIED();
    block[50] = 'x';
    std::vector<void*> others;
    for (int i = 0; i < 500; i++) {
      others.push_back(allocate(bytes < kMappingBytes ? bytes : 100));
      memset(others.back(), 'o', 100);
    }
    made_arena_unpin(memory);
    EXPECT_EQ(block[50], 'x');
    made_arena_unpin(memory);
    free_all(others);
    EXPECT_VERIFIED();
  }
  EXPECT_EQ(live_blocks(), 0u);
}

TEST("an extent stays with its arena while it is pinned, and goes back with the pin when it is empty") {
  MadeArena* arena = make();
  std::vector<void*> blocks;
  for (int i = 0; i < 5000; i++) blocks.push_back(take(arena, 1024));
  ArenaMemory memory = {};
  EXPECT(pin(blocks[4000], &memory));
  uint32_t extents = arena->extent_count;
  free_all(blocks);
  EXPECT(arena->extent_count < extents && arena->extent_count >= 1);
  uint32_t left = arena->extent_count;
  made_arena_unpin(memory);
  EXPECT_AT_MOST(arena->extent_count, left);
  EXPECT_VERIFIED();
  made_arena_destroy(arena);
  EXPECT_VERIFIED();
}

TEST("every system call that is refused once is a value, and the arena ends as if it had not been") {
  for (uint64_t n = 1; n < 30; n++) {
    harness::ChildEnd end = harness::run_in_child([&] {
      os::fail_call(n, 1);
      MadeArena* arena = make();
      std::vector<void*> blocks;
      for (int round = 0; arena != nullptr && round < 2; round++) {
        for (size_t bytes : {size_t{30}, size_t{9000}, size_t{100000}, size_t{6} << 20, kMappingBytes}) {
          Refusal refusal = Refusal::kNone;
          void* block = made_arena_take(arena, bytes, kMaxAlignBytes, &refusal);
          EXPECT(block != nullptr || refusal == Refusal::kMemory);
          if (block != nullptr) memset(block, 1, 30);
        }
        EXPECT_VERIFIED();
        made_arena_reset(arena);
        EXPECT_EQ(made_arena_bytes(arena), 0u);
      }
      if (arena != nullptr) made_arena_destroy(arena);
      os::fail_call(0, 0);
      EXPECT_VERIFIED();
      EXPECT_EQ(live_blocks(), 0u);
    });
    EXPECT_CLEAN(end);
  }
}

TEST("a name is cut at the end of a character") {
  struct Case {
    const char* name;
    size_t length;
  };
  const Case cases[] = {{"", 0},
                        {"request", 7},
                        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 47},
                        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 47},
                        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u00e9", 46},
                        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u20ac\u20ac", 45}};
  for (const Case& test : cases) {
    MadeArena* arena = made_arena_make(kNoLimit, test.name, strlen(test.name));
    EXPECT_EQ(strlen(arena->name), test.length);
    EXPECT_EQ(memcmp(arena->name, test.name, test.length), 0);
    made_arena_destroy(arena);
  }
}

TEST("a snapshot names the arenas that a program made, with host, limit and blocks of every kind") {
  MadeArena* arena = made_arena_make(64 << 20, "request", 7);
  take(arena, 100);
  take(arena, 100000);
  take(arena, kMappingBytes);
  made_arena_destroy(make());
  const Snapshot* snapshot = snapshot_take();
  uint64_t found = 0;
  for (uint64_t i = 0; i < snapshot->arena_count; i++) {
    const ArenaRecord& record = snapshot->arenas[i];
    if (record.id != arena->id) {
      EXPECT(record.host == 0 && record.name[0] == 0);
      continue;
    }
    found++;
    EXPECT_EQ(std::string(record.name), "request");
    EXPECT(record.host == arena->host->id && record.state == static_cast<uint32_t>(ArenaState::kActive));
    EXPECT_EQ(record.limit_bytes, uint64_t{64} << 20);
    EXPECT_EQ(record.live_blocks, 3u);
    EXPECT_EQ(record.live_bytes, made_arena_bytes(arena));
    EXPECT_EQ(record.pages, 1u);
  }
  EXPECT_EQ(found, 1u);
  snapshot_release(snapshot);
  made_arena_destroy(arena);
}

struct Damage {
  const char* invariant;
  void (*make)(MadeArena* arena);
};

TEST("verify names what is broken in a made arena") {
  const Damage damages[] = {
      {"bucket_bytes == sum of the blocks in use", [](MadeArena* arena) { arena->bucket_bytes += 16; }},
      {"large_bytes == sum of its runs and mappings", [](MadeArena* arena) { arena->large_bytes += 4096; }},
      {"used_pages == pages of the extent's bucket pages", [](MadeArena* arena) { arena->extents[0].used_pages++; }},
      {"a run's owner is a made arena", [](MadeArena* arena) { arena->runs.first()->owner = arena->host; }},
      {"next/prev agree", [](MadeArena* arena) { arena->runs.first()->prev = arena->extents[0].first; }},
      {"an extent is divided without a rest", [](MadeArena* arena) { arena->extents[0].pages--; }},
  };
  for (const Damage& damage : damages) {
    harness::ChildEnd end = harness::run_in_child([&] {
      MadeArena* arena = make();
      take_all_sizes(arena);
      EXPECT_VERIFIED();
      damage.make(arena);
      Verdict verdict = verify();
      EXPECT_EQ(std::string(verdict.invariant == nullptr ? "" : verdict.invariant), damage.invariant);
    });
    EXPECT_CLEAN(end);
  }
}

}  // namespace
}  // namespace pagerun
