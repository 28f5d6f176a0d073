// pagerun.node: what the core offers, for one environment at a time. lib/ makes the public functions of it.
// Owns the list of exports and each environment's data. Thread rule: Node loads it once for each environment.
#include <napi.h>

#include "../os/memory.h"
#include "calls.h"
#include "environment.h"

namespace pagerun::node {

namespace {

Napi::Object misuse_numbers(Napi::Env env) {
  Napi::Object numbers = Napi::Object::New(env);
  numbers.Set("doubleFree", static_cast<double>(Misuse::kDoubleFree));
  numbers.Set("overflow", static_cast<double>(Misuse::kOverflow));
  numbers.Set("writeAfterFree", static_cast<double>(Misuse::kWriteAfterFree));
  numbers.Set("interiorPointer", static_cast<double>(Misuse::kInteriorPointer));
  numbers.Set("foreignPointer", static_cast<double>(Misuse::kForeignPointer));
  return numbers;
}

Napi::Object range_status_numbers(Napi::Env env) {
  Napi::Object numbers = Napi::Object::New(env);
  numbers.Set("outOfMemory", static_cast<double>(RangeStatus::kOutOfMemory));
  numbers.Set("lockLimit", static_cast<double>(RangeStatus::kLockLimit));
  numbers.Set("outOfBounds", static_cast<double>(RangeStatus::kOutOfBounds));
  numbers.Set("inUse", static_cast<double>(RangeStatus::kInUse));
  numbers.Set("refused", static_cast<double>(RangeStatus::kRefused));
  return numbers;
}

Napi::Object hold_status_numbers(Napi::Env env) {
  Napi::Object numbers = Napi::Object::New(env);
  numbers.Set("noBlock", static_cast<double>(HoldStatus::kNoBlock));
  numbers.Set("outOfMemory", static_cast<double>(HoldStatus::kOutOfMemory));
  numbers.Set("madeArena", static_cast<double>(HoldStatus::kMadeArena));
  return numbers;
}

Napi::Object load(Napi::Env env, Napi::Object exports) {
  if (!os::has_known_os_pages()) {
    Napi::Error::New(env, "pagerun needs a kernel whose pages are of 4096 bytes.").ThrowAsJavaScriptException();
    return exports;
  }
  auto* environment = new Environment(env);
  env.SetInstanceData(environment);  // deleted when the environment ends
  exports.Set("mailbox", environment->mailbox_buffer.Value());
  exports.Set("misuse", misuse_numbers(env));
  exports.Set("holdStatus", hold_status_numbers(env));
  exports.Set("rangeStatus", range_status_numbers(env));
  exports.Set("isPreloaded", core() != core_api_own());
  define_heap_calls(exports, environment);
  define_arena_calls(exports, environment);
  define_buffer_calls(exports, environment);
  define_block_calls(exports, environment);
  define_tables(exports, environment);
  define_copy_calls(exports, environment);
  define_range_calls(exports, environment);
  define_access_calls(exports, environment);
  define_move_calls(exports, environment);
  define_shared_calls(exports, environment);
  define_report_calls(exports, environment);
  define_purge_calls(exports, environment);
  define_fault_calls(exports);
  define_textbook_calls(exports, environment);
  define_contention_calls(exports);
  define_libc_calls(exports);
  define_process_calls(exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(pagerun, load)

}  // namespace pagerun::node
