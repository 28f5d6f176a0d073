// Misuse: what a caller did wrong, as a value; and the one place where C programs are told and stopped.
// Owns the names and the fixed line. Does not find misuse (core/ does). Thread rule: any thread, allocates nothing.
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
};

/// What a pointer points into, filled as far as it is known.
struct Block {
  void* start = nullptr;    // first byte of the block that holds the pointer; null when there is none
  size_t usable_bytes = 0;  // bytes that the caller may use from `start`
  uint32_t size_class = 0;  // kNoSizeClass for runs and mappings
  uint32_t kind = 0;        // PageKind of its head page; kMapping for a mapping of its own
};

/// The fixed name of a misuse: "double free", "interior pointer", "foreign pointer".
const char* misuse_name(Misuse misuse);

/// Prints `pagerun: <misuse> of <ptr> in <call> (<what the heap knows>)` with write(2) and aborts.
[[noreturn]] void misuse_abort(Misuse misuse, const char* call, const void* ptr, const Block& block);

}  // namespace pagerun
