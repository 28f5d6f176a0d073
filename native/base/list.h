// A doubly linked list through `next` and `prev` members of its entries; the list owns no entry.
// Invariant, checked before a link is followed for writing: entry->next->prev == entry and entry->prev->next == entry,
// and before it is followed at all, where what an entry can be is known: that it can be one.
// Thread rule: the list's owner, or whoever holds its lock.
#pragma once

#include "check.h"
#include "relaxed.h"

namespace pagerun {

template <class T>
constexpr bool is_any_entry(const T*) {
  return true;
}

template <class T, bool (*kIsEntry)(const T*) = is_any_entry<T>>
class List {
 public:
  T* first() const { return load_relaxed(first_); }
  T* last() const { return last_; }
  bool is_empty() const { return first_ == nullptr; }

  /// Puts an entry in front.
  void push(T* entry) {
    CHECK_AT(entry->next == nullptr && entry->prev == nullptr, "an entry of no list has no links", entry);
    CHECK_AT(first_ == nullptr ? last_ == nullptr : first_->prev == nullptr, "next/prev agree", first_);
    store_relaxed(entry->next, first_);
    store_relaxed(first_ == nullptr ? last_ : first_->prev, entry);
    store_relaxed(first_, entry);
  }

  /// Puts an entry behind the last.
  void append(T* entry) {
    CHECK_AT(entry->next == nullptr && entry->prev == nullptr, "an entry of no list has no links", entry);
    CHECK_AT(last_ == nullptr ? first_ == nullptr : last_->next == nullptr, "next/prev agree", last_);
    store_relaxed(entry->prev, last_);
    store_relaxed(last_ == nullptr ? first_ : last_->next, entry);
    store_relaxed(last_, entry);
  }

  void remove(T* entry) {
    T* next = entry->next;
    T* prev = entry->prev;
    CHECK_AT(prev == nullptr ? first_ == entry : kIsEntry(prev) && prev->next == entry, "next/prev agree", entry);
    CHECK_AT(next == nullptr ? last_ == entry : kIsEntry(next) && next->prev == entry, "next/prev agree", entry);
    store_relaxed(prev == nullptr ? first_ : prev->next, next);
    store_relaxed(next == nullptr ? last_ : next->prev, prev);
    store_relaxed(entry->next, nullptr);
    store_relaxed(entry->prev, nullptr);
  }

  /// Forgets all entries, whose links their owner has cleared or will.
  void clear() {
    store_relaxed(first_, nullptr);
    store_relaxed(last_, nullptr);
  }

  /// Removes and returns the first entry, or null.
  T* pop() {
    T* entry = first_;
    if (entry != nullptr) remove(entry);
    return entry;
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
};

}  // namespace pagerun
