/* Opens the library late, as a program that knows of it only at run time does: after other libraries have used up what
 * there is of static thread-local storage, and uses every function that it finds there, from several threads.
 *   late <library> <now | deep | global> [library that fills the storage]... */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kThreads = 4, kBlocks = 400, kRounds = 50 };

static void* (*our_malloc)(size_t);
static void* (*our_calloc)(size_t, size_t);
static void* (*our_realloc)(void*, size_t);
static void* (*our_memalign)(size_t, size_t);
static void (*our_free)(void*);
static void (*our_free_sized)(void*, size_t);
static void* (*our_new)(size_t);
static void (*our_delete)(void*, size_t);
static size_t (*our_usable_size)(void*);
static const char* (*our_verify)(const void**);

static unsigned char* exchanged[kThreads][kBlocks]; /* row i is filled by thread i and emptied by thread i + 1 */
static pthread_barrier_t turn;

static void fail(const char* what) {
  fprintf(stderr, "late: %s\n", what);
  abort();
}

static void* find(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (found == NULL) fail(name);
  return found;
}

static size_t size_of(int i) { return i % 40 == 39 ? 100000 + i : (size_t)(i * 37) % 3000; }

static unsigned char* take(int i) {
  size_t bytes = size_of(i);
  unsigned char* block = i % 5 == 0   ? our_calloc(1, bytes)
                         : i % 5 == 1 ? our_memalign(64, bytes)
                         : i % 5 == 2 ? our_new(bytes)
                         : i % 5 == 3 ? our_realloc(our_malloc(bytes / 2), bytes + 1)
                                      : our_malloc(bytes);
  if (block == NULL || our_usable_size(block) < bytes) fail("a block is missing or too small");
  memset(block, i, bytes);
  return block;
}

static void give(int i, unsigned char* block) {
  size_t bytes = size_of(i);
  for (size_t k = 0; k < bytes; k += 97) {
    if (block[k] != (unsigned char)i) fail("a block has changed");
  }
  if (i % 3 == 0) {
    our_free(block);
  } else {
    (i % 5 == 2 ? our_delete : our_free_sized)(block, bytes);
  }
}

static void* work(void* argument) {
  int own = (int)(intptr_t)argument;
  for (int round = 0; round < kRounds; round++) {
    for (int i = 0; i < kBlocks; i++) exchanged[own][i] = take(i);
    pthread_barrier_wait(&turn);
    int other = (own + round) % kThreads;
    for (int i = 0; i < kBlocks; i++) give(i, exchanged[other][i]);
    pthread_barrier_wait(&turn);
  }
  return NULL;
}

static void use(void) {
  pthread_t threads[kThreads];
  pthread_barrier_init(&turn, NULL, kThreads);
  for (intptr_t i = 0; i < kThreads; i++) pthread_create(&threads[i], NULL, work, (void*)i);
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  const char* broken = our_verify(NULL);
  if (broken != NULL) fail(broken);
}

static void fill(int count, char** libraries) {
  int opened = 0, refused = 0;
  for (int i = 0; i < count; i++) *(dlopen(libraries[i], RTLD_NOW) != NULL ? &opened : &refused) += 1;
  if (count > 0 && (opened == 0 || refused == 0)) fail("the static storage is not used up");
}

int main(int count, char** arguments) {
  fill(count - 3, arguments + 3);
  int flags = strcmp(arguments[2], "deep") == 0     ? RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND
              : strcmp(arguments[2], "global") == 0 ? RTLD_NOW | RTLD_GLOBAL
                                                    : RTLD_NOW | RTLD_LOCAL;
  void* library = dlopen(arguments[1], flags);
  if (library == NULL) fail(dlerror());
  our_malloc = find(library, "malloc");
  our_calloc = find(library, "calloc");
  our_realloc = find(library, "realloc");
  our_memalign = find(library, "memalign");
  our_free = find(library, "free");
  our_free_sized = find(library, "free_sized");
  our_new = find(library, "_Znwm");
  our_delete = find(library, "_ZdlPvm");
  our_usable_size = find(library, "malloc_usable_size");
  our_verify = find(library, "pagerun_verify");
  use();
  pid_t child = fork();
  if (child == 0) {
    use();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) fail("the child did not end well");
  dlclose(library);
  use(); /* it stays, as its memory does */
  puts("ok");
  return 0;
}
