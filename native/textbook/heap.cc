#include "heap.h"

#include <cstring>
#include <new>

#include "../base/bits.h"
#include "../base/config.h"
#include "../os/memory.h"

namespace pagerun::textbook {

namespace {

constexpr size_t kHeapBytes = round_up(sizeof(Heap), kOsPageBytes);

bool are_in_range(const HeapOptions& options) {
  bool has_fields = options.field_bytes == sizeof(uint32_t) || options.field_bytes == sizeof(uint64_t);
  bool has_alignment = options.align_bytes == 0 || is_power_of_two(options.align_bytes);
  return has_fields && has_alignment && options.arenas >= 1 && options.arenas <= kMostArenas;
}

}  // namespace

Heap* Heap::create(const HeapOptions& options) {
  if (!are_in_range(options)) return nullptr;
  void* memory = os::map(kHeapBytes);
  if (memory == nullptr) return nullptr;
  auto* heap = new (memory) Heap();
  if (heap->open(options)) return heap;
  os::release(memory, kHeapBytes);
  return nullptr;
}

bool Heap::open(const HeapOptions& options) {
  options_ = options;
  if (options.kind != Kind::kArenas) {
    options_.arenas = 1;
    options_.choice = Choice::kModulo;
    options_.origin = Origin::kAddress;
  }
  FreeListOptions list = {options.fit, options.field_bytes, false, 0, options.align_bytes};
  if (is_pages()) return pages_.open(list);
  return arenas_.open({list, options_.arenas, options_.choice, options_.origin});
}

void Heap::destroy() {
  if (is_pages()) {
    pages_.close();
  } else {
    arenas_.close();
  }
  os::release(this, kHeapBytes);
}

void* Heap::allocate(size_t bytes) { return is_pages() ? pages_.allocate(bytes) : arenas_.allocate(bytes); }

void* Heap::allocate_zeroed(size_t count, size_t bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return nullptr;
  void* ptr = allocate(total);
  return ptr == nullptr ? nullptr : memset(ptr, 0, total);
}

void* Heap::allocate_aligned(size_t alignment, size_t bytes) {
  return is_pages() ? pages_.allocate_aligned(alignment, bytes) : arenas_.allocate_aligned(alignment, bytes);
}

void* Heap::reallocate(void* ptr, size_t bytes) {
  if (stays(ptr, bytes)) return ptr;
  void* moved = allocate(bytes);
  if (moved == nullptr) return nullptr;
  memcpy(moved, ptr, usable_bytes(ptr));
  deallocate(ptr);
  return moved;
}

Fault Heap::deallocate(void* ptr) {
  if (is_pages()) return pages_.deallocate(ptr);
  arenas_.deallocate(ptr);
  return Fault::kNone;
}

size_t Heap::usable_bytes(const void* ptr) { return is_pages() ? pages_.usable_bytes(ptr) : arenas_.usable_bytes(ptr); }

Fault Heap::try_allocate(size_t bytes, void** result) {
  *result = nullptr;
  return is_pages() ? pages_.try_allocate(bytes, result) : arenas_.try_allocate(bytes, result);
}

Fault Heap::try_allocate_zeroed(size_t count, size_t bytes, void** result) {
  *result = nullptr;
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return Fault::kNone;
  Fault fault = try_allocate(total, result);
  if (*result != nullptr) memset(*result, 0, total);
  return fault;
}

// Where another thread frees the old block meanwhile, the last step says so, and the new one goes back.
Fault Heap::try_reallocate(void* ptr, size_t bytes, void** result) {
  *result = nullptr;
  BlockRecord found;
  bool stays = false;
  Fault fault = is_pages() ? pages_.try_stay(ptr, bytes, &found, &stays) : arenas_.try_stay(ptr, bytes, &found, &stays);
  if (stays) *result = ptr;
  if (stays || fault != Fault::kNone) return fault;
  fault = try_allocate(bytes, result);
  if (fault != Fault::kNone || *result == nullptr) return fault;
  memcpy(*result, ptr, found.size);
  fault = try_deallocate(ptr);
  if (fault == Fault::kNone) return fault;
  try_deallocate(*result);
  *result = nullptr;
  return fault;
}

Fault Heap::try_deallocate(void* ptr) { return is_pages() ? pages_.try_deallocate(ptr) : arenas_.try_deallocate(ptr); }

Fault Heap::locate(const void* ptr, BlockRecord* found) {
  *found = {};
  return is_pages() ? pages_.locate(ptr, found) : arenas_.locate(ptr, found);
}

bool Heap::has(const void* ptr, size_t bytes) {
  HeapGuard guard(*this);
  return owns(ptr, bytes);
}

bool Heap::copy_out(const void* from, void* to, size_t bytes) {
  HeapGuard guard(*this);
  if (!owns(from, bytes)) return false;
  if (bytes > 0) memcpy(to, from, bytes);
  return true;
}

bool Heap::copy_in(void* to, const void* from, size_t bytes) {
  HeapGuard guard(*this);
  if (!owns(to, bytes)) return false;
  if (bytes == 0) return true;
  memcpy(to, from, bytes);
  if (is_pages()) {
    pages_.suspect();
  } else {
    arenas_.suspect(to);
  }
  return true;
}

Verdict Heap::check() {
  HeapGuard guard(*this);
  return check_locked();
}

void Heap::take_locks() {
  if (is_pages()) {
    pages_.take_locks();
  } else {
    arenas_.take_locks();
  }
}

void Heap::give_locks() {
  if (is_pages()) {
    pages_.give_locks();
  } else {
    arenas_.give_locks();
  }
}

}  // namespace pagerun::textbook
