// Hand-off. Question: what does it cost when threads end and the next ones go on with their live blocks, as in a server
// that makes a thread for each batch of work? Several lines of threads; in each line a thread replaces random ones of
// the line's live blocks, starts its successor, hands the blocks over and ends. A block is often freed by a thread that
// never knew its maker. Three sizes of it: two lines; 64 lines, more than there are cores; and the numbers of larson,
// whose first blocks are all made by one thread and dealt out.
#include <atomic>

#include "threads.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kMostLive = 5000;

struct Shape {
  size_t lines;
  size_t live;
  uint64_t rounds_of_thread;
  uint64_t min_bytes;
  uint64_t max_bytes;
  bool is_dealt_out;  // the blocks are there at the start, made by one thread
};

constexpr Shape kTwoLines = {2, 1024, 20'000, 10, 500, false};
constexpr Shape kManyLines = {64, 1024, 2'000, 10, 500, false};
constexpr Shape kLarson = {4, kMostLive, 25'000, 10, 1000, true};

struct Line {
  Run* run;
  uint64_t rounds_left;
  uint64_t generation;
  std::atomic<int> is_over;  // release: pairs with the wait of the line's first thread
  void* live[kMostLive];
};

template <class Probe, const Shape& kShape>
void replace_blocks(Line* line, uint64_t rounds) {
  Worker<Probe> worker(line->run);
  Random random(line->generation++);
  for (uint64_t round = 0; round < rounds; round++) {
    void*& ptr = line->live[random.between(0, kShape.live - 1)];
    if (ptr != nullptr) {
      worker.sum += *bytes_of(ptr);
      worker.heap.release(ptr);
    }
    uint64_t bytes = random.between(kShape.min_bytes, kShape.max_bytes);
    ptr = worker.heap.allocate(bytes);
    touch(ptr, bytes, static_cast<uint8_t>(round));
  }
  worker.finish();
}

template <class Probe, const Shape& kShape>
void* live_in_line(void* argument) {
  Line* line = static_cast<Line*>(argument);
  uint64_t rounds = line->rounds_left < kShape.rounds_of_thread ? line->rounds_left : kShape.rounds_of_thread;
  replace_blocks<Probe, kShape>(line, rounds);
  line->rounds_left -= rounds;
  if (line->rounds_left == 0) {
    line->is_over.store(1, std::memory_order_release);
    line->is_over.notify_one();
    return nullptr;
  }
  pthread_t successor;
  if (pthread_create(&successor, nullptr, live_in_line<Probe, kShape>, line) != 0) die("cannot make a thread");
  pthread_detach(successor);
  return nullptr;
}

// One block to each line in turn: neighbours in memory then belong to different threads.
template <const Shape& kShape>
void deal_out(MappedArray<Line>* lines) {
  Heap<NoProbe> dealer(nullptr);
  Random random(17);
  for (size_t index = 0; index < kShape.live; index++) {
    for (Line& line : *lines) {
      uint64_t bytes = random.between(kShape.min_bytes, kShape.max_bytes);
      touch(line.live[index] = dealer.allocate(bytes), bytes, 1);
    }
  }
}

template <class Probe, const Shape& kShape>
void hand_off(Run* run) {
  MappedArray<Line> lines(kShape.lines);
  for (Line& line : lines) {
    line.run = run;
    line.rounds_left = run->rounds(2 * kShape.lines);
    line.generation = 100'000 * static_cast<uint64_t>(&line - lines.begin()) + 1;
  }
  run->start_memory();
  if constexpr (kShape.is_dealt_out) deal_out<kShape>(&lines);
  auto start = [&] { run->start_clock(); };
  run_threads(kShape.lines, start, [&](size_t index) {
    live_in_line<Probe, kShape>(&lines[index]);
    lines[index].is_over.wait(0, std::memory_order_acquire);
  });
  run->stop_clock();
  run->read_peak();
  for (Line& line : lines) {
    for (void* ptr : line.live) free(ptr);
  }
}

template <const Shape& kShape>
constexpr Workload make(const char* name, const char* question, uint64_t operations) {
  return {name,
          question,
          kShape.lines,
          "Larson and Krishnan, Memory Allocation for Long-Running Server Applications, ISMM 1998",
          operations,
          hand_off<NoProbe, kShape>,
          hand_off<SampleProbe, kShape>};
}

constexpr Workload kWorkloads[] = {
    make<kTwoLines>("hand-off",
                    "What does it cost when threads end and their successors free and replace the blocks they leave?",
                    30'000'000),
    make<kManyLines>("hand-off-64", "What does it cost when 64 threads at a time, more than cores, do the same?",
                     12'000'000),
    make<kLarson>(
        "larson",
        "What does a server cost whose 4 threads at a time replace 5,000 blocks each, once made by one thread "
        "and dealt out, and hand them to successors?",
        12'000'000),
};

}  // namespace

WorkloadList hand_off_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
