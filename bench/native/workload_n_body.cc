// Gravitation. Question: what does a program pay for its memory that computes for the most part, and builds a tree of
// some thousand nodes for each step of the computation? Bodies in space, after Barnes and Hut: each step builds an
// octree, computes on each body the pull of the tree's nodes, moves the bodies, and frees the tree. How near to each
// other the nodes of one part of the space lie matters more here than the calls.
#include <math.h>

#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kBodies = 1024;
constexpr unsigned kMostDepth = 48;
constexpr double kOpening = 1.0;  // a node this many of its widths away is taken as one body
constexpr double kSoftening = 1e-4;
constexpr double kStep = 1e-5;
constexpr double kWidth = 4;

struct Vector {
  double x, y, z;
};

struct Body {
  Vector at, speed;
};

// A cube of space. One with a body has no children; bodies that are too near to be told apart add up in one.
struct Node {
  Node* children[8];
  Vector centre_of_mass;  // times mass, until the tree is complete
  double mass;
  Vector middle;
  double half_width;
  bool is_leaf;
};

template <class Probe>
Node* make_node(Worker<Probe>* worker, Vector middle, double half_width, Vector at, double mass) {
  Node* node = static_cast<Node*>(worker->heap.allocate(sizeof(Node)));
  *node = {{}, {at.x * mass, at.y * mass, at.z * mass}, mass, middle, half_width, true};
  return node;
}

unsigned octant_of(const Node& node, Vector at) {
  return (at.x > node.middle.x ? 1u : 0u) | (at.y > node.middle.y ? 2u : 0u) | (at.z > node.middle.z ? 4u : 0u);
}

Vector middle_of(const Node& node, unsigned octant) {
  double quarter = node.half_width / 2;
  auto shift = [&](unsigned bit) { return (octant & bit) != 0 ? quarter : -quarter; };
  return {node.middle.x + shift(1), node.middle.y + shift(2), node.middle.z + shift(4)};
}

template <class Probe>
void insert_below(Worker<Probe>* worker, Node* node, Vector at, double mass, unsigned depth);

template <class Probe>
void insert(Worker<Probe>* worker, Node* node, Vector at, double mass, unsigned depth) {
  if (node->is_leaf && depth < kMostDepth) {
    Vector old = {node->centre_of_mass.x / node->mass, node->centre_of_mass.y / node->mass,
                  node->centre_of_mass.z / node->mass};
    node->is_leaf = false;
    insert_below(worker, node, old, node->mass, depth);
  }
  node->centre_of_mass.x += at.x * mass;
  node->centre_of_mass.y += at.y * mass;
  node->centre_of_mass.z += at.z * mass;
  node->mass += mass;
  if (!node->is_leaf) insert_below(worker, node, at, mass, depth);
}

template <class Probe>
void insert_below(Worker<Probe>* worker, Node* node, Vector at, double mass, unsigned depth) {
  unsigned octant = octant_of(*node, at);
  Node*& child = node->children[octant];
  if (child != nullptr) return insert(worker, child, at, mass, depth + 1);
  child = make_node(worker, middle_of(*node, octant), node->half_width / 2, at, mass);
}

void complete(Node* node) {
  node->centre_of_mass.x /= node->mass;
  node->centre_of_mass.y /= node->mass;
  node->centre_of_mass.z /= node->mass;
  if (node->is_leaf) return;
  for (Node* child : node->children) {
    if (child != nullptr) complete(child);
  }
}

template <class Probe>
void release_nodes(Worker<Probe>* worker, Node* node) {
  for (Node* child : node->children) {
    if (child != nullptr) release_nodes(worker, child);
  }
  worker->heap.release(node);
}

void add_pull(const Node& node, Vector at, Vector* pull) {
  Vector way = {node.centre_of_mass.x - at.x, node.centre_of_mass.y - at.y, node.centre_of_mass.z - at.z};
  double square = way.x * way.x + way.y * way.y + way.z * way.z;
  double width = 2 * node.half_width;
  if (node.is_leaf || width * width < kOpening * kOpening * square) {
    double softened = square + kSoftening;
    double strength = node.mass / (softened * sqrt(softened));
    pull->x += way.x * strength;
    pull->y += way.y * strength;
    pull->z += way.z * strength;
    return;
  }
  for (const Node* child : node.children) {
    if (child != nullptr) add_pull(*child, at, pull);
  }
}

void move(Body* body, Vector pull) {
  body->speed = {body->speed.x + pull.x * kStep, body->speed.y + pull.y * kStep, body->speed.z + pull.z * kStep};
  body->at = {body->at.x + body->speed.x * kStep, body->at.y + body->speed.y * kStep,
              body->at.z + body->speed.z * kStep};
}

template <class Probe>
void step(Worker<Probe>* worker, MappedArray<Body>* bodies) {
  constexpr double kMass = 1.0 / kBodies;
  Node* tree = make_node(worker, {0, 0, 0}, kWidth, (*bodies)[0].at, kMass);
  for (Body* body = bodies->begin() + 1; body != bodies->end(); body++) insert(worker, tree, body->at, kMass, 0);
  complete(tree);
  for (Body& body : *bodies) {
    Vector pull = {};
    add_pull(*tree, body.at, &pull);
    move(&body, pull);
  }
  release_nodes(worker, tree);
}

void scatter(MappedArray<Body>* bodies) {
  Random random(31);
  auto place = [&] {
    double even = static_cast<double>(random.between(0, 2'000'000)) / 1e6 - 1;
    return even * even * even;  // denser in the middle
  };
  for (Body& body : *bodies) body = {{place(), place(), place()}, {}};
}

template <class Probe>
void simulate(Run* run) {
  MappedArray<Body> bodies(kBodies);
  scatter(&bodies);
  Worker<Probe> worker(run);
  run->start_memory();
  run->start_clock();
  for (uint64_t round = 0, rounds = run->rounds(4 * kBodies); round < rounds; round++) step(&worker, &bodies);
  run->stop_clock();
  run->read_peak();
  if (!isfinite(bodies[0].at.x)) die("a body has left the space");
  worker.finish();
}

constexpr Workload kWorkloads[] = {
    {"n-body", "What does memory cost a program that mostly computes, on a tree that it builds anew for each step?", 1,
     "Barnes and Hut, A Hierarchical O(N log N) Force-Calculation Algorithm, Nature 324, 1986", 1'000'000,
     simulate<NoProbe>, simulate<SampleProbe>},
};

}  // namespace

WorkloadList n_body_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
