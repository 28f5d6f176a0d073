// Random operations on the teaching heaps against a model, with check() after each step: every kind, every option; from
// one thread and from several at once.
#include <map>

#include "base/bits.h"
#include "textbook_heap.h"
#include "threads.h"

namespace pagerun::textbook {
namespace {

// What the model knows: bytes of each live block, all of which carry the block's mark.
struct Model {
  struct Live {
    char* ptr;
    size_t bytes;
    char mark;
  };
  std::vector<Live> live;
  char next_mark = 0;

  void add(char* ptr, size_t bytes) {
    memset(ptr, ++next_mark, bytes);
    live.push_back({ptr, bytes, next_mark});
  }

  bool is_intact(size_t index, size_t bytes) const {
    const Live& block = live[index];
    for (size_t i = 0; i < bytes; i++) {
      if (block.ptr[i] != block.mark) return false;
    }
    return true;
  }

  void remove(size_t index) {
    live[index] = live.back();
    live.pop_back();
  }
};

size_t random_bytes(harness::Random& random) {
  uint64_t kind = random.below(10);
  return kind < 7 ? random.below(200) : kind < 9 ? random.below(5000) : random.below(40000);
}

bool is_zeroed(const char* ptr, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    if (ptr[i] != 0) return false;
  }
  return true;
}

void step(Heap& heap, Model& model, harness::Random& random, size_t most_live) {
  size_t bytes = random_bytes(random);
  uint64_t what = model.live.size() >= most_live ? 9 : random.below(10);
  if (what >= 6 && model.live.empty()) return;
  size_t index = model.live.empty() ? 0 : random.below(model.live.size());
  if (what < 4) {
    model.add(static_cast<char*>(heap.allocate(bytes)), bytes);
  } else if (what == 4) {
    auto* ptr = static_cast<char*>(heap.allocate_zeroed(bytes, 2));
    EXPECT(is_zeroed(ptr, bytes * 2));
    model.add(ptr, bytes * 2);
  } else if (what == 5) {
    size_t alignment = size_t{1} << random.below(14);
    auto* ptr = static_cast<char*>(heap.allocate_aligned(alignment, bytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(ptr) % alignment, 0u);
    model.add(ptr, bytes);
  } else if (what == 6) {
    Model::Live& block = model.live[index];
    size_t kept = block.bytes < bytes ? block.bytes : bytes;
    block.ptr = static_cast<char*>(heap.reallocate(block.ptr, bytes));
    EXPECT(model.is_intact(index, kept));
    block.bytes = bytes;
    memset(block.ptr, block.mark, bytes);
  } else {
    EXPECT(model.is_intact(index, model.live[index].bytes));
    EXPECT_EQ(heap.deallocate(model.live[index].ptr), Fault::kNone);
    model.remove(index);
  }
}

// The heap's own account is the model's: the same live blocks, each as large as was asked, none beside them.
void expect_same_blocks(Heap& heap, const Model& model) {
  std::map<const char*, size_t> blocks;
  heap.each_block([&](const BlockRecord& block) {
    if (!block.is_free) blocks[block.ptr] = block.size;
  });
  EXPECT_EQ(blocks.size(), model.live.size());
  for (const Model::Live& live : model.live) {
    auto found = blocks.find(live.ptr);
    EXPECT(found != blocks.end() && found->second >= live.bytes);
  }
}

void run_random(const HeapOptions& options, uint64_t seed, uint64_t steps) {
  HeapUnderTest heap(options);
  harness::Random random(seed);
  Model model;
  for (uint64_t i = 0; i < steps && harness::failed_checks == 0; i++) {
    step(*heap, model, random, 60);
    EXPECT_CHECKED(*heap);
    if (i % 16 == 0) expect_same_blocks(*heap, model);
    for (const Model::Live& block : model.live) {
      if (options.align_bytes != 0) EXPECT_EQ(reinterpret_cast<uintptr_t>(block.ptr) % options.align_bytes, 0u);
    }
  }
  for (size_t i = 0; i < model.live.size(); i++) EXPECT(model.is_intact(i, model.live[i].bytes));
  for (const Model::Live& block : model.live) heap->deallocate(block.ptr);
  expect_same_blocks(*heap, Model());
  EXPECT(heap.pages().empty());
}

TEST("random operations, with every kind and option, leave every invariant whole after each step") {
  for (const HeapOptions& options : all_options()) {
    run_random(options, harness::seed(), harness::rounds(400));
    if (harness::failed_checks != 0) return void(fprintf(stderr, "  with %s\n", text_of(options).c_str()));
  }
}

TEST("freed all, a list is one node again, in every order of freeing") {
  for (Fit fit : {Fit::kFirst, Fit::kBest, Fit::kNext}) {
    HeapOptions options;
    options.fit = fit;
    HeapUnderTest heap(options);
    harness::Random random(harness::seed());
    for (uint64_t round = 0; round < harness::rounds(20); round++) {
      std::vector<char*> blocks;
      for (int i = 0; i < 100; i++) blocks.push_back(heap.allocate(random.below(300)));
      for (size_t left = blocks.size(); left > 0; left--) {
        size_t index = random.below(left);
        heap->deallocate(blocks[index]);
        blocks[index] = blocks[left - 1];
        EXPECT_CHECKED(*heap);
      }
      EXPECT_EQ(heap.blocks().size(), 1u);
    }
  }
}

// Blocks on their way from thread to thread.
class Exchange {
 public:
  void send(const Model::Live& block) {
    std::lock_guard<std::mutex> guard(mutex_);
    blocks_.push_back(block);
  }

  bool receive(Model::Live* block) {
    std::lock_guard<std::mutex> guard(mutex_);
    if (blocks_.empty()) return false;
    *block = blocks_.back();
    blocks_.pop_back();
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<Model::Live> blocks_;
};

TEST("several threads at once use one heap of every kind, and free each other's blocks") {
  for (const HeapOptions& options : all_options()) {
    HeapUnderTest heap(options);
    constexpr size_t kThreads = 4;
    Exchange exchange;
    harness::on_threads(kThreads, [&](size_t thread) {
      harness::Random random(harness::seed() * 31 + thread);
      Model model;
      for (uint64_t i = 0; i < harness::rounds(600); i++) {
        step(*heap, model, random, 30);
        Model::Live taken = {};
        if (thread % 2 == 0 && !model.live.empty() && random.one_in(4)) {
          exchange.send(model.live.back());
          model.live.pop_back();
        } else if (thread % 2 == 1 && random.one_in(64)) {
          EXPECT(heap->check().invariant == nullptr);
        } else if (thread % 2 == 1 && random.one_in(4) && exchange.receive(&taken)) {
          model.live.push_back(taken);
        }
      }
      for (size_t j = 0; j < model.live.size(); j++) EXPECT(model.is_intact(j, model.live[j].bytes));
      for (const Model::Live& block : model.live) heap->deallocate(block.ptr);
    });
    for (Model::Live left = {}; exchange.receive(&left);) heap->deallocate(left.ptr);
    expect_same_blocks(*heap, Model());
  }
}

}  // namespace
}  // namespace pagerun::textbook
