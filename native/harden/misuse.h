// Misuse: what a caller did wrong, as a value; and the one place where C programs are told.
// Owns the names and the fixed line. Does not find misuse (core/ does), nor what is known of a pointer (core/place.h).
// Thread rule: any thread, signal handlers too; allocates nothing, takes no lock.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagerun {

/// A caller's error with a pointer. `kNone` means that the pointer is the first byte of a live block.
enum class Misuse : uint32_t {
  kNone = 0,
  kDoubleFree = 1,       // a block, a page or a run that is free already
  kInteriorPointer = 2,  // inside a live block, or between blocks of a page, but not the first byte of one
  kForeignPointer = 3,   // memory that this allocator never handed out
  kWrongSize = 4,        // a sized free whose size or alignment the block cannot have been asked for with
  kOverflow = 5,         // hardened profile: a live block behind whose end somebody has written
  kWriteAfterFree = 6,   // hardened profile: a block that was written to while it was free
};

/// What a pointer points into, filled as far as it is known.
struct Block {
  void* start = nullptr;    // first byte of the block that holds the pointer; null when there is none
  size_t usable_bytes = 0;  // bytes that the caller may use from `start`
  uint32_t size_class = 0;  // kNoSizeClass for runs and mappings
  uint32_t kind = 0;        // PageKind of its head page; kMapping for a mapping of its own
};

/// What the memory at an address is, or was last.
enum class LastState : uint8_t {
  kUnknown,          // no memory of this heap
  kLive,             // a block in use
  kFree,             // a block of a bucket page that was freed, or never handed out
  kFreedElsewhere,   // a block that another thread freed; its owner has not looked yet
  kHeld,             // a freed block that JavaScript still views
  kTail,             // behind the last block of a bucket page
  kFreeRun,          // a page of a free run
  kReleasedMapping,  // the start of a mapping that was given back
  kNeverUsed,        // a page of a region that was never in use
  kTable,            // the heap's own tables
};

/// What the heap knows of an address, for the line that tells of a misuse.
struct Known {
  LastState state = LastState::kUnknown;
  const void* start = nullptr;  // first byte of the block; null when there is none
  uint64_t bytes = 0;           // of the block; kTail, kFreeRun: of the blocks that the page has or had, 0 if unknown
  uint32_t size_class = 0;      // of such a block
  uint64_t arena = 0;           // id of its owner; 0: none
  const char* form = nullptr;   // what the block is where it is in no bucket page: "a run"
};

/// The fixed name of a misuse: "double free", "interior pointer", "foreign pointer", "wrong size".
const char* misuse_name(Misuse misuse);

/// Tells of a misuse on standard error, in one line with one write(2): `pagerun: <misuse> of <ptr> in <call> (<what the
/// heap knows>)`. Then aborts; with PAGERUN_ON_MISUSE=report it returns instead, and the caller refuses the call.
/// Leaves errno alone.
void misuse_report(Misuse misuse, const char* call, const void* ptr, const Known& known);

/// How often misuse was reported so far.
uint64_t misuse_count();

}  // namespace pagerun
