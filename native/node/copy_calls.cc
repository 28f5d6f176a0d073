// Copies between blocks and JavaScript's own memory, for every runtime, those without external buffers included.
// Owns nothing. Thread rule: any thread; a block that another thread frees meanwhile stays readable until the copy
// ends.
#include <cstring>

#include "calls.h"
#include "held_block.h"
#include "held_range.h"

namespace pagerun::node {

namespace {

struct Bytes {
  void* data = nullptr;
  size_t length = 0;
};

// The bytes of a Uint8Array, as its internal fields say: no property of it is read, so that none can lie.
Bytes bytes_from(napi_env env, napi_value value) {
  Bytes bytes;
  napi_typedarray_type type = napi_float64_array;
  napi_status status = napi_get_typedarray_info(env, value, &type, &bytes.length, &bytes.data, nullptr, nullptr);
  return status == napi_ok && type == napi_uint8_array ? bytes : Bytes();
}

enum class Direction { kIn, kOut };

// Argument: a Uint8Array. In: a pointer into a live block or a range. Returns true, or undefined when that ends before
// the bytes do, does not allow the copy, or there is none: nothing has been copied then. Out: the number of bytes.
template <Direction direction>
napi_value call_copy(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  size_t count = 1;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, &argument, nullptr, &data);
  MailboxWord* mailbox = static_cast<Environment*>(data)->mailbox;
  void* ptr = pointer_of(mailbox[0]);
  Bytes bytes = bytes_from(env, argument);
  mailbox[0].number = static_cast<double>(bytes.length);
  HeldBlock held;
  HeldRange held_range;
  constexpr os::Protection kNeeded = direction == Direction::kIn ? os::Protection::kReadWrite : os::Protection::kRead;
  if (!held.hold(ptr, bytes.length) && !held_range.hold(ptr, bytes.length, kNeeded)) return nullptr;
  void* target = direction == Direction::kIn ? ptr : bytes.data;
  const void* source = direction == Direction::kIn ? bytes.data : ptr;
  // The bytes may be a view of the same block.
  if (bytes.length > 0) memmove(target, source, bytes.length);
  napi_value copied = nullptr;
  napi_get_boolean(env, true, &copied);
  return copied;
}

}  // namespace

void define_copy_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "copyIn", call_copy<Direction::kIn>, environment);
  define_function(exports, "copyOut", call_copy<Direction::kOut>, environment);
}

}  // namespace pagerun::node
