#include "arena_list.h"

#include <atomic>
#include <new>

#include "../os/memory.h"
#include "arena.h"
#include "run_list.h"

namespace pagerun {

Lock arenas_lock;

namespace {

constexpr size_t kArenaBatch = 4;  // arenas that one mapping holds

std::atomic<Arena*> all_arenas{nullptr};  // release: pairs with arena_first()
Arena* spare_arenas = nullptr;            // mapped, never used; linked by next_abandoned, under arenas_lock
uint64_t arena_count = 0;                 // under arenas_lock

}  // namespace

void* records_map(size_t bytes) {
  if (void* memory = os::map(round_up(bytes, kOsPageBytes))) return memory;
  PageHeader* run = run_list.take(static_cast<uint32_t>(divide_up(bytes, kPageBytes)));
  return run == nullptr ? nullptr : run->start;
}

void arena_identify(Arena* arena) { store_relaxed(arena->id, ++arena_count); }

void arena_enlist(Arena* arena) {
  arena->next = all_arenas.load(std::memory_order_relaxed);
  all_arenas.store(arena, std::memory_order_release);
}

Arena* arena_new() {
  if (spare_arenas == nullptr) {
    auto* batch = static_cast<Arena*>(records_map(kArenaBatch * sizeof(Arena)));
    if (batch == nullptr) return nullptr;
    for (size_t i = kArenaBatch; i-- > 0;) {
      batch[i].next_abandoned = spare_arenas;
      spare_arenas = &batch[i];
    }
  }
  Arena* arena = spare_arenas;
  spare_arenas = arena->next_abandoned;
  arena = new (arena) Arena();
  arena_identify(arena);
  arena_enlist(arena);
  return arena;
}

Arena* arena_first() { return all_arenas.load(std::memory_order_acquire); }

bool arena_is_known(const Arena* wanted) {
  for (const Arena* arena = arena_first(); arena != nullptr; arena = arena->next) {
    if (arena == wanted) return true;
  }
  return false;
}

void arenas_orphan(const Arena* mine, const Arena* late) {
  for (Arena* arena = arena_first(); arena != nullptr; arena = arena->next) {
    ArenaState state = arena->state.load(std::memory_order_relaxed);
    bool is_lost = state == ArenaState::kActive || (state == ArenaState::kMade && arena->host != mine);
    if (arena == mine || arena == late || !is_lost) continue;
    arena->state.store(ArenaState::kOrphaned, std::memory_order_relaxed);
  }
}

}  // namespace pagerun
