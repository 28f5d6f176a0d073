// What the addon keeps for one environment (a main thread or a worker), and how its functions are called.
// Owns the mailbox and the per-environment data; nothing of Node-API is static, so that any number of environments may
// come and go in one process. Thread rule: an Environment is used by its own thread alone.
//
// Calling convention of the plain functions: every argument, bigint and object that crosses Node-API costs more than a
// malloc. So TypeScript writes the parameters, in the order in which a function's comment names them, into words 0, 1,
// 2 of the mailbox and calls without arguments; the results are in words 0, 1, 2 afterwards, in the order named. A
// pointer is a whole 64-bit word, any other quantity a double. The return value is undefined, or the number of a
// misuse.
//
//   mailbox    | word 0 | word 1 | ... | word kMailboxWords-1 | block at hand |    an ArrayBuffer for each environment
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>

#include "../abi/core_api.h"
#include "../core/page.h"
#include "arena_handles.h"
#include "block_ledgers.h"

namespace pagerun::node {

union MailboxWord {
  uint64_t pointer;
  double number;
};

static_assert(sizeof(MailboxWord) == sizeof(uint64_t));

constexpr size_t kMailboxWords = 20;
/// Behind them is what lib/reach.ts keeps of the block at hand.
constexpr size_t kReachedWords = 3;

/// The table of the core that this process uses.
const CoreApi* core();

struct Environment {
  explicit Environment(Napi::Env env);
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment();

  const CoreApi* core;
  /// What JavaScript's blocks come from; null when there was no memory for one: then the thread's own arena serves. An
  /// arena of its own, because TypeScript changes it in steps between which the runtime may allocate and free through
  /// the core (garbage collection under preload).
  Arena* arena;
  MailboxWord* mailbox;                               // the memory of `mailbox_buffer`
  Napi::Reference<Napi::ArrayBuffer> mailbox_buffer;  // keeps it alive as long as the functions that use it
  BlockLedgers blocks;
  ArenaHandles arenas;
};

/// Makes the environment's arena the thread's for one call of the core.
class ArenaScope {
 public:
  explicit ArenaScope(const Environment* environment)
      : environment_(environment),
        before_(environment->arena == nullptr ? nullptr : environment->core->arena_switch(environment->arena)) {}
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;
  ~ArenaScope() {
    if (before_ != nullptr) environment_->core->arena_switch(before_);
  }

 private:
  const Environment* environment_;
  Arena* before_;
};

/// The environment that a plain function was made with.
inline Environment* environment_of(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  return static_cast<Environment*>(data);
}

/// A number of bytes from the mailbox, or SIZE_MAX, which is never granted, when it is no whole number that size_t has.
/// TypeScript has checked it already; this keeps a direct caller of the addon from undefined behaviour.
inline size_t bytes_of(MailboxWord word) {
  constexpr double kMaxSafeInteger = 9007199254740991.0;
  return word.number >= 0 && word.number <= kMaxSafeInteger ? static_cast<size_t>(word.number) : SIZE_MAX;
}

inline void* pointer_of(MailboxWord word) { return reinterpret_cast<void*>(word.pointer); }

inline MailboxWord word_of(const void* ptr) { return {.pointer = reinterpret_cast<uint64_t>(ptr)}; }

/// Addresses fit a double: the kernel gives user space fewer than 53 bits.
inline double number_of(const void* ptr) { return static_cast<double>(reinterpret_cast<uint64_t>(ptr)); }

/// True when the block has a mapping of its own.
inline bool is_mapping(const Block& block) { return block.kind == static_cast<uint32_t>(PageKind::kMapping); }

/// What a function returns: undefined for kNone, else the misuse's number.
inline napi_value misuse_value(napi_env env, Misuse misuse) {
  if (misuse == Misuse::kNone) [[likely]]
    return nullptr;
  napi_value value = nullptr;
  napi_create_uint32(env, static_cast<uint32_t>(misuse), &value);
  return value;
}

/// Sets `exports[name]` to a plain function: Node-API itself, without a wrapper, costs least per call.
void define_function(Napi::Object exports, const char* name, napi_callback function, Environment* environment);

}  // namespace pagerun::node
