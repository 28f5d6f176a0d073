#include "fenced_memory.h"

#include <cstdint>
#include <cstring>

#include "../base/bits.h"
#include "../harden/fill.h"
#include "../os/memory.h"
#include "../os/os_pages.h"

namespace pagerun {

namespace {

constexpr size_t kRoomShare = 4;  // of its room a block takes at most half, and so much if that is not very long
constexpr size_t kMostRoomToSpare = 8 << 20;
constexpr size_t kFaultCost = 4;         // a byte that lacks, to one that is too many
constexpr size_t kMoveCost = 256 << 10;  // of a range without the room
constexpr size_t kLeastMoved = 4;        // a range with less than this part of the memory is not worth it

// Addresses cost nothing: with room to spare a range fits blocks of many sizes, and grows where it is. A process that
// has a limit on its addresses has none to spare.
size_t room_of(size_t bytes) {
  if (bytes > kMostRoomToSpare || os::address_space_limit() != SIZE_MAX) return bytes;
  size_t roomy = power_of_two_at_least(bytes) * kRoomShare;
  return roomy < kMostRoomToSpare ? roomy : kMostRoomToSpare;
}

// What has grown once will grow again: moved for each OS page, a block of 100 MB takes 170 µs a time.
size_t room_of_grown(size_t bytes) {
  size_t room_bytes = room_of(bytes), grown_bytes = round_up(bytes + bytes / 4, kOsPageBytes);
  return room_bytes > grown_bytes ? room_bytes : grown_bytes;
}

// Address space with room for both guards round `bytes` at a multiple of `alignment`; the address of the latter.
char* reserve_fenced(size_t bytes, size_t alignment) {
  size_t whole_bytes = bytes + 2 * kGuardBytes, spare = alignment > kOsPageBytes ? alignment : 0;
  if (bytes > SIZE_MAX / 2 || spare > SIZE_MAX / 4) return nullptr;
  auto* raw = static_cast<char*>(os::reserve_counted(whole_bytes + spare));
  if (raw == nullptr || spare == 0) return raw == nullptr ? nullptr : raw + kGuardBytes;
  auto* start = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(raw) + kGuardBytes, alignment));
  // A refusal to trim costs address space, no memory.
  auto before = static_cast<size_t>(start - kGuardBytes - raw);
  if (before > 0) os::release(raw, before);
  if (spare > before) os::release(start + bytes + kGuardBytes, spare - before);
  return start;
}

size_t memory_of(const FencedRange& range) {
  return range.filled_bytes > range.open_bytes ? range.filled_bytes : range.open_bytes;
}

// True when at least half of the range's open OS pages are in memory.
bool is_mostly_resident(const FencedRange& range) {
  constexpr size_t kStepPages = 512;
  uint8_t resident[kStepPages];
  size_t pages = range.open_bytes / kOsPageBytes, count = 0;
  for (size_t first = 0; first < pages; first += kStepPages) {
    size_t step = pages - first < kStepPages ? pages - first : kStepPages;
    if (os::find_resident(range.address + first * kOsPageBytes, step * kOsPageBytes, resident) != 0) return false;
    for (size_t i = 0; i < step; i++) count += resident[i];
  }
  return count >= pages / 2;
}

// Which OS pages of a watched range are in memory.
class Residence {
 public:
  explicit Residence(const FencedRange& range) : pages_(range.open_bytes / kOsPageBytes) {
    is_known_ =
        range.open_bytes <= kMostWatchedBytes && os::find_resident(range.address, range.open_bytes, resident_) == 0;
    for (size_t i = 0; is_known_ && i < pages_; i++) count_ += resident_[i];
  }

  bool is_known() const { return is_known_; }
  bool is_whole() const { return count_ == pages_; }

  /// Calls visit(first OS page, how many, whether they are in memory) for each row of pages that are alike, until it
  /// answers false; false then.
  template <class Visit>
  bool visit_rows(Visit visit) const {
    for (size_t first = 0; first < pages_;) {
      size_t end = first + 1;
      while (end < pages_ && resident_[end] == resident_[first]) end++;
      if (!visit(first, end - first, resident_[first] != 0)) return false;
      first = end;
    }
    return true;
  }

