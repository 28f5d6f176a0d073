#include "core_api.h"

#include <dlfcn.h>

#include <algorithm>

#include "../core/allocator.h"
#include "../core/mapping_table.h"
#include "../core/purger.h"
#include "../core/region.h"
#include "../core/thread_arena.h"
#include "../harden/policy.h"
#include "../os/fault.h"

namespace pagerun {

namespace {

bool mapping_pin(const void* ptr) { return mapping_table.pin(ptr); }
void mapping_unpin(const void* ptr) { mapping_table.unpin(ptr); }
RangeStatus range_take(size_t bytes, const RangeOptions* options, void** start) {
  return range_table.take(bytes, *options, start);
}
Misuse range_put(void* ptr) { return range_table.put(ptr); }
RangeStatus range_protect(void* ptr, size_t bytes, os::Protection protection) {
  return range_table.protect(ptr, bytes, protection);
}
RangeStatus range_advise(void* ptr, size_t bytes, os::Advice advice, int* error) {
  return range_table.advise(ptr, bytes, advice, error);
}
bool range_find(const void* ptr, Range* range) { return range_table.find(ptr, range); }
bool range_find_allowing(const void* ptr, os::Protection protection, RangePart* found) {
  return range_table.find_allowing(ptr, protection, found);
}
bool range_hold(const void* ptr, size_t bytes, os::Protection protection) {
  return range_table.hold(ptr, bytes, protection);
}
void range_let_view_go(const void* ptr) { range_table.let_view_go(ptr); }
void range_pin(const void* ptr) { range_table.pin(ptr); }
void range_unpin(const void* ptr) { range_table.unpin(ptr); }
void fail_system_call(uint64_t n) { os::fail_call(n, 1); }

uint64_t address_of(const void* ptr) { return reinterpret_cast<uint64_t>(ptr); }

uint32_t policies() { return load_shared(process_policies); }

uint32_t arena_number(const Arena* arena) { return arena->script_number; }

HeapLayout heap_layout() {
  const Region& region = region_table.regions[0];
  return {
      .region_start = policies() == 0 ? address_of(region.base) : 0,
      .script_pages = std::min(kScriptPages, region.reserved_bytes / kPageBytes),
      .committed = address_of(&primary_committed_bytes),
      .headers = address_of(region.headers),
      .free_bitmaps = address_of(region.free_bitmaps),
      .page_bytes = kPageBytes,
      .header_bytes = sizeof(PageHeader),
      .bitmap_bytes = kBitmapStride,
      .inline_blocks = kInlineBlocks,
      .bucket_kind = static_cast<uint64_t>(PageKind::kBucket),
      .reciprocal = offsetof(PageHeader, reciprocal),
      .start = offsetof(PageHeader, start),
      .block_bytes = offsetof(PageHeader, block_bytes),
      .start_limit = offsetof(PageHeader, start_limit),
      .capacity = offsetof(PageHeader, capacity),
      .script_owner = offsetof(PageHeader, script_owner),
      .countdown = offsetof(PageHeader, countdown),
      .notify_at = offsetof(PageHeader, notify_at),
      .hot_offset = offsetof(PageHeader, hot_offset),
      .next_word = offsetof(PageHeader, next_word),
      .free_bits = offsetof(PageHeader, inline_free_bits),
      .page_word = offsetof(Arena, page_word),
      .script_closed = offsetof(Arena, script_closed),
      .arena_bytes = sizeof(Arena),
      .class_count = kClassCount,
      .class_bytes = kClassTable.bytes,
  };
}

// One word, the capacity its lower half: TypeScript reads it whole.
static_assert(offsetof(PageHeader, capacity) % sizeof(uint32_t) == 0 &&
              offsetof(PageHeader, size_class) == offsetof(PageHeader, capacity) + 2 &&
              offsetof(PageHeader, kind) == offsetof(PageHeader, capacity) + 3);

constexpr CoreApi kOwn = {
    .version = kCoreApiVersion,
    .bytes = sizeof(CoreApi),
    .allocate = allocate,
    .allocate_zeroed = allocate_zeroed,
    .allocate_aligned = allocate_aligned,
    .deallocate = deallocate,
    .reallocate = reallocate,
    .locate = locate,
    .watch = watch,
    .arena_open = arena_open,
    .arena_number = arena_number,
    .arena_close = arena_abandon,
    .arena_switch = arena_switch,
    .heap_layout = heap_layout,
    .mapping_pin = mapping_pin,
    .mapping_unpin = mapping_unpin,
    .block_hold = block_hold,
    .block_let_go = block_let_go,
    .arena_make = made_arena_make,
    .arena_take = made_arena_take,
    .arena_take_zeroed = made_arena_take_zeroed,
    .arena_resize = made_arena_resize,
    .arena_bytes = made_arena_bytes,
    .arena_reset = made_arena_reset,
    .arena_destroy = made_arena_destroy,
    .arena_find = made_arena_find,
    .arena_pin = made_arena_pin,
    .arena_unpin = made_arena_unpin,
    .range_take = range_take,
    .range_put = range_put,
    .range_protect = range_protect,
    .range_advise = range_advise,
    .range_find = range_find,
    .range_find_allowing = range_find_allowing,
    .range_hold = range_hold,
    .range_let_view_go = range_let_view_go,
    .range_pin = range_pin,
    .range_unpin = range_unpin,
    .find_resident = os::find_resident,
    .lock_limit = os::lock_limit,
    .purge = purge,
    .set_budget = purger_set_budget,
    .verify = verify,
    .snapshot_take = snapshot_take,
    .snapshot_release = snapshot_release,
    .memory_totals = memory_totals,
    .fail_system_call = fail_system_call,
    .system_calls = os::call_count,
    .policies = policies,
    .finding_take = finding_take,
    .stretch_bytes = kStretchBytes,
    .page_bytes = kPageBytes,
};

}  // namespace

const CoreApi* core_api_own() { return &kOwn; }

const CoreApi* core_api_find() {
  using Getter = const CoreApi* (*)();
  auto preloaded = reinterpret_cast<Getter>(dlsym(RTLD_DEFAULT, "pagerun_core_api"));
  if (preloaded != nullptr) {
    const CoreApi* api = preloaded();
    if (api->version == kCoreApiVersion && api->bytes == sizeof(CoreApi)) return api;
  }
  return core_api_own();
}

}  // namespace pagerun
