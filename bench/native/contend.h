// The subcommand `contend`: threads on the arenas of the textbook allocator. Owns its arguments and its line of JSON;
// the measurement is native/textbook/contention.h. Thread rule: one thread.
#pragma once

#include <stdint.h>

namespace pagerun::bench {

struct ContendArguments {
  uint64_t threads = 1;
  uint64_t arenas = 1;
  uint64_t milliseconds = 100;
  const char* choice = "modulo";  // modulo, random, least-contended
  const char* lock = "mutex";     // mutex, adaptive, spin, ticket
  const char* origin = "header";  // header, address
};

/// Measures once and prints one JSON line. False when an argument is none of those above; dies when nothing could be
/// measured.
bool contend(const ContendArguments& arguments);

}  // namespace pagerun::bench
