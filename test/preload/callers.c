/* Functions of the C library that allocate for their caller, who frees: each result is freed and resized by the
 * program's own calls. Prints what each did; compared with the C library's own (oracle.test.ts). */
#define _GNU_SOURCE
#include "report.h"

#include <argz.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <glob.h>
#include <iconv.h>
#include <locale.h>
#include <netdb.h>
#include <obstack.h>
#include <pthread.h>
#include <pwd.h>
#include <regex.h>
#include <search.h>
#include <stdarg.h>
#include <unistd.h>
#include <wchar.h>

#define obstack_chunk_alloc malloc
#define obstack_chunk_free free

static void tell(const char* what, char* text) {
  int error = errno;
  printf("%s: %s, errno %s\n", what, text == NULL ? "null" : text, errno_text(error));
  if (text == NULL) return;
  size_t length = strlen(text);
  text = realloc(text, length + 5000);
  printf("  resized: %zu bytes, %s\n", length,
         malloc_usable_size(text) >= length + 5000 ? "large enough" : "TOO SMALL");
  free(text);
}

static char* formatted(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char* text = NULL;
  int length = vasprintf(&text, format, arguments);
  va_end(arguments);
  return length < 0 ? NULL : text;
}

static void try_texts(void) {
  errno = kUntouched;
  tell("strdup", strdup("a text of some length"));
  tell("strdup of nothing", strdup(""));
  tell("strndup", strndup("a text of some length", 6));
  tell("strndup of more", strndup("short", 1000));
  char* text = NULL;
  if (asprintf(&text, "%d and %s", 42, "a word") < 0) text = NULL;
  tell("asprintf", text);
  tell("vasprintf", formatted("%0200d", 7));
  wchar_t* wide = wcsdup(L"wide");
  printf("wcsdup: %zu\n", wcslen(wide));
  free(wide);
  char* entries = NULL;
  size_t length = 0;
  argz_create_sep("a:bc:def", ':', &entries, &length);
  argz_add(&entries, &length, "more");
  printf("argz: %zu\n", length);
  free(entries);
}

static void try_streams(void) {
  char* text = NULL;
  size_t length = 0;
  FILE* stream = open_memstream(&text, &length);
  for (int i = 0; i < 5000; i++) fprintf(stream, "%d,", i);
  fclose(stream);
  printf("open_memstream: %zu\n", length);
  FILE* lines = fmemopen(text, length, "r");
  char* line = NULL;
  size_t size = 0;
  long long sum = 0;
  for (ssize_t got; (got = getdelim(&line, &size, ',', lines)) > 0;) sum += atoi(line);
  fclose(lines);
  printf("getdelim: %lld\n", sum);
  free(line);
  free(text);
  FILE* self = fopen("/proc/self/status", "r");
  line = malloc(3);
  size = 3;
  printf("getline into a block that is too small: %s\n", getline(&line, &size, self) > 3 ? "a line" : "NOTHING");
  fclose(self);
  free(line);
  char* directory = getcwd(NULL, 0);
  printf("getcwd: %s\n", directory != NULL && directory[0] == '/' ? "a path" : "NOTHING");
  free(directory);
  char* real = realpath("/usr/../usr", NULL);
  tell("realpath", real);
  char* name = NULL;
  FILE* words = fmemopen((void*)"alpha beta", 10, "r");
  if (fscanf(words, "%ms", &name) == 1) tell("scanf", name);
  fclose(words);
}

static int by_value(const void* a, const void* b) { return strcmp(a, b); }

static void try_structures(void) {
  void* root = NULL;
  static char keys[500][8];
  for (int i = 0; i < 500; i++) {
    snprintf(keys[i], sizeof(keys[i]), "%d", i * 7919 % 500);
    tsearch(keys[i], &root, by_value);
  }
  printf("tsearch: %s\n", tfind("77", &root, by_value) != NULL ? "found" : "LOST");
  for (int i = 0; i < 500; i++) tdelete(keys[i], &root, by_value);
  hcreate(100);
  ENTRY entry = {"key", "data"};
  hsearch(entry, ENTER);
  printf("hsearch: %s\n", hsearch(entry, FIND) != NULL ? "found" : "LOST");
  hdestroy();
  struct obstack stack;
  obstack_init(&stack);
  for (int i = 0; i < 1000; i++) obstack_copy(&stack, "0123456789", 10);
  obstack_free(&stack, NULL);
  regex_t pattern;
  regcomp(&pattern, "(a|b)*c{2,30}d", REG_EXTENDED);
  printf("regexec: %d\n", regexec(&pattern, "ababccccd", 0, NULL, 0));
  regfree(&pattern);
  glob_t found;
  printf("glob: %d\n", glob("/proc/self/st*", 0, NULL, &found));
  globfree(&found);
  struct dirent** entries = NULL;
  int count = scandir("/proc/self/task", &entries, NULL, alphasort);
  printf("scandir: %d\n", count);
  for (int i = 0; i < count; i++) free(entries[i]);
  free(entries);
}

static void try_services(void) {
  printf("setlocale: %s\n", setlocale(LC_ALL, "C.UTF-8") != NULL ? "set" : "not set");
  iconv_t convert = iconv_open("UTF-16", "ISO-8859-1");
  if (convert != (iconv_t)-1) iconv_close(convert);
  printf("getpwuid: %s\n", getpwuid(0) != NULL ? "found" : "none");
  void* library = dlopen("libm.so.6", RTLD_NOW);
  printf("dlopen: %s\n", library != NULL && dlsym(library, "cos") != NULL ? "a library" : "NONE");
  if (library != NULL) dlclose(library);
  setenv("PRELOAD_TRIAL", "a value", 1);
  putenv("PRELOAD_OTHER=b");
  printf("getenv: %s\n", getenv("PRELOAD_TRIAL"));
  unsetenv("PRELOAD_TRIAL");
  clearenv();
  qsort(memset(malloc(100000), 3, 100000), 100000 / 8, 8, by_value);
  printf("qsort of a large array came back\n");
}

int main(void) {
  try_texts();
  try_streams();
  try_structures();
  try_services();
  return 0;
}
