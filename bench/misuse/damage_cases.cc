// Writes and reads where the program has no block: behind a block, before it, in one that was freed, in one of no
// bytes. No allocator without a policy for it can notice; what none may do is to be steered by what is written there.
#include <stdint.h>
#include <string.h>

#include <new>

#include "case.h"

namespace pagerun::misuse {
namespace {

constexpr size_t kLarge = 1 << 20, kHuge = 64 << 20;
constexpr char kSecret = 0x53;

volatile char* at(void* ptr, ptrdiff_t offset) { return static_cast<volatile char*>(ptr) + offset; }

void flip(void* ptr, ptrdiff_t offset) { *at(ptr, offset) = static_cast<char>(*at(ptr, offset) ^ 0x55); }

void take_more(size_t bytes, int count) {
  for (int i = 0; i < count; i++) hold(take(bytes), bytes);
}

// One byte behind a block of `bytes`, which is then freed.
template <size_t kBytes>
void overflow_by_one() {
  take(kBytes);
  void* block = take(kBytes);
  take(kBytes);
  flip(block, kBytes);
  give(block);
}

void overflow_by_word() {
  take(40);
  void* block = take(40);
  take(40);
  for (int i = 0; i < 8; i++) flip(block, 40 + i);
  give(block);
}

void overflow_then_resize() {
  void* block = take(100);
  flip(block, 100);
  hold(resize(block, 400), 400);
}

void overflow_of_zeroed() {
  void* block = take_zeroed(3, 7);
  flip(block, 21);
  give(block);
}

void overflow_of_new() {
  void* block = make(50);
  flip(block, 50);
  unmake(block);
}

// A terminating zero that has no room: where canaries are not zero it is seen.
void overflow_by_zero() {
  void* block = take(56);
  *at(block, 56) = 0;
  give(block);
}

template <size_t kBytes>
void overflow_into_next_os_page() {
  void* block = take(kBytes);
  expect_fault();
  flip(block, kBytes);
}

template <size_t kBytes>
void underflow_before_os_page() {
  void* block = take(kBytes);
  expect_fault();
  flip(block, -1);
}

void read_behind_large() {
  void* block = take(kLarge);
  expect_fault();
  static_cast<void>(*at(block, kLarge));
}

// A block is freed, written to, and then as many of its size are taken as find it again.
template <size_t kBytes, size_t kOffset>
void write_after_free() {
  take(kBytes);
  void* block = take(kBytes);
  take(kBytes);
  give(block);
  flip(block, kOffset);
  for (int i = 0; i < 20000; i++) {
    void* other = take(kBytes);
    if (i % 2 == 0) give(other);
  }
}

template <size_t kBytes>
void write_after_free_faults() {
  void* block = take(kBytes);
  memset(block, 1, kBytes);
  give(block);
  expect_fault();
  flip(block, kBytes / 2);
}

template <size_t kBytes>
void read_after_free_faults() {
  void* block = take(kBytes);
  memset(block, 1, kBytes);
  give(block);
  expect_fault();
  static_cast<void>(*at(block, kBytes / 2));
}

// The secret must not be readable: not through the old pointer,
void read_after_free() {
  take(200);
  void* block = take(200);
  take(200);
  memset(block, kSecret, 200);
  give(block);
  for (int i = 16; i < 200; i++) {
    if (*at(block, i) == kSecret) end_with("leaked");
  }
}

// and not by whoever is given the memory next.
void read_of_reused() {
  void* blocks[64];
  for (void*& block : blocks) {
    block = take(200);
    memset(block, kSecret, 200);
  }
  for (void* block : blocks) give(block);
  for (int i = 0; i < 2000; i++) {
    void* block = take(200);
    for (int k = 16; k < 200; k++) {
      if (*at(block, k) == kSecret) end_with("leaked");
    }
  }
}

// What JavaScript's and C's string buffers leave: a large block's content in the next one.
void read_of_reused_large() {
  void* block = take(300000);
  memset(block, kSecret, 300000);
  give(block);
  void* next = take(300000);
  for (int i = 64; i < 300000; i += 64) {
    if (*at(next, i) == kSecret) end_with("leaked");
  }
}

void write_to_nothing() {
  void* block = take(0);
  if (block == nullptr) end_without_call();
  expect_fault();
  *at(block, 0) = 1;
}

void read_of_nothing() {
  void* block = take(0);
  if (block == nullptr) end_without_call();
  expect_fault();
  static_cast<void>(*at(block, 0));
}

// Whole blocks of every size are written over after they were freed: with zeros, ones, and addresses of the program's
// own memory. What is handed out later must be no one's, and the allocator must live.
template <uint64_t kValue>
void overwrite_freed() {
  constexpr size_t kSizes[] = {16, 24, 48, 64, 100, 240, 500, 1000, 4000, 9000, 20000, 32768, 40000, 100000};
  for (size_t bytes : kSizes) {
    void* blocks[40];
    for (void*& block : blocks) block = take(bytes);
    for (int i = 0; i < 40; i += 2) give(blocks[i]);
    for (int i = 1; i < 40; i += 2) hold(blocks[i], bytes);
    uint64_t value = kValue == 0x706f696e746572 ? reinterpret_cast<uint64_t>(foreign_memory() + 64) : kValue;
    for (int i = 0; i < 40; i += 2) {
      for (size_t k = 0; k + 8 <= bytes; k += 8) memcpy(static_cast<char*>(blocks[i]) + k, &value, 8);
    }
    take_more(bytes, 30);
  }
}

void sized_delete_off_by_one() {
  void* block = make(50);
  unmake_sized(block, 49);
}

// The block may have another holder by then: a quarantine keeps that from being so at once.
void double_free_after_taking_more() {
  take(72);
  void* block = take(72);
  take(72);
  give(block);
  for (int i = 0; i < 4; i++) hold(take(72), 72);
  give(block);
}

constexpr Case kCases[] = {
    {"overflow-by-one-8", "one byte behind a block of 8 bytes, then its free", overflow_by_one<8>},
    {"overflow-by-one-16", "one byte behind a block of 16 bytes, then its free", overflow_by_one<16>},
    {"overflow-by-one-50", "one byte behind a block of 50 bytes, then its free", overflow_by_one<50>},
    {"overflow-by-one-512", "one byte behind a block of 512 bytes, then its free", overflow_by_one<512>},
    {"overflow-by-one-5000", "one byte behind a block of 5,000 bytes, then its free", overflow_by_one<5000>},
    {"overflow-by-one-40000", "one byte behind a block of 40,000 bytes, then its free", overflow_by_one<40000>},
    {"overflow-by-word", "a word behind a block, then its free", overflow_by_word},
    {"overflow-by-zero", "a zero behind a block, then its free", overflow_by_zero},
    {"overflow-then-realloc", "one byte behind a block, then realloc", overflow_then_resize},
    {"overflow-of-calloc", "one byte behind a block of calloc's", overflow_of_zeroed},
    {"overflow-of-new", "one byte behind what new made, then delete", overflow_of_new},
    {"overflow-large", "one byte behind a block of 1 MiB", overflow_into_next_os_page<kLarge>},
    {"overflow-huge", "one byte behind a block of 64 MiB", overflow_into_next_os_page<kHuge>},
    {"underflow-large", "one byte before a block of 1 MiB", underflow_before_os_page<kLarge>},
    {"underflow-huge", "one byte before a block of 64 MiB", underflow_before_os_page<kHuge>},
    {"read-behind-large", "a read behind a block of 1 MiB", read_behind_large},
    {"write-after-free-16", "a write to a freed block of 16 bytes", write_after_free<16, 0>},
    {"write-after-free-240", "a write inside a freed block of 240 bytes", write_after_free<240, 100>},
    {"write-after-free-5000", "a write inside a freed block of 5,000 bytes", write_after_free<5000, 2500>},
    {"write-after-free-large", "a write to a freed block of 1 MiB", write_after_free_faults<kLarge>},
    {"write-after-free-huge", "a write to a freed block of 64 MiB", write_after_free_faults<kHuge>},
    {"read-after-free-large", "a read of a freed block of 1 MiB", read_after_free_faults<kLarge>},
    {"read-after-free-huge", "a read of a freed block of 64 MiB", read_after_free_faults<kHuge>},
    {"read-after-free", "a secret read through the old pointer", read_after_free, true},
    {"read-of-reused", "a secret read in a new block", read_of_reused, true},
    {"read-of-reused-large", "a secret read in a new large block", read_of_reused_large, true},
    {"write-to-0-bytes", "a write to a block of 0 bytes", write_to_nothing},
    {"read-of-0-bytes", "a read of a block of 0 bytes", read_of_nothing},
    {"overwrite-freed-zeros", "freed blocks of all sizes written over with zeros", overwrite_freed<0>, true},
    {"overwrite-freed-ones", "freed blocks of all sizes written over with ones", overwrite_freed<~0ull>, true},
    {"overwrite-freed-address", "freed blocks of all sizes written over with an address of the program's",
     overwrite_freed<0x706f696e746572>, true},
    {"overwrite-freed-small-number", "freed blocks of all sizes written over with a small number",
     overwrite_freed<0x41>, true},
    {"sized-delete-off-by-one", "delete of 50 bytes told to be 49", sized_delete_off_by_one},
    {"double-free-behind-others", "a block freed again after four of its size were taken",
     double_free_after_taking_more},
};

}  // namespace

Cases damage_cases() { return {kCases, sizeof(kCases) / sizeof(kCases[0])}; }

}  // namespace pagerun::misuse
