#include "lent_arena.h"

#include "../os/background.h"
#include "arena_list.h"
#include "thread_arena.h"

namespace pagerun {

namespace {

uint32_t count_current_pages(const Arena* arena) {
  uint32_t count = 0;
  for (const Bucket& bucket : arena->buckets) count += load_relaxed(bucket.page) != &no_page;
  return count;
}

bool is_owner_waiting(const Arena* arena) {
  return os::is_waiting(load_relaxed(arena->thread), load_relaxed(arena->on_stack));
}

bool exchange(Arena** place, Arena* from, Arena* to) {
  return __atomic_compare_exchange_n(place, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

// Steps 1 to 5.
uint32_t arena_borrow(Arena* arena) {
  LockGuard guard(arenas_lock);
  Arena** place = arena->place.load(std::memory_order_relaxed);
  // While it is set the thread has not ended, and cannot without the lock: the place is there.
  if (place == nullptr || !exchange(place, arena, &lent_arena)) return 0;
  uint32_t pages = 0;
  if (os::fence_all_threads() && is_owner_waiting(arena) && !Lock::is_anybody_asleep()) {
    pages = count_current_pages(arena);
    arena_retire(arena);
    arena_put_spares(arena);
    os::fence_all_threads();
  }
  // The owner may have gone on meanwhile, and points elsewhere by itself.
  exchange(place, &lent_arena, arena);
  return pages;
}

}  // namespace

void arena_allow_loan(Arena* arena) {
  if (load_shared(arena_distance) == 0 || arena->policies != 0) return;
  store_relaxed(arena->thread, os::thread_number());
  store_relaxed<const void*>(arena->on_stack, __builtin_frame_address(0));
  arena->place.store(arena_place(), std::memory_order_release);  // pairs with idle_arenas_retire()
}

void arena_renew_loan(Arena* arena) {
  if (arena->place.load(std::memory_order_relaxed) != nullptr) store_relaxed(arena->thread, os::thread_number());
}

uint32_t idle_arenas_retire() {
  uint32_t pages = 0;
  const Arena* mine = arena_now();
  for (Arena* arena = arena_first(); arena != nullptr; arena = arena->next) {
    bool can_be_lent = arena != mine && arena->place.load(std::memory_order_acquire) != nullptr;
    if (can_be_lent && count_current_pages(arena) > 0 && is_owner_waiting(arena)) pages += arena_borrow(arena);
  }
  return pages;
}

}  // namespace pagerun
