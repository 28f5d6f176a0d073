#include "mapping_table.h"

#include <cstring>

#include "../base/bits.h"
#include "../base/check.h"
#include "../base/config.h"
#include "../harden/fill.h"
#include "../harden/finding.h"
#include "../harden/policy.h"
#include "../os/memory.h"
#include "arena.h"

namespace pagerun {

MappingTable mapping_table;

namespace {

char* map_aligned(size_t bytes, size_t alignment) {
  if (alignment <= kOsPageBytes) return static_cast<char*>(os::map(bytes));
  if (bytes > SIZE_MAX - alignment) return nullptr;
  size_t spare = alignment - kOsPageBytes;
  auto* raw = static_cast<char*>(os::map(bytes + spare));
  if (raw == nullptr) return nullptr;
  auto* start = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(raw), alignment));
  // A refusal to trim costs address space, no memory.
  if (start > raw) os::release(raw, static_cast<size_t>(start - raw));
  size_t behind = spare - static_cast<size_t>(start - raw);
  if (behind > 0) os::release(start + bytes, behind);
  return start;
}

void charge(const Mapping& mapping, size_t bytes) {
  if (mapping.owner != nullptr) mapping.owner->large_bytes.fetch_add(bytes, std::memory_order_relaxed);
}

bool is_fenced(uint32_t policies) { return (policies & (kGuards | kUnmap)) != 0; }

FencedRange range_of(const Mapping& mapping) {
  return {mapping.address, mapping.bytes, mapping.room_bytes, mapping.filled_bytes};
}

void set_range(Mapping* mapping, const FencedRange& range) {
  mapping->address = range.address;
  mapping->bytes = range.open_bytes;
  mapping->room_bytes = range.room_bytes;
  mapping->filled_bytes = range.filled_bytes;
}

size_t slack_of(const Mapping& mapping) { return mapping.bytes - mapping.usable_bytes; }

bool is_whole(const Mapping& mapping) {
  if (!(mapping.policies & kCanary)) return true;
  return canary_holds(mapping.address, mapping.address + mapping.bytes, slack_of(mapping));
}

// Of a block of `bytes` bytes. Where a guard follows the last OS page, no canary need lie before it.
size_t mapped_bytes(size_t bytes, uint32_t policies) {
  bool needs_slack = (policies & kCanary) && !(policies & kGuards);
  return round_up(bytes + (needs_slack ? 1 : 0), kOsPageBytes);
}

// The block is one of `bytes` bytes from now on.
void set_usable(Mapping* mapping, size_t bytes) {
  mapping->usable_bytes = mapping->policies == 0 ? mapping->bytes : bytes;
  if (mapping->policies & kCanary)
    canary_write(mapping->address, mapping->address + mapping->bytes, slack_of(*mapping));
}

// Clears what was the canary of a block that was `had` bytes long, as far as it is the caller's now.
void clear_canary(const Mapping& mapping, size_t had, size_t had_slack) {
  if (!(mapping.policies & kCanary) || mapping.usable_bytes <= had) return;
  size_t more = mapping.usable_bytes - had;
  memset(mapping.address + had, 0, more < had_slack ? more : had_slack);
}

}  // namespace

void MappingTable::tally(const Mapping& mapping, int64_t sign) {
  auto times = static_cast<size_t>(sign);
  store_relaxed(total_bytes_, total_bytes_ + times * mapping.bytes);
  store_relaxed(spare_bytes_, spare_bytes_ + times * spare_of(mapping));
}

void MappingTable::drop(Mapping* entry) {
  tally(*entry, -1);
  size_t at = entries_.index_of(entry);
  entries_.erase(at, at + 1);
}

// Without the lock: the system has work to do.
void MappingTable::give_back(const Mapping& gone) {
  if (is_fenced(gone.policies)) {
    if (gone.policies & kUnmap) return keep(range_of(gone), (gone.policies & kZero) != 0);
    return fenced_release(range_of(gone));
  }
  if (!os::release(gone.address, gone.bytes)) os::purge(gone.address, gone.bytes);
}

// Memory that may be kept, or spare behind blocks: page faults are what large blocks cost most.
size_t MappingTable::most_kept_bytes() const {
  size_t most = kKeptBytes + load_relaxed(total_bytes_), spare = load_relaxed(spare_bytes_);
  return spare < most ? most - spare : 1;
}

void MappingTable::keep(FencedRange range, bool may_be_watched) {
  if (!fenced_rest(&range, may_be_watched, most_kept_bytes())) return fenced_release(range);
  for (;;) {
    FencedRange oldest;
    {
      LockGuard guard(lock_);
      if (!kept_.let_go(most_kept_bytes(), &oldest)) return kept_.keep(range);
    }
    fenced_release(oldest);
  }
}

