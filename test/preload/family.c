/* Every function of the malloc family with ordinary and hostile arguments; prints what each did. The test runs it on
 * the C library's malloc and on ours, and the two texts must be the same. Built with -fno-builtin: no call is left out.
 */
#define _GNU_SOURCE
#include "report.h"

#define HALF ((size_t)PTRDIFF_MAX)
#define LARGE ((size_t)1 << 63)

static const size_t kSizes[] = {
    0,    1,    7,    8,     15,    16,    17,     24,     100,     500,     1000,           1024,    1025,
    4096, 5000, 8192, 32768, 32769, 65536, 100000, 131072, 1 << 20, 3 << 20, (33 << 20) + 1, 40 << 20};
enum { kSizeCount = sizeof(kSizes) / sizeof(kSizes[0]) };

static const size_t kAlignments[] = {0,  1,  2,  3,  4,   5,   7,    8,    9,    15,    16,      17,
                                     24, 32, 48, 64, 100, 128, 4095, 4096, 4097, 65536, 1 << 20, 65 << 20};
enum { kAlignmentCount = sizeof(kAlignments) / sizeof(kAlignments[0]) };

static size_t power_of_two_from(size_t alignment) {
  size_t power = 1;
  while (power < alignment) power *= 2;
  return power;
}

/* Every byte, but of large blocks one in so many: their pages take their time. */
static size_t step_of(size_t bytes) { return bytes < 200000 ? 1 : 10007; }

static void fill(unsigned char* block, size_t bytes, unsigned char with) {
  size_t step = step_of(bytes);
  for (size_t i = 0; i < bytes; i += step) block[i] = with;
  if (bytes > 0) block[bytes - 1] = with;
}

static int is_filled(const unsigned char* block, size_t bytes, unsigned char with, size_t step) {
  for (size_t i = 0; i < bytes; i += step) {
    if (block[i] != with) return 0;
  }
  return 1;
}

static void try_malloc(void) {
  for (int i = 0; i < kSizeCount; i++) {
    printf("%zu bytes: ", kSizes[i]);
    TRY_BLOCK(kSizes[i] >= 16 ? 16 : 1, kSizes[i], malloc(kSizes[i]));
  }
  TRY_NULL(malloc(HALF));
  TRY_NULL(malloc(HALF + 1));
  TRY_NULL(malloc(HALF - 100));
  TRY_NULL(malloc(SIZE_MAX));
  TRY_NULL(malloc(SIZE_MAX - 15));
  TRY_NULL(malloc(SIZE_MAX - 4096));
  TRY_NULL(malloc(LARGE));
  TRY_NULL(malloc((size_t)1 << 62));
  TRY_NULL(malloc((size_t)1 << 48));
}

static void try_unique(void) {
  void* blocks[64];
  int unique = 1;
  for (int i = 0; i < 64; i++) {
    blocks[i] = i % 4 == 0 ? malloc(0) : i % 4 == 1 ? calloc(0, 10) : i % 4 == 2 ? memalign(16, 0) : realloc(NULL, 0);
    if (blocks[i] == NULL) unique = 0;
    for (int j = 0; j < i; j++) unique &= blocks[i] != blocks[j];
  }
  for (int i = 0; i < 64; i++) free(blocks[i]);
  printf("blocks of size 0 are %s\n", unique ? "unique" : "NOT unique");
}

static void try_calloc(void) {
  for (int i = 0; i < kSizeCount; i++) {
    for (int dirty = 0; dirty < 2; dirty++) {
      if (dirty) { /* the same memory again, with something in it */
        void* used = malloc(kSizes[i]);
        if (used != NULL) fill(used, kSizes[i], 0xff);
        free(used);
      }
      errno = kUntouched;
      unsigned char* block = calloc(1, kSizes[i]);
      int error = errno;
      printf("calloc(1, %zu): %s, errno %s, %s\n", kSizes[i], block == NULL ? "null" : "a block", errno_text(error),
             block == NULL || is_filled(block, kSizes[i], 0, step_of(kSizes[i]) == 1 ? 1 : 509) ? "zero" : "NOT ZERO");
      free(block);
    }
  }
  TRY_NULL(calloc(0, 0));
  TRY_NULL(calloc(0, SIZE_MAX));
  TRY_NULL(calloc(SIZE_MAX, 0));
  TRY_NULL(calloc(SIZE_MAX, 1));
  TRY_NULL(calloc(SIZE_MAX, 2));
  TRY_NULL(calloc(SIZE_MAX, SIZE_MAX));
  TRY_NULL(calloc(HALF, 2));
  TRY_NULL(calloc(HALF, 3));
  TRY_NULL(calloc((size_t)1 << 32, (size_t)1 << 32));
  TRY_NULL(calloc(((size_t)1 << 32) + 1, (size_t)1 << 32));
  TRY_NULL(calloc(16, SIZE_MAX / 16 + 1));
  TRY_NULL(calloc(1, HALF + 1));
}

