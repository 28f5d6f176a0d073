// How the bench ends when it cannot go on. Owns the two exit codes. Thread rule: any thread; allocates nothing.
#pragma once

namespace pagerun::bench {

inline constexpr int kExitFailed = 1;  // a trace, a file or an allocator is not what it should be
inline constexpr int kExitUsage = 2;   // the command line is not one of ours

/// Prints `pagerun_bench: <text>` on stderr and ends the process with kExitFailed. Formats like printf;
/// %m is the reason in errno.
[[noreturn]] void die(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace pagerun::bench
