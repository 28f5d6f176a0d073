// Bytes at an address, for as long as a call touches them: of a live block, held; or wherever the caller says, on
// trust. Owns nothing but the hold. Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "held_block.h"
#include "held_range.h"

namespace pagerun::node {

enum class Trust {
  kChecked,    // all bytes are in one live block or range, or the call does nothing
  kUnchecked,  // any address but null; wrong ones end the process, as in C
};

constexpr os::Protection kToRead = os::Protection::kRead;
constexpr os::Protection kToWrite = os::Protection::kReadWrite;

template <Trust trust>
class BytesAt {
 public:
  /// True when `bytes` bytes from `ptr` on may be touched in this way.
  bool hold(const void* ptr, size_t bytes, os::Protection protection) {
    if constexpr (trust == Trust::kChecked) {
      return block_.hold(ptr, bytes) || range_.hold(ptr, bytes, protection);
    } else {
      return ptr != nullptr && bytes <= UINTPTR_MAX - reinterpret_cast<uintptr_t>(ptr);
    }
  }

 private:
  HeldBlock block_;
  HeldRange range_;
};

/// The memory of a Uint8Array.
struct Bytes {
  void* data = nullptr;
  size_t length = 0;
};

/// The bytes of a Uint8Array, as its internal fields say: no property of it is read, so that none can lie.
inline Bytes bytes_from(napi_env env, napi_value value) {
  Bytes bytes;
  napi_typedarray_type type = napi_float64_array;
  napi_status status = napi_get_typedarray_info(env, value, &type, &bytes.length, &bytes.data, nullptr, nullptr);
  return status == napi_ok && type == napi_uint8_array ? bytes : Bytes();
}

/// What a call returns where it was done; undefined says that nothing was.
inline napi_value done(napi_env env) {
  napi_value value = nullptr;
  napi_get_boolean(env, true, &value);
  return value;
}

}  // namespace pagerun::node
