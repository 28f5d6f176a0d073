// Binary trees. Question: what do many blocks of one small size cost that are made in one go and freed in one go, as a
// compiler's or an interpreter's trees are? A tree of depth 14 lives from the start to the end; beside it trees of
// depths 4 to 12 are built from the leaves up, walked once, and freed.
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr unsigned kLongDepth = 14;
constexpr unsigned kFirstDepth = 4;
constexpr unsigned kLastDepth = 12;
constexpr unsigned kDepthStep = 2;

struct Tree {
  Tree* left;
  Tree* right;
  uint64_t value;
};

constexpr uint64_t nodes_of(unsigned depth) { return (uint64_t{2} << depth) - 1; }

// As many trees of each depth as make about the same number of nodes.
constexpr uint64_t kNodesOfDepth = nodes_of(kLastDepth);

template <class Allocator>
Tree* build(Allocator* heap, unsigned depth) {
  Tree* left = depth == 0 ? nullptr : build(heap, depth - 1);
  Tree* right = depth == 0 ? nullptr : build(heap, depth - 1);
  Tree* tree = static_cast<Tree*>(heap->allocate(sizeof(Tree)));
  *tree = {left, right, depth};
  return tree;
}

uint64_t walk(const Tree* tree) {
  return tree->left == nullptr ? 1 : tree->value + walk(tree->left) + walk(tree->right);
}

template <class Allocator>
void release_tree(Allocator* heap, Tree* tree) {
  if (tree->left != nullptr) {
    release_tree(heap, tree->left);
    release_tree(heap, tree->right);
  }
  heap->release(tree);
}

template <class Probe>
void grow_trees(Run* run) {
  constexpr uint64_t kDepths = (kLastDepth - kFirstDepth) / kDepthStep + 1;
  Worker<Probe> worker(run);
  Heap<NoProbe> filler(nullptr);
  run->start_memory();
  Tree* lasting = build(&filler, kLongDepth);
  run->start_clock();
  for (uint64_t round = 0, rounds = run->rounds(2 * kDepths * kNodesOfDepth); round < rounds; round++) {
    for (unsigned depth = kFirstDepth; depth <= kLastDepth; depth += kDepthStep) {
      for (uint64_t nodes = 0; nodes < kNodesOfDepth; nodes += nodes_of(depth)) {
        Tree* tree = build(&worker.heap, depth);
        worker.sum += walk(tree);
        release_tree(&worker.heap, tree);
      }
    }
  }
  worker.sum += walk(lasting);
  run->stop_clock();
  run->read_peak();
  release_tree(&filler, lasting);
  worker.finish();
}

constexpr Workload kWorkloads[] = {
    {"binary-trees", "What do trees of small nodes cost, built from the leaves up, walked once and freed?", 1,
     "Ellis, Kovac and Boehm, GCBench, 1997", 80'000'000, grow_trees<NoProbe>, grow_trees<SampleProbe>},
};

}  // namespace

WorkloadList binary_trees_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
