// See replay_plan.h. Two passes over the trace: the first finds out who names which block and how much there is, the
// second writes the steps.
#include "replay_plan.h"

#include <string.h>

namespace pagerun::bench {
namespace {

constexpr uint32_t kNobody = UINT32_MAX;

}  // namespace

struct ReplayPlan::BlockState {
  uint64_t bytes;
  uint32_t thread;  // that made it, or kNobody once another one has named it
  uint32_t place;
  uint32_t turn;
  bool is_live;
};

struct ReplayPlan::ThreadState {
  uint64_t steps;  // counted by the first pass, written by the second
  uint64_t local_blocks;
  uint32_t phase;         // the last one with an event of this thread
  uint32_t* free_places;  // a stack
  uint32_t free_count;
  uint32_t places;
};

class ReplayPlan::Builder {
 public:
  Builder(ReplayPlan* plan, TraceReader* reader)
      : plan_(plan), reader_(reader), blocks_(reader->info().blocks), threads_(reader->info().threads) {}

  void build() {
    count_all();
    make_tables();
    write_all();
    for (uint32_t thread = 0; thread < threads_.size(); thread++) leave_last_phase(thread);
    make_places();
    list_left_overs();
  }

 private:
  static constexpr uint32_t kUnused = kNoPhase;

  bool has_phases() const { return threads_.size() > 1; }
  uint64_t phase_count() const { return reader_->info().events / kPhaseEvents + 1; }

  void count_all() {
    for (ThreadState& thread : threads_) thread.phase = kNoPhase;
    Event event;
    for (uint64_t index = 0; reader_->next(&event); index++) {
      ThreadState& thread = threads_[event.thread];
      uint32_t phase = static_cast<uint32_t>(index / kPhaseEvents);
      if (has_phases() && thread.phase != phase) thread.steps++;
      thread.phase = phase;
      thread.steps++;
      BlockState& block = blocks_[event.block];
      if (makes_block(event.operation)) block.thread = event.thread;
      if (block.thread != event.thread) block.thread = kNobody;
    }
    reader_->rewind();
  }

  void make_tables() {
    uint64_t steps = 0;
    uint64_t shared = 0;
    for (const BlockState& block : blocks_) {
      if (block.thread == kNobody) shared++;
      if (block.thread != kNobody) threads_[block.thread].local_blocks++;
    }
    // One more step for each thread, to leave its last phase.
    for (const ThreadState& thread : threads_) steps += thread.steps + 1;
    plan_->steps_.make(steps);
    plan_->shared_places_.make(shared);
    plan_->phase_threads_.make(phase_count());
    plan_->phase_threads_at_start_.make(phase_count());
    free_places_.make(blocks_.size());
    Step* next_step = plan_->steps_.begin();
    uint32_t* next_free = free_places_.begin();
    for (uint32_t index = 0; index < threads_.size(); index++) {
      ThreadState& thread = threads_[index];
      plan_->plans_[index].steps = next_step;
      thread.free_places = next_free;
      next_step += thread.steps + 1;
      next_free += thread.local_blocks;
      thread.steps = 0;
      thread.phase = kNoPhase;
    }
  }

  Step* append(uint32_t thread) { return &plan_->plans_[thread].steps[threads_[thread].steps++]; }

  void append_phase(uint32_t thread, uint32_t enter, uint32_t leave) {
    Step* step = append(thread);
    step->kind = static_cast<uint64_t>(StepKind::kPhase);
    step->place = enter;
    step->old_units = leave;
  }

  void enter_phase(uint32_t thread, uint32_t phase) {
    if (!has_phases() || threads_[thread].phase == phase) return;
    append_phase(thread, phase, threads_[thread].phase);
    threads_[thread].phase = phase;
    plan_->phase_threads_at_start_[phase]++;
  }

  void leave_last_phase(uint32_t thread) {
    if (has_phases() && threads_[thread].phase != kNoPhase) append_phase(thread, kNoPhase, threads_[thread].phase);
    plan_->plans_[thread].step_count = threads_[thread].steps;
  }

  void place_block(BlockState* block) {
    if (block->thread == kNobody) {
      block->place = next_shared_++;
      return;
    }
    ThreadState& thread = threads_[block->thread];
    block->place = thread.free_count == 0 ? thread.places++ : thread.free_places[--thread.free_count];
  }

  void write_all() {
    Event event;
    for (uint64_t index = 0; reader_->next(&event); index++) {
      enter_phase(event.thread, static_cast<uint32_t>(index / kPhaseEvents));
      write(event, &blocks_[event.block]);
    }
  }

  void write(const Event& event, BlockState* block) {
    if (makes_block(event.operation)) place_block(block);
    Step* step = append(event.thread);
    step->bytes = event.bytes & kMaxBlockBytes;
    step->alignment_log2 = event.alignment_log2 & 31u;
    step->kind = static_cast<uint64_t>(event.operation) & 7u;
    step->is_shared = block->thread == kNobody;
    step->turn = block->turn++ & kTurnMask;
    step->place = block->place;
    step->old_units = static_cast<uint32_t>((block->bytes + kOldUnitBytes - 1) / kOldUnitBytes);
    bool reads_back = !makes_block(event.operation) && block->bytes != 0;
    if (reads_back) plan_->plans_[event.thread].expected_sum += fill_of(block->place);
    block->is_live = event.operation != Operation::kFree;
    block->bytes = event.bytes;
    if (block->is_live || block->thread == kNobody) return;
    ThreadState& thread = threads_[block->thread];
    thread.free_places[thread.free_count++] = block->place;
  }

  void make_places() {
    for (uint32_t index = 0; index < threads_.size(); index++) plan_->plans_[index].places.make(threads_[index].places);
  }

  void list_left_overs() {
    size_t count = 0;
    for (const BlockState& block : blocks_) count += block.is_live;
    plan_->left_overs_.make(count);
    count = 0;
    for (const BlockState& block : blocks_) {
      bool is_shared = block.thread == kNobody;
      if (block.is_live) plan_->left_overs_[count++] = {is_shared ? 0 : block.thread, block.place, is_shared};
    }
  }

  ReplayPlan* plan_;
  TraceReader* reader_;
  MappedArray<BlockState> blocks_;
  MappedArray<ThreadState> threads_;
  MappedArray<uint32_t> free_places_;
  uint32_t next_shared_ = 0;
};

ReplayPlan::ReplayPlan(const char* path) {
  TraceReader reader(path);
  reader.check();
  const TraceInfo& info = reader.info();
  memcpy(name_, info.name.bytes, info.name.size < sizeof name_ ? info.name.size : sizeof name_ - 1);
  events_ = info.events;
  plans_.make(info.threads);
  Builder(this, &reader).build();
}

void ReplayPlan::rewind() {
  for (SharedPlace& place : shared_places_) place.turn.store(0, std::memory_order_relaxed);
  for (size_t phase = 0; phase < phase_threads_.size(); phase++) {
    phase_threads_[phase].store(phase_threads_at_start_[phase], std::memory_order_relaxed);
  }
}

}  // namespace pagerun::bench
