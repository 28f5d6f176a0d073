#include "case.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <new>

namespace pagerun::misuse {

void* (*volatile take)(size_t) = malloc;
void* (*volatile take_zeroed)(size_t, size_t) = calloc;
void* (*volatile resize)(void*, size_t) = realloc;
void (*volatile give)(void*) = free;
size_t (*volatile usable_size)(void*) = malloc_usable_size;
void* (*volatile make)(size_t) = operator new;
void (*volatile unmake)(void*) = operator delete;
void (*volatile unmake_sized)(void*, size_t) = delete_sized;

namespace {

constexpr int kFailed = 1;
constexpr size_t kMostBlocks = 4096;

struct Held {
  const char* ptr;
  size_t bytes;
};

Held held[kMostBlocks];
size_t held_count = 0;
alignas(16) char foreign[kForeignBytes];

void say(int to, const char* text) {
  if (write(to, text, strlen(text)) < 0) _exit(kFailed);
}

bool overlaps(const char* a, size_t a_bytes, const char* b, size_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

struct Call {
  void (*body)(void*);
  void* argument;
};

void* run_call(void* place) {
  auto* call = static_cast<Call*>(place);
  call->body(call->argument);
  return nullptr;
}

}  // namespace

char* foreign_memory() { return foreign; }

void end_with(const char* outcome) {
  say(STDOUT_FILENO, outcome);
  _exit(0);
}

void end_without_call() { end_with("n/a"); }

void expect_fault() { say(STDOUT_FILENO, "fault expected "); }

void hold(const void* ptr, size_t bytes) {
  const char* start = static_cast<const char*>(ptr);
  for (size_t i = 0; i < held_count; i++) {
    if (overlaps(start, bytes, held[i].ptr, held[i].bytes)) end_with("two-owners");
  }
  if (overlaps(start, bytes, foreign, sizeof(foreign))) end_with("foreign-memory");
  if (held_count < kMostBlocks) held[held_count++] = {start, bytes};
}

void go_on() {
  constexpr size_t kSizes[] = {1, 16, 24, 32, 48, 64, 100, 240, 512, 1000, 5000, 20000, 40000, 100000, 1 << 20};
  for (int round = 0; round < 12; round++) {
    for (size_t bytes : kSizes) {
      void* ptr = take(bytes);
      require(ptr != nullptr, "malloc returns a block");
      hold(ptr, bytes);
      memset(ptr, 0x5a, bytes);
    }
  }
}

void require(bool holds, const char* text) {
  if (holds) return;
  say(STDERR_FILENO, text);
  say(STDERR_FILENO, "\n");
  say(STDOUT_FILENO, "failed");
  _exit(0);
}

void on_other_thread(void (*body)(void*), void* argument) {
  Call call = {body, argument};
  pthread_t thread;
  require(pthread_create(&thread, nullptr, run_call, &call) == 0, "a thread can be made");
  pthread_join(thread, nullptr);
}

}  // namespace pagerun::misuse
