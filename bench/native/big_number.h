// Whole numbers of any length, each a block of its own: every result of an operation is allocated, as programs do that
// use a library of big numbers. Owns the arithmetic; who makes a number drops it. Thread rule: a number and its Worker
// belong to one thread.
//
//     | size | digit 0 | digit 1 | ... | digit size-1 |      digits of 32 bits, the lowest first; zero has none
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "run.h"

namespace pagerun::bench {

struct Big {
  uint32_t size;
  uint32_t digits[];
};

inline uint64_t low_digits(const Big* number) {
  uint64_t low = number->size > 0 ? number->digits[0] : 0;
  return number->size > 1 ? low | static_cast<uint64_t>(number->digits[1]) << 32 : low;
}

inline int compare(const Big* a, const Big* b) {
  if (a->size != b->size) return a->size < b->size ? -1 : 1;
  for (uint32_t at = a->size; at-- > 0;) {
    if (a->digits[at] != b->digits[at]) return a->digits[at] < b->digits[at] ? -1 : 1;
  }
  return 0;
}

inline bool is_one(const Big* number) { return number->size == 1 && number->digits[0] == 1; }

inline uint32_t remainder_small(const Big* number, uint32_t divisor) {
  uint64_t rest = 0;
  for (uint32_t at = number->size; at-- > 0;) rest = (rest << 32 | number->digits[at]) % divisor;
  return static_cast<uint32_t>(rest);
}

/// The operations, over the heap of one worker.
template <class Probe>
class Arithmetic {
 public:
  explicit Arithmetic(Worker<Probe>* worker) : worker_(worker) {}

  Big* make(uint64_t value) {
    Big* result = blank(2);
    result->digits[0] = static_cast<uint32_t>(value);
    result->digits[1] = static_cast<uint32_t>(value >> 32);
    return trimmed(result);
  }
  Big* copy(const Big* number) {
    Big* result = blank(number->size);
    memcpy(result->digits, number->digits, number->size * sizeof(uint32_t));
    return result;
  }
  void drop(Big* number) { worker_->heap.release(number); }
  /// Puts `number` where `*old` was, and drops that.
  void replace(Big** old, Big* number) {
    drop(*old);
    *old = number;
  }

