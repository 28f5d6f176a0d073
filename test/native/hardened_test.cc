// The hardened profile: each policy catches what it is for, and nothing else is changed by it. Every test sets its
// policies itself, before its process's first allocation.
#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "core/hardened.h"
#include "core/made_arena.h"
#include "core/mapping_table.h"
#include "core/purge.h"
#include "core/quarantine.h"
#include "core/run_list.h"
#include "core/slack_entries.h"
#include "core/sweep.h"
#include "harden/fill.h"
#include "harden/finding.h"
#include "heap.h"
#include "os/memory.h"
#include "os/os_pages.h"
#include "threads.h"

namespace pagerun {
namespace {

// Before the first allocation of this process, which chooses otherwise.
void harden(uint32_t policies) {
  policies_choose();
  process_policies = kHardened | policies;
  direct_end = 0;
  bucket_end = 0;
  hardened_end = arena_distance == 0 ? 0 : kMaxDirectBytes;
}

PageHeader* page_of(const void* block) { return region_of(block)->header_of(block); }

bool is_found() {
  Finding finding;
  return finding_take(&finding);
}

// How the child ends that touches the byte.
int signal_at(char* at, bool writes) {
  return harness::run_in_child([&] {
           volatile char* byte = at;
           if (writes) {
             *byte = 1;
           } else {
             [[maybe_unused]] char read = *byte;
           }
         })
      .signal;
}

const size_t kSizes[] = {1, 7, 16, 24, 31, 32, 100, 1000, 1024, 4096, 5000, 16384, 20000, 32767, 32768, 100000};

TEST("canary: every byte written right behind a block is found by free and by realloc, and the block stays") {
  harden(kAllPolicies);
  for (size_t bytes : kSizes) {
    if (bytes >= kMaxBlockBytes && bytes % kOsPageBytes == 0) continue;  // a guard is right behind it
    for (int value : {0x00, int{'A'}, 0xff, 0x55}) {
      auto* block = static_cast<unsigned char*>(allocate(bytes));
      memset(block, value, bytes);
      EXPECT_EQ(usable_bytes(block), bytes);
      unsigned char before = block[bytes];
      block[bytes] = static_cast<unsigned char>(value);
      void* result = nullptr;
      EXPECT_EQ(deallocate(block), Misuse::kOverflow);
      EXPECT_EQ(reallocate(block, bytes + 1, &result), Misuse::kOverflow);
      EXPECT_EQ(result, static_cast<void*>(nullptr));
      EXPECT_EQ(usable_bytes(block), bytes);
      block[bytes] = before;
      EXPECT_EQ(deallocate(block), Misuse::kNone);
    }
  }
  EXPECT_VERIFIED();
}

TEST("canary: realloc within a block moves it to behind the new size, and shows nothing of the old one") {
  harden(kAllPolicies);
  auto* block = static_cast<char*>(allocate(100));
  memset(block, 1, 100);
  EXPECT_EQ(resized(block, 90), static_cast<void*>(block));
  EXPECT_EQ(usable_bytes(block), 90u);
  EXPECT_EQ(resized(block, 105), static_cast<void*>(block));
  EXPECT(is_zero(block + 90, 15));
  block[105] = 'A';
  EXPECT_EQ(deallocate(block), Misuse::kOverflow);
}

TEST("zero: a freed block is zero, and a write to it is found at the latest when all places are used again") {
  harden(kAllPolicies);
  for (size_t bytes : {size_t{16}, size_t{100}, size_t{1000}, size_t{5000}, size_t{20000}}) {
    auto* block = static_cast<char*>(allocate(bytes));
    memset(block, 'A', bytes);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    EXPECT(is_zero(block, bytes));
    block[bytes / 2] = 1;
    std::vector<void*> others;
    for (int i = 0; i < 20000 && !has_finding; i++) {
      others.push_back(allocate(bytes));
      EXPECT(others.back() != static_cast<void*>(block));
      if (i % 2 == 0) deallocate(others.back()), others.pop_back();
    }
    Finding finding = {};
    EXPECT(finding_take(&finding) && finding.block == block);
    EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
    free_all(others);
  }
  EXPECT_VERIFIED();
}

TEST("zero: of the page that blocks are taken from none is handed out that was written to while it was free") {
  harden(kAllPolicies & ~kQuarantine);
  for (size_t bytes : {100, 1000, 1200, 2500, 5000}) {
    char* written[4];
    for (char*& block : written) block = static_cast<char*>(allocate(bytes));
    for (char* block : written) {
      EXPECT_EQ(deallocate(block), Misuse::kNone);
      block[bytes / 2] = 1;
    }
    std::vector<void*> others;
    for (int i = 0; i < 1000; i++) {
      others.push_back(allocate(bytes));
      EXPECT(std::find(std::begin(written), std::end(written), others.back()) == std::end(written));
    }
    EXPECT(is_found());
    free_all(others);
  }
  EXPECT_VERIFIED();
}

TEST("zero: a write to the only free block of a page is found as its arena grows") {
  harden(kAllPolicies);
  constexpr size_t kBytes = 200, kBlocks = 5000, kMoreBlocks = 40000;
  std::vector<void*> blocks;
  for (size_t i = 0; i < kBlocks; i++) blocks.push_back(allocate(kBytes));
  auto* block = static_cast<char*>(blocks[100]);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  block[7] = 'x';
  for (size_t i = 0; i < kMoreBlocks && !has_finding; i++) EXPECT(allocate(kBytes) != nullptr);
  Finding finding = {};
  EXPECT(finding_take(&finding) && finding.block == block);
  EXPECT_VERIFIED();
}

TEST("zero: what is written after a free is found though all that is free around it was given back") {
  harden(kAllPolicies);
  constexpr size_t kBytes = 1000, kBlocks = 640, kOneIn = 32, kWritten = 333;
  std::vector<void*> blocks;
  for (size_t i = 0; i < kBlocks; i++) blocks.push_back(memset(allocate(kBytes), 1, kBytes));
  for (size_t i = 0; i < kBlocks; i++) {
    if (i % kOneIn != 0) EXPECT_EQ(deallocate(blocks[i]), Misuse::kNone);
  }
  quarantine_flush(arena_now());
  auto* block = static_cast<char*>(blocks[kWritten]);
  block[kBytes / 2] = 1;
  Sweep sweep;
  EXPECT(sweep.go_on(SweepWhich::kAll, UINT64_MAX));
  EXPECT(sweep.given_bytes() > kBlocks * kBytes / 2);
  EXPECT_EQ(block[kBytes / 2], 1);
  arena_purge_free_blocks(arena_now());
  for (size_t i = 0; i < 2 * kBlocks && !has_finding; i++) EXPECT(is_zero(allocate(kBytes), kBytes));
  Finding finding = {};
  EXPECT(finding_take(&finding) && finding.block == block);
  EXPECT_VERIFIED();
}

TEST("quarantine: a freed block is not used again before as many others were freed as it holds") {
  harden(kQuarantine);
  void* kept = allocate(100);
  void* block = allocate(100);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  uint32_t rounds = 0;
  for (; rounds < 10 * kQuarantineBlocks; rounds++) {
    void* other = allocate(100);
    bool is_same = other == block;
    EXPECT_EQ(deallocate(other), Misuse::kNone);
    if (is_same) break;
  }
  EXPECT(rounds >= kQuarantineBlocks - 1);
  EXPECT_EQ(deallocate(kept), Misuse::kNone);
  EXPECT_EQ(live_blocks(), 0u);
}

TEST("quarantine: its bytes are bounded, whatever the blocks' size") {
  harden(kAllPolicies);
  // Long ones alone, and among as many short ones as make the bound be met by one of these.
  constexpr size_t kLongBytes = 24000;
  for (auto [short_bytes, every] : {std::pair{kLongBytes, 1}, {size_t{1000}, 16}, {size_t{500}, 32}}) {
    for (int i = 0; i < 1000; i++) {
      EXPECT_EQ(deallocate(allocate(i % every == 0 ? kLongBytes : short_bytes)), Misuse::kNone);
      EXPECT_AT_MOST(quarantine_bytes(arena_now()), kQuarantineBytes);
    }
  }
  EXPECT_VERIFIED();
}

TEST("quarantine: its bytes are bounded as well when short blocks follow long ones, and longer ones short ones") {
  harden(kAllPolicies);
  std::vector<void*> blocks;
  for (int i = 0; i < 100; i++) blocks.push_back(allocate(i < 3 ? 20000 : 400));
  for (size_t bytes : {16, 1000}) {
    for (uint32_t i = 0; i < kQuarantineBlocks; i++) blocks.push_back(allocate(bytes));
  }
  for (void* block : blocks) {
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    EXPECT(quarantine_bytes(arena_now()) <= kQuarantineBytes);
  }
}

// They leave the quarantine as the thread's own blocks come.
TEST("quarantine: a thread that frees many of another's short blocks leaves them to their owner") {
  harden(kAllPolicies);
  std::vector<void*> blocks;
  for (uint32_t i = 0; i < kQuarantineBlocks; i++) blocks.push_back(allocate(400));
  auto used_blocks = [&] {
    uint64_t used = 0;
    PageHeader* last = nullptr;
    for (void* block : blocks) {
      PageHeader* page = page_of(block);
      if (page != last) used += used_of(*page);
      last = page;
    }
    return used;
  };
  uint64_t before = used_blocks();
  harness::on_other_thread([&] {
    std::vector<void*> own;
    for (uint32_t i = 0; i < kQuarantineBlocks; i++) own.push_back(allocate(400));
    for (void* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kNone);
    free_all(own);
  });
  EXPECT_EQ(used_blocks(), before);
  arena_drain(arena_now());
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
}

TEST("random: the blocks of a page come in another order than that of their addresses") {
  harden(kRandom);
  size_t rising = 0;
  char* last = nullptr;
  for (int i = 0; i < 400; i++) {
    auto* block = static_cast<char*>(allocate(64));
    rising += block == last + 64;
    last = block;
  }
  EXPECT_AT_MOST(rising, 100u);  // 30 on average, seldom more than 50; in order it would be all
}

TEST("guards: a touch right before or behind a large block ends the process") {
  if (harness::kSanitized) return harness::skip("the sanitizer has a signal handler of its own");
  harden(kAllPolicies);
  for (size_t bytes : {size_t{40000}, size_t{64} << 10, size_t{300000}, size_t{256} << 10, size_t{50} << 20}) {
    auto* block = static_cast<char*>(allocate(bytes));
    size_t end = round_up(bytes, kOsPageBytes);
    EXPECT_EQ(signal_at(block - 1, true), SIGSEGV);
    EXPECT_EQ(signal_at(block + end, true), SIGSEGV);
    EXPECT_EQ(signal_at(block + bytes - 1, true), 0);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
}

TEST("unmap: every touch of a block above the watched sizes after its free ends the process, until it is used again") {
  if (harness::kSanitized) return harness::skip("the sanitizer has a signal handler of its own");
  harden(kAllPolicies);
  for (size_t bytes : {kMostWatchedBytes + 1, size_t{300000}, size_t{5} << 20, size_t{50} << 20}) {
    auto* block = static_cast<char*>(allocate(bytes));
    memset(block, 'A', bytes / 2 + 1);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    EXPECT_EQ(signal_at(block, false), SIGSEGV);
    EXPECT_EQ(signal_at(block + bytes - 1, true), SIGSEGV);
    auto* next = static_cast<char*>(allocate(bytes));
    EXPECT(next != block);
    EXPECT_EQ(signal_at(block, false), SIGSEGV);
    EXPECT_EQ(deallocate(next), Misuse::kNone);
  }
}

TEST("unmap: blocks of the watched sizes are zero after their free, and a write to one is found at its next use") {
  harden(kAllPolicies);
  for (size_t bytes : {kMaxBlockBytes, size_t{40000}, size_t{64} << 10, kMostWatchedBytes}) {
    for (size_t touched : {size_t{1}, bytes / 2, bytes}) {
      std::vector<char*> blocks;
      for (int i = 0; i < 6; i++) blocks.push_back(static_cast<char*>(allocate(bytes)));
      for (char* block : blocks) memset(block, 'A', touched);
      for (char* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kNone);
      for (char* block : blocks) EXPECT(is_zero(block, bytes));
      blocks[0][bytes - 1] = 1;
      std::vector<void*> others;
      while (others.size() < 20 && !has_finding) {
        others.push_back(allocate(bytes));
        EXPECT(others.back() != blocks[0] && is_zero(others.back(), bytes));
      }
      Finding finding = {};
      EXPECT(finding_take(&finding) && finding.block == blocks[0]);
      EXPECT_EQ(deallocate(blocks[0]), Misuse::kDoubleFree);
      free_all(others);
    }
  }
  EXPECT(!is_found());
  EXPECT_VERIFIED();
}

TEST("unmap: without zero, blocks of every large size lose their access") {
  if (harness::kSanitized) return harness::skip("the sanitizer has a signal handler of its own");
  harden(kAllPolicies & ~kZero);
  auto* block = static_cast<char*>(allocate(40000));
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_EQ(signal_at(block, false), SIGSEGV);
}

TEST("large blocks are zero when they are used again, resized or not, and keep their content while they are") {
  harden(kAllPolicies);
  harness::Random random(harness::seed());
  std::vector<std::pair<char*, size_t>> blocks(20);
  for (int n = 0; n < 3000; n++) {
    auto& [block, bytes] = blocks[random.below(blocks.size())];
    if (block != nullptr && random.one_in(2)) {
      EXPECT(has_pattern(block, bytes, bytes) && deallocate(block) == Misuse::kNone);
      block = nullptr;
    }
    size_t wanted = random.between(kMaxBlockBytes, random.one_in(8) ? 6 << 20 : 300 << 10);
    if (block == nullptr) {
      block = static_cast<char*>(allocate(wanted));
      EXPECT(is_zero(block, wanted));
    } else {
      block = static_cast<char*>(resized(block, wanted));
      EXPECT(has_pattern(block, bytes, bytes, wanted < bytes ? wanted : bytes));
      if (wanted > bytes) EXPECT(is_zero(block + bytes, wanted - bytes));
    }
    bytes = wanted;
    fill_pattern(block, bytes, bytes);
  }
  for (auto& [block, bytes] : blocks) {
    if (block != nullptr) EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT(!is_found());
  EXPECT(mapping_table.give_back_kept());
  EXPECT(!mapping_table.give_back_kept());
  EXPECT_VERIFIED();
}

size_t resident_bytes(const void* start, size_t bytes) {
  std::vector<uint8_t> resident(bytes / kOsPageBytes);
  if (os::find_resident(start, bytes, resident.data()) != 0) return 0;  // it was given back, address and all
  size_t count = 0;
  for (uint8_t is_resident : resident) count += is_resident;
  return count * kOsPageBytes;
}

std::vector<char*> written_blocks(size_t count, size_t bytes) {
  std::vector<char*> blocks;
  for (size_t i = 0; i < count; i++) {
    blocks.push_back(static_cast<char*>(allocate(bytes)));
    memset(blocks.back(), 'A', bytes);
  }
  return blocks;
}

TEST("unmap: the memory of freed blocks serves blocks of other sizes, grown ones too") {
  harden(kAllPolicies);
  for (char* block : written_blocks(12, 512 << 10)) EXPECT_EQ(deallocate(block), Misuse::kNone);
  for (size_t bytes : {size_t{300} << 10, size_t{600} << 10}) {
    auto* block = static_cast<char*>(allocate(bytes));
    EXPECT(resident_bytes(block, bytes) >= size_t{300} << 10);
    EXPECT(is_zero(block, bytes));
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  auto* grown = static_cast<char*>(resized(allocate(200 << 10), 500 << 10));
  EXPECT(resident_bytes(grown, 500 << 10) >= size_t{480} << 10);
  EXPECT(is_zero(grown, 500 << 10));
  EXPECT_EQ(deallocate(grown), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("unmap: what is kept of freed blocks is bounded by what is in use and 16 MiB") {
  harden(kAllPolicies);
  constexpr size_t kCount = 24, kBytes = 3 << 20, kMostBytes = 16 << 20;
  std::vector<char*> blocks = written_blocks(kCount, kBytes);
  for (size_t freed = 1; freed <= kCount; freed++) {
    EXPECT_EQ(deallocate(blocks[freed - 1]), Misuse::kNone);
    size_t kept = 0;
    for (size_t i = 0; i < freed; i++) kept += resident_bytes(blocks[i], kBytes);
    EXPECT_AT_MOST(kept, kMostBytes + (kCount - freed) * kBytes + kBytes);
  }
  EXPECT(mapping_table.give_back_kept());
  for (char* block : blocks) EXPECT_EQ(resident_bytes(block, kBytes), 0u);
}

TEST("guards: groups of bucket pages are fenced by a page without access") {
  if (harness::kSanitized) return harness::skip("the sanitizer has a signal handler of its own");
  harden(kAllPolicies);
  char* highest = nullptr;
  for (uint32_t i = 0; i < RunList::kFencedPages * kPageBytes / 1000; i++) {
    auto* block = static_cast<char*>(allocate(1000));
    highest = block > highest ? block : highest;
  }
  char* first_page = region_table.regions[0].base + kPageBytes;
  EXPECT_EQ(signal_at(first_page + RunList::kFencedPages * kPageBytes, false), SIGSEGV);
  EXPECT(highest < first_page + RunList::kFencedPages * kPageBytes ||
         highest >= first_page + (RunList::kFencedPages + 1) * kPageBytes);
  EXPECT_VERIFIED();
}

TEST("size0: blocks of 0 bytes are different addresses that can be neither read nor written") {
  if (harness::kSanitized) return harness::skip("the sanitizer has a signal handler of its own");
  harden(kAllPolicies);
  auto* a = static_cast<char*>(allocate(0));
  auto* b = static_cast<char*>(allocate(0));
  EXPECT(a != nullptr && b != nullptr && a != b && is_aligned(a, 16));
  EXPECT_EQ(signal_at(a, false), SIGSEGV);
  EXPECT_EQ(signal_at(b, true), SIGSEGV);
  EXPECT_EQ(deallocate(a), Misuse::kNone);
  EXPECT_EQ(deallocate(a), Misuse::kDoubleFree);
  EXPECT_EQ(deallocate(b + 1), Misuse::kInteriorPointer);
  void* grown = resized(b, 100);
  EXPECT_EQ(deallocate(b), Misuse::kDoubleFree);
  EXPECT_EQ(deallocate(grown), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("sized: a free that names another size than was asked for is refused") {
  harden(kAllPolicies);
  for (size_t bytes : kSizes) {
    void* block = allocate(bytes);
    EXPECT_EQ(hardened_deallocate(block, bytes + 1), Misuse::kWrongSize);
    EXPECT_EQ(hardened_deallocate(block, bytes - 1), Misuse::kWrongSize);
    EXPECT_EQ(hardened_deallocate(block, bytes), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("each policy alone, and each left out, serves random operations like all of them") {
  for (uint32_t i = 0; i < 8; i++) {
    for (uint32_t policies : {1u << i, kAllPolicies & ~(1u << i)}) {
      harness::ChildEnd end = harness::run_in_child([&] {
        harden(policies);
        harness::Random random(harness::seed() + policies);
        std::vector<std::pair<void*, size_t>> blocks(500);
        for (int n = 0; n < 20000; n++) {
          auto& [ptr, bytes] = blocks[random.below(blocks.size())];
          if (ptr != nullptr) EXPECT(has_pattern(ptr, bytes, bytes) && deallocate(ptr) == Misuse::kNone);
          bytes = random.below(random.one_in(50) ? 200000 : 3000);
          ptr = allocate(bytes);
          fill_pattern(ptr, bytes, bytes);
        }
        for (auto& [ptr, bytes] : blocks) EXPECT_EQ(deallocate(ptr), Misuse::kNone);
        EXPECT(!is_found());
        EXPECT_EQ(live_blocks(), 0u);
        EXPECT_VERIFIED();
      });
      EXPECT_CLEAN(end);
    }
  }
}

TEST("a made arena is hardened in a fast process, and its neighbours are not") {
  MadeArena* arena = made_arena_make(kNoLimit, "keys", 4, true);
  Refusal refusal = Refusal::kNone;
  auto* block = static_cast<char*>(made_arena_take(arena, 100, 16, &refusal));
  auto* plain = static_cast<char*>(allocate(100));
  EXPECT_EQ(usable_bytes(block), 100u);
  EXPECT_EQ(usable_bytes(plain), 112u);
  char before = block[100];
  block[100] = 0;
  EXPECT_EQ(deallocate(block), Misuse::kOverflow);
  harness::on_other_thread([&] { EXPECT_EQ(deallocate(block), Misuse::kOverflow); });
  block[100] = before;
  uint64_t used = made_arena_bytes(arena);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT(made_arena_bytes(arena) < used);
  EXPECT(is_zero(block, 100));
  EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
  EXPECT_VERIFIED();
  made_arena_destroy(arena);
  EXPECT_EQ(deallocate(plain), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("a reset of a hardened arena clears what was live, so that nothing is found that was not done") {
  MadeArena* arena = made_arena_make(kNoLimit, "keys", 4, true);
  for (int round = 0; round < 20; round++) {
    Refusal refusal = Refusal::kNone;
    std::vector<void*> blocks;
    for (size_t i = 0; i < 3000; i++) {
      void* block = made_arena_take(arena, i, 16, &refusal);
      memset(block, 1, i);
      if (i % 3 == 0) EXPECT_EQ(deallocate(block), Misuse::kNone);
    }
    EXPECT_VERIFIED();
    made_arena_reset(arena);
    EXPECT(!is_found());
  }
  made_arena_destroy(arena);
  EXPECT_VERIFIED();
}

TEST("a damaged bit that calls a live block free does not give its memory back") {
  harden(kAllPolicies);
  constexpr size_t kBytes = 8000;  // an OS page at least lies within it
  std::vector<char*> blocks;
  for (int i = 0; i < 40; i++) blocks.push_back(static_cast<char*>(allocate(kBytes)));
  for (char* block : blocks) memset(block, 9, kBytes);
  for (char* block : blocks) {
    PageHeader* page = page_of(block);
    auto index = static_cast<uint32_t>((block - page->start) / page->block_bytes);
    page->remote_bits[word_of(index)] |= mask_of(index);
    page_purge_free_blocks(page);
    page->remote_bits[word_of(index)] &= ~mask_of(index);
    EXPECT(std::all_of(block, block + kBytes, [](char byte) { return byte == 9; }));
  }
  for (char* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT_VERIFIED();
}

TEST("a large block that grows by little moves seldom, and ends at a page without access each time") {
  harden(kAllPolicies);
  constexpr size_t kFirstBytes = 9 << 20, kStepBytes = 64 << 10, kLastBytes = 36 << 20;
  auto* block = static_cast<char*>(allocate(kFirstBytes));
  uint32_t moves = 0;
  for (size_t bytes = kFirstBytes; bytes <= kLastBytes; bytes += kStepBytes) {
    void* grown = nullptr;
    EXPECT_EQ(reallocate(block, bytes, &grown), Misuse::kNone);
    if (!EXPECT(grown != nullptr)) break;
    moves += grown != block;
    block = static_cast<char*>(grown);
    block[bytes - 1] = 7;
    if (!harness::kSanitized && bytes % (8 << 20) == 0) EXPECT_EQ(signal_at(block + bytes, true), SIGSEGV);
  }
  EXPECT_AT_MOST(moves, 25u);  // of 432 steps: to memory that is at hand, and to a quarter more each time
  EXPECT_EQ(block[kFirstBytes - 1], 7);
  EXPECT_EQ(deallocate(block), Misuse::kNone);
}

TEST("realloc of a large block to more than there is refuses, and the block stays") {
  harden(kAllPolicies);
  for (size_t bytes : {size_t{100000}, size_t{64} << 20}) {
    auto* block = static_cast<char*>(allocate(bytes));
    memset(block, 9, bytes);
    for (size_t more : {size_t{PTRDIFF_MAX}, size_t{PTRDIFF_MAX} + 1, SIZE_MAX - 4096, SIZE_MAX}) {
      void* result = block;
      EXPECT_EQ(reallocate(block, more, &result), Misuse::kNone);
      EXPECT_EQ(result, static_cast<void*>(nullptr));
    }
    EXPECT_EQ(block[0], 9);
    EXPECT_EQ(block[bytes - 1], 9);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("a block that the system would not map is refused with its guards, too") {
  harden(kGuards | kUnmap);
  for (size_t bytes : {size_t{1} << 40, size_t{1} << 46}) {
    void* mapped = os::map(bytes);
    if (mapped != nullptr) EXPECT(os::release(mapped, bytes));
    void* block = allocate(bytes);
    EXPECT_EQ(block != nullptr, mapped != nullptr);
    EXPECT_EQ(deallocate(block), Misuse::kNone);
  }
}

TEST("a block of no bytes is freed by its size, whatever its alignment") {
  harden(kAllPolicies);
  for (size_t alignment = 16; alignment <= 1 << 20; alignment *= 2) {
    void* block = allocate_aligned(alignment, 0);
    EXPECT_EQ(hardened_deallocate(block, 2), Misuse::kWrongSize);
    EXPECT_EQ(hardened_deallocate(block, 0), Misuse::kNone);
  }
  EXPECT_VERIFIED();
}

TEST("frees by other threads are checked like the owner's, and their blocks come back") {
  harden(kAllPolicies);
  std::vector<void*> blocks;
  for (size_t i = 0; i < 3000; i++) {
    blocks.push_back(allocate(i % 500));
    memset(blocks.back(), 1, i % 500 == 0 ? 0 : i % 500);
  }
  harness::on_other_thread([&] {
    for (void* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kNone);
    for (void* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
  });
  for (void* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kDoubleFree);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT(!is_found());
  EXPECT_VERIFIED();
}

TEST("a free bit of a live block, and one behind the last block, are found before anything is handed out by them") {
  harden(kAllPolicies);
  constexpr size_t kBytes = 2000;
  auto* block = static_cast<char*>(allocate(kBytes));
  PageHeader* page = page_of(block);
  EXPECT(page->capacity % kWordBits != 0);
  auto live = static_cast<uint32_t>(block - page->start) / page->block_bytes;
  for (uint32_t bit : {live, uint32_t{page->capacity}}) {
    harness::ChildEnd end = harness::run_in_child([&] {
      page->free_bits[word_of(bit)] = mask_of(bit);
      page->hot_offset = static_cast<uint32_t>(offset_of_word(bit));
      allocate(kBytes);
    });
    EXPECT_EQ(end.signal, SIGABRT);
    EXPECT(end.output.starts_with("pagerun: broken invariant: a block that is free has the entry of a free one"));
  }
}

TEST("a drain frees no block that is live by its entry, or waits in the owner's quarantine, whatever the bits say") {
  harden(kAllPolicies);
  std::vector<void*> blocks;
  for (int i = 0; i < 3; i++) blocks.push_back(allocate(100));
  PageHeader* page = page_of(blocks[0]);
  EXPECT_EQ(deallocate(blocks[1]), Misuse::kNone);
  harness::on_other_thread([&] {
    EXPECT_EQ(deallocate(blocks[2]), Misuse::kNone);
    quarantine_flush(arena_now());
  });
  for (void* block : {blocks[0], blocks[1]}) {
    auto index = static_cast<uint32_t>(static_cast<char*>(block) - page->start) / page->block_bytes;
    page->remote_bits[word_of(index)] |= mask_of(index);
    page->remote_summary |= mask_of(word_of(index));
  }
  uint32_t used = used_of(*page);
  arena_drain(arena_now());
  EXPECT_EQ(used_of(*page), used - 1);
  Finding finding = {};
  EXPECT(finding_take(&finding) && finding.misuse == Misuse::kDoubleFree);
  EXPECT(finding.block == blocks[0] || finding.block == blocks[1]);
  EXPECT_EQ(deallocate(blocks[0]), Misuse::kNone);
  EXPECT_EQ(deallocate(blocks[1]), Misuse::kDoubleFree);
  EXPECT_VERIFIED();
}

// Neither free sees the other: the owner has looked at the entry and at the canary before the other changes them.
TEST("a block that leaves two threads' quarantines stays with who has it then, and is told of") {
  harden(kAllPolicies);
  auto* block = static_cast<char*>(allocate(100));
  PageHeader* page = page_of(block);
  auto index = static_cast<uint32_t>(block - page->start) / page->block_bytes;
  std::vector<char> content(block, block + page->block_bytes);
  uint8_t entry = entries_of(*page)[index];
  harness::Barrier barrier(2);
  std::thread other([&] {
    EXPECT_EQ(deallocate(allocate(10)), Misuse::kNone);  // from here on it has a quarantine
    EXPECT_EQ(deallocate(block), Misuse::kNone);
    barrier.wait();
    barrier.wait();
    quarantine_flush(arena_now());
  });
  barrier.wait();
  memcpy(block, content.data(), content.size());
  entries_of(*page)[index] = entry;
  EXPECT_EQ(deallocate(block), Misuse::kNone);
  quarantine_flush(arena_now());
  std::vector<void*> others;
  for (void* taken = nullptr; taken != block && others.size() < kMaxBlocks;) others.push_back(taken = allocate(100));
  EXPECT_EQ(others.back(), static_cast<void*>(block));
  EXPECT(!is_found());
  barrier.wait();
  other.join();
  Finding finding = {};
  EXPECT(finding_take(&finding));
  EXPECT_EQ(finding.misuse, Misuse::kDoubleFree);
  EXPECT_EQ(finding.block, static_cast<const void*>(block));
  free_all(others);
  EXPECT_VERIFIED();
}

// The first clears the block, canary and all, while the second looks at it.
TEST("of two threads that free one block at the same moment one is told that it is free, not that it was written to") {
  if (harness::kThreadSanitizer) return harness::skip("two frees of one block race for what is in it");
  harden(kAllPolicies);
  for (size_t bytes : {size_t{24}, size_t{3000}, size_t{20000}}) {
    harness::Barrier barrier(3);
    void* block = nullptr;
    std::atomic<int> freed{0}, refused{0};
    harness::on_threads(3, [&](size_t me) {
      for (uint64_t i = 0; i < harness::rounds(300); i++) {
        if (me == 0) block = allocate(bytes);
        barrier.wait();
        if (me != 0) {
          Misuse misuse = deallocate(block);
          EXPECT(misuse == Misuse::kNone || misuse == Misuse::kDoubleFree);
          (misuse == Misuse::kNone ? freed : refused).fetch_add(1);
        }
        barrier.wait();
      }
    });
    EXPECT_EQ(freed.load(), refused.load());
    EXPECT_VERIFIED();
  }
}

TEST("what waits in a quarantine counts as live no more, in the totals and in the snapshot's bits") {
  harden(kAllPolicies);
  std::vector<void*> blocks;
  for (int i = 0; i < 50; i++) blocks.push_back(allocate(i % 5 == 0 ? 0 : 100));
  EXPECT_EQ(memory_totals().live_blocks, 50u);
  for (void* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kNone);
  EXPECT(quarantine_bytes(arena_now()) > 0);
  EXPECT_EQ(memory_totals().live_blocks, 0u);
  const Snapshot* snapshot = snapshot_take();
  EXPECT_EQ(snapshot->totals.live_blocks, 0u);
  for (uint64_t w = 0; w < snapshot->bitmap_word_count; w++) EXPECT_EQ(snapshot->bitmap_words[w], 0u);
  snapshot_release(snapshot);
}

}  // namespace
}  // namespace pagerun