 private:
  size_t pages_, count_ = 0;
  bool is_known_;
  uint8_t resident_[kMostWatchedBytes / kOsPageBytes];
};

// The rest may have been swapped out: it is given back.
bool clear_rows(const FencedRange& range, const Residence& residence) {
  return residence.visit_rows([&](size_t first, size_t count, bool is_resident) {
    char* start = range.address + first * kOsPageBytes;
    if (!is_resident) return os::purge(start, count * kOsPageBytes);
    memset(start, 0, count * kOsPageBytes);
    return true;
  });
}

bool drop_content(FencedRange* range) {
  if (!os::seal_off(range->address, memory_of(*range))) return false;
  range->open_bytes = 0;
  range->filled_bytes = 0;
  return true;
}

// Takes access away behind the first `bytes` bytes of what is open, which is zero and stays in memory.
bool hide_rest(FencedRange* range, size_t bytes) {
  if (os::protect(range->address + bytes, range->open_bytes - bytes, os::Protection::kNone) != 0) return false;
  range->open_bytes = bytes;
  return true;
}

bool take_access(FencedRange* range) { return hide_rest(range, 0); }

}  // namespace

bool fenced_map(size_t bytes, size_t alignment, FencedRange* range) {
  size_t room_bytes = room_of(bytes);
  char* address = reserve_fenced(room_bytes, alignment);
  if (address == nullptr) address = reserve_fenced(room_bytes = bytes, alignment);
  if (address == nullptr) return false;
  *range = {address, bytes, room_bytes, 0};
  if (os::commit(address, bytes)) return true;
  fenced_release(*range);
  return false;
}

bool fenced_move(FencedRange* range, size_t new_bytes) {
  size_t room_bytes = room_of_grown(new_bytes), had = memory_of(*range);
  char* target = reserve_fenced(room_bytes, kOsPageBytes);
  if (target == nullptr) target = reserve_fenced(room_bytes = new_bytes, kOsPageBytes);
  if (target == nullptr) return false;
  size_t filled_bytes = range->filled_bytes < new_bytes ? range->filled_bytes : new_bytes;
  FencedRange moved = {target, new_bytes, room_bytes, filled_bytes};
  bool is_open = range->open_bytes == had || os::commit(range->address, had);
  if (!is_open || os::remap_to(range->address, had, new_bytes, target) == nullptr) {
    fenced_release(moved);
    return false;
  }
  os::release(range->address - kGuardBytes, kGuardBytes);
  os::release(range->address + had, range->room_bytes - had + kGuardBytes);
  *range = moved;
  return true;
}

bool fenced_resize(FencedRange* range, size_t new_bytes) {
  size_t had = range->open_bytes;
  if (new_bytes > range->room_bytes) return false;
  if (new_bytes > had) {
    if (!os::commit(range->address + had, new_bytes - had)) return false;
  } else {
    if (!os::seal_off(range->address + new_bytes, memory_of(*range) - new_bytes)) return false;
    if (range->filled_bytes > new_bytes) range->filled_bytes = new_bytes;
  }
  range->open_bytes = new_bytes;
  return true;
}

void fenced_release(const FencedRange& range) {
  size_t whole_bytes = range.room_bytes + 2 * kGuardBytes;
  if (!os::release(range.address - kGuardBytes, whole_bytes)) os::purge(range.address, range.room_bytes);
}

bool fenced_rest(FencedRange* range, bool may_be_watched, size_t most_bytes) {
  size_t bytes = range->open_bytes;
  bool is_watched = may_be_watched && bytes <= kMostWatchedBytes;
  if (is_watched && range->filled_bytes < bytes) {
    Residence residence(*range);
    if (!residence.is_known()) return drop_content(range);
    if (!residence.is_whole()) return clear_rows(*range, residence);
  } else if (!is_watched) {
    if (memory_of(*range) > most_bytes) return drop_content(range);
    bool is_in_memory = range->filled_bytes >= bytes || is_mostly_resident(*range);
    if (!is_in_memory) return drop_content(range);
  }
  memset(range->address, 0, bytes);
  if (range->filled_bytes < bytes) range->filled_bytes = bytes;
  return is_watched || take_access(range);
}

