// Preloaded behind libpagerun.so: writes down, in every process that a job starts, whose malloc the process really has,
// and at its end whether the heap is whole. A library that the loader has left out leaves a line that says so.
// Owns the file that PAGERUN_TEST_WITNESS names, one line an event. Thread rule: runs before main and at exit only.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/core_api.h"

namespace {

using pagerun::CoreApi;

constexpr int kTrials = 100;

const CoreApi* core() {
  using Getter = const CoreApi* (*)();
  auto getter = reinterpret_cast<Getter>(dlsym(RTLD_DEFAULT, "pagerun_core_api"));
  return getter == nullptr ? nullptr : getter();
}

// How many of kTrials calls of malloc, bound as those of every library in the process are, the core has counted.
int served() {
  const CoreApi* api = core();
  if (api == nullptr) return 0;
  void* blocks[kTrials];
  uint64_t before = api->memory_totals().live_blocks;
  for (void*& block : blocks) block = malloc(200);
  uint64_t after = api->memory_totals().live_blocks;
  for (void* block : blocks) free(block);
  return static_cast<int>(after - before);
}

// Leaves errno and the heap as they were: what it watches must not notice it.
void write_line(const char* event, const char* detail) {
  const char* path = getenv("PAGERUN_TEST_WITNESS");
  if (path == nullptr) return;
  int error = errno;
  char line[1000];
  const CoreApi* api = core();
  auto live_blocks = static_cast<unsigned long long>(api == nullptr ? 0 : api->memory_totals().live_blocks);
  int length = snprintf(line, sizeof line, "%d\t%s\t%s\t%s\t%llu\n", static_cast<int>(getpid()),
                        program_invocation_short_name, event, detail, live_blocks);
  int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file >= 0) {
    if (write(file, line, static_cast<size_t>(length)) != length) abort();
    close(file);
  }
  errno = error;
}

[[gnu::constructor]] void at_start() { write_line("start", served() == kTrials ? "served" : "not served"); }

[[gnu::destructor]] void at_end() {
  const CoreApi* api = core();
  const char* broken = api == nullptr ? "no core" : api->verify().invariant;
  write_line("end", broken == nullptr ? "whole" : broken);
}

}  // namespace
