// The heap over a long time: threads that come and go, forks while they run, and memory that stays where it was.
// Options: --seconds n (of churn), --threads n (made and ended), --forks n (while other threads churn).
#include <sys/wait.h>

#include "core/run_list.h"
#include "heap.h"
#include "process_memory.h"
#include "threads.h"

namespace pagerun {
namespace {

constexpr size_t kChurners = 8, kHandPlaces = 512, kOwnPlaces = 300;
constexpr uint64_t kLifetime = 20000;  // operations of a thread, which then ends and is followed by another

uint64_t milliseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

std::atomic<void*> hand_places[kHandPlaces];

size_t random_bytes(harness::Random& random) {
  uint64_t kind = random.below(1000);
  if (kind < 800) return random.between(1, 512);
  if (kind < 970) return random.between(1, 20000);
  return kind < 999 ? random.between(1, 300000) : size_t{34} << 20;
}

// Each block carries its own address, so that one that is handed out twice is seen.
void* take_marked(harness::Random& random) {
  void* ptr = allocate(random_bytes(random) + sizeof(void*));
  if (EXPECT(ptr != nullptr)) memcpy(ptr, &ptr, sizeof(ptr));
  return ptr;
}

void give_marked(void* ptr) {
  if (ptr == nullptr) return;
  void* mark = nullptr;
  memcpy(&mark, ptr, sizeof(mark));
  EXPECT_EQ(mark, ptr);
  EXPECT_EQ(deallocate(ptr), Misuse::kNone);
}

void live_once(uint64_t seed) {
  harness::Random random(seed);
  std::vector<void*> own(kOwnPlaces);
  for (uint64_t i = 0; i < kLifetime; i++) {
    void*& place = own[random.below(kOwnPlaces)];
    if (place == nullptr) {
      place = take_marked(random);
    } else if (random.one_in(3)) {
      place = hand_places[random.below(kHandPlaces)].exchange(place);
    } else {
      give_marked(place);
      place = nullptr;
    }
  }
  for (void* ptr : own) give_marked(ptr);
}

// A child uses the heap that it was given, and ends.
bool is_fork_sound(uint64_t seed) {
  pid_t child = fork();
  if (child == 0) {
    harness::Random random(seed);
    for (int i = 0; i < 200; i++) give_marked(take_marked(random));
    _exit(harness::failed_checks == 0 && verify().invariant == nullptr ? 0 : 1);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

class Churn {
 public:
  Churn() {
    for (size_t me = 0; me < kChurners; me++) threads_.emplace_back([this, me] { succeed(me); });
  }

  void end() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
    for (std::atomic<void*>& place : hand_places) give_marked(place.exchange(nullptr));
  }

  uint64_t lives() const { return lives_; }

 private:
  void succeed(size_t me) {
    while (!is_over_) harness::on_other_thread([&] { live_once(harness::seed() + ++lives_ * kChurners + me); });
  }

  std::atomic<bool> is_over_{false};
  std::atomic<uint64_t> lives_{0};
  std::vector<std::thread> threads_;
};

void expect_empty() {
  EXPECT_EQ(live_blocks(), 0u);
  EXPECT_EQ(pages_left_behind(), 0u);
  EXPECT_VERIFIED();
}

TEST("threads that come and go and hand blocks around use no more memory in the second half than in the first") {
  uint64_t duration = harness::option("--seconds", 3) * 1000, start = milliseconds();
  size_t most[2] = {};
  Churn churn;
  for (uint64_t now = start; now - start < duration; now = milliseconds()) {
    size_t& half = most[(now - start) * 2 / duration];
    size_t resident = resident_bytes();
    if (resident > half) half = resident;
    EXPECT_VERIFIED();
    usleep(50000);
  }
  churn.end();
  printf("  %llu threads, at most %zu KiB in the first half and %zu KiB in the second\n",
         static_cast<unsigned long long>(churn.lives()), most[0] >> 10, most[1] >> 10);
  EXPECT(churn.lives() >= kChurners);
  if (!harness::kSanitized) EXPECT_AT_MOST(most[1], most[0] + most[0] / 4 + (size_t{48} << 20));
  expect_empty();
}

TEST("threads made and ended leave less than a mebibyte behind") {
  uint64_t threads = harness::option("--threads", harness::rounds(5000));
  void* left = nullptr;
  size_t before = 0;
  for (uint64_t i = 0; i < threads; i++) {
    if (i == threads / 20) before = resident_bytes();
    harness::on_other_thread([&] {
      void* own = allocate(24 + i % 1000);
      EXPECT_EQ(deallocate(left), Misuse::kNone);
      left = allocate(100);
      EXPECT_EQ(deallocate(own), Misuse::kNone);
    });
  }
  size_t after = resident_bytes();
  printf("  %llu threads: %zu KiB before, %zu KiB after\n", static_cast<unsigned long long>(threads), before >> 10,
         after >> 10);
  EXPECT_EQ(deallocate(left), Misuse::kNone);
  if (!harness::kSanitized) EXPECT_AT_MOST(after, before + (1 << 20));
  expect_empty();
}

TEST("children of a process whose threads churn use the heap and end") {
  uint64_t forks = harness::option("--forks", harness::rounds(30));
  Churn churn;
  uint64_t sound = 0;
  for (uint64_t i = 0; i < forks; i++) sound += is_fork_sound(harness::seed() + i);
  churn.end();
  printf("  %llu of %llu children ended well\n", static_cast<unsigned long long>(sound),
         static_cast<unsigned long long>(forks));
  EXPECT_EQ(sound, forks);
  expect_empty();
}

}  // namespace
}  // namespace pagerun
