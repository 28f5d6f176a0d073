#include "thread_arena.h"

#include <pthread.h>

#include "../harden/policy.h"
#include "../os/background.h"
#include "arena_list.h"
#include "block_hold.h"
#include "lent_arena.h"
#include "made_arena.h"
#include "mapping_table.h"
#include "purger.h"
#include "range_table.h"
#include "run_list.h"
#include "sweep.h"
#include "unreadable_blocks.h"

namespace pagerun {

namespace {

// Destructors of thread-specific data run in rounds. Ours asks for another round until the last but one, so that what
// other destructors allocate and free still finds the thread's own arena; the last round belongs to tools that take the
// thread's state down (ThreadSanitizer does).
constexpr uintptr_t kLastRound = PTHREAD_DESTRUCTOR_ITERATIONS - 1;

pthread_key_t end_key;
std::atomic<bool> has_end_key{false};
std::atomic<bool> has_fork_handlers{false};
Lock hooks_lock;

// What threads allocate after their end was seen. Lock order: late -> arenas -> run list.
Lock late_lock;
Arena* late_arena = nullptr;

void thread_ended(void* round) {
  auto next = reinterpret_cast<uintptr_t>(round) + 1;
  if (next <= kLastRound && pthread_setspecific(end_key, reinterpret_cast<void*>(next)) == 0) return;
  Arena* arena = arena_own();
  *arena_place() = &ended_arena;
  if (is_stand_in(arena)) return;
  made_arenas_end(arena);
  arena_abandon(arena);
}

void locks_take() {
  late_lock.take();
  arenas_lock.take();
  sweep_lock.take();
  run_list.lock().take();
  mapping_table.lock().take();
  range_table.lock().take();
  holds_lock().take();
  unreadable_blocks.lock().take();
}

void locks_give() {
  unreadable_blocks.lock().give();
  holds_lock().give();
  range_table.lock().give();
  mapping_table.lock().give();
  run_list.lock().give();
  sweep_lock.give();
  arenas_lock.give();
  late_lock.give();
}

// The child has one thread: nobody sleeps on a lock, and the other threads' arenas stay as they were caught.
void fork_in_child() {
  for (Lock* lock : {&unreadable_blocks.lock(), &holds_lock(), &range_table.lock(), &mapping_table.lock(),
                     &run_list.lock(), &sweep_lock, &late_lock, &hooks_lock})
    lock->reset();
  Lock::forget_sleepers();
  arena_renew_loan(arena_now());
  arenas_orphan(arena_now(), late_arena);
  made_arenas_fork(arena_now());
  purger_fork();
  arenas_lock.reset();
}

// Neither call allocates under the lock: pthread_atfork() may, and is therefore made outside.
void hooks_set_up() {
  {
    LockGuard guard(hooks_lock);
    if (!has_end_key.load(std::memory_order_relaxed) && pthread_key_create(&end_key, thread_ended) == 0)
      has_end_key.store(true, std::memory_order_release);
  }
  fork_handlers_set_up();
}

#ifdef __x86_64__
// What the loader made of current_arena. The word behind the loader's function in a TLS descriptor is the distance
// where the storage is static, which is negative, and the address of a record of the loader's where it is not. A linker
// that knows the distance (of a program) puts it into the instruction, in place of the descriptor's address. Ulrich
// Drepper, "ELF Handling For Thread-Local Storage"; Alexandre Oliva, "Thread-Local Storage Descriptors" (2006).
int64_t distance_of_arena() {
  int64_t value;
  __asm__("lea _ZN7pagerun13current_arenaE@tlsdesc(%%rip), %0" : "=a"(value));
  if (value >= 0) value = reinterpret_cast<const int64_t*>(value)[1];
  return value < 0 && value > INT32_MIN ? value : 0;
}
#else
int64_t distance_of_arena() { return 1; }
#endif

// Before any thread can be there that might see one of the two words without the other.
[[gnu::constructor]] void arena_place_find_early() { arena_place_find(); }

Arena* thread_arena_set_up() {
  Arena* arena = arena_adopt();
  if (arena == nullptr) return nullptr;
  *arena_place() = arena;  // before the hooks, which may allocate
  if (!has_end_key.load(std::memory_order_acquire)) hooks_set_up();
  if (has_end_key.load(std::memory_order_acquire)) pthread_setspecific(end_key, reinterpret_cast<void*>(1));
  arena_allow_loan(arena);  // last: from here on the thread may wait somewhere with nothing half done
  return arena;
}

void* late_take(uint32_t size_class) {
  LockGuard guard(late_lock);
  if (late_arena == nullptr) late_arena = arena_adopt();
  if (late_arena == nullptr) return nullptr;
  Bucket* bucket = bucket_at(late_arena, size_class);
  void* ptr = bucket_take_here(bucket);
  return ptr != nullptr ? ptr : bucket_take_slow(late_arena, bucket);
}

}  // namespace

constinit Arena empty_arena;
constinit Arena ended_arena;
constinit Arena lent_arena;
__thread Arena* current_arena = &empty_arena;
size_t arena_distance = 0;
size_t direct_end = 0;
size_t hardened_end = 0;
size_t bucket_end = 0;

[[gnu::noinline, gnu::cold]] Arena** arena_place_far() { return &current_arena; }

bool arena_place_find() {
  policies_choose();
  int64_t distance = distance_of_arena();
  if (distance == 0) return false;
  store_relaxed(arena_distance, static_cast<size_t>(distance));
  // release: behind the distance. A block of the hardened profile needs room for one byte of slack.
  if (process_policies == 0) {
    __atomic_store_n(&direct_end, kMaxDirectBytes + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&bucket_end, kMaxBlockBytes + 1, __ATOMIC_RELEASE);
  } else {
    __atomic_store_n(&hardened_end, kMaxDirectBytes, __ATOMIC_RELEASE);
  }
  return true;
}

Arena* arena_own() {
  Arena* arena = arena_now();
  if (arena != &lent_arena) [[likely]]
    return arena;
  LockGuard guard(arenas_lock);  // held by whoever has it
  return arena_now();
}

Arena* thread_arena() {
  Arena* arena = arena_own();
  if (arena == &ended_arena) return nullptr;
  return arena == &empty_arena ? thread_arena_set_up() : arena;
}

Arena* arena_open() {
  static std::atomic<uint32_t> numbers{0};
  hooks_set_up();
  Arena* arena = arena_adopt();
  if (arena != nullptr && arena->script_number == 0 && arena->policies == 0) arena->script_number = ++numbers;
  return arena;
}

Arena* arena_switch(Arena* arena) {
  Arena* was = arena_own();
  if (arena->script_number != 0) store_relaxed(arena->script_closed, ~0u);
  *arena_place() = arena;
  return was;
}

void fork_handlers_set_up() {
  if (has_fork_handlers.exchange(true)) return;
  os::forget_background();
  pthread_atfork(locks_take, locks_give, fork_in_child);
}

void* thread_take_slow(Arena* arena, uint32_t size_class) {
  if (arena == &ended_arena) return late_take(size_class);
  if (arena == &lent_arena) arena = arena_own();
  if (arena == &empty_arena) arena = thread_arena_set_up();
  return arena == nullptr ? nullptr : bucket_take_slow(arena, bucket_at(arena, size_class));
}

}  // namespace pagerun
