#include "process_report.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../base/check.h"
#include "../harden/misuse.h"
#include "../inspect/snapshot.h"
#include "../os/background.h"
#include "calls.h"

namespace pagerun {

namespace {

constexpr size_t kTextBytes = 4096;
constexpr double kMicro = 1e-6;
constexpr int64_t kPatienceMs = 20;     // for each lock of the heap
constexpr double kRefreshSeconds = 1;   // between two writings of the file, and
constexpr double kRefreshShare = 0.01;  // so much of the time at most

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

/// What is told.
struct Report {
  Usage usage;
  Memory memory;
  SnapshotTotals totals = {};
  bool has_totals = false;  // not where a lock of the heap is held by the thread that is ended
  bool has_ended = false;
  int signal = 0;
};

/// Room for texts: not on the stack, which is small where a signal may find a thread.
struct Texts {
  char program[kMaxPathBytes];
  char escaped[kTextBytes];
  char path[kMaxPathBytes];
  char beside[kMaxPathBytes + 32];
  char text[2 * kTextBytes];
};

Texts texts_at_end, texts_of_refresh;
std::atomic<pid_t> ended_process{0};
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

Report report_now(bool has_ended, int signal) {
  Report report = {.usage = usage_of_program(), .memory = memory_now(), .has_ended = has_ended, .signal = signal};
  report.has_totals = !has_check_failed() && memory_totals_within(kPatienceMs, &report.totals);
  return report;
}

/// The program's path, or its last part alone.
const char* program_name(Texts& texts, bool is_whole) {
  ssize_t bytes = readlink("/proc/self/exe", texts.program, sizeof(texts.program) - 1);
  texts.program[bytes > 0 ? bytes : 0] = 0;
  const char* last = strrchr(texts.program, '/');
  return is_whole || last == nullptr ? texts.program : last + 1;
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

/// Text that grows at its end, and is cut where its room ends.
class Writer {
 public:
  explicit Writer(char (&room)[2 * kTextBytes]) : room_(room) {}

  [[gnu::format(printf, 2, 3)]] Writer& add(const char* format, ...) {
    va_list values;
    va_start(values, format);
    int length = vsnprintf(room_ + length_, sizeof(room_) - length_, format, values);
    va_end(values);
    if (length > 0) length_ += static_cast<size_t>(length);
    if (length_ >= sizeof(room_)) length_ = sizeof(room_) - 1;
    return *this;
  }

  /// One figure of JSON; null where it is not known.
  Writer& figure(const char* name, uint64_t value, bool is_known = true) {
    return is_known ? add(",\n  \"%s\": %" PRIu64, name, value) : add(",\n  \"%s\": null", name);
  }

  size_t length() const { return length_; }

 private:
  char (&room_)[2 * kTextBytes];
  size_t length_ = 0;
};

void say_report(const Report& report, Texts& texts) {
  const auto& [usage, memory, totals, has_totals, has_ended, signal] = report;
  Writer out(texts.text);
  out.add("pagerun: %.200s (process %d), %.1f s, %.1f s of processor time", program_name(texts, false),
          static_cast<int>(getpid()), usage.seconds, usage.cpu_seconds);
  if (signal != 0) out.add(", ended by signal %d", signal);
  out.add("\n  resident  %.1f MiB at its peak, %.1f MiB at the end\n", mebibytes(memory.peak_rss_bytes),
          mebibytes(memory.rss_bytes));
  if (has_totals) {
    out.add("  in use    %.1f MiB in %" PRIu64 " blocks, of %.1f MiB that the heap holds\n",
            mebibytes(totals.live_bytes), totals.live_blocks, mebibytes(totals.committed_bytes));
    out.add("  purged    %.1f MiB given back, of which %.1f MiB taken again\n", mebibytes(totals.purged_bytes),
            mebibytes(totals.retaken_bytes));
  } else {
    out.add("  in use    not known: it ended in the middle of a change\n");
  }
  out.add("  faults    %" PRId64 " minor, %" PRId64 " major\n", usage.minor_faults, usage.major_faults);
  out.add("  misuse    %" PRIu64 "\n", misuse_count());
  write_all(STDERR_FILENO, texts.text, out.length());
}

size_t write_json(const Report& report, Texts& texts) {
  const auto& [usage, memory, totals, has_totals, has_ended, signal] = report;
  escape(program_name(texts, true), texts.escaped, sizeof(texts.escaped));
  Writer out(texts.text);
  out.add("{\n  \"process\": %d,\n  \"program\": \"%s\"", static_cast<int>(getpid()), texts.escaped);
  out.add(",\n  \"profile\": \"%s\"", settings().profile == Profile::kHardened ? "hardened" : "fast");
  out.add(",\n  \"hasEnded\": %s", has_ended ? "true" : "false").figure("signal", static_cast<uint64_t>(signal));
  out.add(",\n  \"seconds\": %.6f,\n  \"cpuSeconds\": %.6f", usage.seconds, usage.cpu_seconds);
  out.add(",\n  \"minorFaults\": %" PRId64 ",\n  \"majorFaults\": %" PRId64, usage.minor_faults, usage.major_faults);
  out.figure("peakRssBytes", memory.peak_rss_bytes).figure("rssBytes", memory.rss_bytes);
  out.figure("liveBlocks", totals.live_blocks, has_totals).figure("liveBytes", totals.live_bytes, has_totals);
  out.figure("committedBytes", totals.committed_bytes, has_totals);
  out.figure("metadataBytes", totals.metadata_bytes, has_totals);
  out.figure("freeRunBytes", totals.free_run_bytes, has_totals);
  out.figure("mappingBytes", totals.mapping_bytes, has_totals);
  out.figure("reservedBytes", totals.reserved_bytes, has_totals).figure("arenas", totals.arenas, has_totals);
  out.figure("purgedBytes", totals.purged_bytes, has_totals).figure("purges", totals.purges, has_totals);
  out.figure("retakenBytes", totals.retaken_bytes, has_totals);
  out.figure("purgePasses", totals.purge_passes, has_totals);
  return out.figure("misuses", misuse_count()).add("\n}\n").length();
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

/// Another process may write the same file: what a reader finds is whole. A pipe or a terminal is written as it is, and
/// once only.
bool write_file(Texts& texts, size_t bytes, bool is_last) {
  struct stat there = {};
  bool is_special = stat(texts.path, &there) == 0 && !S_ISREG(there.st_mode);
  if (is_special && !is_last) return true;
  snprintf(texts.beside, sizeof(texts.beside), "%s.%d.tmp", texts.path, static_cast<int>(getpid()));
  const char* target = is_special ? texts.path : texts.beside;
  int file = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
  if (file < 0) return false;
  errno = 0;
  write_all(file, texts.text, bytes);
  int error = errno;
  close(file);
  if (error == 0 && (is_special || rename(texts.beside, texts.path) == 0)) return true;
  if (error != 0) errno = error;
  if (!is_special) unlink(texts.beside);
  return false;
}

/// False with the reason in errno.
bool write_stats(const char* pattern, const Report& report, Texts& texts) {
  size_t bytes = write_json(report, texts);
  errno = ENAMETOOLONG;
  return expand(pattern, texts.path) && write_file(texts, bytes, report.has_ended);
}

void say_unwritten(const char* pattern, int error, Texts& texts) {
  Writer out(texts.text);
  out.add("pagerun: PAGERUN_STATS_FILE=%s cannot be written: %s\n", pattern, strerror(error));
  write_all(STDERR_FILENO, texts.text, out.length());
}

double seconds_now() { return usage_now().seconds; }

void sleep_for(double seconds) {
  timespec time = {};
  time.tv_sec = static_cast<time_t>(seconds);
  time.tv_nsec = static_cast<int64_t>((seconds - static_cast<double>(time.tv_sec)) * 1e9);
  nanosleep(&time, nullptr);
}

// The end of the process is written by another thread, and not to be written over.
std::atomic_flag writes_file = ATOMIC_FLAG_INIT;

void refresh() {
  prctl(PR_SET_NAME, "pagerun-stats");
  const char* pattern = settings().stats_file;
  double rest = kRefreshSeconds;
  for (;;) {
    sleep_for(rest);
    double begun = seconds_now();
    // acquire: the one who has it writes the file, and nobody beside it
    if (writes_file.test_and_set(std::memory_order_acquire)) return;
    write_stats(pattern, report_now(false, 0), texts_of_refresh);
    writes_file.clear(std::memory_order_release);
    double used = (seconds_now() - begun) / kRefreshShare;
    rest = used > kRefreshSeconds ? used : kRefreshSeconds;
  }
}

/// From now on the file is this thread's; in vain where the refreshing thread does not finish, as it may hold no lock.
void stop_refresh() {
  for (int64_t waited = 0; waited < kPatienceMs && writes_file.test_and_set(std::memory_order_acquire); waited++)
    sleep_for(1e-3);
}

}  // namespace

void process_report_begin(const Settings& settings) {
  first_process = getpid();
  before_program = usage_now();
  if (settings.stats_file == nullptr || !names_process(settings.stats_file)) return;
  // The first block sets up what a thread needs.
  deallocate(allocate(1));
  os::start_thread(refresh);
}

void process_report_end(const Settings& settings, int signal) {
  pid_t process = getpid();
  if (ended_process.exchange(process, std::memory_order_relaxed) == process) return;
  bool is_first = process == first_process;
  bool writes = settings.stats_file != nullptr && (is_first || names_process(settings.stats_file));
  bool says = settings.reports_at_exit && is_first;
  if (!writes && !says) return;
  Report report = report_now(true, signal);
  Texts& texts = texts_at_end;
  if (says) say_report(report, texts);
  if (!writes) return;
  if (is_first) stop_refresh();
  if (!write_stats(settings.stats_file, report, texts)) say_unwritten(settings.stats_file, errno, texts);
}

}  // namespace pagerun
