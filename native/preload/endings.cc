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

using Handler = void (*)(int);

/// Those of the library behind this one, which are called in a signal's handler, too: looked up before main.
struct Next {
  void (*abort)();
  Handler (*signal)(int, Handler);
  int (*sigaction)(int, const struct sigaction*, struct sigaction*);
};

Next next_functions;

template <class Function>
void find_next(Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

/// Looks again where a constructor of another library comes before this one's.
const Next& next() {
  if (next_functions.abort == nullptr) {
    find_next(next_functions.signal, "signal");
    find_next(next_functions.sigaction, "sigaction");
    find_next(next_functions.abort, "abort");
  }
  return next_functions;
}

void take_default(int signal) {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  next().sigaction(signal, &action, nullptr);
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
  return next().sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

void before_signal(int signal) {
  int saved = errno;
  if (says_at_end(settings()) && ends_by(signal)) process_report_end(settings(), signal);
  errno = saved;
}

bool is_own_process(pid_t process) { return process == getpid() || process == 0 || process == -getpgrp(); }

}  // namespace

void endings_find() { next(); }

void endings_watch() {
  if (getpid() == 1) return;
  for (int signal : kWatched) {
    struct sigaction before = {};
    if (next().sigaction(signal, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) continue;
    struct sigaction action = {};
    action.sa_handler = end_by;
    next().sigaction(signal, &action, nullptr);
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
  next().abort();
  for (;;) __builtin_trap();
}

// Who asks is told what there would be without this library: Python, for one, has its KeyboardInterrupt only where it
// finds that nothing handles SIGINT.

PAGERUN_EXPORT int sigaction(int signal, const struct sigaction* action, struct sigaction* before) {
  int result = next().sigaction(signal, action, before);
  if (result == 0 && before != nullptr && before->sa_handler == end_by) *before = {};
  return result;
}

PAGERUN_EXPORT Handler signal(int signal, Handler handler) {
  Handler before = next().signal(signal, handler);
  return before == end_by ? SIG_DFL : before;
}
