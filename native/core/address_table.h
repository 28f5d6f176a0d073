// A sorted array of records with an address and a length, none of which overlap: what lies at an address, and what
// behind it. Owns the array's memory, which it maps and never gives back. Thread rule: under the lock of whoever has
// it.
#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>

#include "../os/memory.h"

namespace pagerun {

template <class Entry>
class AddressTable {
  static_assert(std::is_trivially_copyable_v<Entry>);

 public:
  constexpr AddressTable() = default;

  size_t count() const { return count_; }
  Entry& operator[](size_t index) { return entries_[index]; }
  const Entry& operator[](size_t index) const { return entries_[index]; }

  /// Index of the first entry that starts behind `ptr`.
  size_t index_behind(const void* ptr) const {
    size_t low = 0, high = count_;
    while (low < high) {
      size_t middle = (low + high) / 2;
      if (entries_[middle].address <= static_cast<const char*>(ptr)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /// The entry that holds `ptr`, or null. O(log n).
  Entry* holding(const void* ptr) {
    size_t behind = index_behind(ptr);
    if (behind == 0) return nullptr;
    Entry* entry = &entries_[behind - 1];
    return static_cast<const char*>(ptr) < entry->address + entry->bytes ? entry : nullptr;
  }

  size_t index_of(const Entry* entry) const { return static_cast<size_t>(entry - entries_); }

  /// Room for `more` further entries; false when the system has no memory. Entries may move.
  bool make_room(size_t more) {
    if (capacity_ - count_ >= more) return true;
    size_t wanted = capacity_ == 0 ? kFirstBytes / sizeof(Entry) : capacity_ * 2;
    void* grown = capacity_ == 0 ? os::map(kFirstBytes) : os::remap(entries_, bytes_, bytes_ * 2, true);
    if (grown == nullptr) return false;
    bytes_ = capacity_ == 0 ? kFirstBytes : bytes_ * 2;
    entries_ = static_cast<Entry*>(grown);
    capacity_ = wanted;
    return true;
  }

  /// Adds an entry; there is room. O(n).
  void insert(const Entry& entry) {
    size_t at = index_behind(entry.address);
    if (at < count_) memmove(&entries_[at + 1], &entries_[at], (count_ - at) * sizeof(Entry));
    entries_[at] = entry;
    count_++;
  }

  /// Takes the entries from index `from` to index `to` (not included) out. O(n).
  void erase(size_t from, size_t to) {
    if (to < count_) memmove(&entries_[from], &entries_[to], (count_ - to) * sizeof(Entry));
    count_ -= to - from;
  }

 private:
  static constexpr size_t kFirstBytes = 4096;
  static_assert(sizeof(Entry) * 8 <= kFirstBytes);

  Entry* entries_ = nullptr;
  size_t count_ = 0;
  size_t capacity_ = 0;
  size_t bytes_ = 0;
};

}  // namespace pagerun
