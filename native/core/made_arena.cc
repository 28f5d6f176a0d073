#include "made_arena.h"

#include <cstring>
#include <new>

#include "../base/check.h"
#include "../os/memory.h"
#include "allocator.h"
#include "arena_list.h"
#include "hardened.h"
#include "mapping_table.h"
#include "quarantine.h"
#include "region.h"
#include "run_list.h"
#include "thread_arena.h"

namespace pagerun {

namespace {

constexpr size_t kRecordBatch = 8;  // records that one mapping holds

MadeArena* spare_records = nullptr;  // linked by next_abandoned, under arenas_lock

// Null when memory is exhausted. Under arenas_lock.
MadeArena* record_take() {
  bool is_new = spare_records == nullptr;
  if (is_new) {
    auto* batch = static_cast<MadeArena*>(records_map(kRecordBatch * sizeof(MadeArena)));
    if (batch == nullptr) return nullptr;
    for (size_t i = kRecordBatch; i-- > 0;) {
      MadeArena* record = new (&batch[i]) MadeArena();
      record->state.store(ArenaState::kEnded, std::memory_order_relaxed);
      arena_enlist(record);
      record->next_abandoned = spare_records;
      spare_records = record;
    }
  }
  MadeArena* record = spare_records;
  spare_records = made_arena_of(record->next_abandoned);
  record->next_abandoned = nullptr;
  return record;
}

void host_link(Arena* host, MadeArena* arena) {
  store_relaxed(arena->host, host);
  arena->made_prev = nullptr;
  arena->made_next = host->made;
  if (host->made != nullptr) host->made->made_prev = arena;
  host->made = arena;
}

void host_unlink(MadeArena* arena) {
  Arena* next = arena->made_next;
  Arena* prev = arena->made_prev;
  (prev == nullptr ? arena->host->made : prev->made_next) = next;
  if (next != nullptr) next->made_prev = prev;
  store_relaxed(arena->host, nullptr);
  store_relaxed(arena->thread, nullptr);
}

// The longest beginning of a text that fits and ends with a whole character of UTF-8.
size_t name_length(const char* name, size_t bytes) {
  if (bytes < kArenaNameBytes) return bytes;
  size_t length = kArenaNameBytes - 1;
  while (length > 0 && (name[length] & 0xc0) == 0x80) length--;
  return length;
}

bool fits(const MadeArena* arena, uint64_t bytes, uint64_t credit_bytes) {
  uint64_t used = made_arena_bytes(arena) - credit_bytes;
  return used <= arena->limit_bytes && bytes <= arena->limit_bytes - used;
}

// True when `bytes` more are within the limit, once `credit_bytes` that are live now are not any more.
bool has_room(MadeArena* arena, uint64_t bytes, uint64_t credit_bytes) {
  if (fits(arena, bytes, credit_bytes)) return true;
  if (!has_remote_frees(arena)) return false;
  arena_drain(arena);
  return fits(arena, bytes, credit_bytes);
}

void* take_plain(MadeArena* arena, Bucket* bucket) {
  void* ptr = bucket_take_here(bucket);
  return ptr != nullptr ? ptr : bucket_take_slow(arena, bucket);
}

void* take_small(MadeArena* arena, uint32_t size_class, size_t bytes, Refusal* refusal) {
  Bucket* bucket = bucket_at(arena, size_class);
  void* ptr = arena->policies == 0 ? take_plain(arena, bucket) : hardened_take(arena, bucket, bytes);
  if (ptr == nullptr) {
    *refusal = Refusal::kMemory;
  } else {
    store_relaxed(arena->bucket_bytes, arena->bucket_bytes + class_bytes(size_class));
  }
  return ptr;
}

// *is_zero as for allocate_large(); credit as for has_room().
void* take(MadeArena* arena, size_t bytes, size_t alignment, uint64_t credit_bytes, bool* is_zero, Refusal* refusal) {
  *refusal = Refusal::kLimit;
  *is_zero = false;
  size_t slack = least_slack(arena->policies);
  if (bytes <= kMaxBlockBytes - slack && alignment <= kMaxBlockBytes) {
    size_t room = arena->policies == 0 ? bytes : hardened_room(bytes, arena->policies);
    uint32_t size_class = class_of(room, alignment);
    bool is_granted = has_room(arena, class_bytes(size_class), credit_bytes);
    return is_granted ? take_small(arena, size_class, bytes, refusal) : nullptr;
  }
  if (bytes == 0) bytes = 1;
  if (bytes > PTRDIFF_MAX && arena->limit_bytes == kNoLimit) {
    *refusal = Refusal::kMemory;
    return nullptr;
  }
  if (bytes > PTRDIFF_MAX || !has_room(arena, round_up(bytes, kOsPageBytes), credit_bytes)) return nullptr;
  *refusal = Refusal::kMemory;
  return allocate_large(arena, bytes, alignment, is_zero);
}

// Resizes a run or mapping where it is; null when that cannot be.
void* resize_large(MadeArena* arena, const Block& block, size_t bytes) {
  size_t rounded_bytes = round_up(bytes, kOsPageBytes);
  if (rounded_bytes > block.usable_bytes && !has_room(arena, rounded_bytes, block.usable_bytes)) return nullptr;
  if (block.kind == static_cast<uint32_t>(PageKind::kMapping)) {
    size_t most_moved = arena->policies == 0 ? kMaxRunBytes / kShrinkShare : kMaxBlockBytes;
    return bytes > most_moved ? mapping_table.resize(block.start, bytes, arena) : nullptr;
  }
  if (bytes <= kMaxBlockBytes || bytes > kMaxRunBytes || arena->policies != 0) return nullptr;
  PageHeader* head = region_of(block.start)->header_of(block.start);
  return run_list.resize(head, bytes, arena) == RunList::Resized::kDone ? block.start : nullptr;
}

// Moves a block that nobody else frees while its content is read: a mapping is pinned by the caller.
Misuse move(MadeArena* arena, const Block& block, size_t bytes, void** result, Refusal* refusal) {
  bool is_zero = false;
  void* moved = take(arena, bytes, kMaxAlignBytes, block.usable_bytes, &is_zero, refusal);
  if (moved == nullptr) return Misuse::kNone;
  memcpy(moved, block.start, block.usable_bytes < bytes ? block.usable_bytes : bytes);
  Misuse misuse = deallocate(block.start);
  if (misuse == Misuse::kNone) {
    *result = moved;
  } else {
    deallocate(moved);  // another thread has freed the old block meanwhile
  }
  return misuse;
}

// A block of a bucket page, in a hardened arena.
Misuse resize_checked(MadeArena* arena, const Block& block, size_t bytes, void** result, Refusal* refusal) {
  Place place;
  Block same;
  Misuse misuse = place_of(block.start, &place, &same);
  if (misuse == Misuse::kNone) misuse = hardened_resize(place, bytes, result);
  if (misuse != Misuse::kNone || *result != nullptr) return misuse;
  return move(arena, block, bytes, result, refusal);
}

Misuse move_mapping(MadeArena* arena, const Block& block, size_t bytes, void** result, Refusal* refusal) {
  if (!mapping_table.pin(block.start)) return Misuse::kDoubleFree;
  Block pinned;
  Misuse misuse = mapping_table.find(block.start, &pinned);
  if (misuse == Misuse::kNone) misuse = move(arena, pinned, bytes, result, refusal);
  mapping_table.unpin(block.start);
  return misuse;
}

}  // namespace

uint64_t made_arena_bytes(const MadeArena* arena) {
  uint64_t large_bytes = arena->large_bytes.load(std::memory_order_relaxed);
  return load_relaxed(arena->bucket_bytes) + large_bytes - quarantine_bytes(arena);
}

MadeArena* made_arena_make(uint64_t limit_bytes, const char* name, size_t name_bytes, bool is_hardened) {
  Arena* host = thread_arena();
  if (host == nullptr) return nullptr;
  LockGuard guard(arenas_lock);
  MadeArena* arena = record_take();
  if (arena == nullptr) return nullptr;
  arena_identify(arena);
  arena->policies = is_hardened ? kHardened | kAllPolicies : load_shared(process_policies);
  arena->limit_bytes = limit_bytes;
  size_t length = name_length(name, name_bytes);
  if (length > 0) memcpy(arena->name, name, length);
  arena->name[length] = 0;
  store_relaxed(arena->thread, __builtin_thread_pointer());
  host_link(host, arena);
  arena->state.store(ArenaState::kMade, std::memory_order_release);
  return arena;
}

void* made_arena_take(MadeArena* arena, size_t bytes, size_t alignment, Refusal* refusal) {
  bool is_zero = false;
  return take(arena, bytes, alignment, 0, &is_zero, refusal);
}

void* made_arena_take_zeroed(MadeArena* arena, size_t bytes, Refusal* refusal) {
  bool is_zero = false;
  void* ptr = take(arena, bytes, kMaxAlignBytes, 0, &is_zero, refusal);
  if (ptr != nullptr && !is_zero) memset(ptr, 0, bytes);
  return ptr;
}

Misuse made_arena_resize(MadeArena* arena, void* ptr, size_t bytes, void** result, Refusal* refusal) {
  *result = nullptr;
  *refusal = Refusal::kNone;
  Block block;
  Misuse misuse = locate(ptr, &block);
  if (misuse != Misuse::kNone) return misuse;
  if (block.kind == static_cast<uint32_t>(PageKind::kBucket)) {
    if (arena->policies != 0) return resize_checked(arena, block, bytes, result, refusal);
    if (!stays_in_block(block.usable_bytes, bytes)) return move(arena, block, bytes, result, refusal);
    *result = ptr;
    return Misuse::kNone;
  }
  *result = resize_large(arena, block, bytes);
  if (*result != nullptr) return Misuse::kNone;
  bool is_mapping = block.kind == static_cast<uint32_t>(PageKind::kMapping);
  return (is_mapping ? move_mapping : move)(arena, block, bytes, result, refusal);
}

Misuse made_arena_free(MadeArena* arena, PageHeader* page, uint32_t index) {
  size_t offset = offset_of_word(index);
  uint64_t& word = word_at(page->free_bits, offset);
  store_owned(word, word | mask_of(index));
  store_relaxed(arena->bucket_bytes, arena->bucket_bytes - page->block_bytes);
  page_count_free(arena, page);
  return Misuse::kNone;
}

void made_arena_reset(MadeArena* arena) {
  {
    LockGuard guard(arena->lock);
    forget_remote_frees(arena);
    quarantine_forget(arena);
    arena_clear_buckets(arena);
    store_relaxed(arena->bucket_bytes, uint64_t{0});
    extents_end(arena);
  }
  run_list.put_owned(arena);
  if (arena->large_bytes.load(std::memory_order_relaxed) > 0) mapping_table.put_owned(arena);
  run_list.give_back_excess();
}

void made_arena_destroy(MadeArena* arena) {
  {
    LockGuard guard(arena->lock);
    arena->state.store(ArenaState::kEnded, std::memory_order_relaxed);
  }
  made_arena_reset(arena);
  host_unlink(arena);
  LockGuard guard(arenas_lock);
  store_relaxed(arena->id, uint64_t{0});  // no late unpin() takes the record's next arena for this one
  arena->next_abandoned = spare_records;
  spare_records = arena;
}

void made_arenas_end(Arena* host) {
  while (host->made != nullptr) made_arena_destroy(made_arena_of(host->made));
}

void made_arenas_fork(Arena* host) {
  for (Arena* arena = host->made; arena != nullptr; arena = arena->made_next) made_arena_of(arena)->lock.reset();
}

Misuse made_arena_find(const void* ptr, Block* block, ArenaMemory* memory) {
  *memory = {};
  Arena* owner = nullptr;
  Misuse misuse = locate_owned(ptr, block, &owner);
  if (block->start == nullptr || owner == nullptr || !is_made(owner)) return misuse;
  MadeArena* arena = made_arena_of(owner);
  if (!is_mine(arena)) return misuse;
  *memory = {static_cast<char*>(block->start), block->usable_bytes, arena, arena->id};
  if (block->kind != static_cast<uint32_t>(PageKind::kBucket)) return misuse;
  Region* region = region_of(block->start);
  const Extent* extent = extent_of(arena, region->header_of(block->start));
  CHECK(extent != nullptr);
  memory->start = region->address_of(extent->first);
  memory->bytes = extent->pages * kPageBytes;
  return misuse;
}

bool made_arena_pin(const ArenaMemory& memory) {
  Region* region = region_of(memory.start);
  if (region == nullptr) return mapping_table.pin(memory.start);
  PageHeader* page = region->header_of(memory.start);
  Extent* extent = extent_of(memory.arena, page);
  if (extent == nullptr) return run_list.pin(page);
  extent->pins++;
  return true;
}

void made_arena_unpin(const ArenaMemory& memory) {
  Region* region = region_of(memory.start);
  if (region == nullptr) return mapping_table.unpin(memory.start);
  PageHeader* page = region->header_of(memory.start);
  bool is_same = load_relaxed(memory.arena->id) == memory.id;
  Extent* extent = is_same ? extent_of(memory.arena, page) : nullptr;
  if (extent == nullptr) return run_list.unpin(page);
  extent->pins--;
  extent_check(memory.arena, extent);
}

}  // namespace pagerun
