#include "mapping_table.h"

#include <cstring>

#include "../base/bits.h"
#include "../base/check.h"
#include "../base/config.h"
#include "../harden/fill.h"
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

bool is_fenced(const Mapping& mapping) { return (mapping.policies & kGuards) != 0; }

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

void MappingTable::drop(Mapping* entry) {
  total_bytes_ -= entry->bytes;
  size_t at = entries_.index_of(entry);
  entries_.erase(at, at + 1);
}

void MappingTable::forget(Mapping* entry) {
  Mapping gone = *entry;
  drop(entry);
  remember(gone.address);
  give_back(gone);
}

void MappingTable::give_back(const Mapping& gone) {
  size_t guard_bytes = is_fenced(gone) ? kGuardBytes : 0, bytes = gone.bytes + 2 * guard_bytes;
  char* start = gone.address - guard_bytes;
  if (gone.policies & kUnmap) {
    kept_.keep(start, bytes);
  } else if (!os::release(start, bytes)) {
    os::purge(gone.address, gone.bytes);
  }
}

void MappingTable::remember(const void* start) { released_[released_next_++ % kRememberedReleases] = start; }

bool MappingTable::was_released(const void* ptr) const {
  for (const void* address : released_) {
    if (address == ptr && ptr != nullptr) return true;
  }
  return false;
}

// What is kept out of use goes before a request is refused.
char* MappingTable::map(size_t bytes, size_t alignment, uint32_t policies) {
  for (;;) {
    char* address = policies & kGuards ? fenced_map(bytes, alignment) : map_aligned(bytes, alignment);
    if (address != nullptr || policies == 0) return address;
    LockGuard guard(lock_);
    if (!kept_.let_go()) return nullptr;
  }
}

void* MappingTable::take(size_t bytes, size_t alignment, Arena* owner, uint32_t policies) {
  size_t rounded_bytes = mapped_bytes(bytes, policies);
  char* address = map(rounded_bytes, alignment, policies);
  if (address == nullptr) return nullptr;
  LockGuard guard(lock_);
  Mapping mapping = {address, rounded_bytes, bytes, 0, policies, false, owner};
  if (!entries_.make_room(1)) {
    mapping.policies &= ~uint32_t{kUnmap};
    give_back(mapping);
    return nullptr;
  }
  set_usable(&mapping, bytes);
  entries_.insert(mapping);
  total_bytes_ += rounded_bytes;
  charge(mapping, rounded_bytes);
  return address;
}

void MappingTable::free_entry(Mapping* entry) {
  charge(*entry, 0 - entry->bytes);
  entry->owner = nullptr;
  if (entry->pins > 0) {
    entry->is_freed = true;
    os::purge(entry->address, entry->bytes);  // the address stays for the views that still reach it, the memory goes
  } else {
    forget(entry);
  }
}

Misuse MappingTable::put(void* ptr) {
  LockGuard guard(lock_);
  Mapping* entry = entries_.holding(ptr);
  if (entry == nullptr) return was_released(ptr) ? Misuse::kDoubleFree : Misuse::kForeignPointer;
  if (entry->is_freed) return Misuse::kDoubleFree;
  if (entry->address != ptr) return Misuse::kInteriorPointer;
  if (!is_whole(*entry)) return Misuse::kOverflow;
  free_entry(entry);
  return Misuse::kNone;
}

void MappingTable::put_owned(Arena* owner) {
  LockGuard guard(lock_);
  for (size_t i = entries_.count(); i-- > 0;) {
    if (entries_[i].owner == owner) free_entry(&entries_[i]);
  }
}

Arena* MappingTable::owner_of(const void* ptr) {
  LockGuard guard(lock_);
  Mapping* entry = entries_.holding(ptr);
  return entry == nullptr ? nullptr : entry->owner;
}

// Where the block may not be moved about, or must not, null.
char* MappingTable::move(const Mapping& mapping, size_t bytes) {
  bool is_pinned = mapping.pins > 0;
  if (!is_fenced(mapping)) return static_cast<char*>(os::remap(mapping.address, mapping.bytes, bytes, !is_pinned));
  return is_pinned ? nullptr : fenced_move(mapping.address, mapping.bytes, bytes);
}

void* MappingTable::resize(void* ptr, size_t asked_bytes, const Arena* asker) {
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
  char* moved = move(*entry, bytes);
  if (moved == nullptr) return nullptr;
  Mapping resized = *entry;
  resized.address = moved;
  resized.bytes = bytes;
  charge(resized, bytes - entry->bytes);
  set_usable(&resized, asked_bytes);
  clear_canary(resized, had, had_slack);
  drop(entry);
  if (moved != ptr) remember(ptr);
  entries_.insert(resized);  // there is room: one was dropped
  total_bytes_ += bytes;
  return moved;
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
  LockGuard guard(lock_);
  Mapping* entry = entries_.holding(ptr);
  CHECK(entry != nullptr && entry->pins > 0);
  if (--entry->pins == 0 && entry->is_freed) forget(entry);
}

}  // namespace pagerun
