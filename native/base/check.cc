#include "check.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>

namespace pagerun {

Line& Line::text(const char* string) {
  while (*string != 0 && length_ < sizeof(buffer_) - 1) buffer_[length_++] = *string++;
  return *this;
}

Line& Line::number(uint64_t value) {
  char digits[21];
  char* at = digits + sizeof(digits);
  *--at = 0;
  do {
    *--at = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  return text(at);
}

Line& Line::address(const void* ptr) {
  auto value = reinterpret_cast<uintptr_t>(ptr);
  char digits[17];
  char* at = digits + sizeof(digits);
  *--at = 0;
  do {
    *--at = "0123456789abcdef"[value & 15];
    value >>= 4;
  } while (value != 0);
  return text("0x").text(at);
}

void Line::print() {
  buffer_[length_++] = '\n';
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, buffer_, length_);
  length_ = 0;
}

namespace {

std::atomic<bool> has_failed{false};

}  // namespace

bool has_check_failed() { return has_failed.load(std::memory_order_relaxed); }

void check_failed(const char* condition, const char* file, int line) {
  has_failed.store(true, std::memory_order_relaxed);
  Line()
      .text("pagerun: broken invariant: ")
      .text(condition)
      .text(" at ")
      .text(file)
      .text(":")
      .number(static_cast<uint64_t>(line))
      .print();
  abort();
}

void check_failed_at(const char* invariant, const void* address) {
  has_failed.store(true, std::memory_order_relaxed);
  Line().text("pagerun: broken invariant: ").text(invariant).text(" at ").address(address).print();
  abort();
}

}  // namespace pagerun
