// Copies between blocks and JavaScript's own memory, for every runtime, those without external buffers included.
// Owns nothing. Thread rule: any thread; a block that another thread frees meanwhile stays readable until the copy
// ends.
#include <cstring>

#include "bytes_at.h"
#include "calls.h"

namespace pagerun::node {

namespace {

enum class Direction { kIn, kOut };

// Argument: a Uint8Array. In: a pointer into a live block or a range, or to any memory where it is on trust. Returns
// true, or undefined when that ends before the bytes do, does not allow the copy, or there is none: nothing has been
// copied then. Out: the number of bytes.
template <Direction direction, Trust trust>
napi_value call_copy(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  size_t count = 1;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, &argument, nullptr, &data);
  MailboxWord* mailbox = static_cast<Environment*>(data)->mailbox;
  void* ptr = pointer_of(mailbox[0]);
  Bytes bytes = bytes_from(env, argument);
  mailbox[0].number = static_cast<double>(bytes.length);
  BytesAt<trust> held;
  if (!held.hold(ptr, bytes.length, direction == Direction::kIn ? kToWrite : kToRead)) return nullptr;
  void* target = direction == Direction::kIn ? ptr : bytes.data;
  const void* source = direction == Direction::kIn ? bytes.data : ptr;
  // The bytes may be a view of the same block.
  if (bytes.length > 0) memmove(target, source, bytes.length);
  return done(env);
}

}  // namespace

void define_copy_calls(Napi::Object exports, Environment* environment) {
  define_function(exports, "copyIn", call_copy<Direction::kIn, Trust::kChecked>, environment);
  define_function(exports, "copyOut", call_copy<Direction::kOut, Trust::kChecked>, environment);
  define_function(exports, "uncheckedCopyIn", call_copy<Direction::kIn, Trust::kUnchecked>, environment);
  define_function(exports, "uncheckedCopyOut", call_copy<Direction::kOut, Trust::kUnchecked>, environment);
}

}  // namespace pagerun::node
