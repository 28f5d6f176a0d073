/* Forks of a process whose threads allocate and free all the time. forks <count> <mode> [n]:
 *   main      the main thread forks; six threads churn, one of which keeps ending and starting anew
 *   thread    a thread forks, and is the only one in the child
 *   spawn     posix_spawn and vfork in place of fork
 *   handlers  as thread; the program's first act is to register fork handlers that allocate and free on both sides
 *   figures   as main; prints the microseconds a fork takes its caller, once with and once without churning threads
 * A child frees blocks of its parent's threads, and is checked. Every child, or with a third argument every n-th, does
 * that by two threads of its own. Every hundredth child forks again. Ends with 0 after "ok"; a child that hangs is
 * ended by its own alarm and found. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kThreads = 6, kKept = 64, kHandedDown = 20, kChildSeconds = 60, kChildren = 8 };

static volatile int is_over;
static int threads_every = 1;
static const char* (*verify)(const void**);

/* Blocks that the threads have published: a child may free those of its parent's threads. */
static void* handed_down[kThreads][kHandedDown];

static void fail(const char* what) {
  fprintf(stderr, "forks: %s\n", what);
  abort();
}

static uint64_t next(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  return *state ^= *state << 17;
}

static size_t some_size(uint64_t* state) {
  uint64_t kind = next(state) % 100;
  return 1 + next(state) % (kind < 80 ? 400 : kind < 95 ? 5000 : kind < 99 ? 40000 : 300000);
}

static void* filled(size_t bytes, int value) {
  unsigned char* block = malloc(bytes);
  if (block == NULL) fail("no memory");
  block[0] = block[bytes - 1] = (unsigned char)value;
  return block;
}

static void churn_once(uint64_t* state, int steps) {
  void* kept[kKept] = {0};
  for (int i = 0; i < steps; i++) {
    int k = (int)(next(state) % kKept);
    free(kept[k]);
    kept[k] = filled(some_size(state), i);
  }
  for (int k = 0; k < kKept; k++) free(kept[k]);
}

static void* one_short_life(void* state) {
  churn_once(state, 50);
  return NULL;
}

static void* churn(void* argument) {
  intptr_t own = (intptr_t)argument;
  uint64_t state = 88172645463325252u + (uint64_t)own;
  while (!is_over) {
    churn_once(&state, 500);
    if (own != 0) continue;
    pthread_t brief;
    pthread_create(&brief, NULL, one_short_life, &state);
    pthread_join(brief, NULL);
  }
  return NULL;
}

static void* hand_down(void* argument) {
  intptr_t own = (intptr_t)argument;
  for (int i = 0; i < kHandedDown; i++) handed_down[own][i] = filled(10 + (size_t)i * 300, i);
  return churn(argument);
}

static void* work_in_child(void* argument) {
  intptr_t own = (intptr_t)argument;
  uint64_t state = 1234567 + (uint64_t)own;
  for (int t = (int)own; t < kThreads; t += 2) {
    for (int i = 0; i < kHandedDown; i++) {
      unsigned char* block = handed_down[t][i];
      if (block[0] != i || block[9 + i * 300] != i) fail("a block of the parent has changed");
      block = realloc(block, 20 + (size_t)i * 301);
      if (block[0] != i) fail("a block of the parent was not moved");
      free(block);
    }
  }
  churn_once(&state, 60);
  return NULL;
}

static void work_by_threads(void) {
  pthread_t threads[2];
  for (intptr_t i = 0; i < 2; i++) {
    if (pthread_create(&threads[i], NULL, work_in_child, (void*)i) != 0) fail("no thread in the child");
  }
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
}

static void in_child(intptr_t number) {
  alarm(kChildSeconds);
  if (number % threads_every == 0) {
    work_by_threads();
  } else {
    work_in_child((void*)(number % 2));
  }
  if (number % 100 == 0) {
    uint64_t state = 99;
    pid_t child = fork();
    if (child == 0) {
      alarm(kChildSeconds);
      churn_once(&state, 500);
      _exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) fail("a grandchild did not end well");
  }
  const char* broken = verify == NULL ? NULL : verify(NULL);
  if (broken != NULL) fail(broken);
  _exit(0);
}