static void try_realloc_steps(void) {
  for (int from = 0; from < kSizeCount; from++) {
    for (int to = 0; to < kSizeCount; to++) {
      if (kSizes[to] == 0) continue;
      unsigned char* block = malloc(kSizes[from]);
      fill(block, kSizes[from], 0x5a);
      errno = kUntouched;
      unsigned char* moved = realloc(block, kSizes[to]);
      int error = errno;
      size_t kept = kSizes[from] < kSizes[to] ? kSizes[from] : kSizes[to];
      int is_right = moved != NULL && is_filled(moved, kept, 0x5a, step_of(kSizes[from])) &&
                     malloc_usable_size(moved) >= kSizes[to] && (kSizes[to] < 16 || (uintptr_t)moved % 16 == 0);
      if (!is_right || error != kUntouched)
        printf("realloc %zu to %zu: WRONG, errno %d\n", kSizes[from], kSizes[to], error);
      free(moved);
    }
  }
  printf("realloc from every size to every other was tried\n");
}

static void try_realloc_failures(void) {
  static const size_t impossible[] = {HALF, HALF + 1, SIZE_MAX, SIZE_MAX - 8, LARGE, (size_t)1 << 62};
  for (int i = 0; i < kSizeCount; i++) {
    unsigned char* block = malloc(kSizes[i]);
    fill(block, kSizes[i], 0x77);
    for (int j = 0; j < (int)(sizeof(impossible) / sizeof(impossible[0])); j++) {
      errno = kUntouched;
      void* moved = realloc(block, impossible[j]);
      int error = errno;
      printf("realloc(%zu bytes, %zu): %s, errno %s, old block %s\n", kSizes[i], impossible[j],
             moved == NULL ? "null" : "a block", errno_text(error),
             is_filled(block, kSizes[i], 0x77, step_of(kSizes[i])) ? "as it was" : "CHANGED");
    }
    errno = kUntouched;
    void* moved = reallocarray(block, SIZE_MAX, 2);
    int error = errno;
    printf("reallocarray(%zu bytes, SIZE_MAX, 2): %s, errno %s, old block %s\n", kSizes[i],
           moved == NULL ? "null" : "a block", errno_text(error),
           is_filled(block, kSizes[i], 0x77, step_of(kSizes[i])) ? "as it was" : "CHANGED");
    free(block);
  }
}

static void try_realloc(void) {
  try_realloc_steps();
  try_realloc_failures();
  TRY_BLOCK(1, 10, realloc(NULL, 10));
  TRY_BLOCK(1, 0, realloc(NULL, 0));
  TRY_NULL(realloc(NULL, SIZE_MAX));
  TRY_NULL(realloc(malloc(10), 0));
  TRY_NULL(realloc(malloc(5000), 0));
  TRY_NULL(realloc(malloc(100000), 0));
  TRY_NULL(realloc(malloc(40 << 20), 0));
  TRY_NULL(realloc(malloc(0), 0));
  TRY_BLOCK(16, 200, reallocarray(NULL, 10, 20));
  TRY_NULL(reallocarray(NULL, 0, 20));
  TRY_NULL(reallocarray(NULL, 20, 0));
  TRY_NULL(reallocarray(malloc(10), 0, 20));
  TRY_NULL(reallocarray(malloc(10), 20, 0));
  TRY_NULL(reallocarray(NULL, SIZE_MAX, SIZE_MAX));
  TRY_NULL(reallocarray(NULL, HALF, 3));
  TRY_NULL(reallocarray(NULL, HALF, 2));
}

