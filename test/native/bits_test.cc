// Bit arithmetic, bitmaps and the linked list of base/, each against the plainest model of it.
#include "base/bits.h"
#include "base/bitmap.h"
#include "base/list.h"

#include <deque>

#include "harness.h"

namespace pagerun {
namespace {

TEST("lowest, highest and count agree with a loop over the bits") {
  harness::Random random(harness::seed());
  for (int i = 0; i < 20000; i++) {
    uint64_t x = random.next() & random.next() & (~0ull >> random.below(64));
    if (x == 0) continue;
    uint32_t lowest = 64, highest = 0, count = 0;
    for (uint32_t bit = 0; bit < 64; bit++) {
      if ((x >> bit & 1) == 0) continue;
      if (lowest == 64) lowest = bit;
      highest = bit;
      count++;
    }
    EXPECT_EQ(lowest_bit(x), lowest);
    EXPECT_EQ(highest_bit(x), highest);
    EXPECT_EQ(count_bits(x), count);
    EXPECT_EQ(is_power_of_two(x), count == 1);
  }
  EXPECT(!is_power_of_two(0));
  EXPECT_EQ(count_bits(0), 0u);
}

TEST("low_bits sets exactly the n lowest bits, 0 and 64 included") {
  for (uint32_t n = 0; n <= 64; n++) {
    uint64_t bits = low_bits(n);
    for (uint32_t bit = 0; bit < 64; bit++) EXPECT_EQ((bits >> bit & 1) != 0, bit < n);
  }
}

TEST("rounding and division go to the next multiple and stay on one") {
  for (uint64_t unit = 1; unit <= 1ull << 40; unit *= 2) {
    for (uint64_t k : {0ull, 1ull, 2ull, 7ull, 1000ull}) {
      uint64_t x = k * unit;
      EXPECT_EQ(round_up(x, unit), x);
      EXPECT_EQ(round_down(x, unit), x);
      if (unit == 1) continue;
      EXPECT_EQ(round_up(x + 1, unit), x + unit);
      EXPECT_EQ(round_down(x + unit - 1, unit), x);
      EXPECT_EQ(divide_up(x + 1, unit), k + 1);
    }
  }
  EXPECT_EQ(divide_up(0, 7), 0ull);
  EXPECT_EQ(divide_up(14, 7), 2ull);
  EXPECT_EQ(divide_up(15, 7), 3ull);
}

TEST("power_of_two_at_least is the smallest power of two that is not smaller") {
  EXPECT_EQ(power_of_two_at_least(0), 1ull);
  for (uint64_t x = 1; x < 5000; x++) {
    uint64_t power = power_of_two_at_least(x);
    EXPECT(is_power_of_two(power) && power >= x && (power == 1 || power / 2 < x));
  }
  EXPECT_EQ(power_of_two_at_least((1ull << 62) + 1), 1ull << 63);
  EXPECT_EQ(power_of_two_at_least(1ull << 63), 1ull << 63);
}

TEST("a filled bitmap has its first n bits set and not one more, for every length") {
  constexpr uint32_t kWords = 66;
  for (uint32_t bits = 0; bits <= 4096; bits += bits < 200 ? 1 : 61) {
    uint64_t words[kWords];
    memset(words, 0xa5, sizeof(words));
    bitmap_fill(words, bits);
    for (uint32_t bit = 0; bit < words_of(bits) * kWordBits; bit++) EXPECT_EQ(bitmap_test(words, bit), bit < bits);
    EXPECT_EQ(bitmap_count(words, bits), bits);
    for (uint32_t w = words_of(bits); w < kWords; w++) EXPECT_EQ(words[w], 0xa5a5a5a5a5a5a5a5ull);
  }
}

TEST("words_of, word_of and mask_of agree about where a bit is") {
  EXPECT_EQ(words_of(0), 0u);
  for (uint32_t bit = 0; bit < 5000; bit++) {
    EXPECT_EQ(word_of(bit), bit / 64);
    EXPECT_EQ(mask_of(bit), 1ull << (bit % 64));
    EXPECT_EQ(words_of(bit + 1), word_of(bit) + 1);
  }
}

TEST("bitmap_count counts what was set one by one") {
  harness::Random random(harness::seed() + 1);
  for (int round = 0; round < 200; round++) {
    uint64_t words[64] = {};
    auto bits = static_cast<uint32_t>(random.between(1, 4096));
    uint32_t count = 0;
    for (uint32_t bit = 0; bit < bits; bit++) {
      if (random.one_in(2)) continue;
      words[word_of(bit)] |= mask_of(bit);
      count++;
    }
    EXPECT_EQ(bitmap_count(words, bits), count);
  }
}

TEST("a word with a set bit is found wherever it is, none beyond the count, and in its group those behind come first") {
  for (uint32_t count = 1; count <= 64; count++) {
    for (uint32_t set = 0; set < 64; set++) {
      uint64_t words[64] = {};
      words[set] = 1ull << set;
      for (uint32_t next = 0; next <= count; next++)
        EXPECT_EQ(bitmap_find_word(words, count, next), set < count ? set : count);
    }
  }
  uint64_t all[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  const uint32_t wanted[9] = {0, 1, 2, 3, 0, 5, 6, 7, 4};
  for (uint32_t next = 0; next <= 8; next++) EXPECT_EQ(bitmap_find_word(all, 8, next), wanted[next]);
  EXPECT_EQ(bitmap_find_word(all, 8, 1000), 0u);
}

TEST("a bitmap is empty when no word before the count has a set bit") {
  for (uint32_t count = 0; count <= 9; count++) {
    uint64_t none[16] = {};
    EXPECT(bitmap_is_empty(none, count));
    for (uint32_t bit = 0; bit < 10 * kWordBits; bit++) {
      uint64_t words[16] = {};
      words[word_of(bit)] = mask_of(bit);
      EXPECT_EQ(bitmap_is_empty(words, count), word_of(bit) >= count);
    }
  }
}

TEST("taking lowest bits empties a word bit by bit") {
  harness::Random random(harness::seed() + 2);
  for (int round = 0; round < 200; round++) {
    uint64_t word = random.next(), left = word;
    while (word != 0) {
      LowestBit lowest;
      if (!EXPECT(find_lowest_bit(word, &lowest))) return;
      keep_bits(word, lowest.mask);
      EXPECT_EQ(lowest.bit, lowest_bit(left));
      left &= left - 1;
      EXPECT_EQ(word, left);
    }
    EXPECT_EQ(left, 0u);
    LowestBit none;
    EXPECT(!find_lowest_bit(word, &none));
  }
}

struct Entry {
  Entry* next = nullptr;
  Entry* prev = nullptr;
  bool is_listed = false;
};

void expect_same(const List<Entry>& list, const std::deque<Entry*>& model) {
  Entry* prev = nullptr;
  Entry* at = list.first();
  for (Entry* entry : model) {
    if (!EXPECT_EQ(at, entry)) return;
    EXPECT_EQ(at->prev, prev);
    prev = at;
    at = at->next;
  }
  EXPECT_EQ(at, static_cast<Entry*>(nullptr));
  EXPECT_EQ(list.is_empty(), model.empty());
}

TEST("a list does what a deque does under random push, pop and remove") {
  harness::Random random(harness::seed() + 2);
  std::vector<Entry> entries(40);
  List<Entry> list;
  std::deque<Entry*> model;
  for (int i = 0; i < 20000; i++) {
    Entry* entry = &entries[random.below(entries.size())];
    if (!entry->is_listed) {
      list.push(entry);
      model.push_front(entry);
      entry->is_listed = true;
    } else if (random.one_in(3)) {
      Entry* popped = list.pop();
      EXPECT_EQ(popped, model.front());
      model.pop_front();
      popped->is_listed = false;
      EXPECT(popped->next == nullptr && popped->prev == nullptr);
    } else {
      list.remove(entry);
      std::erase(model, entry);
      entry->is_listed = false;
      EXPECT(entry->next == nullptr && entry->prev == nullptr);
    }
    if (i % 16 == 0) expect_same(list, model);
  }
  while (list.pop() != nullptr) continue;
  EXPECT(list.is_empty());
  EXPECT_EQ(list.pop(), static_cast<Entry*>(nullptr));
}

TEST("a list stops the process when a link was overwritten, before it writes through it") {
  harness::ChildEnd end = harness::run_in_child([] {
    Entry a, b, c, elsewhere;
    List<Entry> list;
    list.push(&a);
    list.push(&b);
    list.push(&c);
    b.next = &elsewhere;
    list.remove(&b);
  });
  EXPECT_EQ(end.signal, SIGABRT);
  EXPECT(end.output.starts_with("pagerun: broken invariant: next/prev agree at 0x"));
}

TEST("a list refuses an entry that is on a list already") {
  harness::ChildEnd end = harness::run_in_child([] {
    Entry a, b;
    List<Entry> list;
    list.push(&a);
    list.push(&b);
    list.push(&a);
  });
  EXPECT_EQ(end.signal, SIGABRT);
}

}  // namespace
}  // namespace pagerun
