// The run list alone: random take and put against a map of who has which page, splits, merges, exhaustion.
#include "core/run_list.h"

#include <map>

#include "core/header_check.h"
#include "core/purge.h"
#include "harness.h"
#include "os/fault.h"

namespace pagerun {
namespace {

struct FreeRun {
  size_t pages;
  size_t dirty_pages;
  bool is_short;
};

size_t number_of(const PageHeader* page) { return static_cast<size_t>(page - region_table.regions[0].headers); }

std::map<size_t, FreeRun> free_runs_listed() {
  std::map<size_t, FreeRun> runs;
  for (bool dirty : {false, true}) {
    for (uint32_t bin = 0; bin < RunList::kBins; bin++) {
      for (const PageHeader* run = run_list.bin_first(bin, dirty); run != nullptr; run = run->next) {
        EXPECT(runs.emplace(number_of(run), FreeRun{run->run_pages, run->run_dirty, false}).second);
        EXPECT_EQ(run->run_dirty != 0, dirty);
        EXPECT(is_dirt_whole(*run));
      }
    }
  }
  for (uint32_t touched = 0; touched < RunList::kShortOsPages; touched++) {
    for (const PageHeader* run = run_list.first_short(touched); run != nullptr; run = run->next) {
      EXPECT(runs.emplace(number_of(run), FreeRun{run->run_pages, run->run_pages, true}).second);
      EXPECT_EQ(run->run_touched, touched);
    }
  }
  return runs;
}

// Every invariant of run_list.h, from the headers alone: what is taken is told by `taken` (first page -> pages).
void expect_invariants(const std::map<size_t, size_t>& taken) {
  const Region& region = region_table.regions[0];
  std::map<size_t, FreeRun> free_runs = free_runs_listed();
  size_t page = 1, dirty_pages = 0;
  bool was_merged = false;
  while (page < region.used_pages) {
    PageHeader* header = region.headers + page;
    auto listed = free_runs.find(page);
    auto held = taken.find(page);
    if (!EXPECT((listed != free_runs.end()) != (held != taken.end()))) return;
    bool is_free = listed != free_runs.end();
    bool is_merged = is_free && !listed->second.is_short;
    EXPECT(!(is_merged && was_merged));
    size_t pages = is_free ? listed->second.pages : held->second;
    EXPECT_EQ(header->run_pages, pages);
    EXPECT_EQ(header->kind, is_merged ? PageKind::kFree : is_free ? PageKind::kShort : PageKind::kRun);
    if (is_free) dirty_pages += listed->second.dirty_pages;
    if (is_merged) {
      EXPECT_EQ(header[pages - 1].kind, PageKind::kFree);
      EXPECT_EQ(header[pages - 1].run_pages, pages);
    } else {
      EXPECT_EQ(header->start, region.base + page * kPageBytes);
      for (uint32_t i = 1; i < pages; i++) EXPECT(header[i].kind == PageKind::kFollow && header[i].distance == i);
    }
    was_merged = is_merged;
    page += pages;
  }
  EXPECT_EQ(page, region.used_pages);
  EXPECT_EQ(run_list.dirty_pages(), dirty_pages);
}

PageHeader* take_settled(uint32_t pages, uint32_t align_pages = 1) {
  PageHeader* run = run_list.take(pages, align_pages);
  if (run == nullptr) return nullptr;
  run->run_bytes = pages * kPageBytes;
  run->block_bytes = kRunBlock;
  return run;
}

// A run of two pages, taken from memory in use if there is any, as a block of so many OS pages.
PageHeader* take_short(uint32_t os_pages) {
  size_t bytes = os_pages * kOsPageBytes;
  PageHeader* run = run_list.take_dirty(RunList::kShortPages, bytes);
  if (run == nullptr) run = run_list.take(RunList::kShortPages);
  run->run_bytes = bytes;
  run->block_bytes = kRunBlock;
  return run;
}

bool is_resized(PageHeader* run, size_t pages) {
  RunList::Resized resized = run_list.resize(run, pages * kPageBytes);
  EXPECT(resized != RunList::Resized::kNotARun);
  if (resized == RunList::Resized::kDone) EXPECT_EQ(run->run_bytes, pages * kPageBytes);
  return resized == RunList::Resized::kDone;
}

TEST("random take, put, grow and shrink: no overlap, no two free neighbours, every length right") {
  harness::Random random(harness::seed());
  std::map<size_t, size_t> taken;
  std::vector<PageHeader*> runs;
  for (uint64_t step = 0; step < harness::rounds(20000); step++) {
    uint64_t kind = random.below(10);
    if (runs.empty() || kind < 4) {
      auto pages = static_cast<uint32_t>(random.one_in(8) ? random.between(1, 200) : random.between(1, 9));
      auto align_pages = random.one_in(6) ? 1u << random.below(6) : 1u;
      PageHeader* run = take_settled(pages, align_pages);
      if (!EXPECT(run != nullptr)) return;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(run->start) % (align_pages * kPageBytes), 0u);
      EXPECT(taken.emplace(number_of(run), pages).second);
      runs.push_back(run);
    } else {
      size_t at = random.below(runs.size());
      PageHeader* run = runs[at];
      auto pages = static_cast<uint32_t>(taken[number_of(run)]);
      if (kind < 8) {
        EXPECT(run_list.put(run, PageKind::kRun));
        taken.erase(number_of(run));
        runs[at] = runs.back();
        runs.pop_back();
      } else if (kind == 8) {
        auto fewer = static_cast<uint32_t>(random.between(1, pages));
        EXPECT(is_resized(run, fewer));
        taken[number_of(run)] = fewer;
      } else {
        auto more = static_cast<uint32_t>(pages + random.between(1, 8));
        if (is_resized(run, more)) taken[number_of(run)] = more;
      }
    }
    if (step % 50 == 0) expect_invariants(taken);
  }
  while (!runs.empty()) {
    EXPECT(run_list.put(runs.back(), PageKind::kRun));
    taken.erase(number_of(runs.back()));
    runs.pop_back();
  }
  expect_invariants(taken);
  EXPECT_EQ(run_list.take_dirty(1u << 20, kPageBytes << 20), static_cast<PageHeader*>(nullptr));
  EXPECT_EQ(free_runs_listed().size(), 1u);
  expect_invariants(taken);
}

TEST("a run between two free runs merges with both, and one run remains") {
  PageHeader* a = take_settled(3);
  PageHeader* b = take_settled(4);
  PageHeader* c = take_settled(5);
  PageHeader* wall = take_settled(1);
  EXPECT(b == a + 3 && c == b + 4 && wall == c + 5);
  EXPECT(run_list.put(a, PageKind::kRun));
  EXPECT(run_list.put(c, PageKind::kRun));
  EXPECT_EQ(free_runs_listed().size(), 2u);
  EXPECT(run_list.put(b, PageKind::kRun));
  auto runs = free_runs_listed();
  EXPECT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[number_of(a)].pages, 12u);
  expect_invariants({{number_of(wall), 1}});
}