static void try_aligned(size_t alignment) {
  /* Some of these give a block for any alignment and round it up; where they do not, no alignment is looked at. */
  size_t really = power_of_two_from(alignment);
  printf("alignment %zu\n", alignment);
  for (int i = 0; i < kSizeCount; i++) {
    size_t aligned = kSizes[i] >= 16 && really < 16 ? 16 : really;
    printf("%zu bytes: ", kSizes[i]);
    TRY_BLOCK(aligned, kSizes[i], aligned_alloc(alignment, kSizes[i]));
    printf("%zu bytes: ", kSizes[i]);
    TRY_BLOCK(aligned, kSizes[i], memalign(alignment, kSizes[i]));
    void* untouched = &really;
    void* block = untouched;
    errno = kUntouched;
    int result = posix_memalign(&block, alignment, kSizes[i]);
    int error = errno;
    printf("posix_memalign(%zu, %zu): %s, errno %s, %s\n", alignment, kSizes[i], errno_text(result), errno_text(error),
           block == untouched                      ? "pointer untouched"
           : (uintptr_t)block % alignment != 0     ? "NOT ALIGNED"
           : malloc_usable_size(block) < kSizes[i] ? "TOO SMALL"
                                                   : "aligned");
    if (block != untouched) free(block);
  }
}

static void try_hostile_alignment(size_t alignment, size_t bytes) {
  printf("alignment %zu, %zu bytes\n", alignment, bytes);
  TRY_NULL(aligned_alloc(alignment, bytes));
  TRY_NULL(memalign(alignment, bytes));
  void* untouched = &bytes;
  void* block = untouched;
  errno = kUntouched;
  int result = posix_memalign(&block, alignment, bytes);
  int error = errno;
  printf("posix_memalign: %s, errno %s, pointer %s\n", errno_text(result), errno_text(error),
         block == untouched ? "untouched" : "TOUCHED");
  if (block != untouched) free(block);
}

static void try_hostile_alignments(void) {
  static const size_t bytes[] = {0, 1, 100, HALF, HALF + 1, SIZE_MAX, SIZE_MAX - 100};
  static const size_t alignments[] = {0,
                                      1,
                                      3,
                                      8,
                                      16,
                                      64,
                                      4096,
                                      65536,
                                      1 << 30,
                                      HALF,
                                      HALF + 1,
                                      HALF + 2,
                                      SIZE_MAX,
                                      SIZE_MAX - 1,
                                      (size_t)1 << 62,
                                      ((size_t)1 << 62) + 1,
                                      (size_t)1 << 48};
  for (int i = 0; i < (int)(sizeof(alignments) / sizeof(alignments[0])); i++) {
    for (int j = 0; j < (int)(sizeof(bytes) / sizeof(bytes[0])); j++) {
      int possible = alignments[i] <= 65536 && bytes[j] <= 100;
      if (!possible) try_hostile_alignment(alignments[i], bytes[j]);
    }
  }
}

static void try_whole_pages(void) {
  for (int i = 0; i < kSizeCount; i++) {
    printf("%zu bytes: ", kSizes[i]);
    TRY_BLOCK(4096, kSizes[i], valloc(kSizes[i]));
    printf("%zu bytes: ", kSizes[i]);
    TRY_BLOCK(4096, (kSizes[i] + 4095) / 4096 * 4096, pvalloc(kSizes[i]));
  }
  TRY_NULL(valloc(SIZE_MAX));
  TRY_NULL(valloc(HALF + 1));
  TRY_NULL(valloc(HALF));
  TRY_NULL(pvalloc(SIZE_MAX));
  TRY_NULL(pvalloc(SIZE_MAX - 4094));
  TRY_NULL(pvalloc(SIZE_MAX - 4095));
  TRY_NULL(pvalloc(HALF + 1));
  TRY_NULL(pvalloc(HALF));
}

/* Freeing what made system calls that fail, and null. */
static void try_free(void) {
  TRY_NUMBER((free(NULL), 0));
  for (int i = 0; i < kSizeCount; i++) {
    void* block = malloc(kSizes[i]);
    errno = kUntouched;
    free(block);
    printf("free of %zu bytes: errno %s\n", kSizes[i], errno_text(errno));
  }
  TRY_NUMBER(malloc_usable_size(NULL));
}

int main(void) {
  try_malloc();
  try_unique();
  try_calloc();
  try_realloc();
  for (int i = 0; i < kAlignmentCount; i++) try_aligned(kAlignments[i]);
  try_hostile_alignments();
  try_whole_pages();
  try_free();
  return 0;
}
