// What the Blocks of one environment (lib/block.ts) own: ledgers, written by TypeScript, of the blocks that they must
// free, and the ArrayBuffers that they have given out. Frees what is left when the environment ends.
// Thread rule: the environment's own thread.
//
//   ledger   | entry 0 | entry 1 | ... | entry n-1 |     an ArrayBuffer, made anew when it grows
//
// There is one for each copy of the package that the environment has loaded: an ES module and a CommonJS one, say.
//
// A block with a buffer has two owners, the Block and the buffer's memory, and is freed when both are over. That of the
// memory is told by its finalizer: transfer() moves memory to another ArrayBuffer, which may go to another thread, so
// that the ArrayBuffer made here says nothing. Only where it is found attached, and detached here, nobody else has it.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../abi/core_api.h"
#include "../base/list.h"

namespace pagerun::node {

class BlockLedgers;
struct BlockBuffer;
struct Environment;

/// Told of the collection of an ArrayBuffer, which says nothing of its memory.
struct Witness {
  BlockBuffer* buffer;  // null: there is nobody to tell any more
};

/// True for an ArrayBuffer that has memory.
bool is_attached(napi_env env, napi_value value);

/// The ArrayBuffer of a Block.
struct BlockBuffer {
  void* ptr;                     // the block
  BlockLedgers* owner;           // whose list it is on; null: the environment has ended
  double home;                   // of its Block
  napi_ref reference = nullptr;  // weak, to the ArrayBuffer; null where nobody will ask
  bool is_pinned = false;        // a mapping of its own: stays mapped as long as this
  bool is_proven = false;        // detached here: nothing can reach the memory, and it is freed already or about to be
  bool is_ended = false;         // the Block is over: who sees the memory's end frees it
  bool is_gone = false;          // the memory's finalizer has run
  bool is_moved = false;         // it has been seen without its memory before that was so
  bool is_foreign = false;       // the environment ends, and another one may still reach the memory
  bool is_collected = false;     // the ArrayBuffer is gone, whatever became of its memory
  uint64_t collected_at = 0;     // then: the number of collections that were known of
  Witness* witness = nullptr;    // null: it has told, or was not asked
  ArenaMemory pinned = {};       // what is kept of an arena that has ended; its `arena` is null otherwise
  BlockBuffer* next = nullptr;
  BlockBuffer* prev = nullptr;
};

/// What TypeScript writes of one live Block. All zero: the entry is free.
struct LedgerEntry {
  void* ptr;            // null: the Block is over
  BlockBuffer* buffer;  // null: it has given out none
  double home;          // 0: the heap itself; else the memory ends with something else than the environment
  double bytes;
};

static_assert(sizeof(LedgerEntry) == 4 * sizeof(uint64_t));

class BlockLedgers {
 public:
  BlockLedgers(napi_env env, const Environment* environment) : env_(env), environment_(environment) {}
  BlockLedgers(const BlockLedgers&) = delete;
  BlockLedgers& operator=(const BlockLedgers&) = delete;
  ~BlockLedgers();

  /// Frees what is left, when the environment ends.
  void free_all();

  /// The number of a new ledger without entries.
  size_t add();

  /// A new ArrayBuffer for a ledger, with room for `entries` and everything that was in the old one; null where there
  /// is no memory.
  napi_value grow(size_t ledger, size_t entries);

  /// The entry of a live Block, or null.
  LedgerEntry* entry(size_t ledger, size_t index) {
    if (ledger >= ledgers_.size() || index >= ledgers_[ledger].entries) return nullptr;
    LedgerEntry* entry = &ledgers_[ledger].first[index];
    return entry->ptr != nullptr ? entry : nullptr;
  }

  enum class Refusal { kNone, kNoBlock, kNoBuffer };
  /// The first ArrayBuffer of a Block. kNoBlock: its block is not live; kNoBuffer: the runtime makes none. In a thread
  /// that other ones outlive it is guarded, which costs as much again: its memory may be theirs when the environment
  /// ends.
  Refusal make_buffer(LedgerEntry* entry, bool is_guarded, napi_value* made);

  /// The Block is over: `value`, its ArrayBuffer, is detached. True when nothing can reach the memory any more, so that
  /// the caller frees it; else it is freed when that is so.
  bool end_buffer(LedgerEntry* entry, napi_value value);

  /// The same for a Block that nobody holds any more, but perhaps its ArrayBuffer, which stays as it is. `value` is
  /// needed where it is guarded.
  bool drop_buffer(LedgerEntry* entry, napi_value value);

  /// Detaches the ArrayBuffers of all Blocks of a home, which are over; their entries may only be cleared from here on.
  /// Calls `visit` with each block whose memory can still be reached: it must stay allocated, and is freed when it
  /// cannot. O(ArrayBuffers of Blocks of all homes but the heap itself).
  template <class Visit>
  void end_home(double home, Visit visit) {
    BlockBuffer* next = nullptr;
    for (BlockBuffer* buffer = list_of(home).first(); buffer != nullptr; buffer = next) {
      next = buffer->next;
      if (buffer->home == home && end_with_home(buffer)) visit(buffer->ptr);
    }
  }

 private:
  static void memory_finalizer(napi_env env, void* ptr, void* buffer);
  static void sentinel_finalizer(napi_env env, void* byte, void* sentinel);
  static void object_finalizer(napi_env env, void* witness, void* hint);
  static void beacon_finalizer(napi_env env, void* beacon, void* hint);

  List<BlockBuffer>& list_of(double home) { return home == 0 ? of_heap_ : of_homes_; }

  void pin_for_object(napi_value value, void* start);
  void guard();
  void ask_witness(BlockBuffer* buffer, napi_value value);
  void count_next_collection();
  void stop_counting();
  bool has_outlived_object(const BlockBuffer& buffer) const;
  bool detach(BlockBuffer* buffer, napi_value value);
  bool end_with_home(BlockBuffer* buffer);
  napi_value value_of(const BlockBuffer& buffer) const;
  bool leave(LedgerEntry* entry);
  void judge(const List<BlockBuffer>& buffers) const;
  void remove(BlockBuffer* buffer);
  static void free_after_end(BlockBuffer* buffer);

  struct Ledger {
    Napi::Reference<Napi::ArrayBuffer> memory;
    LedgerEntry* first = nullptr;
    size_t entries = 0;
  };

  /// An ArrayBuffer that nobody else has. When an environment ends, the runtime detaches its external ArrayBuffers, the
  /// last made first, and calls their finalizers one by one. So the sentinel, always the last made, is told before any
  /// ArrayBuffer of a Block is detached: then it can be seen which of them have lost their memory before.
  struct Sentinel {
    BlockLedgers* owner;  // null: there is a later one, or the environment has ended
    napi_ref reference = nullptr;
  };

  /// An object that nobody holds: its end tells of a collection, and the next one is made.
  struct Beacon {
    BlockLedgers* owner;  // null: nobody counts any more
  };

  void free_left(const LedgerEntry& entry) const;
  void free_block(void* ptr) const;

  napi_env env_;
  const Environment* environment_;
  std::vector<Ledger> ledgers_;
  Sentinel* sentinel_ = nullptr;
  Beacon* beacon_ = nullptr;
  uint64_t collections_ = 0;  // that were seen since the first Block with a guarded ArrayBuffer was dropped
  List<BlockBuffer> of_heap_;
  List<BlockBuffer> of_homes_;
};

}  // namespace pagerun::node
