// The compact trace: its words, and the numbers of its format. bench/traces/README.md describes the bytes.
// Owns the layout that reader and writer share. Thread rule: plain data.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace pagerun::bench {

inline constexpr uint8_t kTraceMagic[8] = {'p', 'r', 't', 'r', 'a', 'c', 'e', 1};
inline constexpr size_t kTraceChecksumAt = sizeof kTraceMagic;
inline constexpr size_t kTraceBodyAt = kTraceChecksumAt + 4;

enum class Operation : uint8_t { kMalloc = 0, kCalloc = 1, kAligned = 2, kRealloc = 3, kFree = 4 };
inline constexpr size_t kOperations = 5;
inline constexpr const char* kOperationNames[kOperations] = {"malloc", "calloc", "aligned", "realloc", "free"};

enum Column : size_t { kKinds, kThreads, kSizes, kAlignments, kDistances };
inline constexpr size_t kColumns = 5;

inline constexpr uint8_t kOperationMask = 7;
inline constexpr uint8_t kOtherThread = 8;

inline constexpr uint64_t kMaxThreads = 1024;
inline constexpr uint64_t kMaxAlignmentLog2 = 30;
inline constexpr uint64_t kMaxBlockBytes = (uint64_t{1} << 44) - 1;
inline constexpr uint64_t kMaxBlocks = uint64_t{1} << 32;

inline bool makes_block(Operation operation) { return operation <= Operation::kAligned; }

struct TraceText {
  const char* bytes = "";
  size_t size = 0;
};

struct TraceInfo {
  TraceText name;
  TraceText program;
  TraceText command;
  uint64_t threads = 0;
  uint64_t events = 0;
  uint64_t blocks = 0;
  uint64_t peak_live_bytes = 0;
  uint64_t peak_live_blocks = 0;
  uint64_t counts[kOperations] = {};  // events == sum(counts), blocks == counts of the operations that make a block
};

struct Event {
  uint64_t bytes;  // asked for; 0 for free
  uint64_t block;
  uint32_t thread;
  Operation operation;
  uint8_t alignment_log2;
};

/// CRC-32 as in zlib and PNG.
uint32_t trace_checksum(const uint8_t* bytes, size_t size);

/// What the live blocks of a trace add up to, event by event; reader and writer keep the same sums.
struct LiveSum {
  uint64_t bytes = 0;
  uint64_t blocks = 0;
  uint64_t peak_bytes = 0;
  uint64_t peak_blocks = 0;

  void add(uint64_t block_bytes) {
    bytes += block_bytes;
    blocks++;
    raise_peaks();
  }
  void resize(uint64_t old_bytes, uint64_t new_bytes) {
    bytes += new_bytes - old_bytes;
    raise_peaks();
  }
  void remove(uint64_t block_bytes) {
    bytes -= block_bytes;
    blocks--;
  }

 private:
  void raise_peaks() {
    if (bytes > peak_bytes) peak_bytes = bytes;
    if (blocks > peak_blocks) peak_blocks = blocks;
  }
};

}  // namespace pagerun::bench
