// Damaged metadata: random bits flipped and words written over in page headers and bitmaps, 10,000 times, each in a
// child process that then goes on allocating against a shadow model. What is believed all the same is named here.
#include <algorithm>
#include <map>

#include "core/allocator_inline.h"
#include "core/run_list.h"
#include "heap.h"
#include "os/memory.h"
#include "threads.h"

namespace pagerun {
namespace {

constexpr uint64_t kDamages = 10000, kUnannounced = 1500;
constexpr int kChurnSteps = 1500;

enum End : int { kHarmless = 0, kFound = 40, kRefused, kOverlap, kLost };

// Live blocks by address, each with its size and the mark that its first byte carries.
struct Shadow {
  struct Held {
    size_t bytes;
    unsigned char mark;
  };
  std::map<char*, Held> live;
  harness::Random random;

  explicit Shadow(uint64_t seed) : random(seed) {}

  size_t random_bytes() {
    uint64_t kind = random.below(100);
    if (kind < 60) return random.between(1, 300);
    if (kind < 85) return random.between(300, 3000);
    if (kind < 97) return random.between(3000, 32768);
    return random.between(32769, 300000);
  }

  void add(void* ptr, size_t bytes) {
    auto* start = static_cast<char*>(ptr);
    auto behind = live.lower_bound(start);
    if (behind != live.end() && behind->first < start + bytes) _exit(kOverlap);
    if (behind != live.begin()) {
      auto before = std::prev(behind);
      if (before->first + before->second.bytes > start) _exit(kOverlap);
    }
    auto mark = static_cast<unsigned char>(random.next());
    *start = static_cast<char>(mark);
    live[start] = {bytes, mark};
  }

  void take() {
    size_t bytes = random_bytes();
    void* ptr = allocate(bytes);
    if (ptr != nullptr) add(ptr, bytes);
  }

  std::map<char*, Held>::iterator any() {
    auto at = live.lower_bound(live.begin()->first + random.below(1 << 22));
    return at == live.end() ? live.begin() : at;
  }

  void give() {
    if (live.empty()) return;
    auto at = any();
    if (static_cast<unsigned char>(*at->first) != at->second.mark) _exit(kLost);
    char* ptr = at->first;
    live.erase(at);
    if (deallocate(ptr) != Misuse::kNone) _exit(kRefused);
  }

  void resize() {
    if (live.empty()) return;
    auto at = any();
    char* ptr = at->first;
    size_t bytes = random_bytes();
    void* result = nullptr;
    if (reallocate(ptr, bytes, &result) != Misuse::kNone) _exit(kRefused);
    if (result == nullptr) return;
    live.erase(at);
    add(result, bytes);
  }

