// The background thread: started when there will be something to do, asleep when there is nothing left, right across
// fork, and done without where the system refuses one.
#include "core/purger.h"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/settings.h"
#include "core/purge.h"
#include "heap.h"
#include "os/fault.h"

namespace pagerun {
namespace {

constexpr int64_t kDelayMs = 40;
constexpr size_t kBytes = 5000, kMany = 6000, kOneIn = 50;

// Threads of this process with the name.
int purge_threads() {
  int count = 0;
  DIR* tasks = opendir("/proc/self/task");
  while (dirent* task = readdir(tasks)) {
    char path[64], name[32] = {};
    if (snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", task->d_name) < 0) continue;
    FILE* file = fopen(path, "r");
    if (file == nullptr) continue;
    if (fgets(name, sizeof(name), file) != nullptr && strcmp(name, "pagerun-purge\n") == 0) count++;
    fclose(file);
  }
  closedir(tasks);
  return count;
}

template <class Condition>
bool comes_true(Condition condition) {
  for (int i = 0; i < 1000 && !condition(); i++) usleep(10000);
  return condition();
}

uint64_t purged_bytes() { return purge_counters.purged_bytes.load(); }
uint64_t passes() { return purge_counters.passes.load(); }

class Burst {
 public:
  Burst() {
    for (size_t i = 0; i < kMany; i++) {
      blocks_[i] = allocate(kBytes);
      fill_pattern(blocks_[i], kBytes, i);
    }
  }
  void thin_out() {
    for (size_t i = 0; i < kMany; i++)
      if (i % kOneIn != 0) EXPECT_EQ(deallocate(blocks_[i]), Misuse::kNone);
  }
  ~Burst() {
    for (size_t i = 0; i < kMany; i += kOneIn) {
      EXPECT(has_pattern(blocks_[i], kBytes, i));
      EXPECT_EQ(deallocate(blocks_[i]), Misuse::kNone);
    }
  }

 private:
  void* blocks_[kMany];
};

TEST("a process that only ever allocates a little has no thread for it") {
  purger_set_delay(kDelayMs);
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; i++) blocks.push_back(allocate(1000));
  free_all(blocks);
  usleep(kDelayMs * 5000);
  EXPECT_EQ(purge_threads(), 0);
  EXPECT_EQ(passes(), 0u);
  EXPECT_VERIFIED();
}

TEST("an idle process gives back what it freed, keeps what lives, and is left in peace after that") {
  purger_set_delay(kDelayMs);
  {
    Burst burst;
    EXPECT(comes_true([] { return purge_threads() == 1; }));
    uint64_t before = purged_bytes();
    burst.thin_out();
    EXPECT(comes_true([&] { return purged_bytes() - before > kMany * kBytes / 4 * 3; }));
    // Nothing is left to do: no more looks.
    EXPECT(comes_true([] {
      uint64_t seen = passes();
      usleep(kDelayMs * 5000);
      return passes() == seen;
    }));
  }
  EXPECT_VERIFIED();
}

TEST("without a delay to keep, and with none wanted, the thread does as it is told") {
  purger_set_delay(kPurgeNever);
  {
    Burst burst;
    EXPECT_EQ(purge_threads(), 0);
    uint64_t before = passes();
    burst.thin_out();
    usleep(200000);
    EXPECT_EQ(passes(), before);
  }
  purger_set_delay(0);
  {
    Burst burst;
    EXPECT(comes_true([] { return purge_threads() == 1; }));
    uint64_t before = purged_bytes();
    burst.thin_out();
    EXPECT(comes_true([&] { return purged_bytes() - before > kMany * kBytes / 4 * 3; }));
  }
  EXPECT_VERIFIED();
}

TEST("a child of fork has no such thread until it allocates, then one of its own; the parent keeps its own") {
  if (harness::kSanitized) return;  // whose own locks may be held for ever in the child
  purger_set_delay(kDelayMs);
  {
    Burst burst;
    EXPECT(comes_true([] { return purge_threads() == 1; }));
    for (int i = 0; i < 20; i++) {
      pid_t child = fork();
      if (child == 0) {
        bool is_right = purge_threads() == 0;
        if (i % 4 == 0) {
          static Burst own;
          uint64_t before = purged_bytes();
          own.thin_out();
          is_right = is_right && comes_true([&] { return purged_bytes() - before > kMany * kBytes / 4 * 3; }) &&
                     purge_threads() == 1;
        }
        _exit(is_right && verify().invariant == nullptr ? 0 : 1);
      }
      int status = 0;
      EXPECT_EQ(waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(purge_threads(), 1);
    burst.thin_out();
  }
  EXPECT_VERIFIED();
}

TEST("where no thread can be started the heap works, and the program's own call gives back") {
  purger_set_delay(kDelayMs);
  std::vector<void*> first;
  // Every call that could be the start of the thread is refused once; the rest of them is memory.
  while (load_relaxed(region_table.regions[0].used_pages) < kStartPages - 8) first.push_back(allocate(16 << 10));
  for (int i = 0; i < 64 && purger.state.load() == 0; i++) {
    os::fail_call(1, 1);
    void* block = allocate(16 << 10);
    os::fail_call(0, 0);
    if (block != nullptr) first.push_back(block);
  }
  EXPECT(purger.state.load() != 0);
  if (purger.state.load() == static_cast<uint32_t>(PurgerState::kOff)) EXPECT_EQ(purge_threads(), 0);
  {
    Burst burst;
    burst.thin_out();
    EXPECT(purge(true) > kMany * kBytes / 4 * 3);
  }
  free_all(first);
  EXPECT_VERIFIED();
}

TEST("a budget that is used up makes purging eager") {
  purger_set_delay(60000);
  purger_set_budget(1 << 20);
  {
    Burst burst;
    uint64_t before = purged_bytes();
    burst.thin_out();
    EXPECT(comes_true([&] { return purged_bytes() - before > kMany * kBytes / 4 * 3; }));
  }
  purger_set_budget(0);
  EXPECT_VERIFIED();
}

}  // namespace
}  // namespace pagerun
