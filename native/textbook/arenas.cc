#include "arenas.h"

#include <new>

#include "../base/bits.h"
#include "../base/check.h"
#include "../os/memory.h"
#include "timed_locks.h"

namespace pagerun::textbook {

namespace {

constexpr size_t kMostBytes = size_t{16} << 30;                     // addresses of all arenas together
constexpr size_t kMostNarrowBytes = (size_t{4} << 30) - (1 << 16);  // what a 4-byte field can tell
constexpr size_t kLeastPartBytes = size_t{1} << 20;

// What a thread needs for its choice: its number, in the order in which threads came here, and a state for rand().
struct ThreadState {
  uint32_t number = 0;  // from 1 on; 0: not here yet
  uint32_t random = 0;
};

std::atomic<uint32_t> threads_seen{0};  // relaxed: only the numbers matter, and each is given once
thread_local ThreadState thread_state;

uint32_t thread_number() {
  if (thread_state.number == 0) thread_state.number = threads_seen.fetch_add(1, std::memory_order_relaxed) + 1;
  return thread_state.number - 1;
}

// xorshift32 (Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8, 2003), from another start in each thread.
uint32_t next_random() {
  uint32_t x = thread_state.random;
  if (x == 0) x = (thread_number() + 1) * 0x9e3779b9u | 1u;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  thread_state.random = x;
  return x;
}

}  // namespace

template <class ArenaLock>
bool BasicArenas<ArenaLock>::open(const ArenasOptions& options) {
  options_ = options;
  size_t most = options.list.field_bytes == sizeof(uint32_t) ? kMostNarrowBytes : kMostBytes;
  size_t wanted = kMostBytes / options.arenas;
  part_bytes_ = round_down(wanted < most ? wanted : most, kOsPageBytes);
  // Under a limit of the process's address space there are fewer addresses, and the arenas are smaller.
  while ((base_ = static_cast<char*>(os::reserve(part_bytes_ * options.arenas))) == nullptr) {
    part_bytes_ = round_down(part_bytes_ / 2, kOsPageBytes);
    if (part_bytes_ < kLeastPartBytes) return false;
  }
  arenas_bytes_ = round_up(sizeof(Arena) * options.arenas, kOsPageBytes);
  arenas_ = static_cast<Arena*>(os::map(arenas_bytes_));
  if (arenas_ == nullptr) {
    os::release(base_, part_bytes_ * options.arenas);
    return false;
  }
  options_.list.has_id = options.origin == Origin::kHeader;
  for (uint32_t i = 0; i < options.arenas; i++) {
    options_.list.id = i;
    new (&arenas_[i]) Arena();
    arenas_[i].list.open({base_ + i * part_bytes_, 0, part_bytes_}, options_.list);
  }
  return true;
}

template <class ArenaLock>
void BasicArenas<ArenaLock>::close() {
  os::release(arenas_, arenas_bytes_);
  os::release(base_, part_bytes_ * options_.arenas);
}

template <class ArenaLock>
uint32_t BasicArenas<ArenaLock>::choose() const {
  if (options_.arenas == 1) return 0;
  if (options_.choice == Choice::kRandom) return next_random() % options_.arenas;
  uint32_t own = thread_number() % options_.arenas;
  return options_.choice == Choice::kModulo ? own : least_contended(own);
}

template <class ArenaLock>
uint32_t BasicArenas<ArenaLock>::least_contended(uint32_t own) const {
  uint32_t best = own;
  uint32_t fewest = arenas_[own].threads.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < options_.arenas && fewest != 0; i++) {
    uint32_t threads = arenas_[i].threads.load(std::memory_order_relaxed);
    if (threads < fewest) {
      best = i;
      fewest = threads;
    }
  }
  return best;
}

template <class ArenaLock>
uint32_t BasicArenas<ArenaLock>::index_by_address(const void* ptr) const {
  uint64_t index = (reinterpret_cast<uint64_t>(ptr) - reinterpret_cast<uint64_t>(base_)) / part_bytes_;
  return index < options_.arenas ? static_cast<uint32_t>(index) : options_.arenas;
}

// Plan A believes the header.
template <class ArenaLock>
uint32_t BasicArenas<ArenaLock>::index_of(const void* ptr) const {
  if (options_.arenas == 1) return 0;
  uint32_t index = options_.origin == Origin::kHeader ? arenas_[0].list.id_of(ptr) : index_by_address(ptr);
  CHECK(index < options_.arenas);
  return index;
}

template <class ArenaLock>
void* BasicArenas<ArenaLock>::allocate(size_t bytes) {
  Arena& arena = arenas_[choose()];
  ArenaGuard guard(arena);
  return arena.list.allocate(bytes);
}

