#include "sweep.h"

#include "../os/background.h"
#include "../os/memory.h"
#include "header_check.h"
#include "purge.h"
#include "region.h"

namespace pagerun {

constinit SweepClaims sweep_claims;
Lock sweep_lock;

namespace {

// What sweeps remember of a page, in tables of their own that are made when they are wanted.
struct SweepNote {
  uint16_t seen_blocks;   // summary_of() when it was looked at last,
  uint16_t swept_blocks;  // and when what is free was given back last; without kGivenBit when the system refused that
};

constexpr uint16_t kGivenBit = 1;  // of every summary

constexpr size_t kNotesPerTable = kWindowBytes / kPageBytes;
constexpr size_t kTablesPerRegion = kLargestRegionBytes / kWindowBytes;

std::atomic<SweepNote*> note_tables[kMaxRegions][kTablesPerRegion] = {};

// Null where there is none, or no memory for one.
SweepNote* note_of(uint32_t region, size_t page, bool may_make) {
  std::atomic<SweepNote*>& place = note_tables[region][page / kNotesPerTable];
  SweepNote* table = place.load(std::memory_order_acquire);
  if (table == nullptr) {
    if (!may_make) return nullptr;
    constexpr size_t kTableBytes = kNotesPerTable * sizeof(SweepNote);
    auto* made = static_cast<SweepNote*>(os::map(kTableBytes));
    if (made == nullptr) return nullptr;
    if (place.compare_exchange_strong(table, made, std::memory_order_acq_rel)) {
      table = made;
    } else {
      os::release(made, kTableBytes);
    }
  }
  return table + page % kNotesPerTable;
}

// Of a page of any region; null where there is none.
SweepNote* note_of(const PageHeader* page) {
  const Region& region = region_of_header(page);
  auto number = static_cast<uint32_t>(&region - region_table.regions);
  return note_of(number, static_cast<size_t>(page - region.headers), false);
}

// It is not tried again before another block is free, but for a program that asks for all.
void note_refused(const PageHeader* page) {
  SweepNote* note = note_of(page);
  if (note != nullptr) store_relaxed(note->swept_blocks, static_cast<uint16_t>(note->swept_blocks & ~kGivenBit));
}

constexpr size_t kPagesBetweenLooks = 4096;  // headers between two looks at the clock

// A page of which other threads may be sure that it only gains free blocks. acquire: pairs with page_new().
bool is_sweepable(const PageHeader& page) {
  PageKind kind = PageKind::kNone;
  __atomic_load(&page.kind, &kind, __ATOMIC_ACQUIRE);
  return kind == PageKind::kBucket && is_settled(page) && !is_taken_from(page);
}

// Full, and nobody has left a free in it.
bool has_no_free_block(const PageHeader& page) {
  return load_relaxed(page.countdown) + load_relaxed(page.notify_at) == load_relaxed(page.capacity) &&
         page.remote_summary.load(std::memory_order_relaxed) == 0;
}

// Which blocks are free, in 16 bits, of which kGivenBit is set: the same as long as nobody frees one. The page is not
// claimed, and may become another one meanwhile, or be damaged: so the places of its bits are reckoned, not read.
uint16_t summary_of(const Region& region, const PageHeader& page) {
  uint32_t capacity = load_relaxed(page.capacity);
  if (capacity > kMaxBlocks) return kGivenBit;
  bool is_inline = capacity <= kInlineBlocks;
  const uint64_t* free_bits = is_inline ? page.inline_free_bits : region.free_bits_of(&page);
  const std::atomic<uint64_t>* remote_bits = is_inline ? page.inline_remote_bits : region.remote_bits_of(&page);
  bool is_remote = page.remote_summary.load(std::memory_order_relaxed) != 0;
  uint64_t sum = 0;
  for (uint32_t w = 0; w < words_of(capacity); w++) {
    uint64_t remote = is_remote ? remote_bits[w].load(std::memory_order_relaxed) : 0;
    sum = (sum ^ (remote | load_relaxed(free_bits[w]))) * 0x9e3779b97f4a7c15ull;
    sum ^= sum >> 29;
  }
  return static_cast<uint16_t>(sum >> 48 | kGivenBit);
}

// OS pages of several pages in a row, given back with one system call.
class Stretch {
 public:
  /// False when the system refused what was gathered before.
  bool add(char* start, size_t bytes) {
    if (start_ != nullptr && start_ + bytes_ == start) {
      bytes_ += bytes;
      return true;
    }
    bool is_given = give();
    start_ = start;
    bytes_ = bytes;
    return is_given;
  }
  bool give() {
    if (start_ == nullptr) return true;
    char* start = start_;
    start_ = nullptr;
    return give_back(start, bytes_);
  }