TEST("a free run is split at the front: address order, and the rest stays in the list") {
  PageHeader* a = take_settled(10);
  PageHeader* wall = take_settled(1);
  EXPECT(run_list.put(a, PageKind::kRun));
  PageHeader* b = take_settled(4);
  EXPECT_EQ(b, a);
  auto runs = free_runs_listed();
  EXPECT_EQ(runs[number_of(a) + 4].pages, 6u);
  PageHeader* c = take_settled(6);
  EXPECT_EQ(c, a + 4);
  EXPECT(free_runs_listed().empty());
  expect_invariants({{number_of(b), 4}, {number_of(c), 6}, {number_of(wall), 1}});
}

TEST("the shorter of two free runs that fit is taken, and a run that fits exactly is not split") {
  PageHeader* longer = take_settled(20);
  PageHeader* wall = take_settled(1);
  PageHeader* shorter = take_settled(7);
  PageHeader* second_wall = take_settled(1);
  EXPECT(run_list.put(longer, PageKind::kRun));
  EXPECT(run_list.put(shorter, PageKind::kRun));
  EXPECT_EQ(take_settled(7), shorter);
  EXPECT_EQ(take_settled(5), longer);
  EXPECT(wall != second_wall);
}

TEST("a block of more than a page gets the short run that held content about as far, and neighbours stay apart") {
  PageHeader* runs[] = {take_short(10), take_short(13), take_short(15)};
  PageHeader* wall = take_settled(1);
  for (PageHeader* run : runs) EXPECT(run_list.put(run, PageKind::kRun));
  expect_invariants({{number_of(wall), 1}});
  EXPECT_EQ(free_runs_listed().size(), 3u);
  EXPECT_EQ(take_short(12), runs[1]);
  EXPECT_EQ(take_short(9), runs[0]);
  EXPECT_EQ(take_short(9), runs[2]);
  expect_invariants({{number_of(runs[0]), 2}, {number_of(runs[1]), 2}, {number_of(runs[2]), 2}, {number_of(wall), 1}});
}