template <class ArenaLock>
void* BasicArenas<ArenaLock>::allocate_aligned(size_t alignment, size_t bytes) {
  Arena& arena = arenas_[choose()];
  ArenaGuard guard(arena);
  return arena.list.allocate_aligned(alignment, bytes);
}

template <class ArenaLock>
void BasicArenas<ArenaLock>::deallocate(void* ptr) {
  Arena& arena = arenas_[index_of(ptr)];
  ArenaGuard guard(arena);
  arena.list.deallocate(ptr);
}

template <class ArenaLock>
bool BasicArenas<ArenaLock>::stays(void* ptr, size_t bytes) {
  Arena& arena = arenas_[index_of(ptr)];
  ArenaGuard guard(arena);
  if (bytes > arena.list.usable_bytes(ptr)) return false;
  arena.list.shrink(ptr, bytes);
  return true;
}

template <class ArenaLock>
size_t BasicArenas<ArenaLock>::usable_bytes(const void* ptr) const {
  return arenas_[0].list.usable_bytes(ptr);
}

namespace {

template <class ArenaLock>
bool is_broken(BasicArena<ArenaLock>& arena) {
  if (arena.is_suspect && arena.list.check().invariant != nullptr) return true;
  arena.is_suspect = false;
  return false;
}

}  // namespace

template <class ArenaLock>
Fault BasicArenas<ArenaLock>::try_allocate(size_t bytes, void** result) {
  Arena& arena = arenas_[choose()];
  ArenaGuard guard(arena);
  if (is_broken(arena)) return Fault::kBrokenHeap;
  *result = arena.list.allocate(bytes);
  return Fault::kNone;
}

template <class ArenaLock>
Fault BasicArenas<ArenaLock>::try_deallocate(void* ptr) {
  uint32_t index = index_by_address(ptr);
  if (index >= options_.arenas) return Fault::kForeignPointer;
  Arena& arena = arenas_[index];
  ArenaGuard guard(arena);
  if (is_broken(arena)) return Fault::kBrokenHeap;
  BlockRecord found;
  Fault fault = arena.list.locate(ptr, &found);
  if (fault == Fault::kNone) arena.list.deallocate(ptr);
  return fault;
}

template <class ArenaLock>
Fault BasicArenas<ArenaLock>::try_stay(void* ptr, size_t bytes, BlockRecord* found, bool* stays) {
  *stays = false;
  uint32_t index = index_by_address(ptr);
  if (index >= options_.arenas) return Fault::kForeignPointer;
  Arena& arena = arenas_[index];
  ArenaGuard guard(arena);
  if (is_broken(arena)) return Fault::kBrokenHeap;
  Fault fault = arena.list.locate(ptr, found);
  if (fault != Fault::kNone || bytes > found->size) return fault;
  arena.list.shrink(ptr, bytes);
  *stays = true;
  return fault;
}

template <class ArenaLock>
Fault BasicArenas<ArenaLock>::locate(const void* ptr, BlockRecord* found) {
  uint32_t index = index_by_address(ptr);
  if (index >= options_.arenas) return Fault::kForeignPointer;
  Arena& arena = arenas_[index];
  ArenaGuard guard(arena);
  return is_broken(arena) ? Fault::kBrokenHeap : arena.list.locate(ptr, found);
}

template <class ArenaLock>
void BasicArenas<ArenaLock>::suspect(const void* ptr) {
  arenas_[index_by_address(ptr)].is_suspect = true;
}

template <class ArenaLock>
void BasicArenas<ArenaLock>::take_locks() {
  for (uint32_t i = 0; i < options_.arenas; i++) arenas_[i].lock.take();
}

template <class ArenaLock>
void BasicArenas<ArenaLock>::give_locks() {
  for (uint32_t i = options_.arenas; i > 0; i--) arenas_[i - 1].lock.give();
}

template <class ArenaLock>
Verdict BasicArenas<ArenaLock>::check() const {
  for (uint32_t i = 0; i < options_.arenas; i++) {
    Verdict verdict = arenas_[i].list.check();
    if (verdict.invariant != nullptr) return verdict;
  }
  return {};
}

template <class ArenaLock>
bool BasicArenas<ArenaLock>::owns(const void* ptr, size_t bytes) const {
  uint32_t index = index_by_address(ptr);
  return index < options_.arenas && arenas_[index].list.range().owns(ptr, bytes);
}

template class BasicArenas<Lock>;
template class BasicArenas<MutexLock>;
template class BasicArenas<AdaptiveLock>;
template class BasicArenas<SpinLock>;
template class BasicArenas<TicketLock>;

}  // namespace pagerun::textbook
