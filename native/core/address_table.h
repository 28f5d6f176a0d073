// A sorted array of records with an address and a length, none of which overlap: what lies at an address, and what
// behind it. Owns the array's memory, which it maps and never gives back. There is room at both ends of the array, so
// that of the entries only those on the shorter side of a change move: the kernel maps downwards, and new entries
// mostly come first. Thread rule: under the lock of whoever has it.
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
    size_t bytes = capacity_ == 0 ? kFirstBytes : bytes_ * 2;
    void* grown = capacity_ == 0 ? os::map(kFirstBytes) : os::remap(memory_, bytes_, bytes, true);
    if (grown == nullptr) return false;
    size_t front = room_in_front();
    memory_ = static_cast<Entry*>(grown);
    entries_ = memory_ + front;
    capacity_ = bytes / sizeof(Entry);
    bytes_ = bytes;
    return true;
  }

  /// Adds an entry; there is room. O(n), and O(log n) at the ends in the long run.
  void insert(const Entry& entry) {
    size_t at = index_behind(entry.address);
    bool is_in_first_half = at < count_ - at;
    if (is_in_first_half ? room_in_front() == 0 : room_in_front() + count_ == capacity_)
      move_to_middle(is_in_first_half);
    if (is_in_first_half) {
      memmove(entries_ - 1, entries_, at * sizeof(Entry));
      entries_--;
    } else {
      memmove(entries_ + at + 1, entries_ + at, (count_ - at) * sizeof(Entry));
    }
    entries_[at] = entry;
    count_++;
  }

  /// Takes the entries from index `from` to index `to` (not included) out. O(n), and O(1) at the ends.
  void erase(size_t from, size_t to) {
    if (from == to) return;
    if (from < count_ - to) {
      memmove(entries_ + (to - from), entries_, from * sizeof(Entry));
      entries_ += to - from;
    } else {
      memmove(entries_ + from, entries_ + to, (count_ - to) * sizeof(Entry));
    }
    count_ -= to - from;
  }

 private:
  static constexpr size_t kFirstBytes = 4096;
  static_assert(sizeof(Entry) * 8 <= kFirstBytes);

  size_t room_in_front() const { return static_cast<size_t>(entries_ - memory_); }

  // Half of the room comes to each end, and of an odd number the larger half to where it is wanted.
  void move_to_middle(bool is_wanted_in_front) {
    Entry* to = memory_ + (capacity_ - count_ + (is_wanted_in_front ? 1 : 0)) / 2;
    memmove(to, entries_, count_ * sizeof(Entry));
    entries_ = to;
  }

  Entry* memory_ = nullptr;
  Entry* entries_ = nullptr;  // the first one
  size_t count_ = 0;
  size_t capacity_ = 0;
  size_t bytes_ = 0;
};

}  // namespace pagerun
