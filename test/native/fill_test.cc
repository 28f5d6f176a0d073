// Canaries, clearing and the look at what was cleared: to the byte, at every length that has a path of its own.
#include "harden/fill.h"

#include <array>
#include <vector>

#include "core/size_class.h"
#include "harness.h"

namespace pagerun {
namespace {

constexpr size_t kMargin = 64, kMostBytes = 32768;

// Bytes with others before and behind them, which nothing may change.
class Bytes {
 public:
  Bytes(size_t bytes, char value) : bytes_(bytes) {
    all_.fill(kOutside);
    for (size_t i = 0; i < bytes; i++) start()[i] = value;
  }

  char* start() { return all_.data() + kMargin; }
  char* end() { return start() + bytes_; }
  bool are_margins_whole() const {
    for (size_t i = 0; i < kMargin; i++) {
      if (all_[i] != kOutside || all_[kMargin + bytes_ + i] != kOutside) return false;
    }
    return true;
  }

 private:
  static constexpr char kOutside = 0x5a;

  size_t bytes_;
  std::array<char, kMostBytes + 2 * kMargin> all_{};
};

std::vector<size_t> lengths() {
  std::vector<size_t> all;
  for (size_t bytes = 16; bytes <= 1100; bytes += 8) all.push_back(bytes);
  for (size_t bytes : {size_t{2048}, size_t{4096 - 8}, size_t{4096}, size_t{16384 + 8}, kMostBytes})
    all.push_back(bytes);
  return all;
}

TEST("clearing takes every byte of a block, and none beside it") {
  for (size_t bytes : lengths()) {
    Bytes block(bytes, 'A');
    fill_zero(block.start(), bytes);
    for (size_t i = 0; i < bytes; i++) EXPECT_EQ(block.start()[i], 0);
    EXPECT(block.are_margins_whole());
  }
}

void expect_only_zeros_pass() {
  for (size_t bytes : lengths()) {
    Bytes block(bytes, 0);
    EXPECT(is_all_zero(block.start(), bytes));
    for (size_t i = 0; i < bytes; i += bytes > 2048 ? 61 : 1) {
      block.start()[i] = 1;
      EXPECT(!is_all_zero(block.start(), bytes));
      block.start()[i] = 0;
    }
    block.start()[bytes - 1] = 1;
    EXPECT(!is_all_zero(block.start(), bytes));
  }
}

// Each test once with the vectors that every machine has, then with those of this one.
TEST("one byte that is not zero is found wherever it is, and none beside the block") {
  expect_only_zeros_pass();
  fill_choose();
  expect_only_zeros_pass();
}

enum class Act { kHasSlack, kWrite, kHolds, kIsClear, kClear };

// What blocks of malloc are filled by, as the machine's functions for them do it.
template <class Fill>
[[gnu::always_inline]] inline bool act_by(Act act, char* block, size_t bytes, size_t slack) {
  return Fill::reach(bytes, [=](auto reach) {
    if (act == Act::kHasSlack) return reach.is_slack(slack);
    if (act == Act::kHolds) return reach.holds_canary(block, bytes, slack);
    if (act == Act::kIsClear) return reach.is_clear(block, bytes);
    act == Act::kWrite ? reach.write_canary(block, bytes, slack) : reach.clear(block, bytes);
    return true;
  });
}

bool act_by_pairs(Act act, char* block, size_t bytes, size_t slack) {
  return act_by<ByPairs>(act, block, bytes, slack);
}

PAGERUN_FOR_LINES bool act_by_lines(Act act, char* block, size_t bytes, size_t slack) {
  return act_by<ByLines>(act, block, bytes, slack);
}

struct Way {
  size_t short_bytes;
  bool (*act)(Act act, char* block, size_t bytes, size_t slack);
};

std::vector<Way> ways() {
  std::vector<Way> all = {{ByPairs::kShortBytes, act_by_pairs}};
  if (has_lines) all.push_back({ByLines::kShortBytes, act_by_lines});
  return all;
}

TEST("short blocks are cleared and looked at to the byte, by every kind of vectors") {
  fill_choose();
  for (const Way& way : ways()) {
    for (size_t bytes = 16; bytes <= way.short_bytes; bytes += 8) {
      Bytes block(bytes, 'A');
      way.act(Act::kClear, block.start(), bytes, 0);
      EXPECT(block.are_margins_whole() && is_all_zero(block.start(), bytes));
      EXPECT(way.act(Act::kIsClear, block.start(), bytes, 0));
      for (size_t i = 0; i < bytes; i++) {
        block.start()[i] = 1;
        EXPECT(!way.act(Act::kIsClear, block.start(), bytes, 0));
        block.start()[i] = 0;
      }
    }
  }
}

// `way`: null for what serves every block and slack.
void expect_canary(const Way* way, size_t bytes, size_t slack) {
  Bytes block(bytes, 0);
  char* first = block.end() - slack;
  if (way == nullptr) {
    canary_write(block.start(), block.end(), slack);
  } else {
    way->act(Act::kWrite, block.start(), bytes, slack);
  }
  auto holds = [&] {
    bool does = canary_holds(block.start(), block.end(), slack);
    if (way != nullptr) EXPECT_EQ(way->act(Act::kHolds, block.start(), bytes, slack), does);
    return does;
  };
  for (char* at = block.start(); at < first; at++) EXPECT_EQ(*at, 0);
  EXPECT(block.are_margins_whole());
  EXPECT(holds());
  for (char* at = block.start(); at < first; at++) *at = 'A';
  for (char* at = first; at < block.end(); at++) {
    char was = *at;
    for (int value : {0, int{'A'}, 0xff, was ^ 1}) {
      *at = static_cast<char>(value);
      EXPECT(!holds());
    }
    *at = was;
  }
  EXPECT(holds());
}

void expect_canaries() {
  for (size_t bytes : {16u, 32u, 48u, 64u, 112u, 128u, 144u, 256u, 288u, 512u, 576u, 1024u, 4096u}) {
    size_t most = bytes < 300 ? bytes : 300;
    for (size_t slack = 1; slack <= most; slack++) {
      expect_canary(nullptr, bytes, slack);
      for (const Way& way : ways()) {
        if (bytes <= way.short_bytes && way.act(Act::kHasSlack, nullptr, bytes, slack))
          expect_canary(&way, bytes, slack);
      }
    }
  }
}

TEST("every byte of a canary is looked at, and none before it, at every slack") {
  canary_secret = 0x0123456789abcdef;
  expect_canaries();
  fill_choose();
  expect_canaries();
}

TEST("malloc leaves no more slack than short blocks are looked at for") {
  for (const Way& way : ways()) {
    for (size_t bytes = 1; bytes < way.short_bytes; bytes++) {
      size_t block_bytes = class_bytes(class_of(bytes + 1, kMaxAlignBytes));
      EXPECT(way.act(Act::kHasSlack, nullptr, block_bytes, block_bytes - bytes));
    }
  }
}

}  // namespace
}  // namespace pagerun
