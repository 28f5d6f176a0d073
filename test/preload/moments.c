/* malloc at the moments when an allocator is easily not there: before main, while threads end, in exit handlers, while
 * signals interrupt, on the smallest stacks, while libraries come and go. One moment a run: moments <name> [library]...
 * Ends with 0 after "ok"; a moment that finds a fault aborts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void fail(const char* what) {
  fprintf(stderr, "moments: %s\n", what);
  abort();
}

static void use(size_t rounds) {
  static const size_t sizes[] = {1, 24, 100, 500, 3000, 20000, 100000};
  void* blocks[7][4];
  for (size_t round = 0; round < rounds; round++) {
    for (int i = 0; i < 7; i++) {
      for (int j = 0; j < 4; j++) {
        unsigned char* block = j % 2 == 0 ? malloc(sizes[i]) : calloc(1, sizes[i]);
        if (block == NULL) fail("no memory");
        if (j % 2 == 1 && (block[0] != 0 || block[sizes[i] - 1] != 0)) fail("calloc is not zero");
        memset(block, i, sizes[i] < 200 ? sizes[i] : 200);
        blocks[i][j] = block;
      }
    }
    for (int i = 0; i < 7; i++) {
      for (int j = 0; j < 4; j++) {
        blocks[i][j] = realloc(blocks[i][j], sizes[i] + 50 * (size_t)j);
        if (*(unsigned char*)blocks[i][j] != i) fail("content is lost");
        free(blocks[i][j]);
      }
    }
  }
}

/* Before main: constructors, the earliest ones of all included, and a function that the loader itself calls. */

static void* kept_from_preinit;
static void* kept_from_constructor;
static int resolver_calls;

static void at_preinit(void) {
  use(3);
  kept_from_preinit = malloc(77);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit)(void) = at_preinit;
__attribute__((constructor(101))) static void at_constructor(void) {
  use(3);
  kept_from_constructor = strdup("from a constructor");
}
static int answer(void) { return 42; }
static int (*resolve_answer(void))(void) {
  resolver_calls++;
  return answer;
}
int indirect(void) __attribute__((ifunc("resolve_answer")));

static void before_main(void) {
  if (indirect() != 42 || resolver_calls == 0) fail("the resolver was not called");
  if (strcmp(kept_from_constructor, "from a constructor") != 0) fail("a constructor's block has changed");
  free(kept_from_preinit);
  free(kept_from_constructor);
}

/* Thread ends: every round of the destructors of thread-specific data allocates, and frees what the last one left. */

static pthread_key_t keys[8];
static __thread int rounds_left = PTHREAD_DESTRUCTOR_ITERATIONS - 1;
static volatile int rounds_seen;

static void at_thread_end(void* value) {
  use(2);
  free(value);
  __atomic_add_fetch(&rounds_seen, 1, __ATOMIC_RELAXED);
  if (rounds_left-- > 0) {
    for (int i = 0; i < 8; i++) pthread_setspecific(keys[i], malloc(100));
  }
}

static void* thread_with_data(void* argument) {
  (void)argument;
  for (int i = 0; i < 8; i++) pthread_setspecific(keys[i], malloc(64));
  return malloc(50);
}

static void* thread_without_malloc(void* argument) {
  pthread_setspecific(keys[0], strdup("x"));
  return argument;
}

static void thread_ends(void) {
  for (int i = 0; i < 8; i++) pthread_key_create(&keys[i], at_thread_end);
  for (int round = 0; round < 500; round++) {
    pthread_t threads[4];
    void* results[4];
    for (int i = 0; i < 4; i++)
      pthread_create(&threads[i], NULL, i < 3 ? thread_with_data : thread_without_malloc, NULL);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], &results[i]);
    for (int i = 0; i < 4; i++) free(results[i]);
  }
  if (rounds_seen < 500 * PTHREAD_DESTRUCTOR_ITERATIONS) fail("not all rounds ran");
}

/* Exit handlers, and destructors of the program, allocate and free what the program left. */

static void* left[100];

