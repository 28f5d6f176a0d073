// What a fuzzer's bytes mean: a list of operations on the heap, by three arenas that take turns on one thread, so that
// frees between them are those of other threads, in an order that the bytes alone decide. The shadow model (model.h)
// checks every step. Owns nothing; a run leaves the heap empty.
//
//   input    | operation | place | scale | share |  and so on, four bytes each; a rest shorter than that is left out
#pragma once

#include "core/arena.h"
#include "core/made_arena.h"
#include "core/run_list.h"
#include "core/thread_arena.h"
#include "model.h"

namespace pagerun::fuzz {

constexpr size_t kStepBytes = 4, kMostSteps = 1000;
constexpr size_t kArenas = 3;
constexpr uint32_t kScales = 20;       // sizes up to 2^kScales
constexpr uint8_t kMappedScale = 255;  // and one that has a mapping of its own
constexpr size_t kMappedBytes = 33 << 20;

enum class Act : uint8_t {
  kModel = 0,  // up to kModelActs: operations of model.h
  kSwitch = 16,
  kEndThread,
  kDrain,
  kGiveBack,
  kTakeMade,
  kResetMade,
  kVerify,
  kCount,
};

constexpr model::Kind kModelKinds[] = {
    model::Kind::kAllocate,   model::Kind::kAllocate,   model::Kind::kAllocate,   model::Kind::kAllocate,
    model::Kind::kZeroed,     model::Kind::kAligned,    model::Kind::kAligned,    model::Kind::kReallocate,
    model::Kind::kReallocate, model::Kind::kReallocate, model::Kind::kFree,       model::Kind::kFree,
    model::Kind::kFree,       model::Kind::kFree,       model::Kind::kDoubleFree, model::Kind::kInterior,
};
static_assert(sizeof(kModelKinds) == static_cast<size_t>(Act::kSwitch));

inline size_t bytes_of(uint8_t scale, uint8_t share) {
  if (scale == kMappedScale) return kMappedBytes;
  size_t base = size_t{1} << (scale % kScales);
  return base + base * share / 256;
}

class Run {
 public:
  Run() : model_(*core_api_own()), own_(thread_arena()) {
    for (Arena*& arena : arenas_) arena = arena_open();
    made_ = made_arena_make(kNoLimit, "fuzz", 4);
    arena_switch(arenas_[0]);
  }

  std::string step(const uint8_t* bytes) {
    auto act = static_cast<Act>(bytes[0] % static_cast<uint8_t>(Act::kCount));
    size_t size = bytes_of(bytes[2], bytes[3]);
    switch (act) {
      case Act::kSwitch:
        return switch_to(bytes[1] % kArenas);
      case Act::kEndThread:
        return end_thread(bytes[1] % kArenas);
      case Act::kDrain:
        arena_drain(arena_now());
        return "";
      case Act::kGiveBack:
        run_list.give_back(0);
        return "";
      case Act::kTakeMade:
        return take_made(size);
      case Act::kResetMade:
        return reset_made();
      case Act::kVerify:
        return model_.apply({model::Kind::kVerify, 0, 0, 1});
      default:
        return model_.apply(
            {kModelKinds[bytes[0] % static_cast<uint8_t>(Act::kCount)], bytes[1], size, size_t{1} << (bytes[1] % 17)});
    }
  }

  std::string finish() {
    std::string wrong = reset_made();
    if (wrong.empty()) wrong = model_.finish();
    arena_switch(own_);
    made_arena_destroy(made_);
    for (Arena* arena : arenas_) arena_abandon(arena);
    if (wrong.empty()) wrong = model_.apply({model::Kind::kVerify, 0, 0, 1});
    if (wrong.empty() && live_blocks() != 0) wrong = "blocks that are live though all were freed";
    return wrong;
  }

 private:
  struct Made {
    void* ptr;
    size_t bytes;
    uint64_t tag;
  };

  std::string switch_to(size_t arena) {
    current_ = arena;
    arena_switch(arenas_[arena]);
    return "";
  }

  // As if the thread had ended and another one began: it may get the same arena, or leave it to who frees into it.
  std::string end_thread(size_t arena) {
    if (arena == current_) arena_switch(own_);
    arena_abandon(arenas_[arena]);
    if (arena == current_) return reopen(arena);
    current_ = arena;
    return reopen(arena);
  }

  std::string reopen(size_t arena) {
    arenas_[arena] = arena_open();
    if (arenas_[arena] == nullptr) return "no arena";
    arena_switch(arenas_[arena]);
    return "";
  }

  std::string take_made(size_t bytes) {
    Refusal refusal = Refusal::kNone;
    void* ptr = made_arena_take(made_, bytes, kMaxAlignBytes, &refusal);
    if (ptr == nullptr) return "null from an arena";
    taken_.push_back({ptr, usable_bytes(ptr), 1000000 + taken_.size()});
    fill_pattern(ptr, taken_.back().bytes, taken_.back().tag);
    return "";
  }

  std::string reset_made() {
    for (const Made& made : taken_) {
      if (!has_pattern(made.ptr, made.bytes, made.tag)) return "a made arena's block whose content has changed";
    }
    taken_.clear();
    made_arena_reset(made_);
    return "";
  }

  model::Model model_;
  Arena* own_;
  Arena* arenas_[kArenas] = {};
  MadeArena* made_ = nullptr;
  size_t current_ = 0;
  std::vector<Made> taken_;
};

/// Runs an input: what went wrong, and at which step; or nothing.
inline std::string run(const uint8_t* bytes, size_t length) {
  Run run;
  size_t steps = length / kStepBytes < kMostSteps ? length / kStepBytes : kMostSteps;
  for (size_t i = 0; i < steps; i++) {
    std::string wrong = run.step(bytes + i * kStepBytes);
    if (!wrong.empty()) return "step " + std::to_string(i + 1) + ": " + wrong;
  }
  std::string wrong = run.finish();
  return wrong.empty() ? "" : "at the end: " + wrong;
}

}  // namespace pagerun::fuzz
