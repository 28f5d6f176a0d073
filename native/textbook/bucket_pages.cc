#include "bucket_pages.h"

#include <cstring>

#include "../base/bits.h"
#include "../base/check.h"
#include "../os/memory.h"

namespace pagerun::textbook {

namespace {

// Half of the addresses for pages, half for large blocks.
constexpr size_t kHalfBytes = size_t{8} << 30;
constexpr size_t kHalfNarrowBytes = size_t{2} << 30;
constexpr size_t kLeastHalfBytes = size_t{1} << 20;

constexpr const char* kSizeOfBucket = "size is that of a bucket, or 0";
constexpr const char* kBitmapIsLive = "bitmap equals live blocks";
constexpr const char* kLinksAgree = "next and prev agree";
constexpr const char* kListedOnce = "a page is listed once if it has free blocks, and never if it is full";

}  // namespace

bool BucketPages::open(const FreeListOptions& large_blocks) {
  align_bytes_ = large_blocks.align_bytes;
  size_t half = large_blocks.field_bytes == sizeof(uint32_t) ? kHalfNarrowBytes : kHalfBytes;
  char* base = nullptr;
  while ((base = static_cast<char*>(os::reserve(half * 2))) == nullptr) {
    half /= 2;
    if (half < kLeastHalfBytes) return false;
  }
  range_ = {base, 0, half};
  large_.open({base + half, 0, half}, large_blocks);
  return true;
}

void BucketPages::close() { os::release(range_.base, range_.limit_bytes * 2); }

// The bitmap ends where the fields start.
uint64_t* BucketPages::bitmap_of(char* page) {
  return reinterpret_cast<uint64_t*>(page + kFieldsOffset) - words_of(page_capacity(fields_of(page)->size));
}

PageRecord BucketPages::record_of(char* page) {
  PageFields* fields = fields_of(page);
  uint32_t capacity = page_capacity(fields->size);
  const uint64_t* bitmap = bitmap_of(page);
  return {page, fields->size, capacity, bitmap_count(bitmap, capacity), bitmap, fields->next, fields->prev};
}

void BucketPages::list(uint32_t bucket, char* page) {
  char* first = frees_[bucket];
  fields_of(page)->next = first;
  fields_of(page)->prev = nullptr;
  if (first != nullptr) fields_of(first)->prev = page;
  frees_[bucket] = page;
}

void BucketPages::unlist(uint32_t bucket, char* page) {
  PageFields* fields = fields_of(page);
  if (fields->prev == nullptr) {
    frees_[bucket] = fields->next;
  } else {
    fields_of(fields->prev)->next = fields->next;
  }
  if (fields->next != nullptr) fields_of(fields->next)->prev = fields->prev;
  fields->next = fields->prev = nullptr;
}

char* BucketPages::new_page(size_t block_bytes) {
  char* page = empties_;
  if (page != nullptr) {
    empties_ = fields_of(page)->next;
  } else {
    page = range_.grow(kOsPageBytes);
    if (page == nullptr) return nullptr;
  }
  fields_of(page)->size = block_bytes;
  memset(bitmap_of(page), 0, words_of(page_capacity(block_bytes)) * sizeof(uint64_t));
  return page;
}

char* BucketPages::page_with_room(uint32_t bucket) {
  if (frees_[bucket] == nullptr) {
    char* page = new_page(bucket_bytes(bucket));
    if (page != nullptr) list(bucket, page);
  }
  return frees_[bucket];
}

// The first block whose bit is clear. The block itself is not touched.
void* BucketPages::take(uint32_t bucket) {
  char* page = page_with_room(bucket);
  if (page == nullptr) return nullptr;
  uint64_t* bitmap = bitmap_of(page);
  uint32_t capacity = page_capacity(bucket_bytes(bucket));
  uint32_t word = 0;
  while (bitmap[word] == ~uint64_t{0}) word++;
  uint32_t index = word * kWordBits + lowest_bit(~bitmap[word]);
  bitmap[word] |= mask_of(index);
  live_blocks_++;
  if (bitmap_count(bitmap, capacity) == capacity) unlist(bucket, page);
  return page + index * bucket_bytes(bucket);
}

// Empty pages leave their bucket: any other may have them next.
Fault BucketPages::give(char* page, size_t offset) {
  PageFields* fields = fields_of(page);
  if (fields->size == 0) return Fault::kDoubleFree;
  auto index = static_cast<uint32_t>(offset / fields->size);
  uint32_t capacity = page_capacity(fields->size);
  if (index >= capacity || offset % fields->size != 0) return Fault::kInteriorPointer;
  uint64_t* bitmap = bitmap_of(page);
  if (!bitmap_test(bitmap, index)) return Fault::kDoubleFree;
  uint32_t bucket = bucket_for(fields->size);
  bool was_full = bitmap_count(bitmap, capacity) == capacity;
  bitmap[word_of(index)] &= ~mask_of(index);
  live_blocks_--;
  if (was_full) list(bucket, page);
  if (bitmap_count(bitmap, capacity) == 0) {
    unlist(bucket, page);
    fields->size = 0;
    fields->next = empties_;
    empties_ = page;
  }
  return Fault::kNone;
}

void* BucketPages::allocate_locked(size_t bytes) {
  size_t least = align_bytes_ == 0 || bytes > kMostBucketBytes ? bytes : round_up(bytes == 0 ? 1 : bytes, align_bytes_);
  uint32_t bucket = bucket_for(least);
  return bucket < kBuckets ? take(bucket) : large_.allocate(bytes);
}

void* BucketPages::allocate(size_t bytes) {
  LockGuard guard(lock_);
  return allocate_locked(bytes);
}

// Rounded up to the alignment, a size has a bucket whose blocks are multiples of it.
void* BucketPages::allocate_aligned(size_t alignment, size_t bytes) {
  LockGuard guard(lock_);
  if (bytes > kMostBucketBytes || alignment > kMostBucketBytes) return large_.allocate_aligned(alignment, bytes);
  size_t rounded = round_up(bytes == 0 ? 1 : bytes, alignment);
  return rounded <= kMostBucketBytes ? allocate_locked(rounded) : large_.allocate_aligned(alignment, bytes);
}

Fault BucketPages::deallocate_locked(void* ptr) {
  if (large_.range().owns(ptr)) {
    large_.deallocate(ptr);
    return Fault::kNone;
  }
  if (!range_.owns(ptr)) return Fault::kForeignPointer;
  auto offset = static_cast<size_t>(static_cast<char*>(ptr) - range_.base);
  return give(range_.base + round_down(offset, kOsPageBytes), offset % kOsPageBytes);
}

Fault BucketPages::deallocate(void* ptr) {
  LockGuard guard(lock_);
  return deallocate_locked(ptr);
}

bool BucketPages::stays(void* ptr, size_t bytes) {
  LockGuard guard(lock_);
  if (!large_.range().owns(ptr)) {
    size_t offset = static_cast<size_t>(static_cast<char*>(ptr) - range_.base);
    return bytes <= fields_of(range_.base + round_down(offset, kOsPageBytes))->size;
  }
  if (bytes > large_.usable_bytes(ptr)) return false;
  large_.shrink(ptr, bytes);
  return true;
}

size_t BucketPages::usable_bytes(const void* ptr) {
  LockGuard guard(lock_);
  if (large_.range().owns(ptr)) return large_.usable_bytes(ptr);
  size_t offset = static_cast<size_t>(static_cast<const char*>(ptr) - range_.base);
  return fields_of(range_.base + round_down(offset, kOsPageBytes))->size;
}

bool BucketPages::is_broken() {
  if (is_suspect_ && check().invariant != nullptr) return true;
  is_suspect_ = false;
  return false;
}

Fault BucketPages::try_allocate(size_t bytes, void** result) {
  LockGuard guard(lock_);
  if (is_broken()) return Fault::kBrokenHeap;
  *result = allocate_locked(bytes);
  return Fault::kNone;
}

Fault BucketPages::try_deallocate(void* ptr) {
  LockGuard guard(lock_);
  if (is_broken()) return Fault::kBrokenHeap;
  BlockRecord found;
  Fault fault = large_.range().owns(ptr) ? large_.locate(ptr, &found) : Fault::kNone;
  return fault == Fault::kNone ? deallocate_locked(ptr) : fault;
}

Fault BucketPages::try_stay(void* ptr, size_t bytes, BlockRecord* found, bool* stays) {
  LockGuard guard(lock_);
  *stays = false;
  if (is_broken()) return Fault::kBrokenHeap;
  Fault fault = locate_locked(ptr, found);
  if (fault != Fault::kNone || bytes > found->size) return fault;
  if (large_.range().owns(ptr)) large_.shrink(ptr, bytes);
  *stays = true;
  return fault;
}

Fault BucketPages::locate(const void* ptr, BlockRecord* found) {
  LockGuard guard(lock_);
  return is_broken() ? Fault::kBrokenHeap : locate_locked(ptr, found);
}

Fault BucketPages::locate_locked(const void* ptr, BlockRecord* found) const {
  return large_.range().owns(ptr) ? large_.locate(ptr, found) : locate_in_page(ptr, found);
}

Fault BucketPages::locate_in_page(const void* ptr, BlockRecord* found) const {
  if (!range_.owns(ptr)) return Fault::kForeignPointer;
  auto offset = static_cast<size_t>(static_cast<const char*>(ptr) - range_.base);
  char* page = range_.base + round_down(offset, kOsPageBytes);
  if (fields_of(page)->size == 0) return Fault::kDoubleFree;
  PageRecord record = record_of(page);
  auto index = static_cast<uint32_t>(offset % kOsPageBytes / record.block_bytes);
  if (index >= record.capacity) return Fault::kInteriorPointer;
  char* block = page + index * record.block_bytes;
  *found = {block, block, record.block_bytes, nullptr, 0, !bitmap_test(record.bitmap, index)};
  if (found->is_free) return Fault::kDoubleFree;
  return block == ptr ? Fault::kNone : Fault::kInteriorPointer;
}

bool BucketPages::is_page(const char* page) const {
  return range_.owns(page) && static_cast<size_t>(page - range_.base) % kOsPageBytes == 0;
}

Verdict BucketPages::check() const {
  uint64_t used = 0;
  for (char* page = range_.base; page < range_.end(); page += kOsPageBytes) {
    Verdict verdict = check_page(page, &used);
    if (verdict.invariant != nullptr) return verdict;
  }
  if (used != live_blocks_) return {kBitmapIsLive, range_.base};
  Verdict verdict = check_lists();
  return verdict.invariant == nullptr ? large_.check() : verdict;
}

Verdict BucketPages::check_page(char* page, uint64_t* used) const {
  PageFields* fields = fields_of(page);
  if (fields->size == 0) return {};
  uint32_t bucket = bucket_for(fields->size);
  if (bucket == kBuckets || bucket_bytes(bucket) != fields->size) return {kSizeOfBucket, page};
  PageRecord record = record_of(page);
  uint32_t tail = record.capacity % kWordBits;
  if (tail != 0 && (record.bitmap[words_of(record.capacity) - 1] & ~low_bits(tail)) != 0) return {kBitmapIsLive, page};
  *used += record.used;
  bool is_full = record.used == record.capacity;
  if (is_full && (fields->next != nullptr || fields->prev != nullptr)) return {kListedOnce, page};
  return {};
}

// Every list is as long as it has pages: a circle, or a page on a wrong list, is found by its links or by the count.
Verdict BucketPages::check_lists() const {
  size_t with_room = 0, listed = 0, most = range_.used_bytes / kOsPageBytes;
  each_page([&](const PageRecord& page) { with_room += page.used < page.capacity; });
  for (uint32_t bucket = 0; bucket < kBuckets; bucket++) {
    const char* prev = nullptr;
    for (char* page = frees_[bucket]; page != nullptr; prev = page, page = fields_of(page)->next) {
      if (!is_page(page) || fields_of(page)->prev != prev || ++listed > most) return {kLinksAgree, prev};
      if (fields_of(page)->size != bucket_bytes(bucket)) return {kListedOnce, page};
    }
  }
  if (listed != with_room) return {kListedOnce, range_.base};
  size_t empty = 0;
  each_page([&](const PageRecord&) { empty++; });
  for (char* page = empties_; page != nullptr; page = fields_of(page)->next) {
    if (!is_page(page) || fields_of(page)->size != 0 || ++empty > most) return {kListedOnce, page};
  }
  return empty == most ? Verdict() : Verdict{kListedOnce, range_.base};
}

}  // namespace pagerun::textbook