static void wait_for(pid_t child) {
  int status = 0;
  if (child < 0) fail("fork failed");
  if (waitpid(child, &status, 0) != child || status != 0) {
    fprintf(stderr, "forks: a child ended with status %x\n", status);
    abort();
  }
}

/* Several children at a time: each gets its share of the processors, as each thread does. */
static void* fork_often(void* count) {
  pid_t children[kChildren] = {0};
  for (intptr_t i = 0; i < (intptr_t)count + kChildren; i++) {
    pid_t* child = &children[i % kChildren];
    if (*child != 0) wait_for(*child);
    *child = i < (intptr_t)count ? fork() : 0;
    if (*child == 0 && i < (intptr_t)count) in_child(i);
  }
  return NULL;
}

static void spawn_often(int count) {
  extern char** environ;
  char* command[] = {"true", NULL};
  for (int i = 0; i < count; i++) {
    pid_t child;
    if (i % 2 == 0) {
      if (posix_spawnp(&child, "true", NULL, NULL, command, environ) != 0) fail("posix_spawn failed");
    } else {
      child = vfork();
      if (child == 0) {
        execvp("true", command);
        _exit(127);
      }
    }
    wait_for(child);
  }
}

/* Blocks that the fork handlers take and give: freed in each, and each time of other sizes. */
static void* of_handlers[kKept];

static void work_in_handler(void) {
  static uint64_t state = 4711;
  for (int k = 0; k < kKept; k++) {
    free(of_handlers[k]);
    of_handlers[k] = k % 8 == 0 ? NULL : filled(some_size(&state), k);
  }
}

static void register_handlers(void) { pthread_atfork(work_in_handler, work_in_handler, work_in_handler); }

/* As a library: registered by its constructor, before those of the libraries that are named before it have run. */
#ifdef WHEN_LOADED
__attribute__((constructor)) static void when_loaded(void) { register_handlers(); }
#endif

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_value(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return x < y ? -1 : x > y;
}

/* What fork() costs its caller, from the call to its return in the parent. */
static void tell_figures(const char* what, int count) {
  double* each = malloc((size_t)count * sizeof(double));
  for (int i = 0; i < count; i++) {
    double start = microseconds();
    pid_t child = fork();
    if (child == 0) _exit(0);
    each[i] = microseconds() - start;
    wait_for(child);
  }
  qsort(each, (size_t)count, sizeof(double), by_value);
  printf("%s: median %.0f, 9 of 10 below %.0f, most %.0f us\n", what, each[count / 2], each[count * 9 / 10],
         each[count - 1]);
  free(each);
}

int main(int argument_count, char** arguments) {
  if (argument_count < 3) fail("usage: forks <count> <mode>");
  int count = atoi(arguments[1]);
  const char* mode = arguments[2];
  int has_handlers = strcmp(mode, "handlers") == 0;
  if (has_handlers) register_handlers();
  if (argument_count > 3) threads_every = atoi(arguments[3]);
  verify = (const char* (*)(const void**))dlsym(RTLD_DEFAULT, "pagerun_verify");
  if (strcmp(mode, "figures") == 0) tell_figures("alone", count);
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; i++) pthread_create(&threads[i], NULL, hand_down, (void*)i);
  for (int t = 0; t < kThreads; t++) {
    while (*(void* volatile*)&handed_down[t][kHandedDown - 1] == NULL) usleep(1000);
  }
  if (strcmp(mode, "main") == 0) {
    fork_often((void*)(intptr_t)count);
  } else if (strcmp(mode, "thread") == 0 || has_handlers) {
    pthread_t forking;
    pthread_create(&forking, NULL, fork_often, (void*)(intptr_t)count);
    pthread_join(forking, NULL);
  } else if (strcmp(mode, "spawn") == 0) {
    spawn_often(count);
  } else if (strcmp(mode, "figures") == 0) {
    tell_figures("with six threads that churn", count);
  }
  is_over = 1;
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  const char* broken = verify == NULL ? NULL : verify(NULL);
  if (broken != NULL) fail(broken);
  puts("ok");
  return 0;
}
