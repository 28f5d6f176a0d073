#include "block_hold.h"

#include "../base/check.h"
#include "allocator.h"
#include "arena.h"
#include "mapping_table.h"
#include "region.h"
#include "run_list.h"
#include "thread_arena.h"

namespace pagerun {

namespace {

Lock lock;
AddressTable<BlockHold> table;

// The head of the page or run that holds `ptr`, an address of a region.
PageHeader* head_at(const void* ptr) {
  PageHeader* header = region_of(ptr)->header_of(ptr);
  return load_relaxed(header->kind) == PageKind::kFollow ? header - load_relaxed(header->distance) : header;
}

bool find_live(const void* ptr, size_t bytes, Block* block, Arena** owner) {
  Misuse misuse = locate_owned(ptr, block, owner);
  if (misuse != Misuse::kNone && misuse != Misuse::kInteriorPointer) return false;
  if (block->start == nullptr) return false;
  auto offset = static_cast<size_t>(static_cast<const char*>(ptr) - static_cast<const char*>(block->start));
  return offset <= block->usable_bytes && bytes <= block->usable_bytes - offset;
}

// Under the lock.
HoldStatus add_hold(const Block& block) {
  BlockHold* known = table.holding(block.start);
  if (known != nullptr) {
    if (known->is_freed) return HoldStatus::kNoBlock;
    known->holds++;
    return HoldStatus::kHeld;
  }
  if (!table.make_room(1)) return HoldStatus::kOutOfMemory;
  table.insert({static_cast<char*>(block.start), block.usable_bytes == 0 ? 1 : block.usable_bytes, 1, false});
  PageHeader* page = head_at(block.start);
  // seq_cst: pairs with page_open_fast_path(), which stores the limit and then looks here
  __atomic_fetch_add(&page->held_blocks, 1, __ATOMIC_SEQ_CST);
  page_close_fast_path(page);
  return HoldStatus::kHeld;
}

HoldStatus hold_found(const Block& block) {
  auto kind = static_cast<PageKind>(block.kind);
  if (kind == PageKind::kBucket) {
    if (region_of(block.start) == nullptr) return HoldStatus::kNoBlock;  // one of 0 bytes (unreadable_blocks.h)
    LockGuard guard(lock);
    return add_hold(block);
  }
  bool is_pinned = kind == PageKind::kRun ? run_list.pin(head_at(block.start)) : mapping_table.pin(block.start);
  return is_pinned ? HoldStatus::kHeld : HoldStatus::kNoBlock;
}

// The owner's thread lets its own frees take the fast path again; another's page opens with its next drain.
void page_reopen(PageHeader* page) {
  if (owner_of(*page) != arena_now()) return;
  page_open_fast_path(page);
  // Whoever finds the summary empty after this closes the fast path itself.
  if (page->remote_summary.load(std::memory_order_seq_cst) != 0) page_close_fast_path(page);
}

// True when `start` has an entry: then one hold is taken back, and *is_free says whether the block shall be freed.
bool let_entry_go(void* start, bool* is_free) {
  LockGuard guard(lock);
  BlockHold* entry = table.holding(start);
  *is_free = false;
  if (entry == nullptr || entry->address != start) return false;
  if (--entry->holds > 0) return true;
  *is_free = entry->is_freed;
  size_t index = table.index_of(entry);
  table.erase(index, index + 1);
  PageHeader* page = head_at(start);
  if (__atomic_sub_fetch(&page->held_blocks, 1, __ATOMIC_SEQ_CST) == 0) page_reopen(page);
  return true;
}

}  // namespace

HoldStatus block_hold(const void* ptr, size_t bytes, void** start) {
  Block block;
  Arena* owner = nullptr;
  if (!find_live(ptr, bytes, &block, &owner)) return HoldStatus::kNoBlock;
  if (owner != nullptr && is_made(owner)) return HoldStatus::kMadeArena;
  HoldStatus status = hold_found(block);
  if (status != HoldStatus::kHeld) return status;
  *start = block.start;
  // Between look-up and hold another thread may have freed it.
  Block again;
  if (find_live(ptr, bytes, &again, &owner) && again.start == block.start) return HoldStatus::kHeld;
  block_let_go(block.start);
  return HoldStatus::kNoBlock;
}

void block_let_go(void* start) {
  bool is_free = false;
  if (let_entry_go(start, &is_free)) {
    if (is_free) deallocate(start);
  } else if (region_of(start) != nullptr) {
    run_list.unpin(head_at(start));
  } else {
    mapping_table.unpin(start);
  }
}

bool block_note_free(const void* ptr, Misuse* misuse) {
  LockGuard guard(lock);
  BlockHold* entry = table.holding(ptr);
  if (entry == nullptr) return false;
  *misuse = entry->is_freed ? Misuse::kDoubleFree : Misuse::kNone;
  entry->is_freed = true;
  return true;
}

bool block_is_only_held(const void* start) {
  LockGuard guard(lock);
  const BlockHold* entry = table.holding(start);
  return entry != nullptr && entry->is_freed;
}

void page_open_fast_path(PageHeader* page) {
  if (is_special(*page)) return;
  store_relaxed(page->script_owner, owner_of(*page)->script_number);
  // seq_cst, both: pairs with add_hold()
  __atomic_store_n(&page->start_limit, kStartLimits.of_class[page->size_class], __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&page->held_blocks, __ATOMIC_SEQ_CST) != 0) page_close_fast_path(page);
}

const AddressTable<BlockHold>& held_blocks() { return table; }
Lock& holds_lock() { return lock; }

}  // namespace pagerun
