// Writes a compact trace. Owns the columns while they grow. Uses malloc: nothing is measured in the process that
// writes. Thread rule: one thread.
#pragma once

#include <string>
#include <vector>

#include "trace.h"

namespace pagerun::bench {

class TraceWriter {
 public:
  /// Appends an event; `event.block` must be the next id if it makes a block. `old_bytes` is the size of a block that
  /// is resized or freed.
  void add(const Event& event, uint64_t old_bytes);

  uint64_t events() const { return columns_[kKinds].size(); }

  /// Fills in everything but the texts.
  TraceInfo info() const;

  /// Writes the file; dies if that fails. The texts must not hold paths of the machine.
  void save(const char* path, const std::string& name, const std::string& program, const std::string& command) const;

 private:
  std::vector<uint8_t> columns_[kColumns];
  uint64_t counts_[kOperations] = {};
  uint64_t blocks_ = 0;
  uint32_t threads_ = 1;
  uint32_t thread_ = 0;
  LiveSum live_;
};

}  // namespace pagerun::bench
