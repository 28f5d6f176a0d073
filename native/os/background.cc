#include "background.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

#include "../base/config.h"
#include "errno_keeper.h"
#include "fault.h"

namespace pagerun::os {

namespace {

constexpr size_t kStackBytes = 64 << 10;  // beside the thread-local storage of the program's libraries

// The process in which threads may be started: a child of vfork runs in its parent's memory under another number.
std::atomic<pid_t> home{0};
std::atomic<void*> background{nullptr};  // thread pointer

void* run(void* body) {
  reinterpret_cast<void (*)()>(body)();
  return nullptr;
}

bool create(size_t stack_bytes, void (*body)()) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  bool is_created = (stack_bytes == 0 || pthread_attr_setstacksize(&attributes, stack_bytes) == 0) &&
                    pthread_create(&thread, &attributes, run, reinterpret_cast<void*>(body)) == 0;
  pthread_attr_destroy(&attributes);
  return is_created;
}

int64_t membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

}  // namespace

bool start_thread(void (*body)()) {
  ErrnoKeeper keeper;
  if (should_fail() || getpid() != home.load(std::memory_order_relaxed)) return false;
  sigset_t all, before;
  sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
  // A program with much thread-local storage needs more than the small stack has room for.
  bool is_started = create(kStackBytes, body) || create(0, body);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return is_started;
}

void become_background(const char* name) {
  prctl(PR_SET_NAME, name);
  background.store(__builtin_thread_pointer(), std::memory_order_relaxed);
}

bool is_background() { return background.load(std::memory_order_relaxed) == __builtin_thread_pointer(); }

void forget_background() {
  background.store(nullptr, std::memory_order_relaxed);
  home.store(getpid(), std::memory_order_relaxed);
}

bool fence_all_threads() {
  ErrnoKeeper keeper;
  if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0) return true;
  // The first time in this process.
  return errno == EPERM && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0 &&
         membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
}

void wait_while(std::atomic<uint32_t>& word, uint32_t value, int64_t milliseconds) {
  ErrnoKeeper keeper;
  timespec limit = {};
  limit.tv_sec = milliseconds / 1000;
  limit.tv_nsec = milliseconds % 1000 * 1000000;
  syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, milliseconds < 0 ? nullptr : &limit, nullptr, 0);
}

void wake(std::atomic<uint32_t>& word) {
  ErrnoKeeper keeper;
  syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, nullptr, nullptr, 0);
}

size_t resident_bytes() {
  ErrnoKeeper keeper;
  int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[128];
  ssize_t length = read(file, text, sizeof(text));
  close(file);
  // The second number, in OS pages.
  ssize_t at = 0;
  while (at < length && text[at] != ' ') at++;
  size_t pages = 0;
  for (at++; at < length && text[at] >= '0' && text[at] <= '9'; at++)
    pages = pages * 10 + static_cast<size_t>(text[at] - '0');
  return pages * kOsPageBytes;
}

}  // namespace pagerun::os
