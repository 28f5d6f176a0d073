// Reads a compact trace, event by event, from a mapped file. Owns the checks of a foreign file: after check() has
// returned, every event is sound. Allocates nothing by malloc. Thread rule: one thread.
#pragma once

#include "mapped.h"
#include "trace.h"

namespace pagerun::bench {

class TraceReader {
 public:
  /// Maps the file and reads its head. Dies with a message if it is no trace, truncated or corrupt.
  explicit TraceReader(const char* path);

  const TraceInfo& info() const { return info_; }

  /// Reads all events once and dies unless they are sound: ids in range, blocks live when freed, counts and peaks as
  /// the head says. Rewinds. O(events).
  void check();

  /// The next event; false after the last one. Dies where a column ends early.
  bool next(Event* event);

  void rewind();

 private:
  struct Cursor {
    const uint8_t* at = nullptr;
    const uint8_t* end = nullptr;
  };

  [[noreturn]] void die_corrupt(const char* what) const;
  uint64_t take_varint(Cursor* cursor) const;
  uint8_t take_byte(Cursor* cursor) const;
  TraceText take_text(Cursor* cursor) const;
  void take_head(Cursor* cursor);
  void check_ends(const LiveSum& live, const uint64_t (&counts)[kOperations]) const;

  const char* path_;
  MappedFile file_;
  TraceInfo info_;
  Cursor starts_[kColumns];
  Cursor cursors_[kColumns];
  uint64_t events_read_ = 0;
  uint64_t blocks_made_ = 0;
  uint32_t thread_ = 0;
};

}  // namespace pagerun::bench