bool is_fenced_untouched(const FencedRange& range) {
  if (range.open_bytes == 0) return true;
  if (range.filled_bytes >= range.open_bytes) return is_all_zero(range.address, range.open_bytes);
  Residence residence(range);
  if (!residence.is_known()) return is_all_zero(range.address, range.open_bytes);
  return residence.visit_rows([&](size_t first, size_t count, bool is_resident) {
    return !is_resident || is_all_zero(range.address + first * kOsPageBytes, count * kOsPageBytes);
  });
}

Woken fenced_wake(FencedRange* range, size_t bytes) {
  if (!is_fenced_untouched(*range)) return Woken::kWrittenTo;
  if (bytes > range->room_bytes) return fenced_move(range, bytes) ? Woken::kReady : Woken::kRefused;
  bool is_ready = range->open_bytes == bytes;
  if (!is_ready) is_ready = range->open_bytes < bytes ? fenced_resize(range, bytes) : hide_rest(range, bytes);
  return is_ready ? Woken::kReady : Woken::kRefused;
}

void KeptRanges::remove(size_t index) {
  room_bytes_ -= ranges_[index].room_bytes;
  memory_bytes_ -= memory_of(ranges_[index]);
  count_--;
  memmove(&ranges_[index], &ranges_[index + 1], (count_ - index) * sizeof(FencedRange));
}

// What it costs to make a block of `bytes` bytes of the range, in bytes of memory that nobody has any use for; SIZE_MAX
// when another one had better be mapped.
size_t KeptRanges::cost_of(const FencedRange& range, size_t bytes, size_t alignment, size_t most_spare_bytes) {
  bool must_move = range.room_bytes < bytes;
  size_t memory = memory_of(range), spare = memory > bytes ? memory - bytes : 0;
  if (reinterpret_cast<uintptr_t>(range.address) % alignment != 0 || spare > most_spare_bytes) return SIZE_MAX;
  if (must_move && (alignment > kOsPageBytes || memory < bytes / kLeastMoved)) return SIZE_MAX;
  return spare + (bytes + spare - memory) * kFaultCost + (must_move ? kMoveCost : 0);
}

// Of equal ones the youngest: it may still be in the caches.
size_t KeptRanges::find(size_t bytes, size_t alignment, size_t most_spare_bytes) const {
  size_t best = count_, best_cost = SIZE_MAX;
  for (size_t i = count_ > kRestingRanges ? count_ - kRestingRanges : 0; i-- > 0 && best_cost > 0;) {
    size_t cost = cost_of(ranges_[i], bytes, alignment, most_spare_bytes);
    if (cost >= best_cost) continue;
    best = i;
    best_cost = cost;
  }
  return best;
}

size_t KeptRanges::memory_for(size_t bytes, size_t most_spare_bytes) const {
  size_t index = find(bytes, kOsPageBytes, most_spare_bytes);
  return index == count_ ? 0 : memory_of(ranges_[index]);
}

bool KeptRanges::take(size_t bytes, size_t alignment, size_t most_spare_bytes, FencedRange* range) {
  size_t index = find(bytes, alignment, most_spare_bytes);
  if (index == count_) return false;
  *range = ranges_[index];
  remove(index);
  return true;
}

void KeptRanges::keep(const FencedRange& range) {
  ranges_[count_++] = range;
  room_bytes_ += range.room_bytes;
  memory_bytes_ += memory_of(range);
}

bool KeptRanges::let_go(size_t most_memory_bytes, FencedRange* range) {
  bool are_too_many = count_ == kMostRanges || room_bytes_ > kMostRoomBytes || memory_bytes_ > most_memory_bytes;
  if (count_ == 0 || !(most_memory_bytes == 0 || are_too_many)) return false;
  *range = ranges_[0];
  remove(0);
  return true;
}

}  // namespace pagerun
