// Makes a compact trace of a raw recording. Owns the step from addresses to block ids. Thread rule: one thread.
#pragma once

#include <stdint.h>

namespace pagerun::bench {

struct ConvertOptions {
  const char* source = nullptr;      // a raw file, or a directory of them: the one with the most events is taken
  const char* target = nullptr;      // the trace
  const char* name = nullptr;        // default: the program's name
  const char* command = nullptr;     // default: the recorded command, its paths cut to their last part
  uint64_t max_events = UINT64_MAX;  // the rest is cut off; blocks live there stay live
};

/// Writes the trace and prints one JSON object about it. Dies if the recording cannot be read or holds no event.
void convert(const ConvertOptions& options);

/// Checks a trace, dies if it is not sound, and prints one JSON object about it.
void print_trace_info(const char* path);

}  // namespace pagerun::bench
