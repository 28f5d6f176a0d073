// The shadow model over threads: random operations on all of them, blocks handed from one to another, verify() while
// others run. A pattern in every block tells overlap and loss.
//
//   --operations n   of all threads together (default: a part of a million), --threads n (4)
#include "model.h"
#include "threads.h"

namespace pagerun {
namespace {

struct Handed {
  void* ptr;
  size_t bytes;
  uint64_t tag;
};

constexpr size_t kHandPlaces = 256;  // where one thread leaves a block and another finds it
constexpr size_t kOwnPlaces = 200;
constexpr size_t kThreads = 4;

class Exchange {
 public:
  /// Leaves `mine` (or nothing) and takes what is there.
  Handed* swap(size_t place, Handed* mine) { return places_[place].exchange(mine, std::memory_order_acq_rel); }

 private:
  std::atomic<Handed*> places_[kHandPlaces] = {};
};

// One thread's part.
class Worker {
 public:
  Worker(Exchange& exchange, uint64_t seed) : exchange_(exchange), random_(seed), own_(kOwnPlaces) {}

  void run(uint64_t operations, bool verifies) {
    for (uint64_t i = 0; i < operations && harness::failed_checks == 0; i++) {
      Handed& handed = own_[random_.below(kOwnPlaces)];
      uint64_t kind = random_.below(16);
      if (handed.ptr == nullptr) {
        take(handed);
      } else if (kind < 4) {
        resize(handed);
      } else if (kind < 8) {
        hand_over(handed);
      } else {
        give(handed);
      }
      if (verifies && i % 20000 == 10000) EXPECT_VERIFIED();
    }
    for (Handed& handed : own_) give(handed);
  }

 private:
  void take(Handed& handed) {
    size_t bytes = model::random_bytes(random_), alignment = 16;
    void* ptr = nullptr;
    uint64_t kind = random_.below(8);
    if (kind == 0) {
      alignment = 1ull << random_.below(14);
      ptr = allocate_aligned(alignment, bytes);
    } else if (kind < 3) {
      ptr = allocate_zeroed(1, bytes);
      EXPECT(ptr != nullptr && is_zero(ptr, bytes));
    } else {
      ptr = allocate(bytes);
    }
    if (!EXPECT(ptr != nullptr && is_aligned(ptr, alignment))) return;
    hold(handed, ptr, bytes);
  }

  void hold(Handed& handed, void* ptr, size_t bytes) {
    size_t usable = usable_bytes(ptr);
    EXPECT(usable >= bytes);
    handed = {ptr, usable, random_.next()};
    fill_pattern(ptr, usable, handed.tag);
  }

  void resize(Handed& handed) {
    size_t bytes = model::random_bytes(random_) + 1;
    void* ptr = resized(handed.ptr, bytes);
    if (!EXPECT(ptr != nullptr)) return;
    EXPECT(has_pattern(ptr, handed.bytes, handed.tag, handed.bytes < bytes ? handed.bytes : bytes));
    hold(handed, ptr, bytes);
  }

  void give(Handed& handed) {
    if (handed.ptr == nullptr) return;
    EXPECT(has_pattern(handed.ptr, handed.bytes, handed.tag));
    EXPECT_EQ(deallocate(handed.ptr), Misuse::kNone);
    handed.ptr = nullptr;
  }

  void hand_over(Handed& handed) {
    Handed* theirs = exchange_.swap(random_.below(kHandPlaces), new Handed(handed));
    handed.ptr = nullptr;
    if (theirs != nullptr) handed = *theirs;
    delete theirs;
  }

  Exchange& exchange_;
  harness::Random random_;
  std::vector<Handed> own_;
};

void give_what_was_left(Exchange& exchange) {
  for (size_t i = 0; i < kHandPlaces; i++) {
    Handed* left = exchange.swap(i, nullptr);
    if (left == nullptr) continue;
    EXPECT(has_pattern(left->ptr, left->bytes, left->tag));
    EXPECT_EQ(deallocate(left->ptr), Misuse::kNone);
    delete left;
  }
}

TEST("random operations on several threads, with blocks handed between them, and verify() while they run") {
  size_t threads = harness::option("--threads", kThreads);
  uint64_t operations = harness::option("--operations", harness::rounds(1000000)) / threads;
  static Exchange exchange;
  harness::on_threads(threads,
                      [&](size_t me) { Worker(exchange, harness::seed() * 64 + me).run(operations, me == 0); });
  EXPECT_VERIFIED();
  give_what_was_left(exchange);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_VERIFIED();
  EXPECT(allocate(1 << 20) != nullptr);
}

TEST("the same while threads end and new ones begin all the time") {
  static Exchange exchange;
  uint64_t turns = harness::rounds(40);
  harness::on_threads(kThreads, [&](size_t me) {
    for (uint64_t turn = 0; turn < turns; turn++) {
      harness::on_other_thread(
          [&, turn] { Worker(exchange, harness::seed() * 4096 + turn * 8 + me).run(3000, false); });
    }
  });
  EXPECT_VERIFIED();
  give_what_was_left(exchange);
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
