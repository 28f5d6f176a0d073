// Copies between blocks and JavaScript's own memory, for every runtime, those without external buffers included.
// Owns nothing. Thread rule: any thread; a block that another thread frees meanwhile stays readable until the copy ends.
#include <cstring>

#include "calls.h"
#include "held_block.h"

namespace pagerun::node {

namespace {

struct Bytes {
  void* data = nullptr;
  size_t length = 0;
};

size_t element_bytes(napi_typedarray_type type) {
  switch (type) {
    case napi_int16_array:
    case napi_uint16_array: return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array: return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array: return 8;
    default: return 1;
  }
}

// The bytes of a typed array, as its internal fields say: no property of it is read, so that none can lie.
bool bytes_from(napi_env env, napi_value value, Bytes* bytes) {
  napi_typedarray_type type = napi_uint8_array;
  if (napi_get_typedarray_info(env, value, &type, &bytes->length, &bytes->data, nullptr, nullptr) != napi_ok) return false;
  bytes->length *= element_bytes(type);
  return true;
}

enum class Direction { kIn, kOut };

// Argument: a typed array. In: a pointer into a live block. Returns true, or undefined when the block ends before the
// bytes do (or there is no such block): nothing has been copied then.
template <Direction direction>
napi_value call_copy(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  size_t count = 1;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, &argument, nullptr, &data);
  void* ptr = pointer_of(static_cast<Environment*>(data)->mailbox[0]);
  Bytes bytes;
  HeldBlock held;
  if (!bytes_from(env, argument, &bytes) || !held.hold(ptr, bytes.length)) return nullptr;
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
