// Logic minimisation. Question: what does memory cost a program that works on sets of small bit vectors, each a block,
// in arrays that grow and are copied in part at each step of a recursion? Random functions of 24 variables, given as a
// sum of products, are minimised as espresso does it: the complement is computed by the unate recursive paradigm, each
// product is expanded as far as the complement permits, what is covered is dropped, and redundant products are removed.
#include <string.h>

#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr uint32_t kVariables = 24;
constexpr size_t kProducts = 20;
constexpr uint32_t kFirstCapacity = 8;

// A product: the variables that must be 1, and those that must be 0; a block.
struct Cube {
  uint64_t ones, zeros;
  uint32_t literals;
};

// A sum of products; the array grows by realloc.
struct Cover {
  Cube** cubes;
  uint32_t count, capacity;
};

inline bool is_inside(const Cube& inner, const Cube& outer) {
  return (outer.ones & ~inner.ones) == 0 && (outer.zeros & ~inner.zeros) == 0;
}
inline bool is_disjoint(const Cube& a, const Cube& b) { return ((a.ones & b.zeros) | (a.zeros & b.ones)) != 0; }

template <class Probe>
class Minimiser {
 public:
  explicit Minimiser(Worker<Probe>* worker) : worker_(worker) {}

  Cover make_random(uint64_t seed) {
    Random random(seed);
    Cover cover = {};
    for (size_t count = 0; count < kProducts; count++) {
      uint64_t ones = 0, zeros = 0;
      for (uint64_t literals = random.between(4, 8); literals > 0; literals--) {
        (random.between(0, 1) == 0 ? ones : zeros) |= uint64_t{1} << random.between(0, kVariables - 1);
      }
      add(&cover, ones & ~zeros, zeros);
    }
    return cover;
  }

  /// Fewer and larger products for the same function. `cover` is dropped.
  Cover minimise(Cover cover) {
    Cover complement = complement_of(cover);
    Cover expanded = {};
    for (uint32_t index = 0; index < cover.count; index++) expand(*cover.cubes[index], complement, &expanded);
    drop(&cover);
    drop_covered(&expanded);
    remove_redundant(&expanded);
    check(expanded, complement);
    drop(&complement);
    return expanded;
  }

  void drop(Cover* cover) {
    for (uint32_t index = 0; index < cover->count; index++) worker_->heap.release(cover->cubes[index]);
    if (cover->cubes != nullptr) worker_->heap.release(cover->cubes);
    *cover = {};
  }

 private:
  void add(Cover* cover, uint64_t ones, uint64_t zeros) {
    Cube* cube = static_cast<Cube*>(worker_->heap.allocate(sizeof(Cube)));
    uint32_t literals = static_cast<uint32_t>(__builtin_popcountll(ones) + __builtin_popcountll(zeros));
    *cube = {ones, zeros, literals};
    if (cover->count == cover->capacity) {
      cover->capacity = cover->capacity == 0 ? kFirstCapacity : 2 * cover->capacity;
      cover->cubes = static_cast<Cube**>(worker_->heap.reallocate(cover->cubes, cover->capacity * sizeof(void*)));
    }
    cover->cubes[cover->count++] = cube;
  }

  void remove_at(Cover* cover, uint32_t index) {
    worker_->heap.release(cover->cubes[index]);
    cover->cubes[index] = cover->cubes[--cover->count];
  }

  /// What is left of the function where `given` holds.
  Cover cofactor(const Cover& cover, const Cube& given) {
    Cover result = {};
    for (uint32_t index = 0; index < cover.count; index++) {
      const Cube& cube = *cover.cubes[index];
      if (!is_disjoint(cube, given)) add(&result, cube.ones & ~given.ones, cube.zeros & ~given.zeros);
    }
    return result;
  }

  static bool has_universe(const Cover& cover) {
    for (uint32_t index = 0; index < cover.count; index++) {
      if (cover.cubes[index]->literals == 0) return true;
    }
    return false;
  }

  /// The variable that most products have in both senses together; none of both senses: the most frequent one.
  static Cube choose_variable(const Cover& cover) {
    uint32_t best = 0, best_weight = 0;
    for (uint32_t variable = 0; variable < kVariables; variable++) {
      uint32_t ones = 0, zeros = 0;
      for (uint32_t index = 0; index < cover.count; index++) {
        ones += cover.cubes[index]->ones >> variable & 1;
        zeros += cover.cubes[index]->zeros >> variable & 1;
      }
      uint32_t weight = ones + zeros + (ones != 0 && zeros != 0 ? static_cast<uint32_t>(kProducts) : 0);
      if (weight > best_weight) {
        best = variable;
        best_weight = weight;
      }
    }
    return {uint64_t{1} << best, 0, 1};
  }

