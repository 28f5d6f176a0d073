// What the addon keeps for one environment (a main thread or a worker), and how its functions are called.
// Owns the mailbox and the per-environment data; holds nothing static, so that any number of environments may come and
// go in one process. Thread rule: an Environment is used by its own thread alone.
//
// Calling convention of the hot functions: they take no arguments and return no heap value, because every argument,
// bigint and object that crosses Node-API costs more than a malloc. Instead, TypeScript writes the parameters, in the
// order in which a function's comment names them, into words 0, 1, 2 of the mailbox and calls; the results, in the
// order named, are in words 0, 1, 2 afterwards. A pointer is a whole 64-bit word, any other quantity a double.
//
//   mailbox    | word 0 | word 1 | ... | word kMailboxWords-1 |       an ArrayBuffer of its own for each environment
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>

#include "../abi/core_api.h"

namespace pagerun::node {

union MailboxWord {
  uint64_t pointer;
  double number;
};

static_assert(sizeof(MailboxWord) == sizeof(uint64_t));

constexpr size_t kMailboxWords = 8;

/// The table of the core that this process uses.
const CoreApi* core();

struct Environment {
  explicit Environment(Napi::Env env);

  const CoreApi* core;
  Napi::ArrayBuffer mailbox_buffer;
  MailboxWord* mailbox;
  Napi::Reference<Napi::ArrayBuffer> mailbox_reference;  // keeps `mailbox` alive as long as the functions that use it
};

/// The environment that a hot function was made with.
inline Environment* environment_of(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  return static_cast<Environment*>(data);
}

/// A whole number of bytes from the mailbox, or SIZE_MAX, which no allocator grants, when `number` is none.
/// TypeScript has checked already; this is what keeps a wrong caller of the addon itself from undefined behaviour.
inline size_t bytes_of(double number) {
  constexpr double kMaxSafeInteger = 9007199254740991.0;
  if (!(number >= 0 && number <= kMaxSafeInteger)) return SIZE_MAX;
  return static_cast<size_t>(number);
}

inline void* pointer_of(MailboxWord word) { return reinterpret_cast<void*>(word.pointer); }

inline double number_of(const void* ptr) { return static_cast<double>(reinterpret_cast<uintptr_t>(ptr)); }

/// What a function returns for a misuse: undefined (a null napi_value) for none, else its number.
inline napi_value misuse_value(napi_env env, Misuse misuse) {
  if (misuse == Misuse::kNone) [[likely]] return nullptr;
  napi_value value = nullptr;
  napi_create_uint32(env, static_cast<uint32_t>(misuse), &value);
  return value;
}

/// Sets `exports[name]` to a function over Node-API's own interface, which costs least per call.
void define_function(Napi::Object exports, const char* name, napi_callback function, Environment* environment);

}  // namespace pagerun::node
