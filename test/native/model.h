// The shadow model: a list of operations, a plain record of what must be true after each, and a way to make a failing
// list short. Owns the records, not the allocator, which is a CoreApi, so that a broken one can be put in its place.
// Thread rule: one thread a model.
//
// Any part of a list of operations is a list of operations: each names a place (of kPlaces) and does what it can there.
#pragma once

#include <map>

#include "abi/core_api.h"
#include "heap.h"

namespace pagerun::model {

enum class Kind : uint8_t { kAllocate, kZeroed, kAligned, kReallocate, kFree, kDoubleFree, kInterior, kVerify };

struct Operation {
  Kind kind;
  uint32_t place;
  size_t bytes;
  size_t alignment;
};

constexpr uint32_t kPlaces = 256;

/// Sizes as programs ask for them: most are small, a few are middle, fewer are runs, and now and then one is mapped.
inline size_t random_bytes(harness::Random& random) {
  uint64_t kind = random.below(1000);
  if (kind < 650) return random.between(0, 512);
  if (kind < 850) return random.between(1, 4096);
  if (kind < 950) return random.between(1, 40000);
  if (kind < 990) return random.between(30000, 300000);
  if (kind < 999) return random.between(1, 3 << 20);
  return random.between(30 << 20, 40 << 20);
}

inline Operation random_operation(harness::Random& random) {
  constexpr Kind kKinds[] = {Kind::kAllocate,   Kind::kAllocate,   Kind::kAllocate,   Kind::kAllocate,
                             Kind::kZeroed,     Kind::kZeroed,     Kind::kAligned,    Kind::kReallocate,
                             Kind::kReallocate, Kind::kReallocate, Kind::kFree,       Kind::kFree,
                             Kind::kFree,       Kind::kFree,       Kind::kDoubleFree, Kind::kInterior};
  Operation operation = {kKinds[random.below(16)], static_cast<uint32_t>(random.below(kPlaces)), random_bytes(random),
                         1};
  if (operation.kind == Kind::kAligned)
    operation.alignment = 1ull << (random.one_in(50) ? random.between(12, 22) : random.between(0, 9));
  if (operation.kind == Kind::kReallocate && operation.bytes == 0) operation.bytes = 1;
  if (random.one_in(2000)) operation.kind = Kind::kVerify;
  return operation;
}

inline std::vector<Operation> random_operations(uint64_t seed, size_t count) {
  harness::Random random(seed);
  std::vector<Operation> operations;
  for (size_t i = 0; i < count; i++) operations.push_back(random_operation(random));
  return operations;
}

inline std::string text_of(const Operation& operation) {
  const char* names[] = {"allocate",   "allocate_zeroed",  "allocate_aligned",  "reallocate",
                         "deallocate", "deallocate twice", "deallocate inside", "verify"};
  std::string text = names[static_cast<int>(operation.kind)];
  if (operation.kind == Kind::kVerify) return text;
  text += " #" + std::to_string(operation.place);
  if (operation.kind < Kind::kFree) text += " " + std::to_string(operation.bytes) + " bytes";
  if (operation.kind == Kind::kAligned) text += " at a multiple of " + std::to_string(operation.alignment);
  return text;
}

/// One thread's record of its blocks. Every step returns an empty string, or what is wrong.
class Model {
 public:
  explicit Model(const CoreApi& api) : api_(api), held_(kPlaces) {}

  std::string apply(const Operation& operation) {
    Held& held = held_[operation.place];
    switch (operation.kind) {
      case Kind::kAllocate:
        return take(held, api_.allocate(operation.bytes), operation, 16);
      case Kind::kZeroed:
        return take(held, api_.allocate_zeroed(1, operation.bytes), operation, 16);
      case Kind::kAligned:
        return take(held, api_.allocate_aligned(operation.alignment, operation.bytes), operation, operation.alignment);
      case Kind::kReallocate:
        return resize(held, operation.bytes);
      case Kind::kFree:
        return give(held);
      case Kind::kDoubleFree:
        return give_twice(held);
      case Kind::kInterior:
        return give_inside(held);
      case Kind::kVerify:
        return verify_heap();
    }
    return "an unknown operation";
  }

  /// Frees everything and looks at the heap a last time.
  std::string finish() {
    for (Held& held : held_) {
      std::string wrong = give(held);
      if (!wrong.empty()) return wrong;
    }
    return verify_heap();
  }

 private:
  struct Held {
    char* ptr = nullptr;
    size_t bytes = 0;
    uint64_t tag = 0;
  };

  std::string take(Held& held, void* ptr, const Operation& operation, size_t alignment) {
    std::string wrong = give(held);
    if (!wrong.empty()) return wrong;
    if (ptr == nullptr) return "null";
    if (!is_aligned(ptr, alignment)) return "a block that is not aligned";
    if (operation.kind == Kind::kZeroed && !is_zero(ptr, operation.bytes)) return "a block that is not zero";
    return hold(held, static_cast<char*>(ptr), operation.bytes);
  }

