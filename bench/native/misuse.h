// The misuses that the table in docs/misuse.md compares: what a program does wrong, on the malloc of its process.
// Owns the cases. Thread rule: one thread; each case in a process of its own, because it may break the heap for good.
#pragma once

#include <stddef.h>

namespace pagerun::bench {

/// Does one misuse, then allocates as a program would go on, and prints what came of it as one word: `two-owners`,
/// `foreign-memory` or `unharmed`. An allocator that notices ends the process before that. False if no case is named
/// so.
bool run_misuse(const char* name);

/// Prints the names and questions of all cases as a JSON array.
void print_misuses();

}  // namespace pagerun::bench
