// SharedArrayBuffers over memory itself, where the runtime can make them. Owns what holds the memory for as long as any
// thread has such a buffer: it cannot be detached. Thread rule: made on the environment's thread; the finalizer runs on
// whichever thread lets the last buffer go, with no environment.
#include <dlfcn.h>

#include <new>

#include "calls.h"
#include "external_buffer.h"
#include "held_range.h"

namespace pagerun::node {

namespace {

using Finalizer = void (*)(void* data, void* hint);
using MakeShared = napi_status (*)(napi_env env, void* data, size_t bytes, Finalizer finalizer, void* hint,
                                   napi_value* result);

// Node-API has it in later 22, 24 and 26, so it is looked up in the process.
MakeShared make_shared() {
  static const auto kFound =
      reinterpret_cast<MakeShared>(dlsym(RTLD_DEFAULT, "node_api_create_external_sharedarraybuffer"));
  return kFound;
}

// Memory that a SharedArrayBuffer holds: a block by its first byte, or a range by any.
struct SharedMemory {
  void* start;
  bool is_range;
};

void let_go(void* /*data*/, void* hint) {
  auto* memory = static_cast<SharedMemory*>(hint);
  if (memory->is_range) {
    core()->range_let_view_go(memory->start);
    core()->range_unpin(memory->start);
  } else {
    core()->block_let_go(memory->start);
  }
  delete memory;
}

HoldStatus hold(void* ptr, size_t bytes, SharedMemory* memory) {
  HoldStatus status = core()->block_hold(ptr, bytes, &memory->start);
  if (status != HoldStatus::kNoBlock) return status;
  if (!core()->range_hold(ptr, bytes, os::Protection::kReadWrite)) return status;
  *memory = {ptr, true};
  return HoldStatus::kHeld;
}

// In: a pointer, bytes from there on (not 0) in the same live block or range. Returns a SharedArrayBuffer over these,
// null where the runtime refuses it, else the number of a HoldStatus.
napi_value call_shared_buffer(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* ptr = pointer_of(mailbox[0]);
  size_t bytes = bytes_of(mailbox[1]);
  auto* memory = make_shared() == nullptr ? nullptr : new (std::nothrow) SharedMemory{nullptr, false};
  if (memory == nullptr) return buffer_or_null(env, nullptr);
  HoldStatus status = hold(ptr, bytes, memory);
  napi_value result = nullptr;
  if (status != HoldStatus::kHeld) {
    delete memory;
    napi_create_uint32(env, static_cast<uint32_t>(status), &result);
    return result;
  }
  if (make_shared()(env, ptr, bytes, let_go, memory, &result) == napi_ok) return result;
  clear_exception(env);
  let_go(nullptr, memory);
  return buffer_or_null(env, nullptr);
}

}  // namespace

void define_shared_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "sharedBuffer", call_shared_buffer, environment);
  exports.Set("hasSharedBuffers", make_shared() != nullptr);
}

}  // namespace pagerun::node
