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
void fail_system_call(uint64_t n) { os::fail_call(n, 1); }

constexpr CoreApi kOwn = {
    kCoreApiVersion,  sizeof(CoreApi), allocate,         allocate_zeroed, allocate_aligned, deallocate,
    reallocate,       locate,          mapping_pin,      mapping_unpin,   verify,           snapshot_take,
    snapshot_release, memory_totals,   fail_system_call, os::call_count,  kStretchBytes,    kPageBytes,
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