  Cover complement_of(const Cover& cover) {
    Cover result = {};
    if (cover.count == 0) add(&result, 0, 0);
    if (cover.count == 0 || has_universe(cover)) return result;
    if (cover.count == 1) {
      complement_product(*cover.cubes[0], &result);
      return result;
    }
    const Cube one = choose_variable(cover);
    const Cube zero = {0, one.ones, 1};
    Cover where_one = cofactor(cover, one);
    Cover where_zero = cofactor(cover, zero);
    Cover first = complement_of(where_one);
    Cover second = complement_of(where_zero);
    drop(&where_one);
    drop(&where_zero);
    merge(one, first, second, &result);
    drop(&first);
    drop(&second);
    return result;
  }

  void complement_product(const Cube& cube, Cover* result) {
    for (uint32_t variable = 0; variable < kVariables; variable++) {
      const uint64_t bit = uint64_t{1} << variable;
      if ((cube.ones & bit) != 0) add(result, 0, bit);
      if ((cube.zeros & bit) != 0) add(result, bit, 0);
    }
  }

  /// Products that are in both halves need no literal of the variable that parts them.
  void merge(const Cube& one, const Cover& first, const Cover& second, Cover* result) {
    for (uint32_t index = 0; index < first.count; index++) {
      const Cube& cube = *first.cubes[index];
      add(result, is_covered(cube, second) ? cube.ones : cube.ones | one.ones, cube.zeros);
    }
    for (uint32_t index = 0; index < second.count; index++) {
      const Cube& cube = *second.cubes[index];
      if (!is_covered(cube, *result)) add(result, cube.ones, cube.zeros | one.ones);
    }
  }

  static bool is_covered(const Cube& cube, const Cover& cover) {
    for (uint32_t index = 0; index < cover.count; index++) {
      if (is_inside(cube, *cover.cubes[index])) return true;
    }
    return false;
  }

  static bool meets(const Cube& cube, const Cover& cover) {
    for (uint32_t index = 0; index < cover.count; index++) {
      if (!is_disjoint(cube, *cover.cubes[index])) return true;
    }
    return false;
  }

  void expand(Cube cube, const Cover& complement, Cover* result) {
    for (uint32_t variable = 0; variable < kVariables; variable++) {
      Cube larger = cube;
      larger.ones &= ~(uint64_t{1} << variable);
      larger.zeros &= ~(uint64_t{1} << variable);
      if (!meets(larger, complement)) cube = larger;
    }
    add(result, cube.ones, cube.zeros);
  }

  void drop_covered(Cover* cover) {
    for (uint32_t index = 0; index < cover->count;) {
      const Cube* cube = cover->cubes[index];
      bool is_needless = false;
      for (uint32_t other = 0; other < cover->count && !is_needless; other++) {
        is_needless = other != index && is_inside(*cube, *cover->cubes[other]);
      }
      if (is_needless) {
        remove_at(cover, index);
      } else {
        index++;
      }
    }
  }

  /// A product is redundant when the others are a tautology where it holds.
  void remove_redundant(Cover* cover) {
    for (uint32_t index = 0; index < cover->count;) {
      Cube* cube = cover->cubes[index];
      cover->cubes[index] = cover->cubes[--cover->count];
      Cover rest = cofactor(*cover, *cube);
      bool is_redundant = is_tautology(rest);
      drop(&rest);
      cover->cubes[cover->count++] = cover->cubes[index];
      cover->cubes[index] = cube;
      if (is_redundant) {
        remove_at(cover, index);
      } else {
        index++;
      }
    }
  }

  bool is_tautology(const Cover& cover) {
    if (has_universe(cover)) return true;
    if (cover.count < 2) return false;
    const Cube one = choose_variable(cover);
    return is_tautology_where(cover, one) && is_tautology_where(cover, {0, one.ones, 1});
  }
  bool is_tautology_where(const Cover& cover, const Cube& given) {
    Cover part = cofactor(cover, given);
    bool result = is_tautology(part);
    drop(&part);
    return result;
  }

  void check(const Cover& cover, const Cover& complement) {
    for (uint32_t index = 0; index < cover.count; index++) {
      if (meets(*cover.cubes[index], complement)) die("a minimised product is outside its function");
    }
    worker_->sum += cover.count;
  }

  Worker<Probe>* worker_;
};

template <class Probe>
void minimise_functions(Run* run) {
  Worker<Probe> worker(run);
  Minimiser<Probe> minimiser(&worker);
  run->start_memory();
  run->start_clock();
  for (uint64_t round = 0; worker.heap.operations() < run->wanted_operations(); round++) {
    Cover result = minimiser.minimise(minimiser.make_random(round + 1));
    minimiser.drop(&result);
  }
  run->stop_clock();
  run->read_peak();
  worker.finish();
}

constexpr Workload kWorkloads[] = {
    {"logic", "What does memory cost a program that splits, copies and joins sets of small bit vectors?", 1,
     "Brayton et al., Logic Minimization Algorithms for VLSI Synthesis, 1984; as espresso in Grunwald, Zorn and "
     "Henderson, PLDI 1993",
     12'000'000, minimise_functions<NoProbe>, minimise_functions<SampleProbe>},
};

}  // namespace

WorkloadList logic_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
