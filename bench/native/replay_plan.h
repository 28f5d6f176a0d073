// A trace made ready to be replayed: for each thread a flat array of steps, with every question answered beforehand.
// Owns the decoding and the places where pointers are kept. Its memory is mapped, never taken from malloc.
// Thread rule: built by one thread; then each thread reads its own steps, and shared places go by their turn.
//
// A block that only one thread ever names is kept in a table of that thread, and its place is used again after its end,
// so that the tables stay small. A block that several threads name has a shared place of its own with a turn: the
// number of events it has had. An event waits until its turn has come, so what happened to a block happens again in the
// same order.
//
// Between blocks the threads run freely, but not apart: the events are cut into phases of kPhaseEvents, and nobody
// enters phase n + 2 before all have left phase n. This keeps the peak of the program, and what lives together in it.
#pragma once

#include <stdint.h>

#include <atomic>

#include "mapped.h"
#include "trace_reader.h"

namespace pagerun::bench {

inline constexpr uint64_t kPhaseEvents = 8192;
inline constexpr uint32_t kNoPhase = UINT32_MAX;

enum class StepKind : uint8_t { kMalloc, kCalloc, kAligned, kRealloc, kFree, kPhase };

struct Step {
  uint64_t bytes : 44;
  uint64_t alignment_log2 : 5;
  uint64_t kind : 3;
  uint64_t is_shared : 1;
  uint64_t turn : 11;  // events that the block has had, of a shared place; it wraps, as only neighbours compare
  uint32_t place;      // of the pointer; of a phase: the one to enter
  uint32_t old_units;  // bytes before a realloc, in units of kOldUnitBytes rounded up; of a phase: the one to leave
};
static_assert(sizeof(Step) == 16);

inline constexpr uint64_t kOldUnitBytes = 16;
inline constexpr uint32_t kTurnMask = (1u << 11) - 1;

struct SharedPlace {
  void* ptr;
  std::atomic<uint32_t> turn;  // release after each event of the block: pairs with the acquire of the next one's thread
};

/// A block that is live after the last step.
struct LeftOver {
  uint32_t thread;
  uint32_t place;
  bool is_shared;
};

struct ThreadPlan {
  Step* steps = nullptr;
  uint64_t step_count = 0;
  MappedArray<void*> places;
  uint64_t expected_sum = 0;  // of the bytes read back, if the memory is what it should be
};

class ReplayPlan {
 public:
  /// Reads the whole trace. Dies if it is not sound.
  explicit ReplayPlan(const char* path);

  const char* name() const { return name_; }
  uint32_t threads() const { return static_cast<uint32_t>(plans_.size()); }
  uint64_t events() const { return events_; }
  ThreadPlan& thread(uint32_t index) { return plans_[index]; }
  MappedArray<SharedPlace>& shared_places() { return shared_places_; }
  MappedArray<std::atomic<uint32_t>>& phase_threads() { return phase_threads_; }
  MappedArray<LeftOver>& left_overs() { return left_overs_; }

  /// Puts turns and phases back to where a pass begins.
  void rewind();

 private:
  struct BlockState;
  struct ThreadState;
  class Builder;

  char name_[128] = "";
  uint64_t events_ = 0;
  MappedArray<ThreadPlan> plans_;
  MappedArray<Step> steps_;
  MappedArray<SharedPlace> shared_places_;
  MappedArray<std::atomic<uint32_t>> phase_threads_;  // threads that have not left the phase
  MappedArray<uint32_t> phase_threads_at_start_;
  MappedArray<LeftOver> left_overs_;
};

/// The byte that a block is filled with: of its place, never 0, so that memory of calloc which is not zero shows.
inline uint8_t fill_of(uint32_t place) { return static_cast<uint8_t>(place | 1); }

}  // namespace pagerun::bench
