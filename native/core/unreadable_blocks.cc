#include "unreadable_blocks.h"

#include "../base/bitmap.h"
#include "../base/config.h"
#include "../os/memory.h"
#include "page.h"

namespace pagerun {

UnreadableBlocks unreadable_blocks;

// The range and its bits, which lie apart.
bool UnreadableBlocks::reserve(size_t bytes) {
  auto* range = static_cast<char*>(os::reserve(bytes));
  if (range == nullptr) return false;
  bits_ = static_cast<uint64_t*>(os::reserve(bytes / kBlockBytes / kBitsPerByte));
  if (bits_ == nullptr) {
    os::release(range, bytes);
    return false;
  }
  bytes_ = bytes;
  start_.store(range, std::memory_order_release);
  return true;
}

bool UnreadableBlocks::open() {
  if (is_refused_) return false;
  bool is_limited = os::address_space_limit() != SIZE_MAX;
  for (size_t bytes = is_limited ? kSmallestRangeBytes : kLargestRangeBytes; bytes >= kSmallestRangeBytes; bytes /= 2) {
    if (reserve(bytes)) return true;
  }
  is_refused_ = true;
  return false;
}

bool UnreadableBlocks::grow() {
  size_t more = kBitsStep * kBitsPerByte;
  if (usable_ + more > bytes_ / kBlockBytes) return false;
  if (!os::commit(bits_ + usable_ / kWordBits, kBitsStep)) return false;
  next_ = usable_ / kWordBits;
  usable_ += more;
  return true;
}

// The next free block from where the search ended last; there is one.
size_t UnreadableBlocks::find_free() {
  size_t words = usable_ / kWordBits;
  while (bits_[next_] == ~0ull) next_ = next_ + 1 == words ? 0 : next_ + 1;
  return next_ * kWordBits + lowest_bit(~bits_[next_]);
}

void* UnreadableBlocks::take(size_t alignment) {
  if (alignment > kBlockBytes) return nullptr;
  LockGuard guard(lock_);
  if (start_.load(std::memory_order_relaxed) == nullptr && !open()) return nullptr;
  // As long as few are in use, the same address does not come back soon.
  if (count_ + kWordBits >= usable_ && !grow() && count_ == usable_) return nullptr;
  size_t index = find_free();
  bits_[index / kWordBits] |= mask_of(static_cast<uint32_t>(index % kWordBits));
  if (++next_ == usable_ / kWordBits) next_ = 0;
  count_++;
  return start_.load(std::memory_order_relaxed) + index * kBlockBytes;
}

bool UnreadableBlocks::holds(const void* ptr) const {
  const char* start = start_.load(std::memory_order_acquire);
  return start != nullptr && static_cast<size_t>(static_cast<const char*>(ptr) - start) < bytes_;
}

Misuse UnreadableBlocks::look_up(const void* ptr, size_t* index) const {
  auto offset = static_cast<size_t>(static_cast<const char*>(ptr) - start_.load(std::memory_order_relaxed));
  *index = offset / kBlockBytes;
  if (*index >= usable_) return Misuse::kForeignPointer;
  bool is_used = (bits_[*index / kWordBits] & mask_of(static_cast<uint32_t>(*index % kWordBits))) != 0;
  if (!is_used) return Misuse::kDoubleFree;
  return offset % kBlockBytes == 0 ? Misuse::kNone : Misuse::kInteriorPointer;
}

Misuse UnreadableBlocks::put(void* ptr) {
  LockGuard guard(lock_);
  size_t index = 0;
  Misuse misuse = look_up(ptr, &index);
  if (misuse != Misuse::kNone) return misuse;
  bits_[index / kWordBits] &= ~mask_of(static_cast<uint32_t>(index % kWordBits));
  count_--;
  return Misuse::kNone;
}

Misuse UnreadableBlocks::find(const void* ptr, Block* block) {
  LockGuard guard(lock_);
  size_t index = 0;
  Misuse misuse = look_up(ptr, &index);
  if (misuse != Misuse::kNone && misuse != Misuse::kInteriorPointer) return misuse;
  char* start = start_.load(std::memory_order_relaxed) + index * kBlockBytes;
  *block = {start, 0, kNoSizeClass, static_cast<uint32_t>(PageKind::kBucket)};
  return misuse;
}

size_t UnreadableBlocks::popcount() const {
  size_t count = 0;
  for (size_t w = 0; w < usable_ / kWordBits; w++) count += count_bits(bits_[w]);
  return count;
}

}  // namespace pagerun
