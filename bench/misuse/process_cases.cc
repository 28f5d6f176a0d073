// What every malloc owes a caller who makes no mistake, among threads, across fork, and when memory is short.
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

#include "case.h"

namespace pagerun::misuse {
namespace {

constexpr size_t kMiB = 1 << 20;

void* taken(size_t bytes) {
  void* ptr = take(bytes);
  require(ptr != nullptr, "malloc returns a block");
  return ptr;
}

void limit_by(int resource, rlim_t bytes) {
  rlimit limit = {bytes, bytes};
  require(setrlimit(resource, &limit) == 0, "a limit can be set");
}

// Blocks of `bytes` until there are no more, linked through their first words.
void exhaust(size_t bytes, size_t written_bytes) {
  void** last = nullptr;
  size_t count = 0;
  errno = 0;
  for (;;) {
    auto** block = static_cast<void**>(take(bytes));
    if (block == nullptr) break;
    memset(block, 0x3c, written_bytes);
    *block = last;
    last = block;
    count++;
  }
  require(errno == ENOMEM, "errno is ENOMEM when memory is exhausted");
  require(count > 0, "there was memory before");
  while (last != nullptr) {
    auto** before = static_cast<void**>(*last);
    if (written_bytes > sizeof(void*))
      require(reinterpret_cast<unsigned char*>(last)[written_bytes - 1] == 0x3c, "blocks keep their content");
    give(last);
    last = before;
  }
}

template <size_t kBytes, size_t kWritten>
void exhaustion() {
  limit_by(RLIMIT_AS, 400 * kMiB);
  for (int round = 0; round < 2; round++) exhaust(kBytes, kWritten);
  give(taken(kMiB));
}

void exhaustion_of_data() {
  limit_by(RLIMIT_DATA, 200 * kMiB);
  exhaust(100000, 64);
  exhaust(1000, 64);
  give(taken(kMiB));
}

void exhaustion_in_realloc() {
  limit_by(RLIMIT_AS, 400 * kMiB);
  size_t bytes = 1000;
  auto* block = static_cast<unsigned char*>(taken(bytes));
  for (;;) {
    memset(block, 0x2b, bytes);
    errno = 0;
    auto* grown = static_cast<unsigned char*>(resize(block, bytes * 2));
    if (grown == nullptr) break;
    block = grown;
    bytes *= 2;
  }
  require(errno == ENOMEM, "errno is ENOMEM");
  for (size_t i = 0; i < bytes; i += 997) require(block[i] == 0x2b, "the block is as it was");
  give(block);
  give(taken(kMiB));
}

pthread_barrier_t limited;

void* exhaust_here(void*) {
  pthread_barrier_wait(&limited);
  void* blocks[2000];
  size_t count = 0;
  while (count < 2000 && (blocks[count] = take(50000)) != nullptr) count++;
  for (size_t i = 0; i < count; i++) give(blocks[i]);
  return nullptr;
}

void on_threads(size_t count, void* (*body)(void*)) {
  pthread_t threads[16];
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 256 << 10);
  for (size_t i = 0; i < count; i++)
    require(pthread_create(&threads[i], &small, body, reinterpret_cast<void*>(i + 1)) == 0, "a thread can be made");
  for (size_t i = 0; i < count; i++) pthread_join(threads[i], nullptr);
}

void exhaustion_on_threads() {
  pthread_barrier_init(&limited, nullptr, 4);
  pthread_t threads[3];
  for (pthread_t& thread : threads)
    require(pthread_create(&thread, nullptr, exhaust_here, nullptr) == 0, "a thread can be made");
  limit_by(RLIMIT_AS, 300 * kMiB);
  exhaust_here(nullptr);
  for (pthread_t& thread : threads) pthread_join(thread, nullptr);
  give(taken(kMiB));
}

// Random calls on a thread's own places, each block with the thread's mark.
void* churn_marked(void* number) {
  constexpr size_t kPlaces = 500;
  auto id = reinterpret_cast<uintptr_t>(number);
  auto mark = static_cast<unsigned char>(id * 17);
  unsigned char* blocks[kPlaces] = {};
  size_t sizes[kPlaces] = {};
  uint64_t random = id * 7919;
  for (int i = 0; i < 60000; i++) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    size_t place = (random >> 33) % kPlaces;
    if (blocks[place] != nullptr) {
      require(blocks[place][0] == mark && blocks[place][sizes[place] - 1] == mark, "a thread's block is its alone");
      give(blocks[place]);
      blocks[place] = nullptr;
      continue;
    }
    sizes[place] = 1 + (random >> 20) % 2000;
    blocks[place] = static_cast<unsigned char*>(taken(sizes[place]));
    blocks[place][0] = blocks[place][sizes[place] - 1] = mark;
  }
  for (unsigned char* block : blocks) give(block);
  return nullptr;
}