TEST("a short run that held content much further than its last block gives the end back, where that is not refused") {
  PageHeader* run = take_short(16);
  PageHeader* wall = take_settled(1);
  memset(run->start, 0x33, 16 * kOsPageBytes);
  for (bool is_refused : {true, false}) {
    EXPECT(run_list.put(run, PageKind::kRun));
    EXPECT_EQ(take_short(12), run);
    uint64_t purged_bytes = purge_counters.purged_bytes.load();
    if (is_refused) os::fail_call(1, 2);
    EXPECT(run_list.put(run, PageKind::kRun));
    os::fail_call(0, 0);
    EXPECT_EQ(purge_counters.purged_bytes.load() - purged_bytes, is_refused ? 0 : 4 * kOsPageBytes);
    EXPECT_EQ(run->kind, is_refused ? PageKind::kFree : PageKind::kShort);
    EXPECT(is_refused || run->run_touched == 12);
    expect_invariants({{number_of(wall), 1}});
    EXPECT_EQ(take_short(15), run);
  }
  EXPECT_EQ(purge_counters.retaken_bytes.load(), 3 * kOsPageBytes);
  EXPECT_EQ(run->start[12 * kOsPageBytes - 1], 0x33);
  EXPECT_EQ(run->start[12 * kOsPageBytes], 0);
}

TEST("a spare run is given only to a block that uses about as much of it as held content before") {
  PageHeader* run = take_short(14);
  EXPECT(run_list.put(run, PageKind::kRun));
  PageHeader* spare = run_list.take_dirty(RunList::kShortPages, 14 * kOsPageBytes);
  EXPECT_EQ(spare, run);
  EXPECT(RunList::suits(spare, 11 * kOsPageBytes));
  EXPECT(!RunList::suits(spare, 10 * kOsPageBytes));
  run_list.put_unsettled(spare);
  EXPECT_EQ(free_runs_listed().size(), 1u);
  EXPECT_EQ(spare->kind, PageKind::kShort);
}

TEST("a run of two pages that held content to its end is a free run like the others") {
  PageHeader* a = take_short(16);
  PageHeader* b = take_short(16);
  PageHeader* wall = take_settled(1);
  EXPECT(run_list.put(a, PageKind::kRun) && run_list.put(b, PageKind::kRun));
  EXPECT_EQ(free_runs_listed().at(number_of(a)).pages, 4u);
  expect_invariants({{number_of(wall), 1}});
}

TEST("short runs become pages, longer runs or room to grow when these are wanted") {
  PageHeader* a = take_short(9);
  PageHeader* b = take_short(9);
  PageHeader* c = take_short(9);
  PageHeader* wall = take_settled(1);
  EXPECT(run_list.put(a, PageKind::kRun) && run_list.put(b, PageKind::kRun));
  PageHeader* page = take_settled(1);
  EXPECT(page == a || page == b);
  EXPECT(run_list.put(page, PageKind::kRun));
  PageHeader* longer = take_settled(3);
  EXPECT(longer == a || longer == b || longer == a + 1);
  EXPECT(run_list.put(longer, PageKind::kRun) && run_list.put(c, PageKind::kRun));
  EXPECT_EQ(take_settled(6), a);
  EXPECT(is_resized(a, 2));
  PageHeader* d = take_short(9);
  PageHeader* e = take_short(9);
  EXPECT(d == a + 2 && e == d + 2);
  EXPECT(run_list.put(e, PageKind::kRun) && run_list.put(d, PageKind::kRun));
  EXPECT(is_resized(a, 3));
  expect_invariants({{number_of(a), 3}, {number_of(wall), 1}});
  EXPECT_EQ(run_list.give_back(0), 3u);
  expect_invariants({{number_of(a), 3}, {number_of(wall), 1}});
}

