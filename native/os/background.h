// What a background thread needs of the system: to be started, to sleep and be woken, a fence over all threads, whether
// another thread waits, and the process's resident memory. Owns nothing but which thread is the background one. Every
// refusal is a value; errno is left as it was. Thread rule: any thread, unless said otherwise.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pagerun::os {

/// Starts a detached thread with a small stack and every signal blocked. The C library allocates for it: not to be
/// called where that cannot be borne. False when refused, or in a child of vfork, which may not.
bool start_thread(void (*body)());

/// For the thread that was started: takes the name (15 characters at most), and is the background thread from now on.
void become_background(const char* name);

/// True on the background thread, whose system calls fault.h leaves alone.
bool is_background();

/// There is no such thread, and threads may be started in this process: for the first call of a process, and for the
/// child of a fork.
void forget_background();

/// Waits until every running thread of the process has passed a full memory fence (membarrier(2)); false where the
/// kernel has no such thing.
bool fence_all_threads();

/// The calling thread's number.
int32_t thread_number();

/// True when the thread of this process with that number sleeps in a wait that no handler of a signal may make
/// (futex(2), epoll_wait(2)), its stack being where `on_stack` is. What it was doing otherwise is done. False where the
/// system does not tell (/proc).
bool is_waiting(int32_t thread, const void* on_stack);

/// Sleeps while `word` is `value`, at most so many milliseconds; for ever when less than 0.
void wait_while(std::atomic<uint32_t>& word, uint32_t value, int64_t milliseconds);

/// Wakes who waits on `word`.
void wake(std::atomic<uint32_t>& word);

/// Resident memory of the process; 0 when the system does not tell.
size_t resident_bytes();

}  // namespace pagerun::os