// One thread takes, another frees, through a ring.
constexpr size_t kRing = 256, kHanded = 50000;
unsigned char* ring[kRing];
size_t produced = 0, consumed = 0;

void* produce(void*) {
  for (size_t i = 0; i < kHanded; i++) {
    while (i - __atomic_load_n(&consumed, __ATOMIC_ACQUIRE) >= kRing) sched_yield();
    size_t bytes = 8 + i % 500;
    auto* block = static_cast<unsigned char*>(taken(bytes));
    memset(block, static_cast<int>(i & 0xff), bytes);
    ring[i % kRing] = block;
    __atomic_store_n(&produced, i + 1, __ATOMIC_RELEASE);
  }
  return nullptr;
}

void consume() {
  for (size_t i = 0; i < kHanded; i++) {
    while (__atomic_load_n(&produced, __ATOMIC_ACQUIRE) <= i) sched_yield();
    unsigned char* block = ring[i % kRing];
    require(block[0] == (i & 0xff) && block[7 + i % 500] == (i & 0xff), "what another thread wrote is there");
    give(block);
    __atomic_store_n(&consumed, i + 1, __ATOMIC_RELEASE);
  }
}

void free_on_another_thread() {
  pthread_t producer;
  require(pthread_create(&producer, nullptr, produce, nullptr) == 0, "a thread can be made");
  consume();
  pthread_join(producer, nullptr);
}

void resize_argument(void* place) {
  auto** block = static_cast<unsigned char**>(place);
  *block = static_cast<unsigned char*>(resize(*block, 50000));
}

void realloc_on_another_thread() {
  for (size_t bytes : {size_t{100}, size_t{5000}, size_t{40000}}) {
    auto* block = static_cast<unsigned char*>(taken(bytes));
    memset(block, 0x66, bytes);
    on_other_thread(resize_argument, &block);
    require(block != nullptr && block[0] == 0x66 && block[bytes - 1] == 0x66, "realloc takes another thread's block");
    give(block);
  }
}

size_t resident_bytes() {
  size_t size = 0, resident = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  require(file != nullptr && fscanf(file, "%zu %zu", &size, &resident) == 2, "statm can be read");
  fclose(file);
  return resident * 4096;
}

void* take_and_give_some(void*) {
  void* blocks[50];
  for (size_t i = 0; i < 50; i++) memset(blocks[i] = taken(20 + i * 40), 1, 20);
  for (void* block : blocks) give(block);
  return nullptr;
}

void many_threads() {
  for (int i = 0; i < 50; i++) on_threads(4, take_and_give_some);
  size_t before = resident_bytes();
  for (int i = 0; i < 250; i++) on_threads(4, take_and_give_some);
  require(resident_bytes() < before + 8 * kMiB, "1,000 threads that came and went leave less than 8 MiB");
}

void* left_behind[64];

void* take_and_leave(void*) {
  for (void*& block : left_behind) memset(block = taken(300), 0x44, 300);
  return nullptr;
}

void blocks_outlive_thread() {
  for (int round = 0; round < 20; round++) {
    on_threads(1, take_and_leave);
    for (void* block : left_behind) {
      require(static_cast<unsigned char*>(block)[299] == 0x44, "a block outlives its thread");
      give(block);
    }
  }
}

pthread_key_t key;

void* leave_a_value(void*) {
  pthread_setspecific(key, taken(500));
  return taken(10);
}

void end_of_thread(void* value) {
  void* more = taken(700);
  memset(more, 1, 700);
  give(value);
  give(more);
}

void destructors_of_threads() {
  require(pthread_key_create(&key, end_of_thread) == 0, "a key can be made");
  for (int i = 0; i < 20; i++) on_threads(4, leave_a_value);
}

int wait_for(pid_t child) {
  int status = -1;
  require(waitpid(child, &status, 0) == child, "a child ends");
  return status;
}

void use_heap_in_child(unsigned char* inherited) {
  require(inherited[0] == 0x11 && inherited[999] == 0x11, "a child has its parent's blocks");
  give(inherited);
  void* block = taken(5000);
  block = resize(block, 80000);
  give(block);
  take_and_give_some(nullptr);
  on_threads(2, take_and_give_some);
  _exit(0);
}

