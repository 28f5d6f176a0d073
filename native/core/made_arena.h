// An arena that a program makes: buckets, runs and mappings of its own, under a limit, which end together.
// Owns its extents, and through the lists of its buckets and of Arena::runs every block that was handed out from it.
// Its blocks are blocks of the heap like all others: free, realloc and locate take them, on any thread.
//
//   extent        | bucket page | bucket page | kept page | ... | rest, not divided yet |      a run taken at once
//
// Bucket pages are divided off extents, so that a small arena costs one visit to the run list, and the memory of many
// blocks is in one piece, over which JavaScript has one ArrayBuffer. An empty page is kept for the arena's next bucket
// page; an extent without a page in use goes back, unless it is pinned: then with the arena.
//
// Thread rule: it belongs to the thread that made it, whose own arena is its `host`; every call is that thread's, and
// the host's end is its end. Other threads free into its pages by the protocol of arena.h, under `lock`. So does reset
// (and destroy): whoever frees a block either is done before the pages go, or finds under the lock that the block is
// none any more. A free that is not ordered after or before the reset by the program itself is the program's error,
// found or without effect. Runs and mappings are freed under their own locks.
// Lock order: made arena -> arenas -> run list -> mappings. A record is never unmapped, so that a late look at it is
// safe; it is used again for another arena, with another id.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../base/lock.h"
#include "../harden/misuse.h"
#include "arena.h"

namespace pagerun {

constexpr uint32_t kMaxExtents = 64;
constexpr uint32_t kMaxBucketPages = 2;  // pages of the longest bucket page
constexpr size_t kArenaNameBytes = 48;   // what is kept of a name, its end included
constexpr uint64_t kNoLimit = UINT64_MAX;

static_assert(class_pages(kClassCount - 1) == kMaxBucketPages);

struct Extent {
  PageHeader* first;
  PageHeader* rest;  // what is not divided yet: a run that is not settled; null when there is none
  uint32_t pages;
  uint32_t used_pages;  // of bucket pages that the arena's buckets have
  uint32_t pins;        // ArrayBuffers over it
};

struct MadeArena : Arena {
  Lock lock;
  const void* thread;  // whose it is, by its thread pointer: current_arena may be another one for a while
  uint64_t limit_bytes;
  char name[kArenaNameBytes];
  uint32_t extent_count;
  Extent extents[kMaxExtents];
  PageList kept[kMaxBucketPages];  // empty pages by length less one: runs that are not settled
};

inline MadeArena* made_arena_of(Arena* arena) { return static_cast<MadeArena*>(arena); }

/// True on the thread that made the arena. No other thread has the same thread pointer as long as there is the arena,
/// which ends with its thread.
inline bool is_mine(const MadeArena* arena) { return load_relaxed(arena->thread) == __builtin_thread_pointer(); }

/// Why a made arena gave no block.
enum class Refusal : uint32_t { kNone = 0, kLimit = 1, kMemory = 2 };

/// A new arena of the calling thread; null when memory is exhausted, or the thread has ended. `name` is cut to
/// kArenaNameBytes - 1 bytes, at the end of a character of UTF-8. With `is_hardened` its blocks are under all policies
/// (harden/policy.h), else under the process's own. A lock.
MadeArena* made_arena_make(uint64_t limit_bytes, const char* name, size_t name_bytes, bool is_hardened = false);

/// Bytes of its live blocks, as locate() tells their size. Frees by other threads count until the arena needs room.
uint64_t made_arena_bytes(const MadeArena* arena);

/// As allocate_aligned(), from the arena. Null when refused: *refusal says why, and nothing has changed.
void* made_arena_take(MadeArena* arena, size_t bytes, size_t alignment, Refusal* refusal);

/// The same, zeroed.
void* made_arena_take_zeroed(MadeArena* arena, size_t bytes, Refusal* refusal);

/// As reallocate(), for a block of this arena, which the caller has found `ptr` to be, and staying in it. The limit is
/// for what is live afterwards.
Misuse made_arena_resize(MadeArena* arena, void* ptr, size_t bytes, void** result, Refusal* refusal);

/// Frees block `index` of a page of the arena, a live one.
Misuse made_arena_free(MadeArena* arena, PageHeader* page, uint32_t index);

/// Frees every block, and gives all pages back, but for those that are pinned, which follow with their last pin.
/// O(pages), and O(mappings of the process) if the arena has any. Waits for frees by other threads that have begun.
void made_arena_reset(MadeArena* arena);

/// The same, and the end of the arena: its record may be another one's from now on.
void made_arena_destroy(MadeArena* arena);

/// Ends all arenas of which `host` is the host, whose thread ends.
void made_arenas_end(Arena* host);

/// For the child of a fork, which has taken along the arenas of `host` alone: nobody holds their locks.
void made_arenas_fork(Arena* host);

/// The memory round a block of a made arena that an ArrayBuffer over it is over: the extent that has the block, or the
/// run or mapping that the block is.
struct ArenaMemory {
  char* start;
  size_t bytes;
  MadeArena* arena;  // whose it is; null when it is none of the calling thread's
  uint64_t id;       // this arena, and not a later one of the same record
};

/// As locate(), and the memory round the block.
Misuse made_arena_find(const void* ptr, Block* block, ArenaMemory* memory);

/// Pins memory that was found just now, so that it stays where it is and with nobody else; false when another thread
/// has freed it meanwhile. unpin() takes a pin back, on the same thread; the arena may have ended since.
bool made_arena_pin(const ArenaMemory& memory);
void made_arena_unpin(const ArenaMemory& memory);

/// A run of `pages` pages for a bucket page, as RunList::take(); null when memory is exhausted.
PageHeader* extents_take(MadeArena* arena, uint32_t pages);

/// Takes an empty bucket page back, which is on no list and has no owner any more.
void extents_put(MadeArena* arena, PageHeader* page);

/// Gives the extent back if it has no page in use and no pin, and the arena will hardly want it soon.
void extent_check(MadeArena* arena, Extent* extent);

/// Gives all extents back, as RunList::put_divided() does.
void extents_end(MadeArena* arena);

/// The extent that has the page, or null.
Extent* extent_of(MadeArena* arena, const PageHeader* page);

}  // namespace pagerun
