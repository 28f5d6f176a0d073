#include "process_report.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../harden/misuse.h"
#include "../inspect/snapshot.h"

namespace pagerun {

namespace {

constexpr size_t kTextBytes = 4096;
constexpr double kMicro = 1e-6;

/// What a process has used so far.
struct Usage {
  double seconds = 0;
  double cpu_seconds = 0;
  int64_t minor_faults = 0;
  int64_t major_faults = 0;
};

struct Memory {
  uint64_t rss_bytes = 0;
  uint64_t peak_rss_bytes = 0;
};

pid_t first_process = 0;
Usage before_program;

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * kMicro;
}

Usage usage_now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  rusage used = {};
  getrusage(RUSAGE_SELF, &used);
  return {static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9,
          seconds_of(used.ru_utime) + seconds_of(used.ru_stime), used.ru_minflt, used.ru_majflt};
}

/// A child of a fork begins with no processor time and no faults, but at its parent's moment.
Usage usage_of_program() {
  Usage usage = usage_now();
  usage.seconds -= before_program.seconds;
  if (getpid() != first_process) return usage;
  usage.cpu_seconds -= before_program.cpu_seconds;
  usage.minor_faults -= before_program.minor_faults;
  usage.major_faults -= before_program.major_faults;
  return usage;
}

uint64_t kibibytes_behind(const char* text, const char* name) {
  const char* at = strstr(text, name);
  return at == nullptr ? 0 : strtoull(at + strlen(name), nullptr, 10) * 1024;
}

// The peak of getrusage() is that of the process, whichever program it ran before.
Memory memory_now() {
  char text[kTextBytes];
  int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ssize_t bytes = file < 0 ? 0 : read(file, text, sizeof(text) - 1);
  if (file >= 0) close(file);
  text[bytes > 0 ? bytes : 0] = 0;
  return {kibibytes_behind(text, "\nVmRSS:"), kibibytes_behind(text, "\nVmHWM:")};
}

/// The program's path, or its last part alone.
const char* program_name(char (&path)[kMaxPathBytes], bool is_whole) {
  ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path) - 1);
  path[bytes > 0 ? bytes : 0] = 0;
  const char* last = strrchr(path, '/');
  return is_whole || last == nullptr ? path : last + 1;
}

/// `text` as it stands between the quotes of JSON; cut where `into` ends.
void escape(const char* text, char* into, size_t bytes) {
  size_t length = 0;
  for (; *text != 0 && length + 7 <= bytes; text++) {
    auto byte = static_cast<unsigned char>(*text);
    bool is_plain = byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
    if (is_plain)
      into[length++] = *text;
    else
      length += static_cast<size_t>(snprintf(into + length, 7, "\\u%04x", byte));
  }
  into[length] = 0;
}

