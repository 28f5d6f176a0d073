// The calls behind lib/block.ts and its neighbours. Owns nothing; what Blocks own is in the environment's ledgers.
// Thread rule: each environment on its own thread.
#include <cstring>

#include "calls.h"
#include "external_buffer.h"
#include "held_block.h"

namespace pagerun::node {

namespace {

// The live Block that a call names by ledger and entry in words 0 and 1, or null.
LedgerEntry* entry_in(Environment* environment) {
  const MailboxWord* mailbox = environment->mailbox;
  return environment->blocks.entry(bytes_of(mailbox[0]), bytes_of(mailbox[1]));
}

// Out: the number of a new ledger.
napi_value call_add_ledger(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  environment->mailbox[0].number = static_cast<double>(environment->blocks.add());
  return nullptr;
}

// In: a ledger, entries. Returns it with room for that many; undefined when there is no memory for it.
napi_value call_grow_ledger(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  const MailboxWord* mailbox = environment->mailbox;
  return environment->blocks.grow(bytes_of(mailbox[0]), bytes_of(mailbox[1]));
}

// In: a ledger, an entry of it, 1 in a thread that others outlive, else 0. Returns a new ArrayBuffer over the bytes of
// the Block, null where the runtime refuses it, undefined where its block is no longer live.
napi_value call_make_block_bytes(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  LedgerEntry* entry = entry_in(environment);
  if (entry == nullptr || entry->buffer != nullptr) return nullptr;
  napi_value value = nullptr;
  BlockLedgers::Refusal refusal = environment->blocks.make_buffer(entry, environment->mailbox[2].number != 0, &value);
  if (refusal == BlockLedgers::Refusal::kNoBuffer) napi_get_null(env, &value);
  return value;
}

// The only argument of a call.
napi_value argument_of(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  return argument;
}

// Argument: a Block's ArrayBuffer. Out: 1 when it has its memory, else 0.
napi_value call_is_attached(napi_env env, napi_callback_info info) {
  environment_of(env, info)->mailbox[0].number = is_attached(env, argument_of(env, info)) ? 1 : 0;
  return nullptr;
}

// Argument: a Block's ArrayBuffer, which is detached. In: a ledger, an entry. Out: 1 when the caller is to free the
// block, 0 when that is done later.
napi_value call_end_block_bytes(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  LedgerEntry* entry = entry_in(environment);
  bool is_free_to_go = entry != nullptr && environment->blocks.end_buffer(entry, argument_of(env, info));
  environment->mailbox[0].number = is_free_to_go ? 1 : 0;
  return nullptr;
}

// Argument: a Block's ArrayBuffer, or undefined where it is not guarded. In: a ledger, an entry. Out: 1 when the caller
// is to free the block, 0 when the ArrayBuffer that is left does that.
napi_value call_drop_block_bytes(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  LedgerEntry* entry = entry_in(environment);
  napi_value value = argument_of(env, info);
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  if (type != napi_object) value = nullptr;
  bool is_free_to_go = entry != nullptr && environment->blocks.drop_buffer(entry, value);
  environment->mailbox[0].number = is_free_to_go ? 1 : 0;
  return nullptr;
}

// In: a home. Detaches the ArrayBuffers of its Blocks. Returns an array of those blocks whose memory can still be
// reached; undefined when there are none.
napi_value call_end_home(napi_env env, napi_callback_info info) {
  Environment* environment = environment_of(env, info);
  napi_value reachable = nullptr;
  uint32_t count = 0;
  environment->blocks.end_home(environment->mailbox[0].number, [&](void* ptr) {
    napi_value address = nullptr;
    if (reachable == nullptr) napi_create_array(env, &reachable);
    napi_create_bigint_uint64(env, reinterpret_cast<uint64_t>(ptr), &address);
    napi_set_element(env, reachable, count++, address);
  });
  return reachable;
}

// In: a pointer into a live block that is new, bytes that end in the same block. These are zero afterwards: a mapping
// of its own is so already, and not in memory yet. Out: 1 when they are.
napi_value call_clear_bytes(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* ptr = pointer_of(mailbox[0]);
  size_t bytes = bytes_of(mailbox[1]);
  HeldBlock held;
  bool is_held = held.hold(ptr, bytes);
  if (is_held && bytes > 0 && !is_mapping(held.block())) memset(ptr, 0, bytes);
  mailbox[0].number = is_held ? 1 : 0;
  return nullptr;
}

// In: pointers into two live blocks, from and to; bytes that end in both. Out: 1 when they are copied.
napi_value call_copy_bytes(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* from = pointer_of(mailbox[0]);
  void* to = pointer_of(mailbox[1]);
  size_t bytes = bytes_of(mailbox[2]);
  HeldBlock held_from, held_to;
  bool are_held = held_from.hold(from, bytes) && held_to.hold(to, bytes);
  if (are_held && bytes > 0) memmove(to, from, bytes);
  mailbox[0].number = are_held ? 1 : 0;
  return nullptr;
}

// In: bytes, negative for less. V8 takes them into account as memory that objects of JavaScript keep.
napi_value call_adjust_external_memory(napi_env env, napi_callback_info info) {
  int64_t all = 0;
  napi_adjust_external_memory(env, static_cast<int64_t>(environment_of(env, info)->mailbox[0].number), &all);
  return nullptr;
}

}  // namespace

void define_block_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "addLedger", call_add_ledger, environment);
  define_function(exports, "growLedger", call_grow_ledger, environment);
  define_function(exports, "makeBlockBytes", call_make_block_bytes, environment);
  define_function(exports, "isAttached", call_is_attached, environment);
  define_function(exports, "endBlockBytes", call_end_block_bytes, environment);
  define_function(exports, "dropBlockBytes", call_drop_block_bytes, environment);
  define_function(exports, "endHome", call_end_home, environment);
  define_function(exports, "clearBytes", call_clear_bytes, environment);
  define_function(exports, "copyBytes", call_copy_bytes, environment);
  define_function(exports, "adjustExternalMemory", call_adjust_external_memory, environment);
}

}  // namespace pagerun::node
