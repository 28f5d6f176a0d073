// An ArrayBuffer over memory that is not JavaScript's own, as Node-API makes one. Owns nothing.
// Thread rule: the environment's thread.
#pragma once

#include <napi.h>

#include <cstddef>

namespace pagerun::node {

/// Takes back whatever JavaScript exception the last call has left behind.
inline void clear_exception(napi_env env) {
  bool is_pending = false;
  napi_is_exception_pending(env, &is_pending);
  napi_value exception = nullptr;
  if (is_pending) napi_get_and_clear_last_exception(env, &exception);
}

/// The ArrayBuffer; a null pointer, with no exception left behind, where the runtime refuses.
inline napi_value external_buffer(napi_env env, void* address, size_t bytes, napi_finalize finalize, void* hint) {
  napi_value buffer = nullptr;
  if (napi_create_external_arraybuffer(env, address, bytes, finalize, hint, &buffer) == napi_ok) return buffer;
  clear_exception(env);
  return nullptr;
}

/// What a call returns for a buffer: JavaScript's null where the runtime refused it.
inline napi_value buffer_or_null(napi_env env, napi_value buffer) {
  napi_value value = buffer;
  if (value == nullptr) napi_get_null(env, &value);
  return value;
}

}  // namespace pagerun::node
