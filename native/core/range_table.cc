#include "range_table.h"

#include "../base/bits.h"
#include "../base/check.h"
#include "../base/config.h"
#include "../os/memory.h"
#include "../os/proc_files.h"

namespace pagerun {

RangeTable range_table;

namespace {

// Address space for a range and its guards; null when refused. A refusal to trim costs address space, no memory.
char* reserve_range(size_t bytes, size_t guard_bytes, bool is_huge) {
  size_t spare = is_huge ? os::kHugePageBytes - kOsPageBytes : 0;
  size_t total = bytes + 2 * guard_bytes;
  if (bytes > PTRDIFF_MAX || total > PTRDIFF_MAX - spare) return nullptr;
  auto* raw = static_cast<char*>(os::reserve(total + spare));
  if (raw == nullptr || spare == 0) return raw == nullptr ? nullptr : raw + guard_bytes;
  auto first = reinterpret_cast<uintptr_t>(raw + guard_bytes);
  size_t before = round_up(first, os::kHugePageBytes) - first;
  if (before > 0) os::release(raw, before);
  if (spare > before) os::release(raw + before + total, spare - before);
  return raw + before + guard_bytes;
}

RangeStatus make_usable(char* address, size_t bytes, const RangeOptions& options) {
  bool is_accessible = options.protection != os::Protection::kNone;
  if (is_accessible && os::protect(address, bytes, options.protection) != 0) return RangeStatus::kOutOfMemory;
  if (options.is_huge) os::advise(address, bytes, os::Advice::kHuge);  // a wish
  if (!options.is_locked) return RangeStatus::kDone;
  // All of it is brought in at once: where there is not so much, the kernel would end some process for it.
  if (bytes > os::available_bytes()) return RangeStatus::kOutOfMemory;
  return os::lock(address, bytes) == 0 ? RangeStatus::kDone : RangeStatus::kLockLimit;
}

void release_range(char* address, size_t bytes, size_t guard_bytes) {
  if (!os::release(address - guard_bytes, bytes + 2 * guard_bytes)) os::purge(address, bytes);
}

}  // namespace

Range* RangeTable::live_range(const void* ptr, size_t bytes) {
  Range* range = ranges_.holding(ptr);
  if (range == nullptr || range->is_unmapped) return nullptr;
  return bytes <= static_cast<size_t>(range->address + range->bytes - static_cast<const char*>(ptr)) ? range : nullptr;
}

bool RangeTable::allows(const void* ptr, size_t bytes, os::Protection protection) {
  const char* end = static_cast<const char*>(ptr) + bytes;
  for (size_t i = parts_.index_behind(ptr) - 1; i < parts_.count() && parts_[i].address < end; i++) {
    if (parts_[i].protection < protection) return false;
  }
  return true;
}

// Makes `address` the start of a part; there is room.
void RangeTable::split_part(char* address) {
  RangePart* part = parts_.holding(address);
  if (part == nullptr || part->address == address) return;
  auto before = static_cast<size_t>(address - part->address);
  RangePart behind = {address, part->bytes - before, part->protection};
  part->bytes = before;
  parts_.insert(behind);
}

// Merges part `index` with the one behind it, where both are of `range` and the same.
void RangeTable::merge_parts(const Range& range, size_t index) {
  if (index + 1 >= parts_.count()) return;
  RangePart& part = parts_[index];
  const RangePart& behind = parts_[index + 1];
  bool is_of_range = part.address >= range.address && behind.address < range.address + range.bytes;
  if (!is_of_range || part.protection != behind.protection) return;
  part.bytes += behind.bytes;
  parts_.erase(index + 1, index + 2);
}

void RangeTable::set_protection(char* begin, char* end, os::Protection protection) {
  split_part(begin);
  split_part(end);
  size_t first = parts_.index_behind(begin) - 1, behind = parts_.index_behind(end - 1);
  parts_[first] = {begin, static_cast<size_t>(end - begin), protection};
  parts_.erase(first + 1, behind);
  const Range& range = *ranges_.holding(begin);
  merge_parts(range, first);
  if (first > 0) merge_parts(range, first - 1);
}

bool RangeTable::was_unmapped(const void* ptr) const {
  for (const void* address : unmapped_) {
    if (address == ptr && ptr != nullptr) return true;
  }
  return false;
}

void RangeTable::forget(Range* range) {
  Range gone = *range;
  size_t index = ranges_.index_of(range);
  ranges_.erase(index, index + 1);
  unmapped_[unmapped_next_++ % kRememberedRanges] = gone.address;
  release_range(gone.address, gone.bytes, gone.guard_bytes);
}

RangeStatus RangeTable::take(size_t bytes, const RangeOptions& options, void** start) {
  *start = nullptr;
  if (bytes > PTRDIFF_MAX) return RangeStatus::kOutOfMemory;
  bytes = round_up(bytes, kOsPageBytes);
  size_t guard_bytes = options.has_guards ? kOsPageBytes : 0;
  char* address = reserve_range(bytes, guard_bytes, options.is_huge);
  if (address == nullptr) return RangeStatus::kOutOfMemory;
  RangeStatus status = make_usable(address, bytes, options);
  LockGuard guard(lock_);
  if (status == RangeStatus::kDone && (!ranges_.make_room(1) || !parts_.make_room(1)))
    status = RangeStatus::kOutOfMemory;
  if (status != RangeStatus::kDone) {
    release_range(address, bytes, guard_bytes);
    return status;
  }
  ranges_.insert({address, bytes, 0, 0, static_cast<uint32_t>(guard_bytes), false, options.is_locked, options.is_huge});
  parts_.insert({address, bytes, options.protection});
  total_bytes_ += bytes;
  *start = address;
  return RangeStatus::kDone;
}

Misuse RangeTable::put(void* ptr) {
  LockGuard guard(lock_);
  Range* range = ranges_.holding(ptr);
  if (range == nullptr) return was_unmapped(ptr) ? Misuse::kDoubleFree : Misuse::kForeignPointer;
  if (range->is_unmapped) return Misuse::kDoubleFree;
  if (range->address != ptr) return Misuse::kInteriorPointer;
  size_t first = parts_.index_behind(range->address) - 1;
  parts_.erase(first, parts_.index_behind(range->address + range->bytes - 1));
  total_bytes_ -= range->bytes;
  if (range->pins == 0) {
    forget(range);
    return Misuse::kNone;
  }
  range->is_unmapped = true;
  if (range->is_locked) os::unlock(range->address, range->bytes);
  os::purge(range->address, range->bytes);  // the address stays for who still reaches it, the memory goes
  return Misuse::kNone;
}

RangeStatus RangeTable::protect(void* ptr, size_t bytes, os::Protection protection) {
  LockGuard guard(lock_);
  Range* range = live_range(ptr, bytes);
  if (range == nullptr) return RangeStatus::kOutOfBounds;
  if (range->views > 0 && protection != os::Protection::kReadWrite) return RangeStatus::kInUse;
  if (!parts_.make_room(2) || os::protect(ptr, bytes, protection) != 0) return RangeStatus::kOutOfMemory;
  auto* begin = static_cast<char*>(ptr);
  set_protection(begin, begin + bytes, protection);
  return RangeStatus::kDone;
}

RangeStatus RangeTable::advise(void* ptr, size_t bytes, os::Advice advice, int* error) {
  // Pinned and not locked: the address stays this range's meanwhile, and the kernel may take its time.
  if (!hold(ptr, bytes, os::Protection::kNone)) return RangeStatus::kOutOfBounds;
  *error = os::advise(ptr, bytes, advice);
  let_view_go(ptr);
  unpin(ptr);
  return *error == 0 ? RangeStatus::kDone : RangeStatus::kRefused;
}

bool RangeTable::find(const void* ptr, Range* range) {
  LockGuard guard(lock_);
  const Range* found = live_range(ptr, 0);
  if (found != nullptr) *range = *found;
  return found != nullptr;
}

bool RangeTable::find_allowing(const void* ptr, os::Protection protection, RangePart* found) {
  LockGuard guard(lock_);
  const Range* range = live_range(ptr, 1);
  if (range == nullptr || !allows(ptr, 1, protection)) return false;
  size_t first = parts_.index_behind(ptr) - 1, last = first;
  auto goes_on = [&](size_t i) {
    const RangePart& part = parts_[i];
    return part.address >= range->address && part.address < range->address + range->bytes &&
           part.protection >= protection;
  };
  while (first > 0 && goes_on(first - 1)) first--;
  while (last + 1 < parts_.count() && goes_on(last + 1)) last++;
  char* end = parts_[last].address + parts_[last].bytes;
  *found = {parts_[first].address, static_cast<size_t>(end - parts_[first].address), protection};
  return true;
}

bool RangeTable::hold(const void* ptr, size_t bytes, os::Protection protection) {
  LockGuard guard(lock_);
  Range* range = live_range(ptr, bytes);
  if (range == nullptr || !allows(ptr, bytes == 0 ? 1 : bytes, protection)) return false;
  range->pins++;
  range->views++;
  return true;
}

void RangeTable::let_view_go(const void* ptr) {
  LockGuard guard(lock_);
  Range* range = ranges_.holding(ptr);
  CHECK(range != nullptr && range->views > 0);
  range->views--;
}

void RangeTable::pin(const void* ptr) {
  LockGuard guard(lock_);
  Range* range = ranges_.holding(ptr);
  CHECK(range != nullptr && range->pins > 0);  // only who holds it already
  range->pins++;
}

void RangeTable::unpin(const void* ptr) {
  LockGuard guard(lock_);
  Range* range = ranges_.holding(ptr);
  CHECK(range != nullptr && range->pins > 0);
  if (--range->pins == 0 && range->is_unmapped) forget(range);
}

}  // namespace pagerun
