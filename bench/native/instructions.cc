#include "instructions.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>

#include "die.h"

namespace {

// The functions as any other program finds them, so that the compiler can leave none of them out.
struct Calls {
  void* (*malloc)(size_t);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void (*free)(void*);
  void* (*operator_new)(size_t);
  void (*operator_delete)(void*);
  void (*operator_delete_sized)(void*, size_t);
  size_t (*malloc_usable_size)(void*);
};

Calls calls;

template <class Function>
void find(Function* function, const char* name) {
  *function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  if (*function == nullptr) pagerun::bench::die("there is no %s in this process", name);
}

void find_calls() {
  find(&calls.malloc, "malloc");
  find(&calls.calloc, "calloc");
  find(&calls.realloc, "realloc");
  find(&calls.free, "free");
  find(&calls.operator_new, "_Znwm");
  find(&calls.operator_delete, "_ZdlPv");
  find(&calls.operator_delete_sized, "_ZdlPvm");
  find(&calls.malloc_usable_size, "malloc_usable_size");
}

constexpr uint64_t kWarmRounds = 200;
constexpr uint64_t kRounds = 2000;
constexpr uint64_t kBatch = 1000;  // blocks that go to the other thread at once
constexpr uint64_t kBatches = 20;

}  // namespace

// Each operation twice: to warm up, and to be counted. What is counted is what these functions call, not what they do.
// No name that C++ would make longer: the counts are found by name.
#define OPERATION(name, ...)                                       \
  extern "C" [[gnu::noipa]] void warm_##name(uint64_t rounds) {    \
    for (uint64_t i = 0; i < rounds; i++) {                        \
      __VA_ARGS__;                                                 \
    }                                                              \
  }                                                                \
  extern "C" [[gnu::noipa]] void counted_##name(uint64_t rounds) { \
    for (uint64_t i = 0; i < rounds; i++) {                        \
      __VA_ARGS__;                                                 \
    }                                                              \
  }

OPERATION(malloc_24, calls.free(calls.malloc(24)))
OPERATION(malloc_500, calls.free(calls.malloc(500)))
OPERATION(malloc_5000, calls.free(calls.malloc(5000)))
OPERATION(malloc_100000, calls.free(calls.malloc(100000)))
OPERATION(calloc_24, calls.free(calls.calloc(1, 24)))
OPERATION(calloc_500, calls.free(calls.calloc(1, 500)))
OPERATION(new_24, calls.operator_delete(calls.operator_new(24)))
OPERATION(new_sized_24, calls.operator_delete_sized(calls.operator_new(24), 24))

static void* resized;
OPERATION(realloc_in_place, resized = calls.realloc(resized, 90 + i % 7))
OPERATION(usable_size, calls.malloc_usable_size(resized))

static void* resized_run;
OPERATION(realloc_of_run, resized_run = calls.realloc(resized_run, 99990 + i % 7))

static void* exchanged[kBatch];
static sem_t is_filled, is_emptied;

extern "C" [[gnu::noipa]] void counted_remote_malloc(uint64_t) {
  for (void*& block : exchanged) block = calls.malloc(24);
}
extern "C" [[gnu::noipa]] void counted_remote_free(uint64_t) {
  for (void* block : exchanged) calls.free(block);
}
extern "C" [[gnu::noipa]] void warm_remote_malloc(uint64_t) {
  for (void*& block : exchanged) block = calls.malloc(24);
}
extern "C" [[gnu::noipa]] void warm_remote_free(uint64_t) {
  for (void* block : exchanged) calls.free(block);
}

namespace {

void* free_batches(void*) {
  calls.free(calls.malloc(24));  // a thread with an arena of its own
  for (uint64_t i = 0; i < 2 * kBatches; i++) {
    sem_wait(&is_filled);
    (i < kBatches ? warm_remote_free : counted_remote_free)(kBatch);
    sem_post(&is_emptied);
  }
  return nullptr;
}

void exchange_batches() {
  pthread_t other;
  sem_init(&is_filled, 0, 0);
  sem_init(&is_emptied, 0, 0);
  if (pthread_create(&other, nullptr, free_batches, nullptr) != 0) pagerun::bench::die("cannot make a thread");
  for (uint64_t i = 0; i < 2 * kBatches; i++) {
    (i < kBatches ? warm_remote_malloc : counted_remote_malloc)(kBatch);
    sem_post(&is_filled);
    sem_wait(&is_emptied);
  }
  pthread_join(other, nullptr);
}

struct Operation {
  const char* text;
  const char* functions;  // whose calls are counted
  void (*warm)(uint64_t);
  void (*counted)(uint64_t);
};

#define ENTRY(text, name) {text, "\"counted_" #name "\"", warm_##name, counted_##name}

constexpr Operation kOperations[] = {
    ENTRY("malloc(24) + free", malloc_24),
    ENTRY("malloc(500) + free", malloc_500),
    ENTRY("malloc(5000) + free", malloc_5000),
    ENTRY("malloc(100000) + free", malloc_100000),
    ENTRY("calloc(1, 24) + free", calloc_24),
    ENTRY("calloc(1, 500) + free", calloc_500),
    ENTRY("realloc in place", realloc_in_place),
    ENTRY("realloc of 100000 bytes in place", realloc_of_run),
    ENTRY("malloc_usable_size", usable_size),
    ENTRY("operator new(24) + delete", new_24),
    ENTRY("operator new(24) + sized delete", new_sized_24),
};

void print_operation(const char* text, const char* functions, uint64_t rounds, const char* before) {
  printf("%s\n{\"operation\":\"%s\",\"functions\":[%s],\"rounds\":%lu}", before, text, functions, rounds);
}

}  // namespace

namespace pagerun::bench {

void run_operations() {
  find_calls();
  resized = calls.malloc(100);
  resized_run = calls.malloc(100000);
  for (const Operation& operation : kOperations) {
    operation.warm(kWarmRounds);
    operation.counted(kRounds);
  }
  exchange_batches();
  calls.free(resized);
  calls.free(resized_run);
  const char* before = "[";
  for (const Operation& operation : kOperations) {
    print_operation(operation.text, operation.functions, kRounds, before);
    before = ",";
  }
  print_operation("malloc(24), free by another thread, drain", "\"counted_remote_malloc\",\"counted_remote_free\"",
                  kBatches * kBatch, before);
  puts("\n]");
}

const char* compiler_version() {
#ifdef __clang__
  return __VERSION__;
#else
  return "g++ " __VERSION__;
#endif
}

}  // namespace pagerun::bench
