#include "mapping_table.h"

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

void MappingTable::drop(Mapping* entry) {
  total_bytes_ -= entry->bytes;
  size_t at = entries_.index_of(entry);
  entries_.erase(at, at + 1);
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
  if (!entries_.make_room(1)) {
    os::release(address, bytes);
    return nullptr;
  }
  entries_.insert(mapping);
  total_bytes_ += bytes;
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
  Mapping* entry = entries_.holding(ptr);
  if (entry == nullptr) return was_released(ptr) ? Misuse::kDoubleFree : Misuse::kForeignPointer;
  if (entry->is_freed) return Misuse::kDoubleFree;
  if (entry->address != ptr) return Misuse::kInteriorPointer;
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

void* MappingTable::resize(void* ptr, size_t bytes, const Arena* asker) {
  bytes = round_up(bytes, kOsPageBytes);
  LockGuard guard(lock_);
  Mapping* entry = entries_.holding(ptr);
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
  entries_.insert(resized);  // there is room: one was dropped
  total_bytes_ += bytes;
  return moved;
}

Misuse MappingTable::find(const void* ptr, Block* block) {
  LockGuard guard(lock_);
  Mapping* entry = entries_.holding(ptr);
  if (entry == nullptr) return was_released(ptr) ? Misuse::kDoubleFree : Misuse::kForeignPointer;
  if (entry->is_freed) return Misuse::kDoubleFree;
  *block = {entry->address, entry->bytes, kNoSizeClass, static_cast<uint32_t>(PageKind::kMapping)};
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
