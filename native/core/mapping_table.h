// Blocks with a mapping of their own: the largest ones, grown by mremap.
// Under the hardened profile all blocks beyond the buckets': fenced, with a canary up to the end of their last OS page.
// Owns these mappings. A block that JavaScript still views is pinned: freed, it stays readable until the last pin goes.
// Thread rule: every call takes the lock itself. Off every hot path: one entry is at least kMinMappingBytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../base/lock.h"
#include "../harden/misuse.h"
#include "address_table.h"
#include "fenced_memory.h"

namespace pagerun {

struct Arena;

struct Mapping {
  char* address;
  size_t bytes;         // of whole OS pages
  size_t usable_bytes;  // the same, or in the hardened profile what was asked for
  uint32_t pins;
  uint32_t policies;    // harden/policy.h
  bool is_freed;        // freed by its user; only pins keep it
  size_t room_bytes;    // hardened profile: of the fenced range (fenced_memory.h); else 0
  size_t filled_bytes;  // the same
  Arena* owner;         // the made arena that it is a block of, and that its bytes are charged to; else null
};

/// Bytes in memory behind a block: its room was a larger block's.
inline size_t spare_of(const Mapping& mapping) {
  return mapping.filled_bytes > mapping.bytes ? mapping.filled_bytes - mapping.bytes : 0;
}

class MappingTable {
 public:
  constexpr MappingTable() = default;

  /// Maps `bytes` zero bytes at a multiple of `alignment`, for `owner` if not null; null when refused.
  void* take(size_t bytes, size_t alignment, Arena* owner = nullptr, uint32_t policies = 0);

  /// Gives the block that starts at `ptr` back (or leaves it to its pins).
  Misuse put(void* ptr);

  /// The same, and unpins it: the caller's own pin is none that its memory must stay for.
  Misuse put_pinned(void* ptr);

  /// Gives all blocks of `owner` back. O(mappings of the process).
  void put_owned(Arena* owner);

  /// Resizes the block at `ptr` where the kernel can do it without a copy; null when it cannot, or when it is
  /// freed (nothing has changed). `asker`: as in RunList::resize().
  void* resize(void* ptr, size_t bytes, const Arena* asker = nullptr);

  /// The made arena that the block that holds `ptr` is of, or null.
  Arena* owner_of(const void* ptr);

  /// Looks `ptr` up as locate() does; kForeignPointer when it lies in no mapping.
  Misuse find(const void* ptr, Block* block);

  bool pin(const void* ptr);
  void unpin(const void* ptr);

  /// True when what is kept of freed blocks has memory for at least half of one of `bytes` bytes.
  bool has_memory_for(size_t bytes);

  /// Gives back what the hardened profile keeps of blocks that were freed; false when there is nothing.
  bool give_back_kept();

  /// Notes every kept block that was written to since its free.
  void check_kept();

  Lock& lock() { return lock_; }
  /// Entries in address order, for inspect/ (under the lock).
  const AddressTable<Mapping>& entries() const { return entries_; }
  size_t count() const { return entries_.count(); }
  size_t total_bytes() const { return total_bytes_; }
  size_t spare_bytes() const { return spare_bytes_; }

 private:
  static constexpr size_t kRememberedReleases = 16384;
  static constexpr size_t kKeptBytes = 16 << 20;  // that are kept out of use beside as many as are in use
  static constexpr size_t kMostCopiedBytes = 4 << 20;
  static constexpr size_t kLeastLackShare = 8;

  void tally(const Mapping& mapping, int64_t sign);
  void drop(Mapping* entry);
  bool insert_new(Mapping* mapping, size_t bytes);
  bool free_entry(Mapping* entry, Mapping* gone);
  bool free_last_owned(const Arena* owner, size_t* end, Mapping* gone);
  void give_back(const Mapping& gone);
  void keep(FencedRange range, bool may_be_watched);
  size_t most_kept_bytes() const;
  bool take_kept(size_t bytes, size_t alignment, FencedRange* range);
  bool map_fenced(size_t bytes, size_t alignment, FencedRange* range);
  bool is_copied_sooner(const Mapping& mapping, size_t bytes) const;
  bool move(Mapping* mapping, size_t bytes);
  void remember(const void* start);
  bool was_released(const void* ptr) const;

  Lock lock_;
  AddressTable<Mapping> entries_;
  size_t total_bytes_ = 0;                          // of all entries
  size_t spare_bytes_ = 0;                          // in memory behind them (fenced_memory.h)
  const void* released_[kRememberedReleases] = {};  // starts of the last mappings released: a second free is told from
                                                    // a foreign one
  size_t released_next_ = 0;
  KeptRanges kept_;
};

extern MappingTable mapping_table;

}  // namespace pagerun
