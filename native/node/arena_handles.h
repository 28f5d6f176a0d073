// The arenas that one environment has made, and the ArrayBuffers over their memory. TypeScript knows an arena by a
// number that is never given twice, so that one that has ended, or is no arena's, is found.
// Owns these arenas: ends them when TypeScript says so, or the environment ends. Thread rule: the environment's own
// thread.
//
// An arena with ArrayBuffers lives until its JavaScript object has gone and they have as well. When it ends before
// that, they are detached. One that has no memory any more then has lost it to another ArrayBuffer (transfer() moves
// it): nothing but the memory's finalizer tells when that has gone, so the memory stays pinned until it has run.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../abi/core_api.h"
#include "../base/list.h"

namespace pagerun::node {

class ArenaHandles;

/// An ArrayBuffer over memory of an arena, until the memory's finalizer has run.
struct ArenaBuffer {
  ArenaMemory memory;
  ArenaHandles* owner;           // null: the environment has ended
  size_t index;                  // of the arena's handle, as long as the arena is there
  napi_ref reference = nullptr;  // weak, to the ArrayBuffer
  bool is_ended = false;         // detached here, and its pin taken back
  bool is_left = false;          // the arena has ended, and the memory could still be reached
  bool is_foreign = false;       // the environment ends, and another one may still reach the memory
  ArenaBuffer* next = nullptr;
  ArenaBuffer* prev = nullptr;
};

class ArenaHandles {
 public:
  explicit ArenaHandles(napi_env env);
  ArenaHandles(const ArenaHandles&) = delete;
  ArenaHandles& operator=(const ArenaHandles&) = delete;
  ~ArenaHandles();

  /// The number of a new handle, which is never 0.
  double add(MadeArena* arena);

  /// The arena of a handle; null when it has ended, or there is none.
  MadeArena* find(double number) {
    Handle* handle = handle_of(number);
    return handle == nullptr ? nullptr : handle->arena;
  }

  /// A new ArrayBuffer over a part of memory of the arena; null where the runtime makes none, or the memory has gone.
  napi_value make_buffer(double number, const ArenaMemory& memory, size_t offset, size_t bytes);

  /// Detaches the ArrayBuffers over the block of its own at `start`.
  void end_buffers(double number, const void* start);

  /// Detaches all ArrayBuffers of the arena and frees all its blocks.
  void reset(double number);

  /// The same, and ends the arena.
  void destroy(double number);

  /// The arena ends as soon as it has no ArrayBuffer.
  void drop(double number);

 private:
  struct Handle {
    double number = 0;  // 0: free
    MadeArena* arena = nullptr;
    bool is_dropped = false;
    List<ArenaBuffer> buffers;
  };

  static constexpr double kIndexRange = 1 << 24;  // number: index + this x a count

  static void memory_finalizer(napi_env env, void* address, void* buffer);
  static void before_end(void* handles);

  Handle* handle_of(double number);
  napi_value value_of(const ArenaBuffer& buffer) const;
  bool detach(const ArenaBuffer& buffer) const;
  void end(ArenaBuffer* buffer);
  void leave_all(Handle* handle);
  void judge(const List<ArenaBuffer>& buffers) const;
  void end_if_unused(Handle* handle);
  void forget(ArenaBuffer* buffer);
  void close(Handle* handle);

  napi_env env_;
  std::vector<Handle> handles_;
  std::vector<size_t> free_handles_;
  double count_ = 0;
  bool may_hook_;
  bool has_hook_ = false;   // before_end; to remove a hook that is not there ends the process in some runtimes
  List<ArenaBuffer> left_;  // of arenas that have ended, or had a reset
};

}  // namespace pagerun::node
