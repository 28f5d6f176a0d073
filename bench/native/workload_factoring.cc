// Factoring. Question: what does memory cost a program that computes with numbers of a few digits, each of them a block
// that lives for one operation? Products of two primes are factored by the continued fraction of their square root
// (Morrison and Brillhart): most steps make ten numbers and drop as many; those whose remainder has only small factors
// are kept until there are enough of them to be combined into a square.
#include "big_number.h"
#include "workload.h"

namespace pagerun::bench {
namespace {

constexpr size_t kBase = 64;              // primes of the factor base
constexpr size_t kRelations = kBase + 8;  // kept before they are combined
constexpr size_t kEarly = 12;             // primes after which a remainder must have become short
constexpr uint64_t kMostSteps = 200'000;

struct Pair {
  uint64_t first, second;
};

constexpr Pair kNumbers[] = {
    {3538334777, 2767054501}, {7224146581, 6718910659}, {16223074073, 16851052423}, {28949588069, 27996301337}};
constexpr uint32_t kMultipliers[] = {1, 3, 5, 7, 11, 13, 17, 19};

// A step whose remainder is the product of primes of the base: root^2 = (-1)^sign * product, modulo the number.
struct Relation {
  Big* root;
  bool is_negative;
  uint8_t powers[kBase];
};

// What is left of a relation, modulo squares, when others are multiplied to it.
struct Row {
  uint64_t odd[2];       // bit i: prime i to an odd power; bit kBase: a negative sign
  uint64_t combined[2];  // the relations in it
};

inline bool has_bit(const uint64_t* words, size_t bit) { return (words[bit / 64] >> bit % 64 & 1) != 0; }
inline void set_bit(uint64_t* words, size_t bit) { words[bit / 64] |= uint64_t{1} << bit % 64; }

template <class Probe>
class Factoring {
 public:
  Factoring(Worker<Probe>* worker, Pair pair) : math_(worker), worker_(worker) {
    Big* first = math_.make(pair.first);
    Big* second = math_.make(pair.second);
    number_ = math_.multiply(first, second);
    math_.drop(first);
    math_.drop(second);
  }
  ~Factoring() { math_.drop(number_); }

  /// A factor other than 1 and the number; to be dropped by the caller.
  Big* find_factor() {
    for (uint32_t multiplier : kMultipliers) {
      Big* factor = try_multiplier(multiplier);
      if (factor != nullptr) return factor;
    }
    die("a number has no factor");
  }

 private:
  Big* try_multiplier(uint32_t multiplier) {
    Big* times = math_.make(multiplier);
    multiple_ = math_.multiply(number_, times);
    math_.drop(times);
    choose_base();
    expand();
    Big* factor = count_ == kRelations ? combine() : nullptr;
    while (count_ > 0) {
      Relation* last = relations_[--count_];
      math_.drop(last->root);
      worker_->heap.release(last);
    }
    math_.drop(multiple_);
    return factor;
  }

  static bool is_prime(uint32_t candidate) {
    for (uint32_t divisor = 3; divisor * divisor <= candidate; divisor += 2) {
      if (candidate % divisor == 0) return false;
    }
    return candidate % 2 != 0;
  }

  // Only primes of which the multiple is a square can divide a remainder (Euler's criterion).
  static bool is_square(uint64_t value, uint32_t prime) {
    uint64_t power = 1;
    for (uint32_t exponent = (prime - 1) / 2; exponent != 0; exponent >>= 1) {
      if (exponent & 1) power = power * value % prime;
      value = value * value % prime;
    }
    return power <= 1;
  }

  void choose_base() {
    base_[0] = 2;
    size_t count = 1;
    for (uint32_t candidate = 3; count < kBase; candidate += 2) {
      if (is_prime(candidate) && is_square(remainder_small(multiple_, candidate), candidate))
        base_[count++] = candidate;
    }
  }

  // P' = a Q - P, Q' = (kN - P'^2) / Q, a' = (g + P') / Q', A' = a A + A'' mod N, and A^2 = (-1)^i Q' mod N.
  void expand() {
    Big* floor = math_.square_root(multiple_);
    Big* p = math_.make(0);
    Big* q = math_.make(1);
    Big* term = math_.copy(floor);
    Big* before = math_.make(1);
    Big* root = math_.remainder(floor, number_);
    count_ = 0;
    for (uint64_t step = 1; step < kMostSteps && count_ < kRelations; step++) {
      next_remainder(&p, &q, term);
      if (is_one(q)) break;  // the fraction repeats itself from here
      keep_if_smooth(root, q, step % 2 != 0);
      Big* sum = math_.add(floor, p);
      math_.replace(&term, math_.divide(sum, q));
      math_.drop(sum);
      next_root(&root, &before, term);
    }
    for (Big* rest : {floor, p, q, term, before, root}) math_.drop(rest);
  }

  void next_remainder(Big** p, Big** q, const Big* term) {
    Big* product = math_.multiply(term, *q);
    math_.replace(p, math_.subtract(product, *p));
    math_.drop(product);
    Big* square = math_.multiply(*p, *p);
    Big* difference = math_.subtract(multiple_, square);
    math_.drop(square);
    math_.replace(q, math_.divide(difference, *q));
    math_.drop(difference);
  }

  void next_root(Big** root, Big** before, const Big* term) {
    Big* product = math_.multiply(term, *root);
    Big* sum = math_.add(product, *before);
    math_.drop(product);
    math_.replace(before, math_.remainder(sum, number_));
    math_.drop(sum);
    Big* swapped = *root;
    *root = *before;
    *before = swapped;
  }

