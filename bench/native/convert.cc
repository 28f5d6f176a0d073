// See convert.h.
#include "convert.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "json.h"
#include "mapped.h"
#include "raw_record.h"
#include "trace_reader.h"
#include "trace_writer.h"

namespace pagerun::bench {
namespace {

class RawFile {
 public:
  explicit RawFile(const char* path) : file_(path) {
    bool is_raw = file_.size() >= kRawHeaderBytes && memcmp(file_.bytes(), kRawMagic, sizeof kRawMagic) == 0;
    if (!is_raw || header()->record_bytes != sizeof(RawRecord)) die("%s is not a recording", path);
  }

  const RawHeader* header() const { return reinterpret_cast<const RawHeader*>(file_.bytes()); }
  // A file that was cut short has a last record that is not whole; the division drops it.
  size_t room() const { return (file_.size() - kRawHeaderBytes) / sizeof(RawRecord); }
  const RawRecord& record(size_t index) const {
    return reinterpret_cast<const RawRecord*>(file_.bytes() + kRawHeaderBytes)[index];
  }

  size_t count_events() const {
    size_t events = 0;
    for (size_t index = 0; index < room(); index++) events += record(index).kind != RawKind::kNone;
    return events;
  }

 private:
  MappedFile file_;
};

class Converter {
 public:
  explicit Converter(uint64_t max_events) : max_events_(max_events) {}

  void take(const RawRecord& record) {
    switch (record.kind) {
      case RawKind::kMalloc:
        return add_made(record, Operation::kMalloc);
      case RawKind::kCalloc:
        return add_made(record, Operation::kCalloc);
      case RawKind::kAligned:
        return add_made(record, Operation::kAligned);
      case RawKind::kFree:
        return add_free(record);
      case RawKind::kReallocBegin:
        return begin_realloc(record);
      case RawKind::kReallocEnd:
        return end_realloc(record);
      case RawKind::kNone:
        return;
    }
    die("the recording holds an unknown event");
  }

  bool is_full() const { return writer_.events() == max_events_; }
  const TraceWriter& writer() const { return writer_; }
  uint64_t unknown_frees() const { return unknown_frees_; }
  uint64_t implied_frees() const { return implied_frees_; }

 private:
  struct Live {
    uint64_t block;
    uint64_t bytes;
  };
  struct Resize {
    uint64_t address;
    bool is_known;
    Live live;
  };

  uint32_t thread_of(const RawRecord& record) {
    auto found = threads_.try_emplace(record.thread, static_cast<uint32_t>(threads_.size())).first;
    if (threads_.size() > kMaxThreads) die("the recording has more than %zu threads", size_t{kMaxThreads});
    return found->second;
  }

  void write(const RawRecord& record, Operation operation, const Live& live, uint64_t old_bytes) {
    if (is_full()) return;
    uint8_t alignment_log2 = operation == Operation::kAligned ? record.alignment_log2 : uint8_t{0};
    writer_.add({live.bytes, live.block, thread_of(record), operation, alignment_log2}, old_bytes);
  }

  // A block was given out again, so its end was not seen: it was freed where the recorder does not look.
  void end_unseen(const RawRecord& record) {
    auto found = live_.find(record.address);
    if (found == live_.end()) return;
    implied_frees_++;
    write(record, Operation::kFree, {found->second.block, 0}, found->second.bytes);
    live_.erase(found);
  }

  void add_made(const RawRecord& record, Operation operation) {
    end_unseen(record);
    Live live = {blocks_++, record.bytes};
    live_[record.address] = live;
    write(record, operation, live, 0);
  }

  void add_free(const RawRecord& record) {
    auto found = live_.find(record.address);
    if (found == live_.end()) {
      unknown_frees_++;
      return;
    }
    write(record, Operation::kFree, {found->second.block, 0}, found->second.bytes);
    live_.erase(found);
  }

  void begin_realloc(const RawRecord& record) {
    Resize resize = {record.address, false, {}};
    auto found = live_.find(record.address);
    if (found != live_.end()) {
      resize.is_known = true;
      resize.live = found->second;
      live_.erase(found);
    }
    resizes_[record.thread] = resize;
  }

  void end_realloc(const RawRecord& record) {
    auto found = resizes_.find(record.thread);
    if (found == resizes_.end()) return;
    Resize resize = found->second;
    resizes_.erase(found);
    bool is_refused = record.address == 0 && record.bytes != 0;
    if (is_refused && resize.is_known) live_[resize.address] = resize.live;
    if (is_refused) return;
    if (!resize.is_known) {
      if (record.address != 0) add_made(record, Operation::kMalloc);
    } else if (record.address == 0) {
      write(record, Operation::kFree, {resize.live.block, 0}, resize.live.bytes);
    } else {
      end_unseen(record);
      // A block that an allocator keeps for realloc(p, 0) is one of a byte to us: elsewhere realloc(p, 0) frees.
      Live live = {resize.live.block, record.bytes == 0 ? 1 : record.bytes};
      live_[record.address] = live;
      write(record, Operation::kRealloc, live, resize.live.bytes);
    }
  }

