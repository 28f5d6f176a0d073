#include "fill.h"

namespace pagerun {

void canary_write(void* block, char* end, size_t slack) {
  uint64_t canary = canary_of(block);
  for (; slack >= fill::kWordBytes; slack -= fill::kWordBytes) fill::store(end -= fill::kWordBytes, canary);
  if (slack == 0) return;
  char* last = end - fill::kWordBytes;
  uint64_t mask = fill::upper_bytes(slack);
  fill::store(last, (fill::load(last) & ~mask) | (canary & mask));
}

bool canary_holds_slow(const void* block, const char* end, size_t slack) {
  uint64_t canary = canary_of(block), difference = 0;
  for (; slack >= fill::kWordBytes; slack -= fill::kWordBytes)
    difference |= fill::load(end -= fill::kWordBytes) ^ canary;
  if (slack > 0) difference |= (fill::load(end - fill::kWordBytes) ^ canary) & fill::upper_bytes(slack);
  return difference == 0;
}

}  // namespace pagerun
