#include "endings.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "calls.h"
#include "process_report.h"

namespace pagerun {

namespace {

/// By which a terminal, a shell, a service manager, or the process itself says that it is to end.
constexpr int kWatched[] = {SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGTERM};

void (*next_abort)() = nullptr;

void take_default(int signal) {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
}

int send_to_self(int signal) { return static_cast<int>(syscall(SYS_tgkill, getpid(), gettid(), signal)); }

/// The signal is blocked until this returns, and ends the process then.
void end_by(int signal) {
  int saved = errno;
  process_report_end(settings(), signal);
  take_default(signal);
  send_to_self(signal);
  errno = saved;
}

bool is_harmless(int signal) {
  for (int each : {SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU}) {
    if (signal == each) return true;
  }
  return signal <= 0 || signal >= NSIG;
}

/// Whether this process ends when it sends itself the signal, be it that it is blocked until a handler returns. The
/// kernel spares the first process of a container.
bool ends_by(int signal) {
  if (is_harmless(signal) || getpid() == 1) return false;
  struct sigaction action = {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

void before_signal(int signal) {
  int saved = errno;
  if (says_at_end(settings()) && ends_by(signal)) process_report_end(settings(), signal);
  errno = saved;
}

bool is_own_process(pid_t process) { return process == getpid() || process == 0 || process == -getpgrp(); }

}  // namespace

void endings_watch() {
  next_abort = reinterpret_cast<void (*)()>(dlsym(RTLD_NEXT, "abort"));
  if (getpid() == 1) return;
  for (int signal : kWatched) {
    struct sigaction before = {};
    if (sigaction(signal, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) continue;
    struct sigaction action = {};
    action.sa_handler = end_by;
    sigaction(signal, &action, nullptr);
  }
}

}  // namespace pagerun

using namespace pagerun;

// Each does what the C library's does. Node.js ends itself by raise() when it is told to end and its program does not
// handle that, and programs do so by kill() when they have done what they wanted to do before.

PAGERUN_EXPORT int raise(int signal) {
  before_signal(signal);
  return send_to_self(signal);
}

PAGERUN_EXPORT int kill(pid_t process, int signal) {
  if (is_own_process(process)) before_signal(signal);
  return static_cast<int>(syscall(SYS_kill, process, signal));
}

PAGERUN_EXPORT void _exit(int code) {
  if (says_at_end(settings())) process_report_end(settings(), 0);
  for (;;) syscall(SYS_exit_group, code);
}

PAGERUN_EXPORT [[gnu::alias("_exit")]] void _Exit(int code);

PAGERUN_EXPORT void abort() {
  before_signal(SIGABRT);
  if (next_abort == nullptr) next_abort = reinterpret_cast<void (*)()>(dlsym(RTLD_NEXT, "abort"));
  if (next_abort != nullptr) next_abort();
  for (;;) __builtin_trap();
}