 private:
  char* start_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace

void sweep_wait(const PageHeader* page) {
  for (const std::atomic<const PageHeader*>& claimed : sweep_claims.pages) {
    if (claimed.load(std::memory_order_relaxed) != page) continue;
    LockGuard guard(sweep_lock);
    return;
  }
}

void sweep_forget(const PageHeader* page) {
  if (!has_noted_purge.load(std::memory_order_relaxed)) return;
  SweepNote* note = note_of(page);
  if (note != nullptr) store_relaxed(note->swept_blocks, uint16_t{0});
}

void page_count_retaken(PageHeader* page) {
  // The header's third line is not looked at in a process that never gave anything back.
  if (!has_noted_purge.load(std::memory_order_relaxed)) return;
  uint32_t purged = load_relaxed(page->purged);
  if (purged == 0) return;
  count_retaken(count_bits(purged) * kOsPageBytes);
  store_relaxed(page->purged, uint16_t{0});
  sweep_forget(page);
}

bool Sweep::visit(PageHeader* page, SweepWhich which) {
  if (!is_sweepable(*page) || has_no_free_block(*page)) return false;
  SweepNote* note = note_of(region_, page_, true);
  if (note == nullptr && which != SweepWhich::kAll) return false;
  uint16_t summary = summary_of(region_table.regions[region_], *page);
  uint16_t swept = note == nullptr ? uint16_t{0} : load_relaxed(note->swept_blocks);
  bool may_be_refused = which != SweepWhich::kAll && swept != 0;
  if (summary == (may_be_refused ? swept | kGivenBit : swept)) return false;
  if (which == SweepWhich::kQuiet) {
    pending_pages_++;
    if (summary != load_relaxed(note->seen_blocks)) {
      store_relaxed(note->seen_blocks, summary);
      return false;
    }
  }
  pages_[count_++] = page;
  if (count_ < kMaxClaims) return false;
  step();
  return true;
}

void Sweep::step() {
  LockGuard guard(sweep_lock);
  uint32_t count = count_;
  count_ = 0;
  for (uint32_t i = 0; i < count; i++) {
    sweep_claims.pages[i].store(pages_[i], std::memory_order_relaxed);
    // What is free later shows in the next summary.
    SweepNote* note = note_of(pages_[i]);
    if (note != nullptr) store_relaxed(note->swept_blocks, summary_of(region_of_header(pages_[i]), *pages_[i]));
  }
  sweep_claims.count.store(count, std::memory_order_release);
  uint32_t bits[kMaxClaims] = {};
  Stretch stretch;
  bool is_given = os::fence_all_threads();
  for (uint32_t i = 0; is_given && i < count; i++) {
    PageHeader* page = pages_[i];
    // What is damaged is left to its owner, who says so.
    if (!is_sweepable(*page) || find_damage(*page) != nullptr) continue;
    bits[i] = page_untouched_os_pages(page, page_free_os_pages(page) & ~load_relaxed(page->purged));
    visit_rows(bits[i], [&](uint32_t first, uint32_t rows) {
      is_given = stretch.add(page->start + first * kOsPageBytes, rows * kOsPageBytes) && is_given;
    });
  }
  is_given = stretch.give() && is_given;
  for (uint32_t i = 0; !is_given && i < count; i++) note_refused(pages_[i]);
  for (uint32_t i = 0; is_given && i < count; i++) {
    if (bits[i] == 0) continue;
    page_note_purged(pages_[i], bits[i]);
    given_bytes_ += count_bits(bits[i]) * kOsPageBytes;
  }
  sweep_claims.count.store(0, std::memory_order_release);  // pairs with page_leave_sweep()
}

bool Sweep::go_on(SweepWhich which, uint64_t until_milliseconds) {
  if (region_ == 0 && page_ == 1) given_bytes_ = pending_pages_ = 0;
  for (; region_ < region_table.count.load(std::memory_order_acquire); region_++, page_ = 1) {
    Region& region = region_table.regions[region_];
    for (size_t end = load_relaxed(region.used_pages); page_ < end;) {
      bool has_stepped = visit(region.headers + page_, which);
      page_++;
      if ((!has_stepped && page_ % kPagesBetweenLooks != 0) || os::milliseconds() < until_milliseconds) continue;
      if (count_ > 0) step();
      return false;
    }
  }
  if (count_ > 0) step();
  region_ = 0;
  page_ = 1;
  return true;
}

}  // namespace pagerun
