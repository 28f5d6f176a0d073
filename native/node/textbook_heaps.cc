#include "textbook_heaps.h"

#include <unordered_map>

#include "../base/lock.h"

namespace pagerun::node {

namespace {

struct Entry {
  textbook::Heap* heap = nullptr;
  uint64_t holders = 0;  // calls under way
  uint64_t shares = 0;   // objects of JavaScript
  bool is_destroyed = false;
};

Lock table_lock;
uint64_t last_number = 0;

// Never destructed: other threads may still call while the process ends.
std::unordered_map<uint64_t, Entry>& table() {
  static auto* const kTable = new std::unordered_map<uint64_t, Entry>();
  return *kTable;
}

Entry* find_entry(uint64_t number) {
  auto found = table().find(number);
  return found == table().end() || found->second.is_destroyed ? nullptr : &found->second;
}

void end_if_unused(uint64_t number, const Entry& entry) {
  if (!entry.is_destroyed || entry.holders != 0) return;
  entry.heap->destroy();
  table().erase(number);
}

}  // namespace

uint64_t textbook_add(textbook::Heap* heap) {
  LockGuard guard(table_lock);
  last_number++;
  table()[last_number].heap = heap;
  return last_number;
}

bool textbook_share(uint64_t number) {
  LockGuard guard(table_lock);
  Entry* entry = find_entry(number);
  if (entry != nullptr) entry->shares++;
  return entry != nullptr;
}

void textbook_drop(uint64_t number) {
  LockGuard guard(table_lock);
  Entry* entry = find_entry(number);
  if (entry == nullptr || --entry->shares != 0) return;
  entry->is_destroyed = true;
  end_if_unused(number, *entry);
}

bool textbook_destroy(uint64_t number) {
  LockGuard guard(table_lock);
  Entry* entry = find_entry(number);
  if (entry == nullptr) return false;
  entry->is_destroyed = true;
  end_if_unused(number, *entry);
  return true;
}

HeldHeap::HeldHeap(uint64_t number) : number_(number) {
  LockGuard guard(table_lock);
  Entry* entry = find_entry(number);
  if (entry == nullptr) return;
  entry->holders++;
  heap_ = entry->heap;
}

HeldHeap::~HeldHeap() {
  if (heap_ == nullptr) return;
  LockGuard guard(table_lock);
  Entry& entry = table()[number_];
  entry.holders--;
  end_if_unused(number_, entry);
}

}  // namespace pagerun::node