  const uint64_t max_events_;
  TraceWriter writer_;
  std::unordered_map<uint64_t, Live> live_;
  std::unordered_map<uint32_t, Resize> resizes_;
  std::unordered_map<uint32_t, uint32_t> threads_;
  uint64_t blocks_ = 0;
  uint64_t unknown_frees_ = 0;
  uint64_t implied_frees_ = 0;
};

std::string find_largest(const char* directory) {
  DIR* list = opendir(directory);
  if (list == nullptr) die("cannot open %s: %m", directory);
  std::string largest;
  size_t most_events = 0;
  while (const dirent* entry = readdir(list)) {
    std::string name = entry->d_name;
    size_t suffix = strlen(kRawSuffix);
    if (name.size() <= suffix || name.compare(name.size() - suffix, suffix, kRawSuffix) != 0) continue;
    std::string path = std::string(directory) + "/" + name;
    size_t events = RawFile(path.c_str()).count_events();
    if (events <= most_events) continue;
    most_events = events;
    largest = path;
  }
  closedir(list);
  if (largest.empty()) die("%s holds no recording with events", directory);
  return largest;
}

std::string find_source(const char* source) {
  struct stat status = {};
  if (stat(source, &status) != 0) die("cannot open %s: %m", source);
  return S_ISDIR(status.st_mode) ? find_largest(source) : std::string(source);
}

/// A word of a command, cut to the last part of its path: `--out=/a/b` becomes `--out=b`.
std::string without_directories(std::string word) {
  while (word.size() > 1 && word.back() == '/') word.pop_back();
  size_t slash = word.rfind('/');
  if (slash == std::string::npos) return word;
  size_t equals = word.find('=');
  std::string kept = equals < slash ? word.substr(0, equals + 1) : std::string();
  return kept + word.substr(slash + 1);
}

/// The recorded command on one line: a trace is no place for directories.
std::string command_of(const RawHeader* header) {
  constexpr size_t kMaxBytes = 200;
  size_t size = header->command_bytes < sizeof header->command ? header->command_bytes : sizeof header->command;
  std::string command;
  std::string word;
  for (size_t index = 0; index <= size; index++) {
    char letter = index < size ? header->command[index] : ' ';
    if (letter > ' ' && letter <= '~') {
      word += letter;
    } else if (!word.empty()) {
      if (!command.empty()) command += ' ';
      command += without_directories(word);
      word.clear();
    }
  }
  if (command.size() > kMaxBytes) command.resize(kMaxBytes);
  return command;
}

void print_info(JsonPrinter* json, const TraceInfo& info) {
  json->number("events", info.events);
  json->number("threads", info.threads);
  json->number("blocks", info.blocks);
  json->number("peak_live_bytes", info.peak_live_bytes);
  json->number("peak_live_blocks", info.peak_live_blocks);
  for (size_t index = 0; index < kOperations; index++) json->number(kOperationNames[index], info.counts[index]);
}

}  // namespace

void convert(const ConvertOptions& options) {
  std::string source = find_source(options.source);
  RawFile raw(source.c_str());
  Converter converter(options.max_events);
  for (size_t index = 0; index < raw.room() && !converter.is_full(); index++) converter.take(raw.record(index));
  if (converter.writer().events() == 0) die("%s holds no event", source.c_str());
  std::string program(raw.header()->program, strnlen(raw.header()->program, sizeof raw.header()->program));
  std::string name = options.name != nullptr ? options.name : program;
  std::string command = options.command != nullptr ? options.command : command_of(raw.header());
  converter.writer().save(options.target, name, program, command);
  JsonPrinter json;
  json.open('{');
  json.text("name", name.data(), name.size());
  json.text("program", program.data(), program.size());
  json.text("command", command.data(), command.size());
  print_info(&json, converter.writer().info());
  json.number("unknown_frees", converter.unknown_frees());
  json.number("implied_frees", converter.implied_frees());
  json.close('}');
  puts("");
}

void print_trace_info(const char* path) {
  TraceReader reader(path);
  reader.check();
  const TraceInfo& info = reader.info();
  JsonPrinter json;
  json.open('{');
  json.text("name", info.name.bytes, info.name.size);
  json.text("program", info.program.bytes, info.program.size);
  json.text("command", info.command.bytes, info.command.size);
  print_info(&json, info);
  json.close('}');
  puts("");
}

}  // namespace pagerun::bench
