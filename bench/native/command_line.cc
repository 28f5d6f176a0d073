// See command_line.h.
#include "command_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace pagerun::bench {
namespace {

const Flag* find_flag(const char* name, const Flag* flags, size_t flag_count) {
  for (size_t index = 0; index < flag_count; index++) {
    if (strcmp(flags[index].name, name) == 0) return &flags[index];
  }
  return nullptr;
}

bool read_number(const char* text, uint64_t* number) {
  if (text[0] < '0' || text[0] > '9') return false;
  char* end = nullptr;
  errno = 0;
  *number = strtoull(text, &end, 10);
  return errno == 0 && *end == 0 && *number != 0;
}

bool refuse(const char* why, const char* what) {
  fprintf(stderr, "pagerun_bench: %s %s\n", why, what);
  return false;
}

}  // namespace

bool command_line_read(int argument_count, char** arguments, const char** places, size_t place_count, const Flag* flags,
                       size_t flag_count) {
  size_t filled = 0;
  for (int index = 0; index < argument_count; index++) {
    const char* argument = arguments[index];
    if (argument[0] != '-') {
      if (filled == place_count) return refuse("unexpected argument", argument);
      places[filled++] = argument;
      continue;
    }
    const Flag* flag = find_flag(argument, flags, flag_count);
    if (flag == nullptr) return refuse("unknown flag", argument);
    if (flag->is_given != nullptr) {
      *flag->is_given = true;
      continue;
    }
    if (++index == argument_count) return refuse("a value is missing after", argument);
    if (flag->text != nullptr) *flag->text = arguments[index];
    if (flag->number != nullptr && !read_number(arguments[index], flag->number)) {
      return refuse("a whole number of 1 or more is expected after", argument);
    }
  }
  return filled == place_count || refuse("an argument is missing", "");
}

}  // namespace pagerun::bench
