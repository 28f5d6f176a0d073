#include "fenced_memory.h"

#include <cstdint>
#include <cstring>

#include "../base/bits.h"
#include "../harden/fill.h"
#include "../os/memory.h"
#include "../os/os_pages.h"

namespace pagerun {

namespace {

constexpr size_t kMostCleared = 4 << 20;  // longer blocks give their memory back: to clear it costs nearly as much
constexpr size_t kMostRoomStepped = 64 << 20;
constexpr size_t kRoomSteps = 16;  // at most 1/8 more than the block

// Rooms come in few lengths, so that one fits the next block; a watched block fills its room.
size_t room_of(size_t bytes) {
  if (bytes <= kMostWatchedBytes || bytes > kMostRoomStepped) return bytes;
  return round_up(bytes, power_of_two_at_least(bytes) / kRoomSteps);
}

// Address space with room for both guards round `bytes` at a multiple of `alignment`; the address of the latter.
char* reserve_fenced(size_t bytes, size_t alignment) {
  size_t whole_bytes = bytes + 2 * kGuardBytes, spare = alignment > kOsPageBytes ? alignment : 0;
  if (bytes > SIZE_MAX / 2 || spare > SIZE_MAX / 4) return nullptr;
  auto* raw = static_cast<char*>(os::reserve(whole_bytes + spare));
  if (raw == nullptr || spare == 0) return raw == nullptr ? nullptr : raw + kGuardBytes;
  auto* start = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(raw) + kGuardBytes, alignment));
  // A refusal to trim costs address space, no memory.
  auto before = static_cast<size_t>(start - kGuardBytes - raw);
  if (before > 0) os::release(raw, before);
  if (spare > before) os::release(start + bytes + kGuardBytes, spare - before);
  return start;
}

// Which OS pages of the beginning of a range are in memory.
class Residence {
 public:
  explicit Residence(const FencedRange& range) : pages_(range.open_bytes / kOsPageBytes) {
    is_known_ = range.open_bytes <= kMostCleared && os::find_resident(range.address, range.open_bytes, resident_) == 0;
    for (size_t i = 0; is_known_ && i < pages_; i++) count_ += resident_[i];
  }

  bool is_known() const { return is_known_; }
  bool is_whole() const { return count_ == pages_; }
  bool is_mostly_absent() const { return count_ < pages_ / 2; }

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
  uint8_t resident_[kMostCleared / kOsPageBytes];
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
  if (!os::seal_off(range->address, range->open_bytes)) return false;
  range->open_bytes = 0;
  range->filled_bytes = 0;
  return true;
}

bool take_access(FencedRange* range) {
  if (os::protect(range->address, range->open_bytes, os::Protection::kNone) != 0) return false;
  range->open_bytes = 0;
  return true;
}

size_t memory_of(const FencedRange& range) {
  return range.filled_bytes > range.open_bytes ? range.filled_bytes : range.open_bytes;
}

}  // namespace

bool fenced_map(size_t bytes, size_t alignment, FencedRange* range) {
  size_t room_bytes = room_of(bytes);
  char* address = reserve_fenced(room_bytes, alignment);
  if (address == nullptr) return false;
  *range = {address, bytes, room_bytes, 0};
  if (os::commit(address, bytes)) return true;
  fenced_release(*range);
  return false;
}

bool fenced_move(FencedRange* range, size_t new_bytes) {
  size_t room_bytes = room_of(new_bytes);
  char* target = reserve_fenced(room_bytes, kOsPageBytes);
  if (target == nullptr) return false;
  FencedRange moved = {target, new_bytes, room_bytes, 0};
  if (os::remap_to(range->address, range->open_bytes, new_bytes, target) == nullptr) {
    fenced_release(moved);
    return false;
  }
  os::release(range->address - kGuardBytes, kGuardBytes);
  os::release(range->address + range->open_bytes, range->room_bytes - range->open_bytes + kGuardBytes);
  *range = moved;
  return true;
}

bool fenced_resize(FencedRange* range, size_t new_bytes) {
  size_t had = range->open_bytes;
  if (new_bytes > range->room_bytes) return false;
  bool is_done = new_bytes > had ? os::commit(range->address + had, new_bytes - had)
                                 : os::seal_off(range->address + new_bytes, had - new_bytes);
  if (!is_done) return false;
  range->open_bytes = new_bytes;
  if (range->filled_bytes > new_bytes) range->filled_bytes = new_bytes;
  return true;
}

void fenced_release(const FencedRange& range) {
  size_t whole_bytes = range.room_bytes + 2 * kGuardBytes;
  if (!os::release(range.address - kGuardBytes, whole_bytes)) os::purge(range.address, range.room_bytes);
}

bool fenced_rest(FencedRange* range, bool may_be_watched) {
  size_t bytes = range->open_bytes;
  bool is_watched = may_be_watched && range->room_bytes <= kMostWatchedBytes;
  if (range->filled_bytes >= bytes) {
    memset(range->address, 0, bytes);
  } else {
    Residence residence(*range);
    if (!residence.is_known() || (!is_watched && residence.is_mostly_absent())) return drop_content(range);
    if (!is_watched || residence.is_whole()) {
      memset(range->address, 0, bytes);
      range->filled_bytes = bytes;
    } else if (!clear_rows(*range, residence)) {
      return false;
    }
  }
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
  return range->open_bytes == bytes || fenced_resize(range, bytes) ? Woken::kReady : Woken::kRefused;
}

void KeptRanges::remove(size_t index) {
  room_bytes_ -= ranges_[index].room_bytes;
  memory_bytes_ -= memory_of(ranges_[index]);
  count_--;
  memmove(&ranges_[index], &ranges_[index + 1], (count_ - index) * sizeof(FencedRange));
}

bool KeptRanges::take(size_t bytes, size_t alignment, FencedRange* range) {
  size_t room_bytes = room_of(bytes);
  for (size_t i = 0; i + kRestingRanges < count_; i++) {
    if (ranges_[i].room_bytes != room_bytes || reinterpret_cast<uintptr_t>(ranges_[i].address) % alignment != 0)
      continue;
    *range = ranges_[i];
    remove(i);
    return true;
  }
  return false;
}

void KeptRanges::keep(const FencedRange& range) {
  ranges_[count_++] = range;
  room_bytes_ += range.room_bytes;
  memory_bytes_ += memory_of(range);
}

bool KeptRanges::let_go(bool is_all, FencedRange* range) {
  bool are_too_many = count_ == kMostRanges || room_bytes_ > kMostRoomBytes || memory_bytes_ > kMostMemoryBytes;
  if (count_ == 0 || !(is_all || are_too_many)) return false;
  *range = ranges_[0];
  remove(0);
  return true;
}

}  // namespace pagerun
