// Reads what follows a subcommand. Owns the rules: known flags only, numbers whole and in range, no argument left over.
// Thread rule: one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace pagerun::bench {

/// A flag writes to the one target that is set: a switch, a number of 1 or more, or a text.
struct Flag {
  const char* name;
  bool* is_given = nullptr;
  uint64_t* number = nullptr;
  const char** text = nullptr;
};

/// Reads `argument_count` arguments into exactly `place_count` places and any of the flags.
/// Returns false, after a line on stderr that says why, if they do not fit.
bool command_line_read(int argument_count, char** arguments, const char** places, size_t place_count, const Flag* flags,
                       size_t flag_count);

}  // namespace pagerun::bench
