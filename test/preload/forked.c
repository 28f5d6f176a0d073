// What a forked child finds of its parent's memory: for tests that ask what is not there. Owns nothing.
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kThere = 0, kNotThere = 1, kFailed = 2 };

// The kernel reads the byte on the child's behalf, so that memory that is not there is an error and no fault.
static int look(const void* at) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return kFailed;
  if (write(pipe_ends[1], at, 1) == 1) return kThere;
  return errno == EFAULT ? kNotThere : kFailed;
}

// kThere, kNotThere or kFailed.
int in_child(const void* at) {
  pid_t child = fork();
  if (child == 0) _exit(look(at));
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return kFailed;
  return WEXITSTATUS(status);
}
