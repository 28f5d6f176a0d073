// Prints one JSON object or array of flat values on stdout. Owns commas and quotes. Thread rule: one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace pagerun::bench {

class JsonPrinter {
 public:
  void open(char bracket);
  void close(char bracket);

  void text(const char* key, const char* value, size_t size);
  void text(const char* key, const char* value);
  void number(const char* key, uint64_t value);
  void decimal(const char* key, double value, int digits);
  void null(const char* key);

 private:
  void begin(const char* key);
  bool needs_comma_ = false;
};

}  // namespace pagerun::bench
