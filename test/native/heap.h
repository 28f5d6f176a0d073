// What tests of the whole heap share: verify() as a check, patterns in blocks, and a look at one block.
// Owns nothing. Thread rule: as the calls of the core.
#pragma once

#include "base/settings.h"
#include "core/allocator.h"
#include "core/arena.h"
#include "core/hardened.h"
#include "core/page.h"
#include "core/purger.h"
#include "core/quarantine.h"
#include "core/region.h"
#include "core/thread_arena.h"
#include "harness.h"
#include "inspect/snapshot.h"
#include "inspect/verify.h"

namespace pagerun {

/// What is tested happens when the test says so, not when a background thread has looked round.
inline const bool kIsPurgerOff = (purger_set_delay(kPurgeNever), true);

inline bool expect_verified(const char* file, int line) {
  Verdict verdict = verify();
  if (verdict.invariant == nullptr) return true;
  return harness::report_failure(
      file, line,
      std::string("verify(): ") + verdict.invariant + " does not hold at " + harness::text_of(verdict.address));
}

constexpr size_t kWholePatternBytes = 16 << 10;  // larger blocks carry the pattern at both ends and once an OS page,
constexpr size_t kDensePatternBytes = 1 << 20;   // and still larger ones once a page

/// Calls visit(offset, length) for the parts of a block that carry its pattern.
template <class Visit>
void visit_pattern(size_t bytes, Visit visit) {
  if (bytes <= kWholePatternBytes) return visit(size_t{0}, bytes);
  visit(size_t{0}, size_t{64});
  size_t step = bytes <= kDensePatternBytes ? kOsPageBytes : kPageBytes;
  for (size_t at = step; at + 64 < bytes; at += step) visit(at, size_t{8});
  visit(bytes - 64, size_t{64});
}

inline unsigned char pattern_byte(uint64_t tag, size_t offset) {
  return static_cast<unsigned char>((tag * 0x9e3779b97f4a7c15ull >> 56) + offset * 31 + (offset >> 8));
}

inline void fill_pattern(void* ptr, size_t bytes, uint64_t tag) {
  auto* at = static_cast<unsigned char*>(ptr);
  visit_pattern(bytes, [&](size_t from, size_t length) {
    for (size_t i = from; i < from + length; i++) at[i] = pattern_byte(tag, i);
  });
}

/// True when the first `kept_bytes` of a block that was filled as one of `bytes` still carry its pattern.
inline bool has_pattern(const void* ptr, size_t bytes, uint64_t tag, size_t kept_bytes) {
  auto* at = static_cast<const unsigned char*>(ptr);
  bool is_same = true;
  visit_pattern(bytes, [&](size_t from, size_t length) {
    for (size_t i = from; i < from + length && i < kept_bytes; i++) is_same = is_same && at[i] == pattern_byte(tag, i);
  });
  return is_same;
}

inline bool has_pattern(const void* ptr, size_t bytes, uint64_t tag) { return has_pattern(ptr, bytes, tag, bytes); }

inline bool is_zero(const void* ptr, size_t bytes) {
  auto* at = static_cast<const unsigned char*>(ptr);
  return bytes == 0 || (at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0);
}

/// Bytes that the caller may use of a live block; 0 when it is none.
inline size_t usable_bytes(const void* ptr) {
  Block block;
  return locate(ptr, &block) == Misuse::kNone ? block.usable_bytes : 0;
}

inline PageKind kind_of_block(const void* ptr) {
  Block block;
  locate(ptr, &block);
  return static_cast<PageKind>(block.kind);
}

inline bool is_aligned(const void* ptr, size_t alignment) { return reinterpret_cast<uintptr_t>(ptr) % alignment == 0; }

/// reallocate() of a block that is live: the new address, or null when it was refused.
inline void* resized(void* ptr, size_t bytes) {
  void* result = nullptr;
  Misuse misuse = reallocate(ptr, bytes, &result);
  EXPECT_EQ(misuse, Misuse::kNone);
  return result;
}

inline void free_all(std::vector<void*>& blocks) {
  for (void* block : blocks) EXPECT_EQ(deallocate(block), Misuse::kNone);
  blocks.clear();
}

/// Blocks that nobody has freed. A page's used count holds those that another thread has freed until its owner looks.
inline uint64_t live_blocks() {
  const Snapshot* snapshot = snapshot_take();
  if (!EXPECT(snapshot != nullptr)) return 0;
  uint64_t live = snapshot->mapping_count;
  for (uint64_t i = 0; i < snapshot->page_count; i++) live += snapshot->pages[i].used - snapshot->pages[i].remote;
  snapshot_release(snapshot);
  return live;
}

/// Bucket pages of arenas whose threads have ended: none once all their blocks were freed, whoever freed them and when.
inline uint64_t pages_left_behind() {
  quarantine_flush(arena_now());
  const Snapshot* snapshot = snapshot_take();
  if (!EXPECT(snapshot != nullptr)) return 0;
  uint64_t pages = 0;
  for (uint64_t i = 0; i < snapshot->arena_count; i++) {
    if (snapshot->arenas[i].state == static_cast<uint32_t>(ArenaState::kAbandoned)) pages += snapshot->arenas[i].pages;
  }
  snapshot_release(snapshot);
  return pages;
}

}  // namespace pagerun

#define EXPECT_VERIFIED() pagerun::expect_verified(__FILE__, __LINE__)
