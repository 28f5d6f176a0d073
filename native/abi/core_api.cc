#include "core_api.h"

#include <dlfcn.h>

#include "../core/allocator.h"
#include "../core/mapping_table.h"
#include "../core/region.h"
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
    .mapping_pin = mapping_pin,
    .mapping_unpin = mapping_unpin,
    .block_hold = block_hold,
    .block_let_go = block_let_go,
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
    .verify = verify,
    .snapshot_take = snapshot_take,
    .snapshot_release = snapshot_release,
    .memory_totals = memory_totals,
    .fail_system_call = fail_system_call,
    .system_calls = os::call_count,
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
