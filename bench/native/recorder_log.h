// The log of the recorder: one file for each process, into which all threads write records in one common order.
// Owns the file, its growth, the ids of threads and what happens at fork. Does not know malloc and never calls it.
// Thread rule: any thread, also in a signal handler; the order of two records is the order of their calls of log_event.
#pragma once

#include <cstddef>

#include "raw_record.h"

namespace pagerun::bench {

/// Appends one record to the file of this process; opens the file at the first call after start, exec or fork.
/// Does nothing when PAGERUN_RECORD names no directory, or after the file could not grow. Keeps errno.
/// Cost: one atomic add; a system call each time the file grows.
void log_event(RawKind kind, const void* address, size_t bytes, unsigned alignment_log2);

}  // namespace pagerun::bench
