// Canaries, clearing and the look at what was cleared: to the byte, at every length that has a path of its own.
#include "harden/fill.h"

#include <array>
#include <vector>

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
  for (size_t bytes : {2048, 4096 - 8, 4096, 16384 + 8, int{kMostBytes}}) all.push_back(bytes);
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

// Each way to write a canary, and each to look at it, wherever it may be used.
void expect_canary(size_t bytes, size_t slack, bool is_short) {
  Bytes block(bytes, 0);
  char* first = block.end() - slack;
  if (is_short) {
    canary_write_short(block.start(), bytes, slack);
  } else {
    canary_write(block.start(), block.end(), slack);
  }
  for (char* at = block.start(); at < first; at++) EXPECT_EQ(*at, 0);
  EXPECT(block.are_margins_whole());
  EXPECT(canary_holds(block.start(), block.end(), slack));
  if (is_short) EXPECT(canary_holds_short(block.start(), bytes, slack));
  for (char* at = block.start(); at < first; at++) *at = 'A';
  for (char* at = first; at < block.end(); at++) {
    char was = *at;
    for (int value : {0, int{'A'}, 0xff, was ^ 1}) {
      *at = static_cast<char>(value);
      EXPECT(!canary_holds(block.start(), block.end(), slack));
      if (is_short) EXPECT(!canary_holds_short(block.start(), bytes, slack));
    }
    *at = was;
  }
  EXPECT(canary_holds(block.start(), block.end(), slack));
}

void expect_canaries() {
  for (size_t bytes : {16, 32, 48, 64, 112, 128, 144, 256, 288, 512, 576, 4096}) {
    size_t most = bytes < 300 ? bytes : 300;
    for (size_t slack = 1; slack <= most; slack++)
      expect_canary(bytes, slack, bytes <= fill::kShortBytes && is_short_slack(bytes, slack));
  }
}

TEST("every byte of a canary is looked at, and none before it, at every slack") {
  canary_secret = 0x0123456789abcdef;
  expect_canaries();
  fill_choose();
  expect_canaries();
}

}  // namespace
}  // namespace pagerun
