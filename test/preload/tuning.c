/* mallopt, malloc_trim, mallinfo, malloc_info and malloc_stats: what is accepted, what is refused, and what holds of
 * the figures on every allocator. Prints what each did; compared with the C library's own (oracle.test.ts). */
#define _GNU_SOURCE
#include "report.h"

#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a process of its own: the C library does not outlive every value that it accepts. */
static int option_set(int name, int value) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    errno = kUntouched;
    int result = mallopt(name, value);
    _exit(errno == kUntouched ? result : 100 + result);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void try_options(void) {
  static const int names[] = {M_MXFAST,
                              M_NLBLKS,
                              M_GRAIN,
                              M_KEEP,
                              M_TRIM_THRESHOLD,
                              M_TOP_PAD,
                              M_MMAP_THRESHOLD,
                              M_MMAP_MAX,
                              M_CHECK_ACTION,
                              M_PERTURB,
                              M_ARENA_TEST,
                              M_ARENA_MAX,
                              0,
                              5,
                              99,
                              -9,
                              -100,
                              INT_MAX,
                              INT_MIN};
  static const int values[] = {0,       1,       2,      3, 64, 80, 160, 161, 200, -1, 1 << 20, 1 << 25, (1 << 25) + 1,
                               1 << 26, INT_MAX, INT_MIN};
  for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
    for (int j = 0; j < (int)(sizeof(values) / sizeof(values[0])); j++)
      printf("mallopt(%d, %d): %d\n", names[i], values[j], option_set(names[i], values[j]));
  }
}

static void try_trim(void) {
  void* blocks[400];
  for (int i = 0; i < 400; i++) blocks[i] = malloc(100000);
  for (int i = 0; i < 400; i++) memset(blocks[i], 1, 100000);
  for (int i = 0; i < 400; i++) free(blocks[i]);
  (void)malloc_trim(0);
  TRY_NUMBER(malloc_trim(0));
  TRY_NUMBER(malloc_trim(0));
  TRY_NUMBER(malloc_trim(SIZE_MAX));
  TRY_NUMBER(malloc_trim((size_t)PTRDIFF_MAX));
}

static void try_figures(void) {
  struct mallinfo2 before = mallinfo2();
  struct mallinfo narrow = mallinfo();
  void* blocks[1000];
  for (int i = 0; i < 1000; i++) blocks[i] = malloc(1000);
  void* large = malloc(50 << 20);
  struct mallinfo2 during = mallinfo2();
  for (int i = 0; i < 1000; i++) free(blocks[i]);
  free(large);
  struct mallinfo2 after = mallinfo2();
  printf("narrow and wide figures %s\n",
         narrow.uordblks == (int)before.uordblks && narrow.hblks == (int)before.hblks ? "agree" : "DIFFER");
  printf("a million bytes more are %s\n", during.uordblks - before.uordblks >= 1000000 ? "seen" : "NOT SEEN");
  printf("%s more\n", during.uordblks - before.uordblks < 1200000 ? "and not much" : "and MUCH");
  printf("a mapping is %s\n",
         during.hblkhd - before.hblkhd >= 50 << 20 && during.hblks == before.hblks + 1 ? "seen" : "NOT SEEN");
  printf("what is freed is %s\n",
         after.uordblks <= before.uordblks + 20000 && after.hblkhd == before.hblkhd ? "seen" : "NOT SEEN");
  printf("used and free bytes %s the whole\n", after.uordblks + after.fordblks == after.arena ? "make" : "DO NOT MAKE");
}

static void try_info(void) {
  errno = kUntouched;
  int result = malloc_info(1, stdout);
  int error = errno;
  printf("malloc_info(1): %d, errno %s\n", result, errno_text(error));
  TRY_NUMBER(malloc_info(-1, stdout));
  char* text = NULL;
  size_t length = 0;
  FILE* stream = open_memstream(&text, &length);
  TRY_NUMBER(malloc_info(0, stream));
  fclose(stream);
  printf("malloc_info(0): %s, %s\n", strncmp(text, "<malloc version=\"1\">", 20) == 0 ? "opens" : "DOES NOT OPEN",
         strstr(text, "</malloc>\n") != NULL ? "closes" : "DOES NOT CLOSE");
  printf(
      "it %s a heap and %s the totals\n", strstr(text, "<heap nr=\"0\">") != NULL ? "tells of" : "HAS NO",
      strstr(text, "<total type=\"mmap\" count=\"") != NULL && strstr(text, "<system type=\"current\" size=\"") != NULL
          ? "has"
          : "HAS NOT");
  free(text);
  FILE* full = fopen("/dev/full", "w");
  if (full != NULL) {
    TRY_NUMBER(malloc_info(0, full));
    fclose(full);
  }
}

static void try_stats(void) {
  int ends[2];
  if (pipe(ends) != 0) return;
  int saved = dup(2);
  dup2(ends[1], 2);
  malloc_stats();
  fflush(stderr);
  dup2(saved, 2);
  close(ends[1]);
  char text[4096];
  ssize_t got = read(ends[0], text, sizeof(text) - 1);
  printf("malloc_stats writes %s to standard error\n", got > 50 ? "figures" : "NOTHING");
  close(ends[0]);
  close(saved);
}

int main(void) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  try_figures();
  try_trim();
  try_options();
  try_info();
  try_stats();
  return 0;
}