  void step() {
    uint64_t kind = random.below(10);
    if (kind < 5) return take();
    kind < 9 ? give() : resize();
  }
};

// A heap with pages in every state, of this thread, of one that has ended, and with frees that await the drain.
void fill(Shadow& shadow) {
  for (int i = 0; i < 3000; i++) shadow.step();
  harness::on_other_thread([&] {
    for (int i = 0; i < 300; i++) shadow.take();
    for (int i = 0; i < 100; i++) shadow.give();
  });
  for (int i = 0; i < 300; i++) shadow.give();
}

struct Damage {
  uint64_t* at;
  uint64_t value;
  std::string field;
};

struct Field {
  const char* name;
  size_t offset;
};

#define FIELD(name) {#name, offsetof(PageHeader, name)}
constexpr Field kFields[] = {FIELD(owner),
                             FIELD(reciprocal),
                             FIELD(free_bits),
                             FIELD(remote_bits),
                             FIELD(start),
                             FIELD(block_bytes),
                             FIELD(run_pages),
                             FIELD(capacity),
                             FIELD(countdown),
                             FIELD(hot_offset),
                             FIELD(next),
                             FIELD(prev),
                             FIELD(inline_free_bits),
                             FIELD(remote_summary),
                             FIELD(remote_next),
                             FIELD(inline_remote_bits),
                             FIELD(held_blocks),
                             FIELD(owner_again)};
#undef FIELD

std::string field_at(size_t offset) {
  const char* name = "";
  for (const Field& field : kFields) {
    if (field.offset <= offset) name = field.name;
  }
  return name;
}

uint64_t random_value(harness::Random& random, uint64_t was, const Region& region) {
  switch (random.below(8)) {
    case 0:
      return random.next();
    case 1:
      return 0;
    case 2:
      return ~0ull;
    case 3:
      return random.below(100);
    case 4:
      return reinterpret_cast<uint64_t>(region.base) + random.below(1 << 22);
    case 5:
      return reinterpret_cast<uint64_t>(region.headers + random.below(region.used_pages));
    default:
      return was ^ 1ull << random.below(64);
  }
}

// What the next malloc takes from without a look: the word of a page that its arena takes blocks from.
const char* temperature_of(const PageHeader& page, uint64_t word) {
  return is_taken_from(page) && page.hot_offset == word * sizeof(uint64_t) ? "hot " : "";
}

// Of a page in use nearly always, and of its bitmaps the words that it uses: what nobody reads is no test.
Damage random_damage(harness::Random& random) {
  Region& region = region_table.regions[0];
  PageHeader* page = nullptr;
  do page = region.headers + random.between(1, region.used_pages - 1);
  while (page->kind == PageKind::kNone && !random.one_in(20));
  Damage damage = {};
  if (page->kind == PageKind::kBucket && has_inline_bits(*page) && random.one_in(4)) {
    uint64_t word = random.below(words_of(page->capacity));
    damage = {&page->inline_free_bits[word], 0, std::string(temperature_of(*page, word)) + "inline_free_bits"};
    damage.value = random_value(random, *damage.at, region);
    return damage;
  }
  if (random.below(4) != 0) {
    size_t word = random.below(sizeof(PageHeader) / sizeof(uint64_t));
    damage.at = reinterpret_cast<uint64_t*>(page) + word;
    damage.field = field_at(word * sizeof(uint64_t));
    if (damage.field == "inline_free_bits")
      damage.field = temperature_of(*page, static_cast<uint64_t>(damage.at - page->inline_free_bits)) + damage.field;
  } else {
    bool is_remote = random.one_in(2);
    auto* words = is_remote ? reinterpret_cast<uint64_t*>(region.remote_bits_of(page)) : region.free_bits_of(page);
    bool is_used = page->kind == PageKind::kBucket && !has_inline_bits(*page);
    damage.at = words + random.below(is_used ? words_of(page->capacity) : kBitmapStride / sizeof(uint64_t));
    damage.field = is_remote ? "remote bitmap" : "free bitmap";
    if (is_used && !is_remote)
      damage.field = temperature_of(*page, static_cast<uint64_t>(damage.at - words)) + damage.field;
  }
  damage.value = random_value(random, *damage.at, region);
  return damage;
}

struct Tally {
  uint64_t harmless = 0, found = 0, refused = 0, stopped = 0;
  std::map<std::string, uint64_t> failed;  // by field and how
};

// In the child: the damage is done, and then the program goes on.
void live_with(Shadow& shadow, const Damage& damage, bool is_verified) {
  *damage.at = damage.value;
  if (is_verified && verify().invariant != nullptr) _exit(kFound);
  for (int i = 0; i < kChurnSteps; i++) shadow.step();
  harness::on_other_thread([&] {
    for (int i = 0; i < kChurnSteps / 3; i++) shadow.step();
  });
  for (int i = 0; i < kChurnSteps; i++) shadow.step();
  while (!shadow.live.empty()) shadow.give();
  _exit(kHarmless);
}

void note(const Damage& damage, const harness::ChildEnd& end, Tally* tally) {
  bool is_told = end.output.starts_with("pagerun: ") && std::count(end.output.begin(), end.output.end(), '\n') == 1;
  if (end.exit_code == kHarmless) return void(tally->harmless++);
  if (end.exit_code == kFound) return void(tally->found++);
  if (end.exit_code == kRefused) return void(tally->refused++);
  if (end.signal == SIGABRT && is_told) return void(tally->stopped++);
  std::string how = end.timed_out               ? "never ended"
                    : end.exit_code == kOverlap ? "made two live blocks overlap"
                    : end.exit_code == kLost    ? "lost what was in a block"
                    : end.signal != 0           ? "ended by signal " + std::to_string(end.signal)
                                                : "ended with " + std::to_string(end.exit_code) + ": " + end.output;
  tally->failed[damage.field + " " + how]++;
}

Tally damage_often(uint64_t count, bool is_verified) {
  harness::Random random(harness::seed());
  Shadow shadow(harness::seed());
  fill(shadow);
  EXPECT_VERIFIED();
  Tally tally;
  for (uint64_t i = 0; i < count; i++) {
    Damage damage = random_damage(random);
    if (*damage.at == damage.value) continue;
    shadow.random = harness::Random(random.next());
    note(damage, harness::run_in_child([&] { live_with(shadow, damage, is_verified); }, 20), &tally);
  }
  printf("  %" PRIu64 " found by verify(), %" PRIu64 " stopped at a slow path, %" PRIu64 " refused as misuse, %" PRIu64
         " without effect\n",
         tally.found, tally.stopped, tally.refused, tally.harmless);
  for (const auto& [what, times] : tally.failed) printf("  %" PRIu64 " x %s\n", times, what.c_str());
  return tally;
}

bool skip_under_sanitizers() {
  if (harness::kSanitized) harness::skip("a sanitizer ends the program where a damaged value is read");
  return harness::kSanitized;
}

// The fast profile. A remote bit of a word that awaits the drain says that another thread has freed the block, and
// nothing else says so: where nobody did, it is believed. So are other free bits, where they are as many as before:
// nothing but their number speaks against them.
constexpr const char* kBelievedAlways[] = {"inline_remote_bits", "remote bitmap",        "inline_free_bits",
                                           "free bitmap",        "hot inline_free_bits", "hot free bitmap"};

// What its owner takes from a header without a look, until the next slow path: where the bits are, and the word of them
// that the next block comes from.
constexpr const char* kBelievedUntilLookedAt[] = {"inline_remote_bits", "remote bitmap", "hot ",
                                                  "hot_offset",         "free_bits ",    "reciprocal"};

template <size_t kCount>
bool starts_with_any(const std::string& text, const char* const (&beginnings)[kCount]) {
  return std::any_of(beginnings, beginnings + kCount, [&](const char* one) { return text.starts_with(one); });
}

bool is_hardened_process() { return settings().profile == Profile::kHardened; }

TEST(
    "10,000 damaged headers and bitmaps: each is found or without effect, but for frees that another thread seems to "
    "have made, and free bits whose number is right") {
  if (skip_under_sanitizers()) return;
  Tally tally = damage_often(harness::option("--damages", kDamages), true);
  uint64_t believed = 0;
  for (const auto& [what, times] : tally.failed) {
    bool is_believed = !is_hardened_process() && starts_with_any(what, kBelievedAlways);
    if (!EXPECT(is_believed)) fprintf(stderr, "    %s\n", what.c_str());
    believed += times;
  }
  EXPECT(tally.found > 0 && tally.harmless > 0);
  EXPECT_AT_MOST(believed * 200, harness::option("--damages", kDamages));
}

TEST("where nobody looks, what is followed unchecked is what the owner's fast paths believe, and nothing else") {
  if (skip_under_sanitizers()) return;
  Tally tally = damage_often(harness::option("--damages", kUnannounced), false);
  uint64_t wrong_blocks = 0;
  for (const auto& [what, times] : tally.failed) {
    bool is_fault = what.find("ended by signal") != std::string::npos;
    bool is_believed = starts_with_any(what, kBelievedAlways) || starts_with_any(what, kBelievedUntilLookedAt);
    if (!EXPECT(is_believed || (is_fault && is_hardened_process()))) fprintf(stderr, "    %s\n", what.c_str());
    if (!is_fault) wrong_blocks += times;
  }
  // The hardened profile asks of each block that is free by its bits whether it is by its entry.
  if (is_hardened_process()) EXPECT_AT_MOST(wrong_blocks * 700, harness::option("--damages", kUnannounced));
  EXPECT(tally.stopped > 0);
}

}  // namespace
}  // namespace pagerun
