/* A library that comes and goes: its constructor allocates, its destructor frees, and the program frees its blocks. */
#include <stdlib.h>
#include <string.h>

static char* kept[200];

__attribute__((constructor)) static void begin(void) {
  for (int i = 0; i < 200; i++) kept[i] = memset(malloc((size_t)i * 30 + 1), i, (size_t)i * 30 + 1);
}
__attribute__((destructor)) static void end(void) {
  for (int i = 0; i < 200; i++) {
    if (kept[i][i * 30] != (char)i) abort();
    free(kept[i]);
  }
}

void* guest_take(size_t bytes) { return malloc(bytes); }
void guest_give(void* block) { free(block); }
