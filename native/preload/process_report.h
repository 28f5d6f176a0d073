// What a process says of its memory when it ends: a few lines on standard error, a file of JSON, or both. Owns what is
// in them. Reads the heap's totals and /proc. Thread rule: begin before main; end in exit(), once.
#pragma once

#include "../base/settings.h"

namespace pagerun {

/// Notes what the process has used before its program began: time, processor time and page faults.
void process_report_begin();

/// Says what `settings` ask for. A child of a fork that runs no program of its own is part of its parent: it has a file
/// when the file's name tells processes apart (%p), and no lines.
void process_report_end(const Settings& settings);

}  // namespace pagerun
