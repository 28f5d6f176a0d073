// Puts another program in this process's place: what the command `pagerun` ends in. So signals, exit code, process id,
// terminal and descriptors are the program's own, and nothing stands between it and its caller.
// Owns what Node has changed and a program must not inherit. Thread rule: the main thread.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "calls.h"

namespace pagerun::node {

namespace {

/// Pointers to the texts of a Buffer in which each ends with a zero, and a null behind them.
std::vector<char*> texts_of(napi_env env, napi_value buffer) {
  void* data = nullptr;
  size_t bytes = 0;
  std::vector<char*> texts;
  if (napi_get_buffer_info(env, buffer, &data, &bytes) != napi_ok) bytes = 0;
  char* at = static_cast<char*>(data);
  for (char* end = at + bytes; at < end; at += strlen(at) + 1) texts.push_back(at);
  texts.push_back(nullptr);
  return texts;
}

struct Descriptor {
  int number;
  bool is_pipe;
  bool is_nameless;  // an epoll, an eventfd and their like
  int access;
  ino_t inode;
};

std::vector<Descriptor> open_descriptors() {
  std::vector<Descriptor> all;
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return all;
  while (const dirent* entry = readdir(folder)) {
    int number = atoi(entry->d_name);
    struct stat kind = {};
    if (entry->d_name[0] == '.' || number == dirfd(folder) || fstat(number, &kind) != 0) continue;
    int access = fcntl(number, F_GETFL) & O_ACCMODE;
    all.push_back({number, S_ISFIFO(kind.st_mode), (kind.st_mode & S_IFMT) == 0, access, kind.st_ino});
  }
  closedir(folder);
  return all;
}

/// Whether the runtime made it for itself: a pipe of which this process has both ends, neither of them a standard
/// stream.
bool is_own_pipe(const Descriptor& one, const std::vector<Descriptor>& all) {
  bool has_other_end = false;
  for (const Descriptor& each : all) {
    if (!each.is_pipe || each.inode != one.inode) continue;
    if (each.number <= STDERR_FILENO) return false;
    has_other_end = has_other_end || each.access != one.access;
  }
  return one.is_pipe && has_other_end;
}

/// Node closes at exec what it inherited. Standard streams and whatever else is not the runtime's own stay open, as
/// they would have without it; and so does the channel to a parent that forked it.
void keep_descriptors() {
  std::vector<Descriptor> all = open_descriptors();
  for (int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) fcntl(standard, F_SETFD, 0);
  for (const Descriptor& each : all) {
    if (!each.is_nameless && !is_own_pipe(each, all)) fcntl(each.number, F_SETFD, 0);
  }
}

/// Node ignores some signals, which a program would inherit; those that it handles are the kernel's business.
void reset_signals() {
  for (int signal = 1; signal < NSIG; signal++) {
    struct sigaction action = {};
    if (sigaction(signal, nullptr, &action) != 0 || action.sa_handler != SIG_IGN) continue;
    action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

napi_value call_execute_program(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2] = {};
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  std::vector<char*> arguments = texts_of(env, values[0]), environment = texts_of(env, values[1]);
  int error = ENOENT;
  if (arguments[0] != nullptr) {
    keep_descriptors();
    reset_signals();
    execvpe(arguments[0], arguments.data(), environment.data());
    error = errno;
  }
  napi_value result = nullptr;
  napi_create_int32(env, error, &result);
  return result;
}

}  // namespace

void define_process_calls(Napi::Object exports) {
  define_function(exports, "executeProgram", call_execute_program, nullptr);
}

}  // namespace pagerun::node
