/* malloc under the limits of the system. limits <address-space | data | stack | maps>: sets the limit, uses memory up,
 * checks that what fails is NULL with ENOMEM and that nothing is lost, and that all works again once the limit is gone
 * or memory was freed. For a limit that somebody else has set: limits phases takes 40 MiB again and again, limits most
 * as much as there is. Ends with 0 after "ok". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { kMost = 20000 };
static unsigned char* blocks[kMost];
static size_t sizes[kMost];
static int count;

static void fail(const char* what) {
  fprintf(stderr, "limits: %s\n", what);
  abort();
}

static unsigned char mark(int i) { return (unsigned char)(i * 7 + 1); }

static int keep(void* block, size_t bytes) {
  if (block == NULL) {
    if (errno != ENOMEM) fail("errno is not ENOMEM");
    return 0;
  }
  blocks[count] = block;
  sizes[count] = bytes;
  memset(block, mark(count), bytes < 64 ? bytes : 64);
  blocks[count][bytes - 1] = mark(count);
  count++;
  return 1;
}

static void check(int i) {
  size_t bytes = sizes[i] < 64 ? sizes[i] : 64;
  for (size_t k = 0; k < bytes; k++) {
    if (blocks[i][k] != mark(i)) fail("content is lost");
  }
  if (blocks[i][sizes[i] - 1] != mark(i)) fail("content is lost at the end");
}

/* Every call with every size; returns how many succeeded. What succeeds is kept. */
static int use(void) {
  static const size_t all[] = {1, 16, 24, 100, 500, 1000, 5000, 20000, 32768, 100000, 1 << 20, 10 << 20, 50 << 20};
  int succeeded = 0;
  for (int i = 0; i < (int)(sizeof(all) / sizeof(all[0])) && count < kMost - 10; i++) {
    errno = 0;
    succeeded += keep(malloc(all[i]), all[i]);
    errno = 0;
    succeeded += keep(calloc(1, all[i]), all[i]);
    errno = 0;
    succeeded += keep(memalign(256, all[i]), all[i]);
    if (count == 0) continue;
    int last = count - 1;
    check(last);
    errno = 0;
    unsigned char* moved = realloc(blocks[last], sizes[last] * 2);
    if (moved == NULL) {
      if (errno != ENOMEM) fail("errno is not ENOMEM after realloc");
    } else {
      blocks[last] = moved;
      moved[sizes[last] * 2 - 1] = mark(last);
      memset(moved, mark(last), sizes[last] < 64 ? sizes[last] : 64);
      sizes[last] *= 2;
      if (sizes[last] < 64) memset(moved, mark(last), sizes[last]);
      succeeded++;
    }
  }
  return succeeded;
}

static void give_all(void) {
  while (count > 0) {
    check(--count);
    errno = 4321;
    free(blocks[count]);
    if (errno != 4321) fail("free changed errno");
  }
}

static void set(int resource, rlim_t bytes) {
  struct rlimit limit;
  getrlimit(resource, &limit);
  limit.rlim_cur = bytes;
  if (setrlimit(resource, &limit) != 0) fail("the limit cannot be set");
}

/* Until nothing more is to be had, twice: what was freed must be there again. */
static void use_up(int least) {
  int first = 0, second = 0;
  for (int got; (got = use()) > 3 && count < kMost - 100;) first += got;
  for (int i = 0; i < count; i++) check(i);
  give_all();
  for (int got; (got = use()) > 3 && count < kMost - 100;) second += got;
  give_all();
  if (first < least || second < first / 2) {
    fprintf(stderr, "limits: %d blocks, then %d\n", first, second);
    abort();
  }
}

static void with_limit(int resource, rlim_t bytes) {
  set(resource, bytes);
  use_up(50);
  if (malloc((size_t)bytes * 2) != NULL) fail("more than the limit was given");
  set(resource, RLIM_INFINITY);
  if (!keep(malloc((size_t)bytes * 2), 100)) fail("nothing more after the limit is gone");
  give_all();
  if (use() < 4 * 13 - 1) fail("not everything works again");
  give_all();
}

/* Pages of alternating protection, until the kernel has no map left. */
static int take_all_maps(char* from, size_t pages) {
  for (size_t i = 1; i < pages; i += 2) {
    if (mprotect(from + i * 4096, 4096, PROT_READ) != 0) return errno == ENOMEM;
  }
  return 0;
}

static void without_maps(void) {
  for (int i = 0; i < 100; i++) keep(malloc((size_t)i * 200 + 1), (size_t)i * 200 + 1);
  for (int i = 0; i < 10; i++) keep(malloc(34 << 20), 34 << 20); /* mappings of their own */
  size_t pages = 300000;
  char* fence = mmap(NULL, pages * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (fence == MAP_FAILED || !take_all_maps(fence, pages)) fail("the map count is not exhausted");
  int succeeded = 0;
  for (int i = 0; i < 40; i++) succeeded += use();
  for (int i = 0; i < count; i++) check(i);
  give_all();
  for (int i = 0; i < 40; i++) succeeded += use();
  give_all();
  if (succeeded == 0) fail("nothing worked without maps");
  munmap(fence, pages * 4096);
  int again = 0;
  for (int i = 0; i < 4; i++) again += use();
  if (again < 4 * 13 * 4) fail("not everything works again");
  give_all();
}

/* Phases that all fill as much, each with blocks of another size: what one has freed gives way to the next. */
static void in_phases(void) {
  static const size_t each[] = {2500, 5000, 20000, 100000, 1 << 20, 10 << 20, 36 << 20};
  const int last = (int)(sizeof(each) / sizeof(each[0])) - 1;
  for (int phase = 0; phase <= 3 * last; phase++) {
    size_t bytes = each[phase / last % 2 == 0 ? phase % last : last - phase % last];
    for (size_t got = 0; got + bytes <= 40 << 20; got += bytes) {
      void* block = malloc(bytes);
      if (block != NULL) memset(block, 1, bytes);
      if (!keep(block, bytes)) fail("no memory");
    }
    for (int i = 0; i < count; i++) check(i);
    give_all();
  }
}

/* Most of the addresses that the process may have are its blocks'. */
static void take_most(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_AS, &limit);
  size_t got = 0;
  while (count < kMost && keep(malloc(100000), 100000)) got += 100000;
  if (got < limit.rlim_cur / 2) fail("not even half of the limit was given");
  for (int i = 0; i < count; i++) check(i);
  give_all();
}

int main(int argument_count, char** arguments) {
  const char* what = argument_count > 1 ? arguments[1] : "";
  if (strcmp(what, "address-space") == 0)
    with_limit(RLIMIT_AS, 300 << 20);
  else if (strcmp(what, "data") == 0)
    with_limit(RLIMIT_DATA, 300 << 20);
  else if (strcmp(what, "maps") == 0)
    without_maps();
  else if (strcmp(what, "phases") == 0)
    in_phases();
  else if (strcmp(what, "most") == 0)
    take_most();
  else if (strcmp(what, "plain") == 0) {
    use();
    give_all();
  } else
    fail("no such limit");
  const char* (*verify)(const void**) = dlsym(RTLD_DEFAULT, "pagerun_verify");
  const char* broken = verify == NULL ? NULL : verify(NULL);
  if (broken != NULL) fail(broken);
  puts("ok");
  return 0;
}
