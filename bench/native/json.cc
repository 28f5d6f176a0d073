// See json.h.
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

namespace pagerun::bench {
namespace {

void print_quoted(const char* value, size_t size) {
  putchar('"');
  for (size_t index = 0; index < size; index++) {
    unsigned char letter = static_cast<unsigned char>(value[index]);
    if (letter < 0x20) {
      printf("\\u%04x", letter);
    } else {
      if (letter == '"' || letter == '\\') putchar('\\');
      putchar(letter);
    }
  }
  putchar('"');
}

}  // namespace

void JsonPrinter::begin(const char* key) {
  if (needs_comma_) fputs(", ", stdout);
  needs_comma_ = true;
  if (key != nullptr) {
    print_quoted(key, strlen(key));
    fputs(": ", stdout);
  }
}

void JsonPrinter::open(char bracket) {
  begin(nullptr);
  putchar(bracket);
  needs_comma_ = false;
}

void JsonPrinter::close(char bracket) {
  putchar(bracket);
  needs_comma_ = true;
}

void JsonPrinter::text(const char* key, const char* value, size_t size) {
  begin(key);
  print_quoted(value, size);
}

void JsonPrinter::text(const char* key, const char* value) { text(key, value, strlen(value)); }

void JsonPrinter::number(const char* key, uint64_t value) {
  begin(key);
  printf("%" PRIu64, value);
}

void JsonPrinter::decimal(const char* key, double value, int digits) {
  begin(key);
  printf("%.*f", digits, value);
}

void JsonPrinter::null(const char* key) {
  begin(key);
  fputs("null", stdout);
}

}  // namespace pagerun::bench
