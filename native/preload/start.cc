// What the library does when a program begins: reads its settings, and says that it is there to whoever asked for it
// (`pagerun verify`). Thread rule: the loader's thread, before main.
#include <fcntl.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "../base/settings.h"
#include "calls.h"
#include "endings.h"
#include "process_report.h"
#include "seen.h"

namespace pagerun {

namespace {

/// Asked by calling it: the address by which a program calls malloc may be one of the program's own, that leads here.
bool has_malloc_of_program() {
  Block block;
  void* ptr = kSeenMalloc(1);
  bool is_ours = locate(ptr, &block) == Misuse::kNone;
  if (is_ours) deallocate(ptr);
  return is_ours;
}

/// Appends `<process> <1: malloc is ours, 0: another's> <program>` to a file that is there already.
void witness(const char* path) {
  char line[kMaxPathBytes + 64];
  int begun = snprintf(line, 64, "%d %d ", static_cast<int>(getpid()), has_malloc_of_program() ? 1 : 0);
  auto length = static_cast<size_t>(begun);
  ssize_t named = readlink("/proc/self/exe", line + length, kMaxPathBytes);
  if (named > 0) length += static_cast<size_t>(named);
  line[length++] = '\n';
  int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return;
  [[maybe_unused]] ssize_t written = write(file, line, length);
  close(file);
}

/// What this process has said of its environment, those that it starts need not say again.
void note_said(const Settings& chosen) {
  static char entry[48];
  if (chosen.faults == 0 || chosen.faults == chosen.said_faults) return;
  snprintf(entry, sizeof(entry), "PAGERUN_SAID=%" PRIu64, chosen.faults);
  putenv(entry);
}

// A wrong value is said at once, and not when the setting is first used.
[[gnu::constructor]] void start() {
  const Settings& chosen = settings();
  note_said(chosen);
  endings_find();
  if (chosen.witness_file != nullptr) witness(chosen.witness_file);
  if (!says_at_end(chosen)) return;
  process_report_begin(chosen);
  endings_watch();
}

[[gnu::destructor]] void end() {
  if (says_at_end(settings())) process_report_end(settings(), 0);
}

}  // namespace

}  // namespace pagerun
