// See recorder_log.h. The state lives in memory that the kernel wipes at fork: a child finds it zero and opens a file
// of its own, whichever call made the child. No file descriptor is kept, because programs close, count and reuse
// descriptors.
#include "recorder_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

namespace pagerun::bench {
namespace {

constexpr const char* kDirectoryVariable = "PAGERUN_RECORD";
constexpr const char* kLimitVariable = "PAGERUN_RECORD_EVENTS";
constexpr uint64_t kDefaultLimit = uint64_t{1} << 26;
constexpr uint64_t kFirstRoom = 4096;
constexpr uint64_t kLargestStep = uint64_t{1} << 20;

enum class State : uint32_t { kFresh = 0, kOpening = 1, kOpen = 2, kOff = 3 };

struct Log {
  std::atomic<State> state;
  std::atomic<bool> is_growing;
  std::atomic<uint32_t> next_thread;
  uint32_t epoch;  // differs between a process and its children, so that thread ids start anew
  std::atomic<uint64_t> next_record;
  std::atomic<uint64_t> room;  // records that the file has room for; acquire: pairs with grow()
  uint64_t limit;
  RawRecord* records;
  char path[PATH_MAX];
};

// Plain memory, so that children inherit them: the directory is asked for once, before a program can change it.
std::atomic<Log*> the_log;
std::atomic<uint32_t> last_epoch;
char directory[PATH_MAX];

__thread uint32_t thread_epoch;
__thread uint32_t thread_id;

void complain(const char* what) {
  char line[PATH_MAX + 128];
  int length = snprintf(line, sizeof line, "recorder: %s (%m)\n", what);
  if (length > 0) (void)!write(STDERR_FILENO, line, static_cast<size_t>(length));
}

Log* log_get() {
  Log* log = the_log.load(std::memory_order_acquire);
  if (log != nullptr) return log;
  void* memory = mmap(nullptr, sizeof(Log), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  madvise(memory, sizeof(Log), MADV_WIPEONFORK);
  if (the_log.compare_exchange_strong(log, static_cast<Log*>(memory))) return static_cast<Log*>(memory);
  munmap(memory, sizeof(Log));
  return log;
}

bool directory_find() {
  if (directory[0] != 0) return true;
  const char* named = getenv(kDirectoryVariable);
  if (named == nullptr || named[0] == 0) return false;
  char here[PATH_MAX] = "";
  if (named[0] != '/' && getcwd(here, sizeof here) == nullptr) return false;
  int length = snprintf(directory, sizeof directory, "%s%s%s", here, named[0] == '/' ? "" : "/", named);
  return length > 0 && static_cast<size_t>(length) < sizeof directory;
}

size_t read_file(const char* path, char* to, size_t bytes) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t count = read(file, to, bytes);
  close(file);
  return count > 0 ? static_cast<size_t>(count) : 0;
}

void header_fill(RawHeader* header) {
  memcpy(header->magic, kRawMagic, sizeof kRawMagic);
  header->record_bytes = sizeof(RawRecord);
  header->process = static_cast<uint32_t>(getpid());
  header->command_bytes =
      static_cast<uint32_t>(read_file("/proc/self/cmdline", header->command, sizeof header->command));
  // The name it was called by: a link may say more than the file behind it.
  const char* path = header->command;
  size_t size = strnlen(path, sizeof header->program - 1);
  for (size_t index = 0; index < size; index++) {
    if (header->command[index] == '/') path = header->command + index + 1;
  }
  memcpy(header->program, path, size - static_cast<size_t>(path - header->command));
}

uint64_t limit_read() {
  const char* text = getenv(kLimitVariable);
  uint64_t limit = text == nullptr ? 0 : strtoull(text, nullptr, 10);
  return limit == 0 ? kDefaultLimit : limit < kFirstRoom ? kFirstRoom : limit;
}

int file_create(Log* log) {
  for (int attempt = 0; attempt < 100000; attempt++) {
    int length = snprintf(log->path, sizeof log->path, "%s/%d-%d%s", directory, getpid(), attempt, kRawSuffix);
    if (length < 0 || static_cast<size_t>(length) >= sizeof log->path) return -1;
    int file = open(log->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0 || errno != EEXIST) return file;
  }
  return -1;
}

size_t bytes_of(uint64_t records) { return kRawHeaderBytes + records * sizeof(RawRecord); }

bool room_reserve(int file, uint64_t records) {
  off_t bytes = static_cast<off_t>(bytes_of(records));
  // Blocks of the disk are reserved here, because a full disk would otherwise end the program with SIGBUS at a store.
  if (fallocate(file, 0, 0, bytes) == 0) return true;
  return errno == EOPNOTSUPP && ftruncate(file, bytes) == 0;
}

/// Maps the file up to its limit at once, beyond its end, so that it grows below the mapping. Under a limit on address
/// space the limit of the recording falls until it fits.
void* map_to_limit(Log* log, int file) {
  for (;; log->limit /= 2) {
    void* memory = mmap(nullptr, bytes_of(log->limit), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED || log->limit <= kFirstRoom) return memory;
  }
}

bool open_file(Log* log) {
  if (!directory_find()) return false;
  log->limit = limit_read();
  int file = file_create(log);
  if (file < 0) return complain("cannot make a file in the directory of PAGERUN_RECORD"), false;
  void* memory = room_reserve(file, kFirstRoom) ? map_to_limit(log, file) : MAP_FAILED;
  close(file);
  if (memory == MAP_FAILED) return complain("cannot map the recording"), false;
  madvise(memory, bytes_of(log->limit), MADV_DONTFORK);
  header_fill(static_cast<RawHeader*>(memory));
  log->records = reinterpret_cast<RawRecord*>(static_cast<char*>(memory) + kRawHeaderBytes);
  log->epoch = last_epoch.fetch_add(1) + 1;
  log->room.store(kFirstRoom, std::memory_order_release);
  return true;
}

bool is_open_slow(Log* log) {
  // Before libc has set its environment nobody can say whether to record.
  if (environ == nullptr) return false;
  State seen = State::kFresh;
  if (log->state.compare_exchange_strong(seen, State::kOpening)) {
    seen = open_file(log) ? State::kOpen : State::kOff;
    log->state.store(seen, std::memory_order_release);  // release: pairs with the acquire in log_event
  }
  while (seen == State::kOpening) {
    sched_yield();
    seen = log->state.load(std::memory_order_acquire);
  }
  return seen == State::kOpen;
}

bool grow_by_step(Log* log, uint64_t room) {
  if (room >= log->limit) return errno = EFBIG, false;
  uint64_t wanted = room + (room < kLargestStep ? room : kLargestStep);
  if (wanted > log->limit) wanted = log->limit;
  int file = open(log->path, O_RDWR | O_CLOEXEC);
  bool is_reserved = file >= 0 && room_reserve(file, wanted);
  if (file >= 0) close(file);
  if (is_reserved) log->room.store(wanted, std::memory_order_release);  // release: pairs with log_event
  return is_reserved;
}

/// Makes room for record `index`, or turns recording off for good.
bool grow(Log* log, uint64_t index) {
  while (log->room.load(std::memory_order_acquire) <= index) {
    if (log->state.load(std::memory_order_relaxed) == State::kOff) return false;
    bool expected = false;
    if (!log->is_growing.compare_exchange_weak(expected, true, std::memory_order_acquire)) {
      sched_yield();
      continue;
    }
    uint64_t room = log->room.load(std::memory_order_acquire);
    if (room <= index && !grow_by_step(log, room)) {
      if (log->state.exchange(State::kOff) != State::kOff) complain("the recording ends here: no room for more events");
    }
    log->is_growing.store(false, std::memory_order_release);
  }
  return true;
}

}  // namespace

void log_event(RawKind kind, const void* address, size_t bytes, unsigned alignment_log2) {
  int kept_errno = errno;
  Log* log = log_get();
  if (log == nullptr) return;
  State state = log->state.load(std::memory_order_acquire);
  bool is_open = state == State::kOpen || (state != State::kOff && is_open_slow(log));
  if (is_open) {
    if (thread_epoch != log->epoch) {
      thread_epoch = log->epoch;
      thread_id = log->next_thread.fetch_add(1, std::memory_order_relaxed);
    }
    // seq_cst: this add is what puts the events of all threads into one order.
    uint64_t index = log->next_record.fetch_add(1);
    if (index < log->room.load(std::memory_order_acquire) || grow(log, index)) {
      RawRecord* record = &log->records[index];
      record->address = reinterpret_cast<uintptr_t>(address);
      record->bytes = bytes;
      record->thread = thread_id;
      record->alignment_log2 = static_cast<uint8_t>(alignment_log2);
      // release: a reader of the file, or of what is left of it, sees a kind only with the rest.
      std::atomic_ref<RawKind>(record->kind).store(kind, std::memory_order_release);
    }
  }
  errno = kept_errno;
}

}  // namespace pagerun::bench
