// The ways in which a process ends without exit(): a signal that nothing handles, _exit(), abort(). Owns a handler for
// such signals, and the functions by which a program does it to itself (endings.cc); each lets the report be said and
// then does what it is asked. Thread rule: before main.
#pragma once

#include "../base/settings.h"

namespace pagerun {

/// Whether these settings ask for a word at the end.
inline bool says_at_end(const Settings& settings) { return settings.reports_at_exit || settings.stats_file != nullptr; }

/// Looks up what the functions above call, while that may still be done.
void endings_find();

/// Handles the signals by which others end a process, where nothing was said of them: the report, then the signal's own
/// effect. A program that handles one itself replaces this, and one that asks is not told of it.
void endings_watch();

}  // namespace pagerun
