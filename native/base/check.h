// CHECK: stops the process when our own metadata is broken. Owns the way it is said: write(2), no allocation.
// Not for callers' errors (harden/misuse.h). Thread rule: any thread, any state, signal handlers too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "config.h"

namespace pagerun {

/// A line of text in a fixed buffer; what does not fit is cut. For messages where nothing may be allocated.
class Line {
 public:
  Line& text(const char* string);
  Line& number(uint64_t value);
  Line& address(const void* ptr);  // 0x...
  /// Writes the line and a newline to standard error with one write(2).
  void print();

 private:
  char buffer_[512];
  size_t length_ = 0;
};

/// Whether one has failed: nothing of ours is to be walked any more.
bool has_check_failed();

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

/// Prints `pagerun: broken invariant: <invariant> at <address>` and aborts.
[[noreturn]] void check_failed_at(const char* invariant, const void* address);

}  // namespace pagerun

#define CHECK(condition)                                         \
  (__builtin_expect(!(condition) && ::pagerun::kHasChecks, 0)    \
       ? ::pagerun::check_failed(#condition, __FILE__, __LINE__) \
       : (void)0)

/// The same, by the invariant's own name and of what it was expected, such as a page header.
#define CHECK_AT(condition, invariant, address)                                                                \
  (__builtin_expect(!(condition) && ::pagerun::kHasChecks, 0) ? ::pagerun::check_failed_at(invariant, address) \
                                                              : (void)0)