TEST("of two puts of one run the second is refused and nothing changes") {
  PageHeader* a = take_settled(3);
  PageHeader* wall = take_settled(1);
  EXPECT(!run_list.put(a, PageKind::kBucket));
  EXPECT(run_list.put(a, PageKind::kRun));
  EXPECT(!run_list.put(a, PageKind::kRun));
  EXPECT(!run_list.put(a + 1, PageKind::kRun));
  expect_invariants({{number_of(wall), 1}});
  PageHeader* b = take_short(12);
  EXPECT(run_list.put(b, PageKind::kRun));
  EXPECT(!run_list.put(b, PageKind::kRun));
  EXPECT(!run_list.put(b + 1, PageKind::kRun));
  expect_invariants({{number_of(wall), 1}});
}

TEST("a fresh run is clean and zero, a run that was in use is dirty, and what was given back is clean and zero again") {
  PageHeader* a = take_settled(6);
  EXPECT_EQ(a->run_dirty, 0u);
  for (size_t i = 0; i < 6 * kPageBytes; i++) EXPECT_EQ(a->start[i], 0);
  memset(a->start, 0x33, 6 * kPageBytes);
  EXPECT(run_list.put(a, PageKind::kRun));
  PageHeader* b = take_settled(6);
  EXPECT(b == a && b->run_dirty == 1);
  EXPECT(run_list.put(b, PageKind::kRun));
  EXPECT_EQ(run_list.give_back(0), 6u);
  EXPECT_EQ(run_list.dirty_pages(), 0u);
  PageHeader* c = take_settled(6);
  EXPECT(c == a && c->run_dirty == 0);
  for (size_t i = 0; i < 6 * kPageBytes; i++) EXPECT_EQ(c->start[i], 0);
}

TEST("give_back keeps as many dirty pages as it is told to") {
  std::vector<PageHeader*> runs;
  for (int i = 0; i < 20; i++) {
    runs.push_back(take_settled(4));
    take_settled(1);
  }
  for (PageHeader* run : runs) EXPECT(run_list.put(run, PageKind::kRun));
  size_t dirty = run_list.dirty_pages();
  EXPECT_EQ(dirty, 80u);
  size_t given = run_list.give_back(40);
  EXPECT_EQ(run_list.dirty_pages(), dirty - given);
  EXPECT(run_list.dirty_pages() <= 40);
  EXPECT(given >= 40 && given < 48);
}

TEST("what is freed beside pages that were given back does not make these dirty again") {
  std::vector<PageHeader*> runs;
  for (int i = 0; i < 50; i++) runs.push_back(take_settled(2));
  for (size_t i = 0; i < 40; i++) EXPECT(run_list.put(runs[i], PageKind::kRun));
  EXPECT_EQ(run_list.give_back(0), 80u);
  uint64_t purged_bytes = purge_counters.purged_bytes.load();
  for (size_t i = 40; i < runs.size(); i++) {
    EXPECT(run_list.put(runs[i], PageKind::kRun));
    EXPECT_EQ(run_list.dirty_pages(), 2u);
    EXPECT_EQ(run_list.give_back(0), 2u);
  }
  EXPECT_EQ(purge_counters.purged_bytes.load() - purged_bytes, 20 * kPageBytes);
  expect_invariants({});
}

TEST("of a free run that is dirty in part, what is said to be clean is zero when it is taken") {
  harness::Random random(harness::seed());
  std::vector<PageHeader*> taken;
  uint64_t clean = 0, dirty = 0;
  for (uint64_t i = 0; i < harness::rounds(20000); i++) {
    if (random.one_in(50)) run_list.give_back(random.below(30));
    if (random.below(100) < 50 && !taken.empty()) {
      std::swap(taken[random.below(taken.size())], taken.back());
      EXPECT(run_list.put(taken.back(), PageKind::kRun));
      taken.pop_back();
      continue;
    }
    auto pages = static_cast<uint32_t>(random.between(1, 9));
    PageHeader* run = take_settled(pages);
    (run->run_dirty ? dirty : clean)++;
    for (size_t at = 0; at < pages * kPageBytes; at += kOsPageBytes) {
      EXPECT(run->run_dirty != 0 || run->start[at] == 0);
      run->start[at] = 1;
    }
    taken.push_back(run);
  }
  EXPECT(clean > 100 && dirty > 100);
}

