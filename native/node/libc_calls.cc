// malloc and free of libc, the way a plain and good Node-API addon offers them: pointers as bigint arguments and
// results, Node-API without wrapper classes. What the bench compares with, and nothing else.
// Owns nothing and checks no pointer. Thread rule: libc's, any thread.
#include <cstdlib>

#include "calls.h"
#include "external_buffer.h"

namespace pagerun::node {

namespace {

constexpr size_t kMaxArguments = 2;

struct Arguments {
  napi_value values[kMaxArguments] = {};

  Arguments(napi_env env, napi_callback_info info) {
    size_t count = kMaxArguments;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
};

bool size_from(napi_env env, napi_value value, size_t* size) {
  int64_t number = 0;
  if (napi_get_value_int64(env, value, &number) != napi_ok || number < 0) {
    napi_throw_type_error(env, nullptr, "Expected a size");
    return false;
  }
  *size = static_cast<size_t>(number);
  return true;
}

bool pointer_from(napi_env env, napi_value value, void** ptr) {
  uint64_t number = 0;
  bool is_lossless = false;
  if (napi_get_value_bigint_uint64(env, value, &number, &is_lossless) != napi_ok || !is_lossless) {
    napi_throw_type_error(env, nullptr, "Expected a pointer");
    return false;
  }
  *ptr = reinterpret_cast<void*>(number);
  return true;
}

napi_value value_from(napi_env env, void* ptr) {
  napi_value value = nullptr;
  napi_create_bigint_uint64(env, reinterpret_cast<uint64_t>(ptr), &value);
  return value;
}

napi_value call_libc_malloc(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  size_t size = 0;
  if (!size_from(env, arguments.values[0], &size)) return nullptr;
  return value_from(env, malloc(size));
}

napi_value call_libc_calloc(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  size_t count = 0, size = 0;
  if (!size_from(env, arguments.values[0], &count) || !size_from(env, arguments.values[1], &size)) return nullptr;
  return value_from(env, calloc(count, size));
}

napi_value call_libc_realloc(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  void* ptr = nullptr;
  size_t size = 0;
  if (!pointer_from(env, arguments.values[0], &ptr) || !size_from(env, arguments.values[1], &size)) return nullptr;
  return value_from(env, realloc(ptr, size));
}

napi_value call_libc_free(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  void* ptr = nullptr;
  if (pointer_from(env, arguments.values[0], &ptr)) free(ptr);
  return nullptr;
}

void free_memory(napi_env /*env*/, void* ptr, void* /*hint*/) { free(ptr); }

// An ArrayBuffer over a block of malloc, which its finalizer frees: what one costs through Node-API at the least.
napi_value call_libc_buffer(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  size_t size = 0;
  if (!size_from(env, arguments.values[0], &size)) return nullptr;
  void* ptr = malloc(size);
  return ptr == nullptr ? nullptr : external_buffer(env, ptr, size, free_memory, nullptr);
}

}  // namespace

void define_libc_calls(Napi::Object exports) {
  define_function(exports, "libcMalloc", call_libc_malloc, nullptr);
  define_function(exports, "libcCalloc", call_libc_calloc, nullptr);
  define_function(exports, "libcRealloc", call_libc_realloc, nullptr);
  define_function(exports, "libcBuffer", call_libc_buffer, nullptr);
  define_function(exports, "libcFree", call_libc_free, nullptr);
}

}  // namespace pagerun::node
