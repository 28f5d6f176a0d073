/* Memory that goes back to the system from a program that knows nothing of the library. purging <mode>
 *   idle     frees most of what it has, and sleeps
 *   idle-small  the same with blocks of which many share an OS page
 *   trim     as idle, and calls malloc_trim in place of sleeping
 *   child    the same in a child of fork, which allocates only a little now and then
 *   alone    the same in a child of fork, which allocates nothing
 *   alone-runs  the same with large blocks
 *   busy     takes and frees the same memory all the time; prints how much was given back meanwhile, in times of it
 * All but the last print "ok" when most of what was freed has gone from resident memory, and what lives is whole. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kBlocks = 12000, kBytes = 5000, kSmallBlocks = 60000, kSmallBytes = 1000, kOneIn = 50 };
enum { kSteps = 1000, kStepMicroseconds = 20000, kBusySeconds = 4 };

static unsigned char* blocks[kSmallBlocks];
static int count = kBlocks;
static size_t bytes = kBytes;

static void fail(const char* what) {
  fprintf(stderr, "purging: %s\n", what);
  exit(1);
}

static size_t resident_bytes(void) {
  size_t pages = 0;
  char text[128] = "";
  int file = open("/proc/self/statm", O_RDONLY); /* fopen would allocate */
  if (read(file, text, sizeof(text) - 1) <= 0 || sscanf(text, "%*s %zu", &pages) != 1)
    fail("/proc/self/statm cannot be read");
  close(file);
  return pages * 4096;
}

static void take_all(void) {
  for (int i = 0; i < count; i++) {
    blocks[i] = malloc(bytes);
    memset(blocks[i], i & 255, bytes);
  }
}

static void free_most(void) {
  for (int i = 0; i < count; i++)
    if (i % kOneIn != 0) free(blocks[i]);
}

static void check_and_free_rest(void) {
  for (int i = 0; i < count; i += kOneIn) {
    for (size_t at = 0; at < bytes; at++)
      if (blocks[i][at] != (i & 255)) fail("a byte of a live block has changed");
    free(blocks[i]);
  }
  const char* (*verify)(const void**) = (const char* (*)(const void**))dlsym(RTLD_DEFAULT, "pagerun_verify");
  const char* broken = verify == NULL ? "there is no pagerun_verify" : verify(NULL);
  if (broken != NULL) fail(broken);
}

/* Most of what was freed: three quarters. */
static int is_given_back(size_t before) { return resident_bytes() + (size_t)count * bytes / 4 * 3 < before; }

static void expect_given_back_by_itself(int allocates) {
  size_t before = resident_bytes();
  free_most();
  for (int i = 0; i < kSteps && !is_given_back(before); i++) {
    usleep(kStepMicroseconds);
    for (int n = 0; allocates && n < 40; n++) malloc(400);
  }
  if (!is_given_back(before)) fail("the memory stays");
  check_and_free_rest();
}

static void expect_trimmed(void) {
  size_t before = resident_bytes();
  free_most();
  if (malloc_trim(0) != 1) fail("malloc_trim says that there was nothing");
  if (!is_given_back(before)) fail("the memory stays");
  check_and_free_rest();
}

static void expect_given_back_at_once(void) {
  size_t before = resident_bytes();
  free_most();
  if (!is_given_back(before)) fail("the memory stays");
  check_and_free_rest();
}

static void expect_given_back_in_child(int allocates) {
  pid_t child = fork();
  if (child == 0) {
    if (allocates)
      expect_given_back_by_itself(1);
    else
      expect_given_back_at_once();
    exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) fail("the child did not end well");
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of malloc_info's total of the type. */
static double megabytes_of(const char* type) {
  char* text = NULL;
  size_t length = 0;
  FILE* stream = open_memstream(&text, &length);
  malloc_info(0, stream);
  fclose(stream);
  char name[64];
  snprintf(name, sizeof(name), "<total type=\"%s\"", type);
  const char* at = strstr(text, name);
  unsigned long long bytes = 0;
  if (at == NULL || sscanf(strstr(at, "size="), "size=\"%llu\"", &bytes) != 1) fail("malloc_info does not tell it");
  free(text);
  return (double)bytes / 1e6;
}

static void be_busy(void) {
  take_all();
  double before = megabytes_of("purged"), end = seconds() + kBusySeconds;
  while (seconds() < end) {
    for (int i = 0; i < kBlocks; i++) free(blocks[i]);
    take_all();
  }
  printf("%.0f\n", (megabytes_of("purged") - before) / (kBlocks * (double)kBytes / 1e6));
}

int main(int argument_count, char** arguments) {
  if (argument_count != 2) fail("usage: purging <mode>");
  const char* mode = arguments[1];
  if (strcmp(mode, "busy") == 0) {
    be_busy();
    return 0;
  }
  if (strcmp(mode, "alone-runs") == 0) {
    bytes = 100000;
    count = 600;
  }
  if (strcmp(mode, "idle-small") == 0) {
    bytes = kSmallBytes;
    count = kSmallBlocks;
  }
  take_all();
  if (strncmp(mode, "idle", 4) == 0) expect_given_back_by_itself(0);
  if (strcmp(mode, "trim") == 0) expect_trimmed();
  if (strcmp(mode, "child") == 0) expect_given_back_in_child(1);
  if (strncmp(mode, "alone", 5) == 0) expect_given_back_in_child(0);
  puts("ok");
  return 0;
}