TEST("what was never used does not count as taken again, and what was given back counts once, grown into or taken") {
  auto retaken_pages = [] { return purge_counters.retaken_bytes.load() / kPageBytes; };
  PageHeader* fresh = run_list.take(6);
  run_list.put_unsettled(fresh);
  PageHeader* a = take_settled(2);
  EXPECT(a == fresh && a->run_dirty == 0);
  EXPECT(is_resized(a, 3));
  EXPECT_EQ(retaken_pages(), 0u);
  PageHeader* b = take_settled(3);
  PageHeader* wall = take_settled(1);
  EXPECT(b == a + 3 && wall == b + 3);
  EXPECT(run_list.put(b, PageKind::kRun));
  EXPECT_EQ(run_list.give_back(0), 3u);
  EXPECT(is_resized(a, 4));
  EXPECT_EQ(retaken_pages(), 1u);
  EXPECT_EQ(take_settled(2), b + 1);
  EXPECT_EQ(retaken_pages(), 3u);
  run_list.put_unsettled(run_list.take(5));
  EXPECT(take_settled(5)->run_dirty == 0);
  EXPECT_EQ(retaken_pages(), 3u);
}

TEST("a purge that the kernel refuses leaves the run dirty, listed and usable") {
  PageHeader* a = take_settled(5);
  PageHeader* wall = take_settled(1);
  EXPECT(run_list.put(a, PageKind::kRun));
  os::fail_call(1, 2);
  EXPECT_EQ(run_list.give_back(0), 0u);
  os::fail_call(0, 0);
  EXPECT_EQ(run_list.dirty_pages(), 5u);
  expect_invariants({{number_of(wall), 1}});
  EXPECT_EQ(take_settled(5), a);
}

TEST("grow takes the free neighbour behind, exactly or in part, and never a page in use") {
  PageHeader* a = take_settled(2);
  PageHeader* b = take_settled(4);
  PageHeader* wall = take_settled(1);
  EXPECT(!is_resized(a, 3));
  EXPECT(run_list.put(b, PageKind::kRun));
  EXPECT(!is_resized(a, 7));
  EXPECT(is_resized(a, 5));
  expect_invariants({{number_of(a), 5}, {number_of(wall), 1}});
  EXPECT(is_resized(a, 6));
  expect_invariants({{number_of(a), 6}, {number_of(wall), 1}});
  EXPECT(!is_resized(a, 7));
  EXPECT(is_resized(wall, 300));
  expect_invariants({{number_of(a), 6}, {number_of(wall), 300}});
}

TEST("shrink gives the end back, merged with what is free behind it") {
  PageHeader* a = take_settled(8);
  PageHeader* b = take_settled(3);
  PageHeader* wall = take_settled(1);
  EXPECT(run_list.put(b, PageKind::kRun));
  EXPECT(is_resized(a, 8));
  EXPECT_EQ(free_runs_listed().size(), 1u);
  EXPECT(is_resized(a, 1));
  auto runs = free_runs_listed();
  EXPECT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[number_of(a) + 1].pages, 10u);
  expect_invariants({{number_of(a), 1}, {number_of(wall), 1}});
}

TEST("a run may be resized to bytes that are no whole pages, and one that is free is refused") {
  PageHeader* a = take_settled(3);
  PageHeader* wall = take_settled(1);
  EXPECT(run_list.resize(a, 2 * kPageBytes + 1) == RunList::Resized::kDone);
  EXPECT_EQ(a->run_bytes, 2 * kPageBytes + kOsPageBytes);
  EXPECT_EQ(a->run_pages, 3u);
  EXPECT(run_list.put(a, PageKind::kRun));
  EXPECT(run_list.resize(a, kPageBytes) == RunList::Resized::kNotARun);
  EXPECT(run_list.resize(a, 9 * kPageBytes) == RunList::Resized::kNotARun);
  expect_invariants({{number_of(wall), 1}});
}

TEST("take_dirty takes what is in memory already, and nothing else") {
  EXPECT_EQ(run_list.take_dirty(1, kPageBytes), static_cast<PageHeader*>(nullptr));
  PageHeader* a = take_settled(5);
  PageHeader* wall = take_settled(1);
  EXPECT(run_list.put(a, PageKind::kRun));
  EXPECT_EQ(run_list.take_dirty(6, 6 * kPageBytes), static_cast<PageHeader*>(nullptr));
  PageHeader* b = run_list.take_dirty(3, 3 * kPageBytes);
  EXPECT_EQ(b, a);
  b->run_bytes = 3 * kPageBytes;
  b->block_bytes = kRunBlock;
  expect_invariants({{number_of(b), 3}, {number_of(wall), 1}});
  EXPECT(run_list.put(b, PageKind::kRun));
  run_list.give_back(0);
  EXPECT_EQ(run_list.take_dirty(1, kPageBytes), static_cast<PageHeader*>(nullptr));
}

