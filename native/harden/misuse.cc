#include "misuse.h"

#include <cstdlib>

#include "../base/check.h"

namespace pagerun {

const char* misuse_name(Misuse misuse) {
  switch (misuse) {
    case Misuse::kNone:
      return "no misuse";
    case Misuse::kDoubleFree:
      return "double free";
    case Misuse::kInteriorPointer:
      return "interior pointer";
    case Misuse::kForeignPointer:
      return "foreign pointer";
    case Misuse::kWrongSize:
      return "wrong size";
  }
  return "unknown misuse";
}

void misuse_abort(Misuse misuse, const char* call, const void* ptr, const Block& block) {
  Line line;
  line.text("pagerun: ").text(misuse_name(misuse)).text(" of ").address(ptr).text(" in ").text(call);
  if (block.start != nullptr)
    line.text(" (inside a live block of ").number(block.usable_bytes).text(" bytes at ").address(block.start).text(")");
  line.print();
  abort();
}

}  // namespace pagerun