  void keep_if_smooth(const Big* root, const Big* q, bool is_negative) {
    uint8_t powers[kBase] = {};
    Big* rest = math_.copy(q);
    for (size_t place = 0; place < kBase && !is_one(rest); place++) {
      // Most remainders that are still long after the first primes stay so (Pomerance's early abort).
      if (place == kEarly && rest->size > 1) break;
      while (remainder_small(rest, base_[place]) == 0) {
        math_.replace(&rest, math_.divide_small(rest, base_[place]));
        powers[place]++;
      }
    }
    if (is_one(rest)) keep(root, powers, is_negative);
    math_.drop(rest);
  }

  void keep(const Big* root, const uint8_t* powers, bool is_negative) {
    Relation* relation = static_cast<Relation*>(worker_->heap.allocate(sizeof(Relation)));
    relation->root = math_.copy(root);
    relation->is_negative = is_negative;
    memcpy(relation->powers, powers, kBase);
    relations_[count_++] = relation;
  }

  Row* make_row(size_t index) {
    Row* row = static_cast<Row*>(worker_->heap.allocate(sizeof(Row)));
    *row = {};
    for (size_t place = 0; place < kBase; place++) {
      if (relations_[index]->powers[place] % 2 != 0) set_bit(row->odd, place);
    }
    if (relations_[index]->is_negative) set_bit(row->odd, kBase);
    set_bit(row->combined, index);
    return row;
  }

  // Gauss: each prime is taken out of all rows but one. A row in which nothing is left is a square.
  Big* combine() {
    Row* rows[kRelations];
    for (size_t index = 0; index < count_; index++) rows[index] = make_row(index);
    size_t done = 0;
    for (size_t bit = 0; bit <= kBase; bit++) {
      size_t pivot = done;
      while (pivot < count_ && !has_bit(rows[pivot]->odd, bit)) pivot++;
      if (pivot == count_) continue;
      Row* found = rows[pivot];
      rows[pivot] = rows[done];
      rows[done++] = found;
      for (size_t other = done; other < count_; other++) {
        if (has_bit(rows[other]->odd, bit)) merge(rows[other], *found);
      }
    }
    Big* factor = nullptr;
    for (size_t index = done; index < count_ && factor == nullptr; index++) factor = factor_of(*rows[index]);
    for (size_t index = 0; index < count_; index++) worker_->heap.release(rows[index]);
    return factor;
  }

  static void merge(Row* target, const Row& other) {
    for (size_t word = 0; word < 2; word++) {
      target->odd[word] ^= other.odd[word];
      target->combined[word] ^= other.combined[word];
    }
  }

  void multiply_into(Big** product, const Big* number) {
    Big* longer = math_.multiply(*product, number);
    math_.replace(product, math_.remainder(longer, number_));
    math_.drop(longer);
  }

  // x^2 = y^2: x + y then has a factor in common with the number, in every other case a proper one. Null if not.
  Big* factor_of(const Row& square) {
    Big* x = math_.make(1);
    Big* y = math_.make(1);
    uint32_t powers[kBase] = {};
    for (size_t index = 0; index < count_; index++) {
      if (!has_bit(square.combined, index)) continue;
      multiply_into(&x, relations_[index]->root);
      for (size_t place = 0; place < kBase; place++) powers[place] += relations_[index]->powers[place];
    }
    for (size_t place = 0; place < kBase; place++) {
      Big* prime = math_.make(base_[place]);
      for (uint32_t power = 0; power < powers[place] / 2; power++) multiply_into(&y, prime);
      math_.drop(prime);
    }
    Big* sum = math_.add(x, y);
    Big* factor = math_.greatest_common_divisor(sum, number_);
    for (Big* rest : {x, y, sum}) math_.drop(rest);
    if (!is_one(factor) && compare(factor, number_) != 0) return factor;
    math_.drop(factor);
    return nullptr;
  }

  Arithmetic<Probe> math_;
  Worker<Probe>* worker_;
  Big* number_ = nullptr;
  Big* multiple_ = nullptr;
  uint32_t base_[kBase] = {};
  Relation* relations_[kRelations] = {};
  size_t count_ = 0;
};

template <class Probe>
void factor_numbers(Run* run) {
  Worker<Probe> worker(run);
  run->start_memory();
  run->start_clock();
  for (uint64_t round = 0; worker.heap.operations() < run->wanted_operations(); round++) {
    const Pair& pair = kNumbers[round % (sizeof(kNumbers) / sizeof(kNumbers[0]))];
    Factoring<Probe> factoring(&worker, pair);
    Big* factor = factoring.find_factor();
    uint64_t found = low_digits(factor);
    if (found != pair.first && found != pair.second) die("%llu is no factor", static_cast<unsigned long long>(found));
    worker.sum += found;
    worker.heap.release(factor);
  }
  run->stop_clock();
  run->read_peak();
  worker.finish();
}

constexpr Workload kWorkloads[] = {
    {"factoring", "What does memory cost a program that computes with big numbers, each of them a small block?", 1,
     "Morrison and Brillhart, A Method of Factoring, 1975; as cfrac in Grunwald, Zorn and Henderson, PLDI 1993",
     40'000'000, factor_numbers<NoProbe>, factor_numbers<SampleProbe>},
};

}  // namespace

WorkloadList factoring_workloads() { return list_of(kWorkloads); }

}  // namespace pagerun::bench