TEST("exhausted address space is null, and what was taken before is put back and taken again") {
  PageHeader* first = take_settled(1);
  os::fail_call(1, ~0u);
  std::map<size_t, size_t> taken = {{number_of(first), 1}};
  std::vector<PageHeader*> runs;
  while (PageHeader* run = take_settled(3)) {
    taken[number_of(run)] = 3;
    runs.push_back(run);
  }
  EXPECT(!runs.empty());
  expect_invariants(taken);
  EXPECT_EQ(take_settled(1000), static_cast<PageHeader*>(nullptr));
  for (PageHeader* run : runs) EXPECT(run_list.put(run, PageKind::kRun));
  expect_invariants({{number_of(first), 1}});
  EXPECT(take_settled(static_cast<uint32_t>(runs.size() * 3)) != nullptr);
  os::fail_call(0, 0);
  EXPECT(take_settled(1000) != nullptr);
}

TEST("a boundary tag that was overwritten stops the process before the run is merged") {
  harness::ChildEnd end = harness::run_in_child([] {
    PageHeader* a = take_settled(4);
    PageHeader* b = take_settled(1);
    run_list.put(a, PageKind::kRun);
    a[3].run_pages = 3;
    run_list.put(b, PageKind::kRun);
  });
  EXPECT_EQ(end.signal, SIGABRT);
  EXPECT(end.output.starts_with("pagerun: broken invariant: "));
}

TEST("a last page that contradicts the first stops the process before the run behind is merged") {
  harness::ChildEnd end = harness::run_in_child([] {
    PageHeader* a = take_settled(1);
    PageHeader* b = take_settled(4);
    take_settled(1);
    run_list.put(b, PageKind::kRun);
    b[3].run_pages = 3;
    run_list.put(a, PageKind::kRun);
  });
  EXPECT_EQ(end.signal, SIGABRT);
}

TEST("a short run whose header was overwritten stops the process before it is handed out") {
  for (uint32_t PageHeader::* overwritten : {&PageHeader::run_touched, &PageHeader::run_pages}) {
    harness::ChildEnd end = harness::run_in_child([overwritten] {
      PageHeader* run = take_short(12);
      run_list.put(run, PageKind::kRun);
      run->*overwritten = 17;
      take_short(12);
    });
    EXPECT_EQ(end.signal, SIGABRT);
    EXPECT(end.output.starts_with("pagerun: broken invariant: a short run is as it was put aside"));
  }
}

TEST("a pinned run neither shrinks nor is given to anybody when it is freed, until the pin goes") {
  PageHeader* run = take_settled(4);
  take_settled(1);
  EXPECT(run_list.pin(run));
  EXPECT(!is_resized(run, 2));
  EXPECT_EQ(run->run_pages, 4u);
  EXPECT(run_list.put(run, PageKind::kRun));
  EXPECT(take_settled(4) != run);
  run_list.unpin(run);
  EXPECT_EQ(take_settled(4), run);
}

TEST("a run that is in use stays so when its last pin goes") {
  PageHeader* run = take_settled(3);
  EXPECT(run_list.pin(run));
  run_list.unpin(run);
  EXPECT_EQ(run->kind, PageKind::kRun);
  EXPECT(run_list.put(run, PageKind::kRun));
}

TEST("one page comes from a free run; only where there is none several come, which were never used") {
  while (PageHeader* run = run_list.take_one_or_fresh(8)) {
    if (run->run_pages == 8) {
      EXPECT_EQ(number_of(run) + 8, region_table.regions[0].used_pages);
      EXPECT_EQ(run->run_dirty, 0u);
      run_list.put_unsettled(run);
      break;
    }
    EXPECT_EQ(run->run_pages, 1u);
  }
  size_t dirty_pages = run_list.dirty_pages();
  PageHeader* one = run_list.take_one_or_fresh(8);
  EXPECT_EQ(one->run_pages, 1u);
  EXPECT_EQ(run_list.dirty_pages(), dirty_pages);
}

}  // namespace
}  // namespace pagerun
