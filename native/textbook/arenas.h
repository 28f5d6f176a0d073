// Teaching allocator B: many arenas, each a free list (allocator A) with a lock of its own, so that threads need not
// wait for one another at one list. One arena is allocator A with a lock.
// Owns the arenas and the addresses under them. Thread rule: any thread; an arena's list belongs to whoever holds its
// lock.
//
// Which arena a thread takes (Choice), and how free finds the one that a block came from (Origin):
//
//   plan A   | size | id | user memory ... |      the header says it, at the price of a field in each block
//   plan B   | arena 0 ... | arena 1 ... | ...    equal parts of one range: the address says it, by a division
//            base          base + part_bytes
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../base/config.h"
#include "../base/lock.h"
#include "free_list.h"

namespace pagerun::textbook {

/// Which arena a thread allocates from.
enum class Choice : uint8_t {
  kModulo,          // arenas[t % n]: always the same one
  kRandom,          // arenas[rand() % n]: another one at each call
  kLeastContended,  // the one with the fewest threads in it or waiting for it; its own when there are several
};

/// How the arena of a block is found.
enum class Origin : uint8_t { kHeader, kAddress };

constexpr uint32_t kMostArenas = 1024;

struct ArenasOptions {
  FreeListOptions list;  // id and has_id are set here
  uint32_t arenas = 1;   // 1 .. kMostArenas
  Choice choice = Choice::kModulo;
  Origin origin = Origin::kAddress;
};

/// On cache lines of its own: arenas that share none do not slow each other down. `ArenaLock` has take() and give().
template <class ArenaLock>
struct alignas(kCacheLineBytes) BasicArena {
  ArenaLock lock;
  std::atomic<uint32_t> threads{0};  // in the arena or waiting for it; relaxed: a hint for the choice, no order needed
  bool is_suspect = false;           // somebody wrote where fields may lie; guarded by `lock`
  FreeList list;                     // guarded by `lock`
};

/// With a lock of any kind, so that locks can be compared (contention.h); heaps have that of the house.
template <class ArenaLock>
class BasicArenas {
 public:
  using Arena = BasicArena<ArenaLock>;

  /// Reserves the addresses of all arenas. False when the system refuses.
  bool open(const ArenasOptions& options);
  /// Gives all memory back; every block is gone.
  void close();

  /// As malloc, aligned_alloc, free and realloc: pointers are believed. Null when the arena has no memory left.
  void* allocate(size_t bytes);
  void* allocate_aligned(size_t alignment, size_t bytes);
  void deallocate(void* ptr);
  /// Whether a live block has as much; what it has too much becomes free.
  bool stays(void* ptr, size_t bytes);
  size_t usable_bytes(const void* ptr) const;

  /// The same for pointers that are not to be believed: a broken heap or a wrong pointer is refused. O(blocks).
  Fault try_allocate(size_t bytes, void** result);
  Fault try_deallocate(void* ptr);
  Fault try_stay(void* ptr, size_t bytes, BlockRecord* found, bool* stays);
  Fault locate(const void* ptr, BlockRecord* found);

  /// Notes that fields may have been overwritten: the next checked call looks at the arena first. For a holder of all
  /// locks.
  void suspect(const void* ptr);

  /// All locks, in the order of the arenas: for a look at the whole, and around fork.
  void take_locks();
  void give_locks();

  /// For a holder of all locks.
  Verdict check() const;
  bool owns(const void* ptr, size_t bytes) const;
  template <class Visit>
  void each_block(Visit visit) const {
    for (uint32_t i = 0; i < options_.arenas; i++) arenas_[i].list.each_block(visit);
  }

  uint32_t count() const { return options_.arenas; }
  Arena& arena(uint32_t index) { return arenas_[index]; }
  uint32_t index_of(const void* ptr) const;

 private:
  uint32_t choose() const;
  uint32_t least_contended(uint32_t own) const;
  uint32_t index_by_address(const void* ptr) const;  // the number of arenas when it is in none

  ArenasOptions options_;
  char* base_ = nullptr;
  size_t part_bytes_ = 0;
  Arena* arenas_ = nullptr;
  size_t arenas_bytes_ = 0;
};

using Arenas = BasicArenas<Lock>;

/// Holds one arena's lock, and counts as one of its threads from the wait on.
template <class ArenaLock>
class ArenaGuard {
 public:
  explicit ArenaGuard(BasicArena<ArenaLock>& arena) : arena_(arena) {
    arena_.threads.fetch_add(1, std::memory_order_relaxed);
    arena_.lock.take();
  }
  ~ArenaGuard() {
    arena_.lock.give();
    arena_.threads.fetch_sub(1, std::memory_order_relaxed);
  }
  ArenaGuard(const ArenaGuard&) = delete;
  ArenaGuard& operator=(const ArenaGuard&) = delete;

 private:
  BasicArena<ArenaLock>& arena_;
};

}  // namespace pagerun::textbook
