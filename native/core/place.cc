#include "place.h"

#include "block_hold.h"
#include "hardened.h"
#include "header_check.h"
#include "mapping_table.h"
#include "region.h"
#include "unreadable_blocks.h"

namespace pagerun {

namespace {

PageKind kind_of(const PageHeader* page) { return load_relaxed(page->kind); }

bool is_head(const PageHeader* page) {
  PageKind kind = kind_of(page);
  return (kind == PageKind::kBucket || kind == PageKind::kRun) && is_settled(*page);
}

// The header that a further page names as its head; null when it cannot be one.
PageHeader* named_head(const Region& region, PageHeader* header) {
  uint32_t distance = load_relaxed(header->distance);
  return distance < static_cast<size_t>(header - region.headers) ? header - distance : nullptr;
}

// The head of the live page or run that holds the page of `header`, or null.
PageHeader* head_of(const Region& region, PageHeader* header) {
  if (is_head(header)) return header;
  if (kind_of(header) != PageKind::kFollow) return nullptr;
  PageHeader* head = named_head(region, header);
  // A further page that was freed since keeps its old mark: its head, if there is one, is no longer that long.
  bool is_inside =
      head != nullptr && is_head(head) && static_cast<size_t>(header - head) < load_relaxed(head->run_pages);
  return is_inside ? head : nullptr;
}

// True when the page's header can be followed, false when the page has changed what it is meanwhile: two frees of one
// block at the same time can meet that. Seen once, something odd may be both lives of the page; seen twice it is
// damage.
bool is_bucket_page(const PageHeader* page) {
  for (int look = 0; look < 2; look++) {
    if (find_damage(*page) == nullptr) return true;
    if (kind_of(page) != PageKind::kBucket || !is_settled(*page)) return false;
  }
  header_check(page);
  return true;
}

// Classifies a pointer into a bucket page; fills *block with the live block that holds it, if any.
Misuse locate_in_bucket_page(const char* ptr, PageHeader* page, Place* place, Block* block) {
  if (!is_bucket_page(page)) return Misuse::kDoubleFree;
  auto offset = static_cast<uint32_t>(ptr - page->start);
  uint32_t block_bytes = static_cast<uint32_t>(class_bytes(page->size_class)), index = offset / block_bytes;
  if (index >= page->capacity) return Misuse::kInteriorPointer;  // the unused tail
  if (is_free_block(page, index)) return Misuse::kDoubleFree;
  size_t usable_bytes = is_hardened(*page) ? asked_bytes(*page, index) : block_bytes;
  if (usable_bytes == kAnyBytes) return Misuse::kDoubleFree;
  char* start = page->start + size_t{index} * block_bytes;
  if (load_relaxed(page->held_blocks) != 0 && block_is_only_held(start)) return Misuse::kDoubleFree;
  place->page = page;
  place->index = index;
  *block = {start, usable_bytes, page->size_class, static_cast<uint32_t>(PageKind::kBucket)};
  return index * block_bytes == offset ? Misuse::kNone : Misuse::kInteriorPointer;
}

// Where there is a mapping of its own at the address, or was, or nothing of this heap.
Known known_elsewhere(const void* ptr) {
  Block block;
  if (unreadable_blocks.holds(ptr)) {
    bool is_live = unreadable_blocks.find(ptr, &block) == Misuse::kNone;
    return {is_live ? LastState::kLive : LastState::kFree, block.start, 0, 0, 0, "a block of 0 bytes"};
  }
  Misuse misuse = mapping_table.find(ptr, &block);
  if (block.start != nullptr) {
    uint64_t arena = arena_id_of(mapping_table.owner_of(ptr));
    return {LastState::kLive, block.start, block.usable_bytes, 0, arena, "a mapping of its own"};
  }
  if (misuse == Misuse::kDoubleFree) return {.state = LastState::kReleasedMapping};
  return {.state = is_in_tables(ptr) ? LastState::kTable : LastState::kUnknown};
}

Known known_in_bucket_page(const char* ptr, const PageHeader* page) {
  auto offset = static_cast<uint32_t>(ptr - page->start);
  uint32_t index = offset / static_cast<uint32_t>(class_bytes(page->size_class));
  Known known = {.bytes = class_bytes(page->size_class), .size_class = page->size_class, .arena = owner_id_of(*page)};
  if (index >= page->capacity) {
    known.state = LastState::kTail;
    return known;
  }
  known.start = page->start + index * known.bytes;
  bool is_remote = (page->remote_bits[word_of(index)].load(std::memory_order_relaxed) & mask_of(index)) != 0;
  bool is_free = is_hardened(*page) && asked_bytes(*page, index) == kAnyBytes && !is_remote;
  known.state = is_free || bitmap_test(page->free_bits, index) ? LastState::kFree
                : is_remote                                    ? LastState::kFreedElsewhere
                                                               : LastState::kLive;
  if (is_hardened(*page) && known.state == LastState::kLive) known.bytes = asked_bytes(*page, index);
  bool is_watched = known.state == LastState::kLive && load_relaxed(page->held_blocks) != 0;
  if (is_watched && block_is_only_held(known.start)) known.state = LastState::kHeld;
  return known;
}

// A page that is in no use. What it was last stands in its header as long as no run has gone over it.
Known known_free_page(const Region& region, PageHeader* header) {
  Known known = {.state = LastState::kFreeRun};
  PageHeader* last = kind_of(header) == PageKind::kFollow ? named_head(region, header) : header;
  if (last == nullptr || last->size_class >= kClassCount) return known;
  if (load_relaxed(last->block_bytes) != class_bytes(last->size_class)) return known;
  known.bytes = class_bytes(last->size_class);
  known.size_class = last->size_class;
  return known;
}

}  // namespace

Misuse place_of(const void* ptr, Place* place, Block* block) {
  *place = {};
  *block = {};
  Region* region = region_of(ptr);
  if (region == nullptr)
    return unreadable_blocks.holds(ptr) ? unreadable_blocks.find(ptr, block) : mapping_table.find(ptr, block);
  PageHeader* header = region->header_of(ptr);
  PageHeader* head = head_of(*region, header);
  if (head == nullptr)
    return kind_of(header) == PageKind::kNone && !region->was_used(header) ? Misuse::kForeignPointer
                                                                           : Misuse::kDoubleFree;
  if (kind_of(head) == PageKind::kBucket)
    return locate_in_bucket_page(static_cast<const char*>(ptr), head, place, block);
  place->page = head;
  char* start = region->address_of(head);
  *block = {start, load_relaxed(head->run_bytes), kNoSizeClass, static_cast<uint32_t>(PageKind::kRun)};
  return ptr == start ? Misuse::kNone : Misuse::kInteriorPointer;
}

Known known_of(const void* ptr) {
  Region* region = region_of(ptr);
  if (region == nullptr) return known_elsewhere(ptr);
  PageHeader* header = region->header_of(ptr);
  if (!region->was_used(header)) return {.state = LastState::kNeverUsed};
  PageHeader* head = head_of(*region, header);
  if (head == nullptr) return known_free_page(*region, header);
  if (kind_of(head) == PageKind::kRun)
    return {LastState::kLive, region->address_of(head), load_relaxed(head->run_bytes), 0, owner_id_of(*head), "a run"};
  if (find_damage(*head) != nullptr) return {.state = LastState::kFreeRun};
  return known_in_bucket_page(static_cast<const char*>(ptr), head);
}

}  // namespace pagerun
