// Makes chosen system calls of os/ fail, so that every path of refusal can be walked in a test. Off, it is two relaxed
// loads beside a system call. Calls of the background thread are neither numbered nor failed. Thread rule: any thread;
// calls are numbered over the whole process.
#pragma once

#include <cstdint>

namespace pagerun::os {

/// Lets the `n`-th system call from now on fail (1 is the next one), and `count` - 1 more behind it; n = 0 switches it
/// off.
void fail_call(uint64_t n, uint64_t count);

/// Numbers a call about to be made; true when it shall fail instead.
bool should_fail();

/// System calls made or refused so far.
uint64_t call_count();

}  // namespace pagerun::os