  Big* add(const Big* a, const Big* b) {
    if (a->size < b->size) return add(b, a);
    Big* result = blank(a->size + 1);
    uint64_t carry = 0;
    for (uint32_t at = 0; at < a->size; at++) {
      carry += static_cast<uint64_t>(a->digits[at]) + (at < b->size ? b->digits[at] : 0);
      result->digits[at] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    result->digits[a->size] = static_cast<uint32_t>(carry);
    return trimmed(result);
  }

  /// a - b, where a is not the smaller one.
  Big* subtract(const Big* a, const Big* b) {
    Big* result = blank(a->size);
    uint64_t borrow = 0;
    for (uint32_t at = 0; at < a->size; at++) {
      uint64_t taken = (at < b->size ? b->digits[at] : 0) + borrow;
      borrow = a->digits[at] < taken ? 1 : 0;
      result->digits[at] = static_cast<uint32_t>(a->digits[at] - taken);
    }
    return trimmed(result);
  }

  Big* multiply(const Big* a, const Big* b) {
    Big* result = blank(a->size + b->size);
    memset(result->digits, 0, result->size * sizeof(uint32_t));
    for (uint32_t i = 0; i < a->size; i++) {
      uint64_t carry = 0;
      for (uint32_t j = 0; j < b->size; j++) {
        carry += static_cast<uint64_t>(a->digits[i]) * b->digits[j] + result->digits[i + j];
        result->digits[i + j] = static_cast<uint32_t>(carry);
        carry >>= 32;
      }
      result->digits[i + b->size] = static_cast<uint32_t>(carry);
    }
    return trimmed(result);
  }

  Big* divide_small(const Big* number, uint32_t divisor) {
    Big* result = blank(number->size);
    uint64_t rest = 0;
    for (uint32_t at = number->size; at-- > 0;) {
      rest = rest << 32 | number->digits[at];
      result->digits[at] = static_cast<uint32_t>(rest / divisor);
      rest %= divisor;
    }
    return trimmed(result);
  }

  Big* divide(const Big* a, const Big* b) {
    Big* rest = nullptr;
    Big* result = divide(a, b, &rest);
    drop(rest);
    return result;
  }
  Big* remainder(const Big* a, const Big* b) {
    Big* rest = nullptr;
    drop(divide(a, b, &rest));
    return rest;
  }

  /// The quotient, and in *rest the remainder (Knuth, The Art of Computer Programming 2, 4.3.1, algorithm D).
  Big* divide(const Big* a, const Big* b, Big** rest) {
    if (compare(a, b) < 0) {
      *rest = copy(a);
      return make(0);
    }
    if (b->size == 1) {
      *rest = make(remainder_small(a, b->digits[0]));
      return divide_small(a, b->digits[0]);
    }
    const unsigned shift = static_cast<unsigned>(__builtin_clz(b->digits[b->size - 1]));
    Big* divisor = shifted(b, shift);
    Big* result = blank(a->size - b->size + 1);
    *rest = shifted(a, shift);
    for (uint32_t at = result->size; at-- > 0;) result->digits[at] = next_digit(*rest, divisor, b->size, at);
    drop(divisor);
    shift_back(*rest, b->size, shift);
    return trimmed(result);
  }

  /// The whole part of the square root, by Newton's method.
  Big* square_root(const Big* number) {
    Big* root = blank(number->size / 2 + 2);
    memset(root->digits, 0, root->size * sizeof(uint32_t));
    root->digits[root->size - 1] = 1;
    for (;;) {
      Big* quotient = divide(number, root);
      Big* sum = add(root, quotient);
      Big* next = divide_small(sum, 2);
      drop(quotient);
      drop(sum);
      if (compare(next, root) >= 0) {
        drop(next);
        return root;
      }
      replace(&root, next);
    }
  }

  Big* greatest_common_divisor(const Big* a, const Big* b) {
    Big* x = copy(a);
    Big* y = copy(b);
    while (y->size != 0) {
      replace(&x, remainder(x, y));
      Big* swapped = x;
      x = y;
      y = swapped;
    }
    drop(y);
    return x;
  }

 private:
  Big* blank(uint32_t size) {
    Big* number = static_cast<Big*>(worker_->heap.allocate(sizeof(Big) + size * sizeof(uint32_t)));
    number->size = size;
    return number;
  }
  static Big* trimmed(Big* number) {
    while (number->size != 0 && number->digits[number->size - 1] == 0) number->size--;
    return number;
  }

  /// number * 2^shift with one digit more.
  Big* shifted(const Big* number, unsigned shift) {
    Big* result = blank(number->size + 1);
    uint64_t carry = 0;
    for (uint32_t at = 0; at < number->size; at++) {
      carry |= static_cast<uint64_t>(number->digits[at]) << shift;
      result->digits[at] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    result->digits[number->size] = static_cast<uint32_t>(carry);
    return result;
  }
  static void shift_back(Big* number, uint32_t size, unsigned shift) {
    for (uint32_t at = 0; at < size; at++) {
      uint64_t both = static_cast<uint64_t>(number->digits[at + 1]) << 32 | number->digits[at];
      number->digits[at] = static_cast<uint32_t>(both >> shift);
    }
    number->size = size;
    trimmed(number);
  }

  static uint32_t next_digit(Big* rest, const Big* divisor, uint32_t size, uint32_t at) {
    uint64_t top = static_cast<uint64_t>(rest->digits[at + size]) << 32 | rest->digits[at + size - 1];
    uint64_t guess = top / divisor->digits[size - 1];
    uint64_t left = top % divisor->digits[size - 1];
    while (guess >> 32 != 0 || guess * divisor->digits[size - 2] > (left << 32 | rest->digits[at + size - 2])) {
      guess--;
      left += divisor->digits[size - 1];
      if (left >> 32 != 0) break;
    }
    if (!take_away(rest, divisor, size, at, guess)) return static_cast<uint32_t>(guess);
    put_back(rest, divisor, size, at);
    return static_cast<uint32_t>(guess - 1);
  }
  /// Takes guess * divisor off the digits from `at` on; true when that was too much.
  static bool take_away(Big* rest, const Big* divisor, uint32_t size, uint32_t at, uint64_t guess) {
    uint64_t carry = 0;
    uint64_t borrow = 0;
    for (uint32_t i = 0; i <= size; i++) {
      carry += guess * (i < size ? divisor->digits[i] : 0);
      uint64_t taken = static_cast<uint32_t>(carry) + borrow;
      borrow = rest->digits[at + i] < taken ? 1 : 0;
      rest->digits[at + i] = static_cast<uint32_t>(rest->digits[at + i] - taken);
      carry >>= 32;
    }
    return borrow != 0;
  }
  static void put_back(Big* rest, const Big* divisor, uint32_t size, uint32_t at) {
    uint64_t carry = 0;
    for (uint32_t i = 0; i <= size; i++) {
      carry += static_cast<uint64_t>(rest->digits[at + i]) + (i < size ? divisor->digits[i] : 0);
      rest->digits[at + i] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
  }

  Worker<Probe>* worker_;
};

}  // namespace pagerun::bench