void fork_with_heap() {
  for (int i = 0; i < 50; i++) {
    auto* block = static_cast<unsigned char*>(taken(1000));
    memset(block, 0x11, 1000);
    pid_t child = fork();
    if (child == 0) use_heap_in_child(block);
    require(wait_for(child) == 0, "a child uses the heap");
    require(block[0] == 0x11, "the parent's block is its own");
    give(block);
  }
}

bool is_over = false;

void* churn_until_over(void*) {
  while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
    void* blocks[40];
    for (size_t i = 0; i < 40; i++) blocks[i] = taken(size_t{16} << i % 12);
    for (void* block : blocks) give(block);
  }
  return nullptr;
}

// The child has one thread; whatever the others were in the middle of must not stand in its way.
void fork_among_threads() {
  pthread_t threads[3];
  for (pthread_t& thread : threads)
    require(pthread_create(&thread, nullptr, churn_until_over, nullptr) == 0, "a thread can be made");
  for (int i = 0; i < 60; i++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(20);
      for (size_t bytes = 16; bytes < 3000000; bytes += bytes / 2) give(taken(bytes));
      on_threads(2, take_and_give_some);
      _exit(0);
    }
    require(wait_for(child) == 0, "a child uses the heap, whatever other threads were doing");
  }
  __atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
  for (pthread_t& thread : threads) pthread_join(thread, nullptr);
}

void fork_of_fork() {
  pid_t child = fork();
  if (child == 0) {
    void* block = taken(100);
    pid_t grandchild = fork();
    if (grandchild == 0) {
      give(block);
      take_and_give_some(nullptr);
      _exit(0);
    }
    _exit(wait_for(grandchild) == 0 ? 0 : 1);
  }
  require(wait_for(child) == 0, "a grandchild uses the heap");
}

void handler_of_fork() { give(taken(100)); }

void fork_handlers() {
  require(pthread_atfork(handler_of_fork, handler_of_fork, handler_of_fork) == 0, "handlers can be set");
  for (int i = 0; i < 20; i++) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    require(wait_for(child) == 0, "a child ends");
  }
}

void at_exit() {
  give(taken(1000));
  end_with("passed");
}

void use_at_exit() {
  atexit(at_exit);
  exit(0);
}

// The first call of malloc in a process that may have very little address space.
void tiny_address_space() {
  limit_by(RLIMIT_AS, 64 * kMiB);
  pid_t child = fork();
  if (child == 0) {
    give(taken(100));
    give(taken(kMiB));
    _exit(0);
  }
  require(wait_for(child) == 0, "64 MiB of address space are enough for 1 MiB");
}

void on_threads_marked() { on_threads(4, churn_marked); }

constexpr Case kCases[] = {
    {"exhaustion-small", "small blocks until there are no more, twice: ENOMEM, content kept, then 1 MiB again",
     exhaustion<100, 100>},
    {"exhaustion-middle", "the same with blocks of 20,000 bytes", exhaustion<20000, 200>},
    {"exhaustion-large", "the same with blocks of 1 MiB", exhaustion<kMiB, 64>},
    {"exhaustion-huge", "the same with blocks of 64 MiB", exhaustion<64 * kMiB, 64>},
    {"exhaustion-of-data", "the same under a limit on data", exhaustion_of_data},
    {"exhaustion-in-realloc", "realloc until there is no more keeps the block", exhaustion_in_realloc},
    {"exhaustion-on-threads", "four threads exhaust memory at once", exhaustion_on_threads},
    {"tiny-address-space", "64 MiB of address space are enough", tiny_address_space},
    {"threads-own-blocks", "four threads, 240,000 calls: every block is one thread's alone", on_threads_marked},
    {"free-on-another-thread", "50,000 blocks handed to another thread", free_on_another_thread},
    {"realloc-on-another-thread", "realloc of another thread's block", realloc_on_another_thread},
    {"blocks-outlive-thread", "blocks outlive their thread", blocks_outlive_thread},
    {"many-threads", "1,200 threads made and ended: memory stays bounded", many_threads},
    {"destructors-of-threads", "malloc and free while a thread ends", destructors_of_threads},
    {"fork", "children use, free and resize what they inherit", fork_with_heap},
    {"fork-among-threads", "60 forks while other threads allocate", fork_among_threads},
    {"fork-of-fork", "a child of a child uses the heap", fork_of_fork},
    {"fork-handlers", "malloc in handlers of fork", fork_handlers},
    {"at-exit", "malloc while the process ends", use_at_exit},
};

}  // namespace

Cases process_cases() { return {kCases, sizeof(kCases) / sizeof(kCases[0])}; }

}  // namespace pagerun::misuse
