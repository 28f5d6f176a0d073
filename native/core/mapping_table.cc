#include "mapping_table.h"

#include <cstring>

#include "../base/bits.h"
#include "../base/check.h"
#include "../base/config.h"
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

}  // namespace

// Index of the last entry that starts at or before ptr, when it reaches that far.
Mapping* MappingTable::entry_holding(const void* ptr) {
  const auto* at = static_cast<const char*>(ptr);
  size_t low = 0, high = count_;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (entries_[middle].address <= at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) return nullptr;
  Mapping* entry = &entries_[low - 1];
  return at < entry->address + entry->bytes ? entry : nullptr;
}

bool MappingTable::make_room() {
  if (count_ < capacity_) return true;
  size_t more = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
  size_t old_bytes = capacity_ * sizeof(Mapping), new_bytes = more * sizeof(Mapping);
  void* grown = capacity_ == 0 ? os::map(new_bytes) : os::remap(entries_, old_bytes, new_bytes, true);
  if (grown == nullptr) return false;
  entries_ = static_cast<Mapping*>(grown);
  capacity_ = more;
  return true;
}

bool MappingTable::insert(const Mapping& mapping) {
  if (!make_room()) return false;
  size_t at = count_;
  while (at > 0 && entries_[at - 1].address > mapping.address) at--;
  memmove(&entries_[at + 1], &entries_[at], (count_ - at) * sizeof(Mapping));
  entries_[at] = mapping;
  count_++;
  total_bytes_ += mapping.bytes;
  return true;
}

void MappingTable::drop(Mapping* entry) {
  total_bytes_ -= entry->bytes;
  auto at = static_cast<size_t>(entry - entries_);
  memmove(entry, entry + 1, (count_ - at - 1) * sizeof(Mapping));
  count_--;
}

void MappingTable::forget(Mapping* entry) {
  Mapping gone = *entry;
  drop(entry);
  remember(gone.address);
  if (!os::release(gone.address, gone.bytes)) os::purge(gone.address, gone.bytes);
}

void MappingTable::remember(const void* start) { released_[released_next_++ % kRememberedReleases] = start; }

bool MappingTable::was_released(const void* ptr) const {
  for (const void* address : released_) {
    if (address == ptr && ptr != nullptr) return true;
  }
  return false;
}

void* MappingTable::take(size_t bytes, size_t alignment, Arena* owner) {
  bytes = round_up(bytes, kOsPageBytes);
  char* address = map_aligned(bytes, alignment);
  if (address == nullptr) return nullptr;
  LockGuard guard(lock_);
  Mapping mapping = {address, bytes, 0, false, owner};
  if (!insert(mapping)) {
    os::release(address, bytes);
    return nullptr;
  }
  charge(mapping, bytes);
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
  Mapping* entry = entry_holding(ptr);
  if (entry == nullptr) return was_released(ptr) ? Misuse::kDoubleFree : Misuse::kForeignPointer;
  if (entry->is_freed) return Misuse::kDoubleFree;
  if (entry->address != ptr) return Misuse::kInteriorPointer;
  free_entry(entry);
  return Misuse::kNone;
}

void MappingTable::put_owned(Arena* owner) {
  LockGuard guard(lock_);
  for (size_t i = count_; i-- > 0;) {
    if (entries_[i].owner == owner) free_entry(&entries_[i]);
  }
}

Arena* MappingTable::owner_of(const void* ptr) {
  LockGuard guard(lock_);
  Mapping* entry = entry_holding(ptr);
  return entry == nullptr ? nullptr : entry->owner;
}

void* MappingTable::resize(void* ptr, size_t bytes, const Arena* asker) {
  bytes = round_up(bytes, kOsPageBytes);
  LockGuard guard(lock_);
  Mapping* entry = entry_holding(ptr);
  if (entry == nullptr || entry->address != ptr || entry->is_freed) return nullptr;  // another thread has freed it
  if (entry->bytes == bytes) return ptr;
  bool is_pinned = entry->pins > 0;
  if (is_pinned && bytes < entry->bytes) return nullptr;
  if (entry->owner != asker && bytes > entry->bytes) return nullptr;
  auto* moved = static_cast<char*>(os::remap(ptr, entry->bytes, bytes, !is_pinned));
  if (moved == nullptr) return nullptr;
  Mapping resized = {moved, bytes, entry->pins, false, entry->owner};
  charge(resized, bytes - entry->bytes);
  drop(entry);
  if (moved != ptr) remember(ptr);
  CHECK(insert(resized));  // there is room: one was dropped
  return moved;
}

Misuse MappingTable::find(const void* ptr, Block* block) {
  LockGuard guard(lock_);
  Mapping* entry = entry_holding(ptr);
  if (entry == nullptr) return was_released(ptr) ? Misuse::kDoubleFree : Misuse::kForeignPointer;
  if (entry->is_freed) return Misuse::kDoubleFree;
  *block = {entry->address, entry->bytes, kNoSizeClass, static_cast<uint32_t>(PageKind::kMapping)};
  return entry->address == ptr ? Misuse::kNone : Misuse::kInteriorPointer;
}

bool MappingTable::pin(const void* ptr) {
  LockGuard guard(lock_);
  Mapping* entry = entry_holding(ptr);
  if (entry == nullptr || entry->is_freed) return false;
  entry->pins++;
  return true;
}

void MappingTable::unpin(const void* ptr) {
  LockGuard guard(lock_);
  Mapping* entry = entry_holding(ptr);
  CHECK(entry != nullptr && entry->pins > 0);
  if (--entry->pins == 0 && entry->is_freed) forget(entry);
}

}  // namespace pagerun
