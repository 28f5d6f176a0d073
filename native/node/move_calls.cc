// memmove, memset, memcmp and strlen on memory, and the address of JavaScript's own bytes.
// Owns nothing. Thread rule: any thread; a block that another thread frees meanwhile stays readable until the call
// ends.
#include <cstring>

#include "bytes_at.h"
#include "calls.h"

namespace pagerun::node {

namespace {

// In: to, from, bytes. Returns true, or undefined when nothing was moved.
template <Trust trust>
napi_value call_move_bytes(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* to = pointer_of(mailbox[0]);
  const void* from = pointer_of(mailbox[1]);
  size_t bytes = bytes_of(mailbox[2]);
  BytesAt<trust> held_to, held_from;
  if (!held_to.hold(to, bytes, kToWrite) || !held_from.hold(from, bytes, kToRead)) return nullptr;
  memmove(to, from, bytes);
  return done(env);
}

// In: a pointer, a byte, bytes. Returns true, or undefined when nothing was written.
template <Trust trust>
napi_value call_fill_bytes(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  void* ptr = pointer_of(mailbox[0]);
  size_t bytes = bytes_of(mailbox[2]);
  BytesAt<trust> held;
  if (!held.hold(ptr, bytes, kToWrite)) return nullptr;
  memset(ptr, static_cast<uint8_t>(bytes_of(mailbox[1])), bytes);
  return done(env);
}

// In: one pointer, the other, bytes. Out: -1, 0 or 1. Returns true, or undefined when nothing was compared.
template <Trust trust>
napi_value call_compare_bytes(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  const void* one = pointer_of(mailbox[0]);
  const void* other = pointer_of(mailbox[1]);
  size_t bytes = bytes_of(mailbox[2]);
  BytesAt<trust> held_one, held_other;
  if (!held_one.hold(one, bytes, kToRead) || !held_other.hold(other, bytes, kToRead)) return nullptr;
  int order = memcmp(one, other, bytes);
  mailbox[0].number = (order > 0) - (order < 0);
  return done(env);
}

// In: a pointer to a string that ends with a zero byte. Out: its bytes without that. Returns true, undefined for null.
napi_value call_unchecked_string_bytes(napi_env env, napi_callback_info info) {
  MailboxWord* mailbox = environment_of(env, info)->mailbox;
  const auto* text = static_cast<const char*>(pointer_of(mailbox[0]));
  if (text == nullptr) return nullptr;
  mailbox[0].number = static_cast<double>(strlen(text));
  return done(env);
}

// Argument: a Uint8Array. Out: the address of its bytes.
napi_value call_raw_pointer(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  size_t count = 1;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, &argument, nullptr, &data);
  static_cast<Environment*>(data)->mailbox[0] = word_of(bytes_from(env, argument).data);
  return nullptr;
}

}  // namespace

void define_move_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "moveBytes", call_move_bytes<Trust::kChecked>, environment);
  define_function(exports, "fillBytes", call_fill_bytes<Trust::kChecked>, environment);
  define_function(exports, "compareBytes", call_compare_bytes<Trust::kChecked>, environment);
  define_function(exports, "uncheckedMoveBytes", call_move_bytes<Trust::kUnchecked>, environment);
  define_function(exports, "uncheckedFillBytes", call_fill_bytes<Trust::kUnchecked>, environment);
  define_function(exports, "uncheckedCompareBytes", call_compare_bytes<Trust::kUnchecked>, environment);
  define_function(exports, "uncheckedStringBytes", call_unchecked_string_bytes, environment);
  define_function(exports, "rawPointer", call_raw_pointer, environment);
}

}  // namespace pagerun::node
