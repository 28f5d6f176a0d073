/* pagerun as a C library: link with -lpagerun (its malloc replaces the C library's), or run a program under
 * LD_PRELOAD=libpagerun.so. Beside the functions of <stdlib.h> and <malloc.h>, which it defines with glibc's meaning:
 *
 * Thread rule: every function from every thread. */
#ifndef PAGERUN_H
#define PAGERUN_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A block of `bytes` bytes at a multiple of `alignment` (a power of two; below 16 it may be a smaller block than malloc
 * gives: pagerun_aligned_alloc(4, 4) takes 4 bytes). NULL with errno EINVAL or ENOMEM. Free it with free(). O(1). */
void* pagerun_aligned_alloc(size_t alignment, size_t bytes);

/* Walks every structure of the heap. NULL when every invariant holds, else the name of the first broken one, and in
 * *address (when it is not NULL) where. O(pages), takes every lock of the heap. */
const char* pagerun_verify(const void** address);

/* How often the heap's shared locks were taken since the process started, calls of this function not counted: a figure
 * to show that no lock lies on a path that runs often. Takes every lock of the heap. */
unsigned long long pagerun_lock_acquisitions(void);

/* C23. As free(); a size that the block cannot have been asked for with is misuse. */
void free_sized(void* ptr, size_t bytes);
void free_aligned_sized(void* ptr, size_t alignment, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
