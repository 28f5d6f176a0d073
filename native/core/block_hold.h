// Holds: blocks that somebody reaches who cannot be stopped, a SharedArrayBuffer that other threads have too. A held
// block may be freed like any other, and is free then for everyone who asks; its memory stays what it is until the last
// hold is taken back. Owns the table of holds of bucket pages' blocks; runs and mappings have pins of their own for the
// same.
//
// A bucket page with held blocks keeps its start_limit at 0, so that each free of a block in it takes the slow path,
// which looks here. Blocks of arenas that a program makes are not held: they end with their arena.
// Thread rule: every call takes the lock itself, last in the lock order. No hot path.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../base/lock.h"
#include "../harden/misuse.h"
#include "address_table.h"
#include "page.h"

namespace pagerun {

struct BlockHold {
  char* address;
  size_t bytes;
  uint32_t holds;
  bool is_freed;  // by its user; only holds keep it
};

enum class HoldStatus : uint32_t {
  kHeld = 0,
  kNoBlock = 1,      // the bytes are not all in one live block
  kOutOfMemory = 2,  // for the record of the hold
  kMadeArena = 3,    // the block ends with an arena that a program made
};

/// Holds the live block that has all of `ptr` .. `ptr + bytes`; *start is its first byte.
HoldStatus block_hold(const void* ptr, size_t bytes, void** start);

/// Takes one hold of the block that starts at `start` back; frees it with the last, if its user has freed it.
void block_let_go(void* start);

/// For a free of the live block at `ptr`, in a page that has held blocks: true when that is all that is to be done now,
/// with *misuse.
bool block_note_free(const void* ptr, Misuse* misuse);

/// True when the block at `start`, in a page that has held blocks, is freed and only held.
bool block_is_only_held(const void* start);

/// Lets frees by the page's owner take the fast path again, once nothing is against it. For the owner of the page, or
/// who may change it in his place; what waits for the drain is his to know.
void page_open_fast_path(PageHeader* page);

/// The table, for inspect/, under its lock.
const AddressTable<BlockHold>& held_blocks();
Lock& holds_lock();

}  // namespace pagerun
