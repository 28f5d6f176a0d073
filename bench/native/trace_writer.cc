// See trace_writer.h.
#include "trace_writer.h"

#include <stdio.h>
#include <string.h>

#include "die.h"

namespace pagerun::bench {
namespace {

using Bytes = std::vector<uint8_t>;

void put_varint(Bytes* to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) to->push_back(static_cast<uint8_t>(value | 0x80));
  to->push_back(static_cast<uint8_t>(value));
}

void put_text(Bytes* to, const std::string& text) {
  put_varint(to, text.size());
  to->insert(to->end(), text.begin(), text.end());
}

void write_file(const char* path, const Bytes& bytes) {
  FILE* file = fopen(path, "wb");
  bool is_written = file != nullptr && fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  is_written = file != nullptr && fclose(file) == 0 && is_written;
  if (!is_written) die("cannot write %s: %m", path);
}

}  // namespace

void TraceWriter::add(const Event& event, uint64_t old_bytes) {
  uint8_t kind = static_cast<uint8_t>(event.operation);
  if (event.thread != thread_) {
    kind |= kOtherThread;
    thread_ = event.thread;
    if (thread_ >= threads_) threads_ = thread_ + 1;
    put_varint(&columns_[kThreads], event.thread);
  }
  columns_[kKinds].push_back(kind);
  counts_[static_cast<size_t>(event.operation)]++;
  if (event.operation != Operation::kFree) put_varint(&columns_[kSizes], event.bytes);
  if (event.operation == Operation::kAligned) columns_[kAlignments].push_back(event.alignment_log2);
  if (makes_block(event.operation)) {
    blocks_++;
    live_.add(event.bytes);
    return;
  }
  put_varint(&columns_[kDistances], blocks_ - 1 - event.block);
  if (event.operation == Operation::kRealloc) live_.resize(old_bytes, event.bytes);
  if (event.operation == Operation::kFree) live_.remove(old_bytes);
}

TraceInfo TraceWriter::info() const {
  TraceInfo info;
  info.threads = threads_;
  info.events = events();
  info.blocks = blocks_;
  info.peak_live_bytes = live_.peak_bytes;
  info.peak_live_blocks = live_.peak_blocks;
  memcpy(info.counts, counts_, sizeof counts_);
  return info;
}

void TraceWriter::save(const char* path, const std::string& name, const std::string& program,
                       const std::string& command) const {
  TraceInfo known = info();
  Bytes bytes(kTraceMagic, kTraceMagic + sizeof kTraceMagic);
  bytes.resize(kTraceBodyAt);
  put_text(&bytes, name);
  put_text(&bytes, program);
  put_text(&bytes, command);
  for (uint64_t value : {known.threads, known.events, known.blocks, known.peak_live_bytes, known.peak_live_blocks}) {
    put_varint(&bytes, value);
  }
  for (uint64_t count : known.counts) put_varint(&bytes, count);
  for (const Bytes& column : columns_) put_varint(&bytes, column.size());
  for (const Bytes& column : columns_) bytes.insert(bytes.end(), column.begin(), column.end());
  uint32_t checksum = trace_checksum(bytes.data() + kTraceBodyAt, bytes.size() - kTraceBodyAt);
  for (size_t index = 0; index < 4; index++)
    bytes[kTraceChecksumAt + index] = static_cast<uint8_t>(checksum >> (8 * index));
  write_file(path, bytes);
}

}  // namespace pagerun::bench