  // Records a block: overlap with any other, and usable bytes. All that may be used is filled.
  std::string hold(Held& held, char* ptr, size_t bytes) {
    Block block;
    if (api_.locate(ptr, &block) != Misuse::kNone || block.start != ptr) return "a block that locate() does not know";
    if (block.usable_bytes < bytes) return "fewer usable bytes than were asked for";
    char* end = ptr + block.usable_bytes;
    auto behind = extents_.lower_bound(ptr);
    if (behind != extents_.end() && behind->first < end) return "a block that overlaps the next one";
    if (behind != extents_.begin() && std::prev(behind)->second > ptr) return "a block that overlaps the one before";
    extents_[ptr] = end;
    held = {ptr, block.usable_bytes, ++tags_};
    fill_pattern(ptr, held.bytes, held.tag);
    return "";
  }

  std::string give(Held& held) {
    if (held.ptr == nullptr) return "";
    if (!has_pattern(held.ptr, held.bytes, held.tag)) return "a block whose content has changed";
    if (api_.deallocate(held.ptr) != Misuse::kNone) return "a live block that cannot be freed";
    extents_.erase(held.ptr);
    held.ptr = nullptr;
    return "";
  }

  std::string give_twice(Held& held) {
    if (held.ptr == nullptr) return "";
    char* ptr = held.ptr;
    std::string wrong = give(held);
    if (wrong.empty() && api_.deallocate(ptr) != Misuse::kDoubleFree) return "a double free that was not refused";
    return wrong;
  }

  std::string give_inside(Held& held) {
    if (held.ptr == nullptr || held.bytes < 2) return "";
    for (size_t offset : {size_t{1}, held.bytes / 2, held.bytes - 1}) {
      if (api_.deallocate(held.ptr + offset) != Misuse::kInteriorPointer)
        return "an interior pointer that was not refused";
    }
    return "";
  }

  std::string resize(Held& held, size_t bytes) {
    if (held.ptr == nullptr) return "";
    Held old = held;
    void* result = nullptr;
    if (api_.reallocate(old.ptr, bytes, &result) != Misuse::kNone) return "a live block that cannot be resized";
    if (result == nullptr) return "null from reallocate";
    size_t kept = old.bytes < bytes ? old.bytes : bytes;
    if (!has_pattern(result, old.bytes, old.tag, kept)) return "content that was not kept by reallocate";
    extents_.erase(old.ptr);
    held.ptr = nullptr;
    return hold(held, static_cast<char*>(result), bytes);
  }

  std::string verify_heap() {
    Verdict verdict = api_.verify();
    return verdict.invariant == nullptr ? "" : std::string("verify(): ") + verdict.invariant;
  }

  const CoreApi& api_;
  std::vector<Held> held_;
  std::map<char*, char*> extents_;  // start -> end of what may be used
  uint64_t tags_ = 0;
};

/// Runs a list from the first operation to the last and frees everything: what went wrong, and where; or nothing.
inline std::string run(const CoreApi& api, const std::vector<Operation>& operations) {
  Model model(api);
  for (size_t i = 0; i < operations.size(); i++) {
    std::string wrong = model.apply(operations[i]);
    if (!wrong.empty()) return "operation " + std::to_string(i + 1) + " (" + text_of(operations[i]) + "): " + wrong;
  }
  std::string wrong = model.finish();
  return wrong.empty() ? "" : "at the end: " + wrong;
}

/// The same in a child process with a fresh heap, so that a list that kills the process fails like any other.
inline std::string run_apart(const CoreApi& api, const std::vector<Operation>& operations) {
  harness::ChildEnd end = harness::run_in_child([&] {
    std::string wrong = run(api, operations);
    if (!wrong.empty()) EXPECT(fprintf(stderr, "%s\n", wrong.c_str()) < 0);
  });
  if (end.exit_code == 0 && !end.timed_out) return "";
  return harness::text_of_end(end);
}

/// Leaves parts of this length out of a failing list where it fails without them; true when any could be left out.
template <class Fails>
bool shrink_by(std::vector<Operation>& operations, size_t part, Fails fails) {
  size_t before = operations.size();
  for (size_t from = 0; from < operations.size();) {
    std::vector<Operation> fewer(operations.begin(), operations.begin() + static_cast<long>(from));
    size_t behind = from + part < operations.size() ? from + part : operations.size();
    fewer.insert(fewer.end(), operations.begin() + static_cast<long>(behind), operations.end());
    if (fails(fewer)) {
      operations = fewer;
    } else {
      from += part;
    }
  }
  return operations.size() < before;
}

/// The shortest list that can be reached by leaving out: halves first, then ever smaller parts, until no single
/// operation can go (after A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002).
template <class Fails>
std::vector<Operation> shrink(std::vector<Operation> operations, Fails fails) {
  for (size_t part = operations.size() / 2; part > 1; part /= 2) shrink_by(operations, part, fails);
  while (shrink_by(operations, 1, fails)) continue;
  return operations;
}

inline std::string text_of(const std::vector<Operation>& operations) {
  std::string text;
  for (const Operation& operation : operations) text += "    " + text_of(operation) + "\n";
  return text;
}

}  // namespace pagerun::model
