// What a process says of its memory when it ends: a few lines on standard error, a file of JSON, or both; and what the
// file says before that. Owns what is in them. Reads the heap's totals and /proc. Does not know how a process ends
// (endings.cc). Thread rule: begin before main; end on any thread, in a signal's handler too.
#pragma once

#include "../base/settings.h"

namespace pagerun {

/// Notes what the process has used before its program began: time, processor time and page faults. Where the file's
/// name tells processes apart (%p), a thread writes it anew every second from now on, for what ends without a word
/// (SIGKILL).
void process_report_begin(const Settings& settings);

/// Says what `settings` ask for, once a process. A child of a fork that runs no program of its own is part of its
/// parent: it has a file when the file's name tells processes apart, and no lines. `signal` is the one that ends it, or
/// 0.
void process_report_end(const Settings& settings, int signal);

}  // namespace pagerun
