// The operations whose instructions are counted: each in a function of its own, so that a tool that counts by call
// (callgrind) can tell what its calls cost. Owns which operations there are; counts nothing itself.
// Thread rule: one thread; one operation makes a second.
#pragma once

namespace pagerun::bench {

/// Runs every operation, and prints a JSON array: its name, the functions whose calls are counted, and how often it
/// ran.
void run_operations();

/// Name and version of the compiler that this program, and the library beside it, was built with.
const char* compiler_version();

}  // namespace pagerun::bench