static void at_exit(void) {
  use(3);
  for (int i = 0; i < 100; i++) free(left[i]);
  fputs("exit handler ", stdout);
}
__attribute__((destructor)) static void at_destructor(void) { use(3); }

static void exit_handlers(void) {
  for (int i = 0; i < 100; i++) left[i] = malloc((size_t)i * 100);
  for (int i = 0; i < 200; i++) atexit(i == 0 ? at_exit : at_destructor); /* more than fit the first block of them */
}

/* Timer signals, 10,000 a second, in the middle of everything. */

static volatile sig_atomic_t signals;
static void at_signal(int number) {
  (void)number;
  char touched[512];
  memset(touched, 1, sizeof(touched));
  signals++;
}

static void* use_for_a_second(void* argument) {
  time_t end = time(NULL) + 2;
  while (time(NULL) < end) use(20);
  return argument;
}

static void timer_signals(void) {
  struct sigaction action = {.sa_handler = at_signal, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval every = {{0, 100}, {0, 100}};
  setitimer(ITIMER_REAL, &every, NULL);
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, use_for_a_second, NULL);
  use_for_a_second(NULL);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  memset(&every, 0, sizeof(every));
  setitimer(ITIMER_REAL, &every, NULL);
  if (signals < 1000) fail("too few signals came");
}

/* Threads with the smallest stack there is. */

static void* use_on_small_stack(void* argument) {
  use(30);
  return argument;
}

static void small_stacks(void) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) != 0) fail("no such stack");
  for (int round = 0; round < 200; round++) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
      if (pthread_create(&threads[i], &attributes, use_on_small_stack, NULL) != 0) fail("no thread");
    }
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
  }
}

/* A library whose constructor allocates and whose destructor frees, opened and closed a thousand times. */

static void* visit(void* path) {
  void* library = dlopen(path, RTLD_NOW);
  if (library == NULL) fail(dlerror());
  void* (*take)(size_t) = (void* (*)(size_t))dlsym(library, "guest_take");
  void (*give)(void*) = (void (*)(void*))dlsym(library, "guest_give");
  give(malloc(1000));
  free(take(1000));
  use(1);
  if (dlclose(library) != 0) fail(dlerror());
  if (dlsym(RTLD_DEFAULT, "no such symbol") != NULL || dlerror() == NULL) fail("no error was told");
  return NULL;
}

static void libraries(char** paths) {
  for (int i = 0; i < 1000; i++) {
    for (char** path = paths; *path != NULL; path++) {
      visit(*path);
      pthread_t thread;
      pthread_create(&thread, NULL, visit, *path);
      pthread_join(thread, NULL);
    }
  }
}

/* The library's malloc and free are the program's own, whatever it was opened with. `name` is found by the program's
 * own search path. */
static void deep_library(const char* name) {
  void* library = dlopen(name, RTLD_NOW | RTLD_DEEPBIND);
  if (library == NULL) fail(dlerror());
  void* (*take)(size_t) = dlsym(library, "guest_take");
  void (*give)(void*) = dlsym(library, "guest_give");
  for (size_t bytes = 1; bytes < 200000; bytes *= 3) {
    free(take(bytes));
    give(malloc(bytes));
  }
  dlclose(library);
}

int main(int count, char** arguments) {
  const char* moment = count > 1 ? arguments[1] : "";
  if (strcmp(moment, "before-main") == 0)
    before_main();
  else if (strcmp(moment, "thread-ends") == 0)
    thread_ends();
  else if (strcmp(moment, "exit-handlers") == 0)
    exit_handlers();
  else if (strcmp(moment, "timer-signals") == 0)
    timer_signals();
  else if (strcmp(moment, "small-stacks") == 0)
    small_stacks();
  else if (strcmp(moment, "libraries") == 0)
    libraries(arguments + 2);
  else if (strcmp(moment, "deep-library") == 0)
    deep_library(arguments[2]);
  else
    fail("no such moment");
  const char* (*verify)(const void**) = dlsym(RTLD_DEFAULT, "pagerun_verify");
  if (verify == NULL) fail("the library is not preloaded");
  const char* broken = verify(NULL);
  if (broken != NULL) fail(broken);
  puts("ok");
  return 0;
}
