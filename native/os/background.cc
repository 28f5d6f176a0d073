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
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "../base/config.h"
#include "errno_keeper.h"
#include "fault.h"
#include "proc_files.h"

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

constexpr uintptr_t kMostStackBytes = 1 << 20;  // between two places of one stack that are held for near

constexpr int64_t kWaits[] = {
    SYS_futex,
    SYS_epoll_pwait,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
#ifdef SYS_epoll_pwait2
    SYS_epoll_pwait2,
#endif
};

// `/proc/self/task/<thread>/syscall`, without the C library's help, which may allocate.
void write_path(int32_t thread, char* path) {
  char digits[16];
  size_t count = 0;
  for (auto rest = static_cast<uint32_t>(thread); count == 0 || rest != 0; rest /= 10)
    digits[count++] = static_cast<char>('0' + rest % 10);
  path = stpcpy(path, "/proc/self/task/");
  while (count > 0) *path++ = digits[--count];
  stpcpy(path, "/syscall");
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

int32_t thread_number() { return static_cast<int32_t>(syscall(SYS_gettid)); }

// "running", or the number of the system call, its six arguments, the stack pointer and the place in the program.
bool is_waiting(int32_t thread, const void* on_stack) {
  char path[48], text[256];
  write_path(thread, path);
  size_t length = read_file(path, text, sizeof(text) - 1);
  text[length] = 0;
  if (text[0] < '0' || text[0] > '9') return false;
  char* at = text;
  int64_t call = strtol(at, &at, 10);
  uintptr_t stack_pointer = 0;
  for (int field = 0; field < 7; field++) stack_pointer = strtoul(at, &at, 16);
  uintptr_t place = reinterpret_cast<uintptr_t>(on_stack);
  uintptr_t distance = stack_pointer > place ? stack_pointer - place : place - stack_pointer;
  bool is_wait = false;
  for (int64_t wait : kWaits) is_wait |= call == wait;
  return is_wait && distance < kMostStackBytes;
}

size_t resident_bytes() {
  char text[128];
  size_t length = read_file("/proc/self/statm", text, sizeof(text));
  // The second number, in OS pages.
  size_t at = 0;
  while (at < length && text[at] != ' ') at++;
  size_t pages = 0;
  for (at++; at < length && text[at] >= '0' && text[at] <= '9'; at++)
    pages = pages * 10 + static_cast<size_t>(text[at] - '0');
  return pages * kOsPageBytes;
}

}  // namespace pagerun::os