bool MappingTable::give_back_kept() {
  for (bool is_any = false;; is_any = true) {
    FencedRange oldest;
    {
      LockGuard guard(lock_);
      if (!kept_.let_go(0, &oldest)) return is_any;
    }
    fenced_release(oldest);
  }
}

void MappingTable::check_kept() {
  for (size_t i = 0;; i++) {
    FencedRange range;
    {
      LockGuard guard(lock_);
      while (i < kept_.count() && is_fenced_untouched(kept_[i])) i++;
      if (i >= kept_.count()) return;
      range = kept_[i];
    }
    finding_note({Misuse::kWriteAfterFree, range.address, range.open_bytes});
  }
}

void MappingTable::remember(const void* start) { released_[released_next_++ % kRememberedReleases] = start; }

bool MappingTable::was_released(const void* ptr) const {
  size_t count = released_next_ < kRememberedReleases ? released_next_ : kRememberedReleases;
  for (size_t i = 0; i < count; i++) {
    if (released_[i] == ptr && ptr != nullptr) return true;
  }
  return false;
}

bool MappingTable::has_memory_for(size_t bytes) {
  LockGuard guard(lock_);
  return kept_.memory_for(round_up(bytes, kOsPageBytes), most_kept_bytes()) >= bytes / 2;
}

// One that was written to while it was kept is nobody's from now on.
bool MappingTable::take_kept(size_t bytes, size_t alignment, FencedRange* range) {
  for (;;) {
    {
      LockGuard guard(lock_);
      if (!kept_.take(bytes, alignment, most_kept_bytes(), range)) return false;
    }
    Woken woken = fenced_wake(range, bytes);
    if (woken == Woken::kReady) return true;
    if (woken == Woken::kWrittenTo) finding_note({Misuse::kWriteAfterFree, range->address, range->open_bytes});
    if (woken == Woken::kRefused) fenced_release(*range);
  }
}

// What is kept out of use goes before a request is refused.
bool MappingTable::map_fenced(size_t bytes, size_t alignment, FencedRange* range) {
  if (take_kept(bytes, alignment, range)) return true;
  for (;;) {
    if (fenced_map(bytes, alignment, range)) return true;
    if (!give_back_kept()) return false;
  }
}

void* MappingTable::take(size_t bytes, size_t alignment, Arena* owner, uint32_t policies) {
  size_t rounded_bytes = mapped_bytes(bytes, policies);
  FencedRange range = {nullptr, rounded_bytes, 0, 0};
  if (is_fenced(policies)) {
    if (!map_fenced(rounded_bytes, alignment, &range)) return nullptr;
  } else {
    range.address = map_aligned(rounded_bytes, alignment);
    if (range.address == nullptr) return nullptr;
  }
  Mapping mapping = {};
  mapping.policies = policies;
  mapping.owner = owner;
  set_range(&mapping, range);
  if (insert_new(&mapping, bytes)) return mapping.address;
  mapping.policies &= ~uint32_t{kUnmap};
  give_back(mapping);
  return nullptr;
}

// False when there is no memory for the entry.
bool MappingTable::insert_new(Mapping* mapping, size_t bytes) {
  LockGuard guard(lock_);
  if (!entries_.make_room(1)) return false;
  set_usable(mapping, bytes);
  entries_.insert(*mapping);
  tally(*mapping, 1);
  charge(*mapping, mapping->bytes);
  return true;
}

// True when nothing pins the block, which is *gone then and has no entry any more.
bool MappingTable::free_entry(Mapping* entry, Mapping* gone) {
  charge(*entry, 0 - entry->bytes);
  entry->owner = nullptr;
  if (entry->pins > 0) {
    entry->is_freed = true;
    tally(*entry, -1);
    entry->filled_bytes = 0;
    tally(*entry, 1);
    os::purge(entry->address, entry->bytes);  // the address stays for the views that still reach it, the memory goes
    return false;
  }
  *gone = *entry;
  drop(entry);
  remember(gone->address);
  return true;
}

Misuse MappingTable::put(void* ptr) {
  Mapping gone;
  {
    LockGuard guard(lock_);
    Mapping* entry = entries_.holding(ptr);
    if (entry == nullptr) return was_released(ptr) ? Misuse::kDoubleFree : Misuse::kForeignPointer;
    if (entry->is_freed) return Misuse::kDoubleFree;
    if (entry->address != ptr) return Misuse::kInteriorPointer;
    if (!is_whole(*entry)) return Misuse::kOverflow;
    if (!free_entry(entry, &gone)) return Misuse::kNone;
  }
  give_back(gone);
  return Misuse::kNone;
}

Misuse MappingTable::put_pinned(void* ptr) {
  Mapping gone;
  bool is_gone = false;
  {
    LockGuard guard(lock_);
    Mapping* entry = entries_.holding(ptr);
    CHECK(entry != nullptr && entry->pins > 0);
    if (entry->pins == 1 && !entry->is_freed && is_whole(*entry)) {
      entry->pins = 0;
      is_gone = free_entry(entry, &gone);
    }
  }
  if (is_gone) {
    give_back(gone);
    return Misuse::kNone;
  }
  Misuse misuse = put(ptr);
  unpin(ptr);
  return misuse;
}