void write_all(int file, const char* text, size_t bytes) {
  while (bytes > 0) {
    ssize_t written = write(file, text, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text += written;
    bytes -= static_cast<size_t>(written);
  }
}

double mebibytes(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

void say_report(const Usage& usage, const Memory& memory, const SnapshotTotals& totals) {
  char path[kMaxPathBytes], text[kTextBytes];
  int length = snprintf(text, sizeof(text),
                        "pagerun: %.200s (process %d), %.1f s, %.1f s of processor time\n"
                        "  resident  %.1f MiB at its peak, %.1f MiB at the end\n"
                        "  in use    %.1f MiB in %" PRIu64
                        " blocks, of %.1f MiB that the heap holds\n"
                        "  faults    %" PRId64 " minor, %" PRId64
                        " major\n"
                        "  misuse    %" PRIu64 "\n",
                        program_name(path, false), static_cast<int>(getpid()), usage.seconds, usage.cpu_seconds,
                        mebibytes(memory.peak_rss_bytes), mebibytes(memory.rss_bytes), mebibytes(totals.live_bytes),
                        totals.live_blocks, mebibytes(totals.committed_bytes), usage.minor_faults, usage.major_faults,
                        misuse_count());
  write_all(STDERR_FILENO, text, static_cast<size_t>(length));
}

size_t write_json(char* text, size_t bytes, const Usage& usage, const Memory& memory, const SnapshotTotals& totals) {
  char path[kMaxPathBytes], name[kTextBytes];
  escape(program_name(path, true), name, sizeof(name));
  int length =
      snprintf(text, bytes,
               "{\n  \"process\": %d,\n  \"program\": \"%s\",\n  \"profile\": \"%s\",\n"
               "  \"seconds\": %.6f,\n  \"cpuSeconds\": %.6f,\n"
               "  \"minorFaults\": %" PRId64 ",\n  \"majorFaults\": %" PRId64
               ",\n"
               "  \"peakRssBytes\": %" PRIu64 ",\n  \"rssBytes\": %" PRIu64
               ",\n"
               "  \"liveBlocks\": %" PRIu64 ",\n  \"liveBytes\": %" PRIu64
               ",\n"
               "  \"committedBytes\": %" PRIu64 ",\n  \"metadataBytes\": %" PRIu64 ",\n  \"freeRunBytes\": %" PRIu64
               ",\n"
               "  \"mappingBytes\": %" PRIu64 ",\n  \"reservedBytes\": %" PRIu64 ",\n  \"arenas\": %" PRIu64
               ",\n"
               "  \"misuses\": %" PRIu64 "\n}\n",
               static_cast<int>(getpid()), name, settings().profile == Profile::kHardened ? "hardened" : "fast",
               usage.seconds, usage.cpu_seconds, usage.minor_faults, usage.major_faults, memory.peak_rss_bytes,
               memory.rss_bytes, totals.live_blocks, totals.live_bytes, totals.committed_bytes, totals.metadata_bytes,
               totals.free_run_bytes, totals.mapping_bytes, totals.reserved_bytes, totals.arenas, misuse_count());
  return static_cast<size_t>(length);
}

bool names_process(const char* pattern) { return strstr(pattern, "%p") != nullptr; }

/// The file's name, with the process for %p. False when it is too long.
bool expand(const char* pattern, char (&path)[kMaxPathBytes]) {
  size_t length = 0;
  for (const char* at = pattern; *at != 0; at++) {
    if (length + 24 > sizeof(path)) return false;
    if (at[0] == '%' && at[1] == 'p') {
      length += static_cast<size_t>(snprintf(path + length, 24, "%d", static_cast<int>(getpid())));
      at++;
    } else {
      path[length++] = *at;
    }
  }
  path[length] = 0;
  return true;
}

/// Another process may write the same file: what a reader finds is whole. A pipe or a terminal is written as it is.
bool write_file(const char* path, const char* text, size_t bytes) {
  struct stat there = {};
  bool is_special = stat(path, &there) == 0 && !S_ISREG(there.st_mode);
  char beside[kMaxPathBytes + 32];
  snprintf(beside, sizeof(beside), "%s.%d.tmp", path, static_cast<int>(getpid()));
  const char* target = is_special ? path : beside;
  int file = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
  if (file < 0) return false;
  errno = 0;
  write_all(file, text, bytes);
  int error = errno;
  close(file);
  if (error == 0 && (is_special || rename(beside, path) == 0)) return true;
  if (error != 0) errno = error;
  if (!is_special) unlink(beside);
  return false;
}

void write_stats(const char* pattern, const Usage& usage, const Memory& memory, const SnapshotTotals& totals) {
  char path[kMaxPathBytes], text[2 * kTextBytes];
  size_t bytes = write_json(text, sizeof(text), usage, memory, totals);
  errno = ENAMETOOLONG;
  if (expand(pattern, path) && write_file(path, text, bytes)) return;
  int error = errno;
  int length =
      snprintf(text, sizeof(text), "pagerun: PAGERUN_STATS_FILE=%s cannot be written: %s\n", pattern, strerror(error));
  write_all(STDERR_FILENO, text, static_cast<size_t>(length));
}

}  // namespace

void process_report_begin() {
  first_process = getpid();
  before_program = usage_now();
}

void process_report_end(const Settings& settings) {
  bool is_first = getpid() == first_process;
  bool writes = settings.stats_file != nullptr && (is_first || names_process(settings.stats_file));
  bool says = settings.reports_at_exit && is_first;
  if (!writes && !says) return;
  Usage usage = usage_of_program();
  Memory memory = memory_now();
  SnapshotTotals totals = memory_totals();
  if (says) say_report(usage, memory, totals);
  if (writes) write_stats(settings.stats_file, usage, memory, totals);
}

}  // namespace pagerun
