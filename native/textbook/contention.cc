#include "contention.h"

#include <pthread.h>
#include <time.h>

#include <atomic>
#include <cstring>
#include <new>

#include "../base/bits.h"
#include "../base/config.h"
#include "../os/memory.h"
#include "timed_locks.h"

namespace pagerun::textbook {

namespace {

constexpr uint32_t kBlocks = 8;  // that a thread keeps: few, so that the lists stay short and the locks are what counts
constexpr uint32_t kLeastBytes = 16;
constexpr uint32_t kMostBytes = 128;

template <class ArenaLock>
class Contest;

// What one thread works with, on cache lines of its own.
template <class ArenaLock>
struct alignas(kCacheLineBytes) Contestant {
  Contest<ArenaLock>* contest = nullptr;
  pthread_t id = {};
  uint32_t random = 0;
  uint64_t operations = 0;
  char* blocks[kBlocks] = {};
};

// One measurement: the threads, and the arenas that they work on.
template <class ArenaLock>
class Contest {
 public:
  explicit Contest(const ContentionPlan& plan) : plan_(plan) {}

  bool run(ContentionResult* result) {
    const size_t bytes = round_up(sizeof(Contestant<ArenaLock>) * plan_.threads, kOsPageBytes);
    void* memory = os::map(bytes);
    if (memory == nullptr) return false;
    contestants_ = static_cast<Contestant<ArenaLock>*>(memory);
    const bool is_measured = run_on_arenas(result);
    os::release(memory, bytes);
    return is_measured;
  }

 private:
  enum class Stage : uint32_t { kWaiting, kRunning, kOver };

  bool run_on_arenas(ContentionResult* result) {
    ArenasOptions options;
    options.arenas = plan_.arenas;
    options.choice = plan_.choice;
    options.origin = plan_.origin;
    if (!arenas_.open(options)) return false;
    const uint32_t started = start_threads();
    if (started == plan_.threads) measure(result);
    end_threads(started);
    if (started == plan_.threads) add_up(result);
    arenas_.close();
    return started == plan_.threads && !has_failed_.load(std::memory_order_relaxed);
  }

  uint32_t start_threads() {
    for (uint32_t i = 0; i < plan_.threads; i++) {
      auto* contestant = new (&contestants_[i]) Contestant<ArenaLock>();
      contestant->contest = this;
      contestant->random = i + 1;
      if (pthread_create(&contestant->id, nullptr, thread_main, contestant) != 0) return i;
    }
    return plan_.threads;
  }

  // Locks that were taken while the threads made their first blocks count as well: a few among many thousands.
  void measure(ContentionResult* result) {
    const timespec pause = {0, 1'000'000};
    while (ready_.load(std::memory_order_acquire) != plan_.threads) nanosleep(&pause, nullptr);
    const uint64_t from = nanoseconds_now();
    stage_.store(Stage::kRunning, std::memory_order_release);  // release: pairs with the wait in thread_main
    const timespec length = {plan_.milliseconds / 1000, static_cast<long>(plan_.milliseconds % 1000) * 1'000'000};
    // On a busy machine a short time may pass before any of the threads has run at all.
    do {
      nanosleep(&length, nullptr);
    } while (!has_begun_.load(std::memory_order_relaxed));
    stage_.store(Stage::kOver, std::memory_order_relaxed);
    result->seconds = static_cast<double>(nanoseconds_now() - from) * 1e-9;
  }

  void end_threads(uint32_t started) {
    stage_.store(Stage::kOver, std::memory_order_release);
    for (uint32_t i = 0; i < started; i++) pthread_join(contestants_[i].id, nullptr);
  }

  void add_up(ContentionResult* result) {
    for (uint32_t i = 0; i < plan_.threads; i++) result->operations += contestants_[i].operations;
    for (uint32_t i = 0; i < plan_.arenas; i++) {
      const LockCounts& counts = arenas_.arena(i).lock.counts();
      result->takes += counts.takes;
      result->waits += counts.waits;
      result->waited_seconds += static_cast<double>(counts.waited_nanoseconds) * 1e-9;
    }
  }

  static void* thread_main(void* argument) {
    auto* own = static_cast<Contestant<ArenaLock>*>(argument);
    own->contest->work(own);
    return nullptr;
  }

  void work(Contestant<ArenaLock>* own) {
    bool has_all = true;
    for (char*& block : own->blocks) has_all = renew(own, &block) && has_all;
    ready_.fetch_add(1, std::memory_order_acq_rel);  // release: pairs with the wait in measure()
    const timespec pause = {0, 100'000};
    while (stage_.load(std::memory_order_acquire) == Stage::kWaiting) nanosleep(&pause, nullptr);
    uint64_t operations = 0;
    while (has_all && stage_.load(std::memory_order_relaxed) == Stage::kRunning) {
      char*& block = own->blocks[next_random(own) % kBlocks];
      arenas_.deallocate(block);
      has_all = renew(own, &block);
      if (operations++ == 0) has_begun_.store(true, std::memory_order_relaxed);
    }
    if (!has_all) fail();
    own->operations = operations;
  }

  void fail() {
    has_failed_.store(true, std::memory_order_relaxed);
    has_begun_.store(true, std::memory_order_relaxed);  // and has ended: nobody needs to wait for it
  }

  // A block of another size, of which the first and the last byte are written.
  bool renew(Contestant<ArenaLock>* own, char** block) {
    const uint32_t bytes = kLeastBytes + next_random(own) % (kMostBytes - kLeastBytes + 1);
    *block = static_cast<char*>(arenas_.allocate(bytes));
    if (*block == nullptr) return false;
    (*block)[0] = (*block)[bytes - 1] = static_cast<char>(bytes);
    return true;
  }

  // xorshift32, as in arenas.cc.
  static uint32_t next_random(Contestant<ArenaLock>* own) {
    own->random ^= own->random << 13;
    own->random ^= own->random >> 17;
    own->random ^= own->random << 5;
    return own->random;
  }

  const ContentionPlan plan_;
  BasicArenas<ArenaLock> arenas_;
  Contestant<ArenaLock>* contestants_ = nullptr;
  std::atomic<uint32_t> ready_{0};
  std::atomic<bool> has_begun_{false};   // relaxed, as the next: only the value matters
  std::atomic<bool> has_failed_{false};  // read after the threads have ended
  std::atomic<Stage> stage_{Stage::kWaiting};
};

template <class ArenaLock>
bool measure_with(const ContentionPlan& plan, ContentionResult* result) {
  Contest<ArenaLock> contest(plan);
  return contest.run(result);
}

}  // namespace

bool measure_contention(const ContentionPlan& plan, ContentionResult* result) {
  *result = {};
  if (plan.threads < 1 || plan.threads > kMostContentionThreads) return false;
  if (plan.arenas < 1 || plan.arenas > kMostArenas) return false;
  switch (plan.lock) {
    case LockKind::kMutex:
      return measure_with<MutexLock>(plan, result);
    case LockKind::kAdaptive:
      return measure_with<AdaptiveLock>(plan, result);
    case LockKind::kSpin:
      return measure_with<SpinLock>(plan, result);
    case LockKind::kTicket:
      return measure_with<TicketLock>(plan, result);
  }
  return false;
}

}  // namespace pagerun::textbook
