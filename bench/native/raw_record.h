// The raw recording: what the recorder writes into a file of its own for each process, and what `convert` reads.
// Owns the layout. Does not open files. Thread rule: plain data.
//
//     file    | header, one OS page | record 0 | record 1 | ... | zeros: room not yet used |
//
// The file is a shared mapping: whatever was written is in it, however the process ends.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pagerun::bench {

inline constexpr char kRawMagic[8] = {'p', 'r', 'r', 'a', 'w', 0, 0, 1};
inline constexpr size_t kRawHeaderBytes = 4096;
inline constexpr const char* kRawSuffix = ".raw";

enum class RawKind : uint8_t {
  kNone = 0,  // room taken but not written: the process ended in between
  kMalloc = 1,
  kCalloc = 2,
  kAligned = 3,
  kFree = 4,          // written before the block is given back
  kReallocBegin = 5,  // written before the old block may be given back
  kReallocEnd = 6,    // address 0: refused, or with 0 bytes: the old block was freed
};

struct RawRecord {
  uint64_t address;
  uint64_t bytes;
  uint32_t thread;
  uint8_t alignment_log2;
  RawKind kind;  // stored last, with release: a record that has a kind is whole
  uint16_t unused;
};
static_assert(sizeof(RawRecord) == 24);

struct RawHeader {
  char magic[8];
  uint32_t record_bytes;
  uint32_t process;
  uint32_t command_bytes;  // as in /proc/self/cmdline: every argument ends with a zero byte
  char program[256];
  char command[kRawHeaderBytes - 276];
};
static_assert(sizeof(RawHeader) == kRawHeaderBytes);

}  // namespace pagerun::bench
