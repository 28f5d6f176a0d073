// Misuses as an attacker makes them: a program whose blocks are watched goes on afterwards, and what it is given is
// compared with what it holds. The table in docs/misuse.md is of these, and knows the textbook allocators as well.
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "case.h"

namespace pagerun::misuse {
namespace {

// The calls of the attacked program, which go through one place: what it holds is kept, and compared with what it gets.
class Program {
 public:
  char* take_block(size_t bytes) {
    auto* ptr = static_cast<char*>(take(bytes));
    if (ptr == nullptr || count_ == kMostBlocks) _exit(1);
    for (size_t i = 0; i < count_; i++) {
      const Held& held = held_[i];
      if (ptr < held.ptr + held.bytes && held.ptr < ptr + bytes) end_with("two-owners");
    }
    if (ptr < foreign_ + sizeof(foreign_) && foreign_ < ptr + bytes) end_with("foreign-memory");
    held_[count_++] = {ptr, bytes};
    return ptr;
  }

  /// What the program thinks that it does not hold any more.
  void forget(const char* ptr) {
    for (size_t i = 0; i < count_; i++) {
      if (held_[i].ptr == ptr) held_[i--] = held_[--count_];
    }
  }

  void give_block(char* ptr) {
    forget(ptr);
    give(ptr);
  }

  /// Goes on as programs do. Whoever handed out memory twice, or memory that is no heap's, is seen here.
  void go_on() {
    constexpr size_t kSizes[] = {16, 16, 24, 24, 24, 48, 100, 240, 512, 24, 48};
    for (size_t bytes : kSizes) take_block(bytes);
  }

  /// Memory of the program that is no heap's.
  char* foreign() { return foreign_; }

 private:
  struct Held {
    char* ptr;
    size_t bytes;
  };
  static constexpr size_t kMostBlocks = 4000;

  Held held_[kMostBlocks] = {};
  size_t count_ = 0;
  alignas(16) char foreign_[512] = {};
};

Program program;

void write_word(char* at, uint64_t value) { memcpy(at, &value, sizeof(value)); }

// A size field as the textbooks and glibc have it, in front of a block, for one of 512 bytes; the odd bit is glibc's
// own.
constexpr uint64_t kForgedSize = 0x211;

// Blocks side by side: what is written behind the first is the header of the second, where there is one. With two
// fields in a header the size lies a word further on, and behind it an id, for which 0 is a good one.
void overflow_into_size() {
  char* first = program.take_block(24);
  char* second = program.take_block(24);
  for (int i = 0; i < 40; i++) program.take_block(24);
  write_word(first + 24, kForgedSize);
  write_word(first + 32, kForgedSize);
  write_word(first + 40, 0);
  program.give_block(second);
}

// A run of zeros behind the last block of those that lie side by side, of which one was freed before.
void overflow_behind_last() {
  program.take_block(16);
  char* freed = program.take_block(16);
  char* last = freed;
  for (int i = 0; i < 2000; i++) {
    char* next = program.take_block(16);
    if (next < last || next > last + 32) break;
    last = next;
  }
  program.give_block(freed);
  memset(last + 16, 0, 56);
}

void forged_size() {
  char* block = program.take_block(240);
  program.take_block(240);
  write_word(block + 56, 0x41);
  write_word(block + 56 + 64, 0x41);
  give(block + 64);
}

void forged_size_elsewhere() {
  char* block = program.foreign() + 64;
  write_word(block - 8, 0x41);
  write_word(block - 8 + 64, 0x41);
  give(block);
}

void interior_pointer() {
  char* block = program.take_block(240);
  program.take_block(24);
  memset(block, 'x', 240);
  give(block + 16);
}

void double_free() {
  char* block = program.take_block(24);
  program.take_block(24);
  program.give_block(block);
  give(block);
}

void double_free_later() {
  char* block = program.take_block(24);
  char* other = program.take_block(24);
  program.take_block(24);
  program.give_block(block);
  program.give_block(other);
  give(block);
}

// The block is somebody else's by then: to every allocator this is the free of a live block.
void double_free_after_reuse() {
  char* block = program.take_block(24);
  program.take_block(24);
  program.give_block(block);
  for (int i = 0; i < 3000; i++) {
    if (program.take_block(24) == block) break;
  }
  give(block);
}

// What a freed block holds in its first word is a list's, where a list runs through the blocks.
void write_after_free() {
  char* target = program.foreign() + 64;
  write_word(target - 8, kForgedSize);
  write_word(target, 0);
  char* first = program.take_block(24);
  program.take_block(24);
  char* second = program.take_block(24);
  program.take_block(24);
  program.give_block(second);
  program.give_block(first);
  auto address = reinterpret_cast<uint64_t>(target);
  write_word(first, address - 8);
}

template <void (*kAttack)()>
void attack() {
  kAttack();
  program.go_on();
  end_with("unharmed");
}

constexpr Case kCases[] = {
    {"overflow-into-size", "three words written behind a block's end, then the next block freed",
     attack<overflow_into_size>, true},
    {"overflow-behind-last", "56 zeros written behind the last of many blocks that lie side by side",
     attack<overflow_behind_last>, true},
    {"forged-size", "a size written inside a block, then a free of the address behind it", attack<forged_size>, true},
    {"forged-size-elsewhere", "a size written in memory that is no heap's, then a free there",
     attack<forged_size_elsewhere>, true},
    {"interior-pointer", "a free of a block's 16th byte", attack<interior_pointer>, true},
    {"double-free", "a block freed twice in a row", attack<double_free>, true},
    {"double-free-later", "a block freed twice, another one between", attack<double_free_later>, true},
    {"double-free-after-reuse", "a block freed again after somebody else got it", attack<double_free_after_reuse>,
     true},
    {"write-after-free", "an address written to the first word of a freed block", attack<write_after_free>, true},
};

}  // namespace

Cases attack_cases() { return {kCases, sizeof(kCases) / sizeof(kCases[0])}; }

}  // namespace pagerun::misuse
