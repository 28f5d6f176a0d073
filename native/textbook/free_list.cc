#include "free_list.h"

#include <cstring>

#include "../base/bits.h"
#include "../base/config.h"

namespace pagerun::textbook {

namespace {

constexpr const char* kEveryByte = "every byte is in exactly one block";
constexpr const char* kNoSmallBlock = "no block is smaller than a node";
constexpr const char* kNoFreeNeighbours = "no two neighbours are both free";
constexpr const char* kNextIsFree = "next is a free block behind";
constexpr const char* kHasId = "the id in the header is its arena's";

}  // namespace

void FreeList::open(const Range& range, const FreeListOptions& options) {
  range_ = range;
  options_ = options;
  if (options_.align_bytes < options_.field_bytes) options_.align_bytes = options_.field_bytes;
  // Blocks start a header in front of an aligned address, and are multiples of the alignment long.
  margin_bytes_ = round_up(header_bytes(), options_.align_bytes) - header_bytes();
  first_ = rover_ = place_ = nullptr;
}

// Fields are copied, not cast to: a block of 4-byte fields may start anywhere that 4 divides.
uint64_t FreeList::field(const char* block, uint32_t index) const {
  if (options_.field_bytes == sizeof(uint64_t)) {
    uint64_t value = 0;
    memcpy(&value, block + index * sizeof(value), sizeof(value));
    return value;
  }
  uint32_t value = 0;
  memcpy(&value, block + index * sizeof(value), sizeof(value));
  return value;
}

void FreeList::set_field(char* block, uint32_t index, uint64_t value) {
  if (options_.field_bytes == sizeof(uint64_t)) {
    memcpy(block + index * sizeof(value), &value, sizeof(value));
    return;
  }
  auto narrow = static_cast<uint32_t>(value);
  memcpy(block + index * sizeof(narrow), &narrow, sizeof(narrow));
}

char* FreeList::next_of(const char* node) const {
  uint64_t next = field(node, kSecond);
  if (next == 0) return nullptr;
  return options_.field_bytes == sizeof(uint64_t) ? reinterpret_cast<char*>(next) : range_.base + next;
}

void FreeList::set_next(char* node, char* next) {
  bool is_address = options_.field_bytes == sizeof(uint64_t) || next == nullptr;
  set_field(node, kSecond, is_address ? reinterpret_cast<uint64_t>(next) : static_cast<uint64_t>(next - range_.base));
}

void FreeList::link(char* prev, char* next) {
  if (prev == nullptr) {
    first_ = next;
  } else {
    set_next(prev, next);
  }
}

char* FreeList::end_of_blocks() const {
  size_t rest = margin_bytes_ == 0 ? 0 : options_.align_bytes - margin_bytes_;
  return range_.used_bytes == 0 ? first_block() : range_.end() - rest;
}

// A request of 0 bytes gets a field's worth, so that no two blocks have the same address.
size_t FreeList::total_for(size_t bytes) const {
  if (bytes > range_.limit_bytes) return 0;
  size_t user_bytes = bytes < options_.field_bytes ? options_.field_bytes : bytes;
  return round_up(header_bytes() + user_bytes, options_.align_bytes);
}

void* FreeList::allocate(size_t bytes) {
  size_t total = total_for(bytes);
  if (total == 0) return nullptr;
  Found found = find(total);
  if (found.node == nullptr && grow(total)) found = find(total);
  return found.node == nullptr ? nullptr : take(found, total);
}

FreeList::Found FreeList::find(size_t total) const {
  if (options_.fit == Fit::kBest) return find_best(total);
  Found found = find_behind(rover_, total);
  return found.node == nullptr && rover_ != nullptr ? find_behind(nullptr, total) : found;
}

FreeList::Found FreeList::find_behind(char* prev, size_t total) const {
  char* node = prev == nullptr ? first_ : next_of(prev);
  for (; node != nullptr; prev = node, node = next_of(node)) {
    if (total_of(node) >= total) return {prev, node};
  }
  return {};
}

FreeList::Found FreeList::find_best(size_t total) const {
  Found best;
  for (Found at = find_behind(nullptr, total); at.node != nullptr; at = find_behind(at.node, total)) {
    if (best.node == nullptr || total_of(at.node) < total_of(best.node)) best = at;
  }
  return best;
}

// The node becomes a header. What it is too large by becomes a node of its own, or, when that would be smaller than a
// node, goes to the user with the rest:
//
//   before   | size | next | unused space ...                       |
//   after    | size | user memory ...  | size | next | unused ...   |
void* FreeList::take(Found found, size_t total) {
  char* block = found.node;
  char* next = next_of(block);
  size_t rest_bytes = total_of(block) - total;
  if (rest_bytes >= node_bytes()) {
    char* rest = block + total;
    set_total(rest, rest_bytes);
    set_next(rest, next);
    set_total(block, total);
    next = rest;
  }
  link(found.prev, next);
  if (options_.fit == Fit::kNext) {
    place_ = block;
    rover_ = found.prev;
  }
  if (options_.has_id) set_field(block, kSecond, options_.id);
  return block + header_bytes();
}

// As many OS pages as the request takes: two for 5000 bytes.
bool FreeList::grow(size_t total) {
  bool is_first = range_.used_bytes == 0;
  size_t around = is_first && margin_bytes_ != 0 ? options_.align_bytes : 0;
  size_t bytes = round_up(total + around, kOsPageBytes);
  char* block = is_first ? first_block() : end_of_blocks();
  if (range_.grow(bytes) == nullptr) return false;
  set_total(block, bytes - around);
  put(block);
  return true;
}

void FreeList::deallocate(void* ptr) { put(header_of(ptr)); }

// The header becomes a node, at its place in the order of addresses, and one with the free neighbours.
void FreeList::put(char* block) {
  char* prev = nullptr;
  char* next = first_;
  while (next != nullptr && next < block) {
    prev = next;
    next = next_of(next);
  }
  set_next(block, next);
  link(prev, block);
  if (prev == rover_ && block < place_) rover_ = block;
  if (next != nullptr) merge(block, next);
  if (prev != nullptr) merge(prev, block);
}

void FreeList::merge(char* node, char* next) {
  if (node + total_of(node) != next) return;
  set_total(node, total_of(node) + total_of(next));
  set_next(node, next_of(next));
  if (rover_ == next) rover_ = node;
}

void FreeList::cut(char* block, size_t total) {
  size_t rest_bytes = total_of(block) - total;
  if (rest_bytes < node_bytes()) return;
  set_total(block, total);
  set_total(block + total, rest_bytes);
  put(block + total);
}

void FreeList::shrink(void* ptr, size_t bytes) { cut(header_of(ptr), total_for(bytes)); }

// A larger block, of which the part in front of the aligned address goes back, and what is too much behind it.
void* FreeList::allocate_aligned(size_t alignment, size_t bytes) {
  if (alignment <= options_.align_bytes) return allocate(bytes);
  size_t total = total_for(bytes);
  if (total == 0 || alignment > range_.limit_bytes) return nullptr;
  auto* ptr = static_cast<char*>(allocate(total + alignment + node_bytes()));
  if (ptr == nullptr) return nullptr;
  auto address = reinterpret_cast<uint64_t>(ptr);
  if (address % alignment != 0) {
    char* front = header_of(ptr);
    auto* aligned = reinterpret_cast<char*>(round_up(address + node_bytes(), alignment));
    auto front_bytes = static_cast<size_t>(aligned - ptr);
    set_total(header_of(aligned), total_of(front) - front_bytes);
    if (options_.has_id) set_field(header_of(aligned), kSecond, options_.id);
    set_total(front, front_bytes);
    put(front);
    ptr = aligned;
  }
  shrink(ptr, bytes);
  return ptr;
}

Verdict FreeList::check() const {
  Verdict verdict = check_list();
  return verdict.invariant == nullptr ? check_blocks() : verdict;
}

// Each next lies behind its node, so the walk ends, whatever the fields say.
Verdict FreeList::check_list() const {
  bool has_rover = rover_ == nullptr;
  const char* before = nullptr;
  for (const char* node = first_; node != nullptr; before = node, node = next_of(node)) {
    if (node <= before || node < first_block() || !range_.owns(node, node_bytes())) return {kNextIsFree, before};
    has_rover = has_rover || node == rover_;
  }
  return has_rover ? Verdict() : Verdict{kNextIsFree, rover_};
}

Verdict FreeList::check_blocks() const {
  const char* end = end_of_blocks();
  const char* node = first_;
  bool is_free_before = false;
  for (const char* block = first_block(); block < end;) {
    auto left = static_cast<size_t>(end - block);
    if (left < node_bytes() || size_of(block) > left - header_bytes()) return {kEveryByte, block};
    if (total_of(block) < node_bytes()) return {kNoSmallBlock, block};
    if (total_of(block) % options_.align_bytes != 0) return {kEveryByte, block};
    bool is_free = block == node;
    if (is_free && is_free_before) return {kNoFreeNeighbours, block};
    if (!is_free && options_.has_id && field(block, kSecond) != options_.id) return {kHasId, block};
    if (is_free) node = next_of(block);
    is_free_before = is_free;
    block += total_of(block);
    if (node != nullptr && node < block) return {kNextIsFree, node};
  }
  return node == nullptr ? Verdict() : Verdict{kNextIsFree, node};
}

Fault FreeList::locate(const void* ptr, BlockRecord* found) const {
  if (!range_.owns(ptr)) return Fault::kForeignPointer;
  auto* at = static_cast<const char*>(ptr);
  Fault fault = Fault::kForeignPointer;  // the margins are nobody's
  each_block([&](const BlockRecord& block) {
    if (at < block.address || at >= block.ptr + block.size) return;
    *found = block;
    bool is_start = at == block.ptr;
    fault = block.is_free ? Fault::kDoubleFree : is_start ? Fault::kNone : Fault::kInteriorPointer;
  });
  return fault;
}

}  // namespace pagerun::textbook
