// Hand-off. Question: what does it cost when threads end and the next ones go on with their live blocks, as in a server
// that makes a thread for each batch of work? Two lines of threads; in each line a thread replaces random ones of 1,024
// live blocks, starts its successor, hands the blocks over and ends. A block is often freed by a thread that never knew
// its maker.
#include "threads.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kLines = 2;
constexpr size_t kLive = 1024;
constexpr uint64_t kRoundsOfThread = 20'000;
constexpr uint64_t kMinBytes = 10;
constexpr uint64_t kMaxBytes = 500;

struct Line {
  Run* run;
  uint64_t rounds_left;
  uint64_t generation;
  std::atomic<bool> is_over;  // release: pairs with the wait of the line's first thread
  void* live[kLive];
};

template <class Probe>
void replace_blocks(Line* line, uint64_t rounds) {
  Worker<Probe> worker(line->run);
  Random random(line->generation++);
  for (uint64_t round = 0; round < rounds; round++) {
    void*& ptr = line->live[random.between(0, kLive - 1)];
    if (ptr != nullptr) {
      worker.sum += *bytes_of(ptr);
      worker.heap.release(ptr);
    }
    uint64_t bytes = random.between(kMinBytes, kMaxBytes);
    ptr = worker.heap.allocate(bytes);
    touch(ptr, bytes, static_cast<uint8_t>(round));
  }
  worker.finish();
}

template <class Probe>
void* live_in_line(void* argument) {
  Line* line = static_cast<Line*>(argument);
  uint64_t rounds = line->rounds_left < kRoundsOfThread ? line->rounds_left : kRoundsOfThread;
  replace_blocks<Probe>(line, rounds);
  line->rounds_left -= rounds;
  if (line->rounds_left == 0) {
    line->is_over.store(true, std::memory_order_release);
    return nullptr;
  }
  pthread_t successor;
  if (pthread_create(&successor, nullptr, live_in_line<Probe>, line) != 0) die("cannot make a thread");
  pthread_detach(successor);
  return nullptr;
}

template <class Probe>
void hand_off(Run* run) {
  MappedArray<Line> lines(kLines);
  for (Line& line : lines) {
    line.run = run;
    line.rounds_left = run->rounds(2 * kLines);
    line.generation = 100 * static_cast<uint64_t>(&line - lines.begin()) + 1;
  }
  auto start = [&] {
    run->start_memory();
    run->start_clock();
  };
  run_threads(kLines, start, [&](size_t index) {
    live_in_line<Probe>(&lines[index]);
    while (!lines[index].is_over.load(std::memory_order_acquire)) usleep(200);
  });
  run->stop_clock();
  run->read_peak();
  for (Line& line : lines) {
    for (void* ptr : line.live) free(ptr);
  }
}

constexpr Workload kWorkloads[] = {
    {"hand-off", "What does it cost when threads end and their successors free and replace the blocks they leave?",
     kLines, "Larson and Krishnan, Memory Allocation for Long-Running Server Applications, ISMM 1998", 30'000'000,
     hand_off<NoProbe>, hand_off<SampleProbe>},
};

}  // namespace

WorkloadList hand_off_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
