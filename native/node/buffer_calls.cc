// ArrayBuffers over memory itself: one for each stretch of a region, and one for a block that is not all in one
// stretch. Owns the pins that keep a mapping while JavaScript can reach it; which buffers exist is TypeScript's to
// remember. Thread rule: each environment on its own thread; the finalizers run there too.
//
// A mapping under an ArrayBuffer has two pins: one ends with the memory's last ArrayBuffer (transfer() moves the memory
// into another one), one with the ArrayBuffer object made here, because an asynchronous call on another thread may
// still use the memory that the object had when the call began.
#include "calls.h"
#include "external_buffer.h"
#include "held_block.h"

namespace pagerun::node {

namespace {

void unpin(napi_env /*env*/, void* start, void* /*hint*/) { core()->mapping_unpin(start); }

void unpin_external(napi_env env, void* /*data*/, void* start) { unpin(env, start, nullptr); }

// In: a pointer into a live block of a region. Returns an ArrayBuffer over the stretch that holds the pointer, null
// where the runtime refuses it, undefined where there is no such block (any more).
napi_value call_stretch_buffer(napi_env env, napi_callback_info info) {
  void* ptr = pointer_of(environment_of(env, info)->mailbox[0]);
  HeldBlock held;
  if (!held.hold(ptr, 0) || is_mapping(held.block()) || core()->policies() != 0) return nullptr;
  uint64_t stretch_bytes = core()->stretch_bytes;
  uint64_t start = reinterpret_cast<uint64_t>(ptr) / stretch_bytes * stretch_bytes;
  return buffer_or_null(env, external_buffer(env, reinterpret_cast<void*>(start), stretch_bytes, nullptr, nullptr));
}

// In: a pointer into a live block, a length that ends in the same block. Returns an ArrayBuffer over that part, null
// where the runtime refuses it, undefined where there is no such block (any more).
napi_value call_block_buffer(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* address = pointer_of(mailbox[0]);
  size_t bytes = bytes_of(mailbox[1]);
  HeldBlock for_memory, for_object;
  if (!for_memory.hold(address, bytes) || !for_object.hold(address, bytes)) return nullptr;
  bool has_pins = is_mapping(for_memory.block());
  void* start = for_memory.block().start;
  napi_value buffer = external_buffer(env, address, bytes, has_pins ? unpin_external : nullptr, start);
  if (buffer == nullptr || !has_pins) return buffer_or_null(env, buffer);
  for_memory.give_up();
  if (napi_add_finalizer(env, buffer, start, unpin, nullptr, nullptr) == napi_ok) for_object.give_up();
  return buffer;
}

// In: a pointer, n. Returns an ArrayBuffer over the window of word n of the block's watch, null where the runtime
// refuses it, undefined where there is no such word (any more).
napi_value call_watch_window(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  const MailboxWord* mailbox = environment->mailbox;
  size_t n = bytes_of(mailbox[1]);
  Watch watch;
  if (n >= kWatchedWords || !environment->core->watch(pointer_of(mailbox[0]), &watch)) return nullptr;
  const WatchedWord& word = watch.words[n];
  return buffer_or_null(env, external_buffer(env, const_cast<void*>(word.window), word.window_bytes, nullptr, nullptr));
}

// In: an address, bytes. Returns an ArrayBuffer over them, null where the runtime refuses it. Nothing keeps the memory.
napi_value call_unchecked_buffer(napi_env env, napi_callback_info info) {
  const MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* address = pointer_of(mailbox[0]);
  return buffer_or_null(env, external_buffer(env, address, bytes_of(mailbox[1]), nullptr, nullptr));
}

// Some runtimes keep all ArrayBuffer memory in an address range of their own: asked once, by making one.
bool has_external_buffers(napi_env env) {
  static char byte;
  return external_buffer(env, &byte, sizeof(byte), nullptr, nullptr) != nullptr;
}

}  // namespace

void define_buffer_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "stretchBuffer", call_stretch_buffer, environment);
  define_function(exports, "blockBuffer", call_block_buffer, environment);
  define_function(exports, "watchWindow", call_watch_window, environment);
  define_function(exports, "uncheckedBuffer", call_unchecked_buffer, environment);
  exports.Set("hasExternalBuffers", has_external_buffers(exports.Env()));
  exports.Set("stretchBytes", static_cast<double>(environment->core->stretch_bytes));
}

}  // namespace pagerun::node