// The last entry of the owner's below `*end` that nothing pins, which is *gone then; false when there is none.
bool MappingTable::free_last_owned(const Arena* owner, size_t* end, Mapping* gone) {
  LockGuard guard(lock_);
  if (*end > entries_.count()) *end = entries_.count();
  while (*end > 0) {
    Mapping* entry = &entries_[--*end];
    if (entry->owner == owner && free_entry(entry, gone)) return true;
  }
  return false;
}

void MappingTable::put_owned(Arena* owner) {
  Mapping gone;
  for (size_t end = SIZE_MAX; free_last_owned(owner, &end, &gone);) give_back(gone);
}

Arena* MappingTable::owner_of(const void* ptr) {
  LockGuard guard(lock_);
  Mapping* entry = entries_.holding(ptr);
  return entry == nullptr ? nullptr : entry->owner;
}

// False where the block may not be moved about, or must not.
bool MappingTable::move(Mapping* mapping, size_t bytes) {
  bool is_pinned = mapping->pins > 0;
  FencedRange range = range_of(*mapping);
  if (is_fenced(mapping->policies)) {
    if (!fenced_resize(&range, bytes) && (is_pinned || !fenced_move(&range, bytes))) return false;
  } else {
    range.address = static_cast<char*>(os::remap(mapping->address, mapping->bytes, bytes, !is_pinned));
    if (range.address == nullptr) return false;
    range.open_bytes = bytes;
  }
  set_range(mapping, range);
  return true;
}

// True when there is memory at hand that a growing block had better be copied to: where it is, it takes page faults for
// what it gains.
bool MappingTable::is_copied_sooner(const Mapping& mapping, size_t bytes) const {
  if (!is_fenced(mapping.policies) || mapping.pins > 0 || bytes > kMostCopiedBytes) return false;
  size_t memory = mapping.bytes + spare_of(mapping);
  if (bytes < memory + memory / kLeastLackShare) return false;
  return kept_.memory_for(bytes, most_kept_bytes()) >= bytes - (bytes - memory) / 2;
}

void* MappingTable::resize(void* ptr, size_t asked_bytes, const Arena* asker) {
  if (asked_bytes > PTRDIFF_MAX) return nullptr;
  LockGuard guard(lock_);
  Mapping* entry = entries_.holding(ptr);
  if (entry == nullptr || entry->address != ptr || entry->is_freed) return nullptr;  // another thread has freed it
  if (!is_whole(*entry)) return nullptr;
  size_t bytes = mapped_bytes(asked_bytes, entry->policies);
  size_t had = entry->usable_bytes, had_slack = slack_of(*entry);
  if (entry->bytes == bytes) {
    set_usable(entry, asked_bytes);
    clear_canary(*entry, had, had_slack);
    return ptr;
  }
  bool is_pinned = entry->pins > 0;
  if (is_pinned && bytes < entry->bytes) return nullptr;
  if (entry->owner != asker && bytes > entry->bytes) return nullptr;
  if (is_copied_sooner(*entry, bytes)) return nullptr;
  Mapping resized = *entry;
  if (!move(&resized, bytes)) return nullptr;
  charge(resized, bytes - entry->bytes);
  set_usable(&resized, asked_bytes);
  clear_canary(resized, had, had_slack);
  drop(entry);
  if (resized.address != ptr) remember(ptr);
  entries_.insert(resized);  // there is room: one was dropped
  tally(resized, 1);
  return resized.address;
}

Misuse MappingTable::find(const void* ptr, Block* block) {
  LockGuard guard(lock_);
  Mapping* entry = entries_.holding(ptr);
  if (entry == nullptr) return was_released(ptr) ? Misuse::kDoubleFree : Misuse::kForeignPointer;
  if (entry->is_freed) return Misuse::kDoubleFree;
  *block = {entry->address, entry->usable_bytes, kNoSizeClass, static_cast<uint32_t>(PageKind::kMapping)};
  return entry->address == ptr ? Misuse::kNone : Misuse::kInteriorPointer;
}

bool MappingTable::pin(const void* ptr) {
  LockGuard guard(lock_);
  Mapping* entry = entries_.holding(ptr);
  if (entry == nullptr || entry->is_freed) return false;
  entry->pins++;
  return true;
}

void MappingTable::unpin(const void* ptr) {
  Mapping gone;
  {
    LockGuard guard(lock_);
    Mapping* entry = entries_.holding(ptr);
    CHECK(entry != nullptr && entry->pins > 0);
    if (--entry->pins > 0 || !entry->is_freed) return;
    gone = *entry;
    drop(entry);
    remember(gone.address);
  }
  give_back(gone);
}

}  // namespace pagerun
