// See trace_reader.h. A trace may come from anywhere, so nothing in it is believed before it was compared with the
// rest.
#include "trace_reader.h"

#include <string.h>

namespace pagerun::bench {

uint32_t trace_checksum(const uint8_t* bytes, size_t size) {
  constexpr uint32_t kPolynomial = 0xEDB88320;
  uint32_t table[256];
  for (uint32_t index = 0; index < 256; index++) {
    uint32_t value = index;
    for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[index] = value;
  }
  uint32_t sum = 0xFFFFFFFF;
  for (size_t index = 0; index < size; index++) sum = (sum >> 8) ^ table[(sum ^ bytes[index]) & 0xFF];
  return ~sum;
}

void TraceReader::die_corrupt(const char* what) const { die("%s is corrupt: %s", path_, what); }

uint8_t TraceReader::take_byte(Cursor* cursor) const {
  if (cursor->at == cursor->end) die("%s is truncated: it ends inside a field", path_);
  return *cursor->at++;
}

uint64_t TraceReader::take_varint(Cursor* cursor) const {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t byte = take_byte(cursor);
    value |= uint64_t{byte & 0x7Fu} << shift;
    if ((byte & 0x80) == 0) return value;
  }
  die_corrupt("a number is longer than 64 bits");
}

TraceText TraceReader::take_text(Cursor* cursor) const {
  uint64_t size = take_varint(cursor);
  if (size > static_cast<size_t>(cursor->end - cursor->at)) die("%s is truncated: it ends inside a text", path_);
  TraceText text = {reinterpret_cast<const char*>(cursor->at), size};
  cursor->at += size;
  return text;
}

void TraceReader::take_head(Cursor* cursor) {
  info_.name = take_text(cursor);
  info_.program = take_text(cursor);
  info_.command = take_text(cursor);
  info_.threads = take_varint(cursor);
  info_.events = take_varint(cursor);
  info_.blocks = take_varint(cursor);
  info_.peak_live_bytes = take_varint(cursor);
  info_.peak_live_blocks = take_varint(cursor);
  for (uint64_t& count : info_.counts) count = take_varint(cursor);
}

TraceReader::TraceReader(const char* path) : path_(path), file_(path) {
  size_t magic_bytes = sizeof kTraceMagic - 1;
  if (file_.size() < magic_bytes || memcmp(file_.bytes(), kTraceMagic, magic_bytes) != 0) {
    die("%s is not a trace (a compressed one is decompressed first)", path_);
  }
  Cursor cursor = {file_.bytes() + magic_bytes, file_.bytes() + file_.size()};
  uint8_t version = take_byte(&cursor);
  if (version != kTraceMagic[magic_bytes])
    die("%s has version %u of the format, not %u", path_, version, kTraceMagic[7]);
  uint32_t checksum = 0;
  for (unsigned shift = 0; shift < 32; shift += 8) checksum |= uint32_t{take_byte(&cursor)} << shift;
  take_head(&cursor);
  uint64_t lengths[kColumns];
  for (uint64_t& length : lengths) length = take_varint(&cursor);
  for (size_t column = 0; column < kColumns; column++) {
    size_t left = static_cast<size_t>(cursor.end - cursor.at);
    if (lengths[column] > left) die("%s is truncated: a column has %zu bytes of %zu", path_, left, lengths[column]);
    starts_[column] = {cursor.at, cursor.at + lengths[column]};
    cursor.at += lengths[column];
  }
  if (cursor.at != cursor.end) die_corrupt("it goes on behind its last column");
  if (trace_checksum(file_.bytes() + kTraceBodyAt, file_.size() - kTraceBodyAt) != checksum) {
    die_corrupt("its checksum differs");
  }
  if (info_.events != lengths[kKinds]) die_corrupt("its number of events differs from its first column");
  if (info_.blocks > info_.events || info_.blocks > kMaxBlocks) die_corrupt("it names too many blocks");
  if (info_.threads == 0) die_corrupt("it has no thread");
  if (info_.threads > kMaxThreads) die("%s has %zu threads; at most %zu work", path_, info_.threads, kMaxThreads);
  rewind();
}

void TraceReader::rewind() {
  for (size_t column = 0; column < kColumns; column++) cursors_[column] = starts_[column];
  events_read_ = blocks_made_ = 0;
  thread_ = 0;
}

bool TraceReader::next(Event* event) {
  if (events_read_ == info_.events) return false;
  events_read_++;
  uint8_t kind = take_byte(&cursors_[kKinds]);
  if ((kind & kOperationMask) >= kOperations || kind >= 2 * kOtherThread) die_corrupt("an operation is unknown");
  event->operation = static_cast<Operation>(kind & kOperationMask);
  if ((kind & kOtherThread) != 0) {
    uint64_t thread = take_varint(&cursors_[kThreads]);
    if (thread >= info_.threads) die_corrupt("a thread is out of range");
    thread_ = static_cast<uint32_t>(thread);
  }
  event->thread = thread_;
  event->bytes = event->operation == Operation::kFree ? 0 : take_varint(&cursors_[kSizes]);
  event->alignment_log2 = event->operation == Operation::kAligned ? take_byte(&cursors_[kAlignments]) : uint8_t{0};
  if (event->bytes > kMaxBlockBytes) die_corrupt("a size is out of range");
  if (event->alignment_log2 > kMaxAlignmentLog2) die_corrupt("an alignment is out of range");
  if (makes_block(event->operation)) {
    if (blocks_made_ == info_.blocks) die_corrupt("it makes more blocks than it names");
    event->block = blocks_made_++;
    return true;
  }
  uint64_t distance = take_varint(&cursors_[kDistances]);
  if (distance >= blocks_made_) die_corrupt("a block is freed or resized before it is made");
  event->block = blocks_made_ - 1 - distance;
  return true;
}

void TraceReader::check() {
  // Bytes + 1 of every live block, 0 for one that is not: kMaxBlockBytes leaves the room.
  MappedArray<uint64_t> live_bytes(info_.blocks);
  uint64_t counts[kOperations] = {};
  LiveSum live;
  Event event;
  rewind();
  while (next(&event)) {
    counts[static_cast<size_t>(event.operation)]++;
    uint64_t& known = live_bytes[event.block];
    if (makes_block(event.operation)) {
      live.add(event.bytes);
      known = event.bytes + 1;
      continue;
    }
    if (known == 0) die_corrupt("a block is freed or resized after its end");
    if (event.operation == Operation::kRealloc) {
      if (event.bytes == 0) die_corrupt("a block is resized to nothing");
      live.resize(known - 1, event.bytes);
      known = event.bytes + 1;
    } else {
      live.remove(known - 1);
      known = 0;
    }
  }
  check_ends(live, counts);
  rewind();
}

void TraceReader::check_ends(const LiveSum& live, const uint64_t (&counts)[kOperations]) const {
  for (const Cursor& cursor : cursors_) {
    if (cursor.at != cursor.end) die_corrupt("a column has more than its events take");
  }
  if (memcmp(counts, info_.counts, sizeof counts) != 0) die_corrupt("its counts differ from its events");
  if (blocks_made_ != info_.blocks) die_corrupt("it makes fewer blocks than it names");
  if (live.peak_bytes != info_.peak_live_bytes || live.peak_blocks != info_.peak_live_blocks) {
    die_corrupt("its peaks differ from its events");
  }
}

}  // namespace pagerun::bench
