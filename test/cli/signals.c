/* What a program finds of signals when it begins, and each that reaches it: one line each. Ends at SIGTERM with 7. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_signal(int signal) {
  char line[16];
  int length = snprintf(line, sizeof(line), "%d\n", signal);
  if (write(1, line, (size_t)length) != length) _exit(1);
  if (signal == SIGTERM) _exit(7);
}

int main(void) {
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, NULL, &blocked);
  for (int signal = 1; signal <= SIGRTMAX; signal++) {
    struct sigaction action;
    if (sigaction(signal, NULL, &action) != 0) continue;
    if (action.sa_handler != SIG_DFL) printf("%d is not as it was\n", signal);
    if (sigismember(&blocked, signal)) printf("%d is blocked\n", signal);
    action.sa_handler = on_signal;
    sigaction(signal, &action, NULL);
  }
  printf("ready %d\n", (int)getpid());
  fflush(stdout);
  for (;;) pause();
}
