#include "misuse.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "../base/check.h"
#include "../base/settings.h"

namespace pagerun {

namespace {

std::atomic<uint64_t> reported{0};

const char* text_of(LastState state) {
  switch (state) {
    case LastState::kUnknown:
      return "no memory of this heap";
    case LastState::kLive:
      return "a live block";
    case LastState::kFree:
      return "a free block";
    case LastState::kFreedElsewhere:
      return "a block that another thread has freed";
    case LastState::kHeld:
      return "a freed block that an ArrayBuffer still holds";
    case LastState::kTail:
      return "behind the last block of a page";
    case LastState::kFreeRun:
      return "in a free run";
    case LastState::kReleasedMapping:
      return "a mapping that was freed";
    case LastState::kNeverUsed:
      return "in a page that was never used";
    case LastState::kTable:
      return "in the tables of this heap";
  }
  return "unknown";
}

void add_block(Line& line, const void* ptr, const Known& known) {
  if (known.start != ptr) line.text("inside ");
  line.text(text_of(known.state)).text(" of ").number(known.bytes).text(" bytes at ").address(known.start);
}

void add_known(Line& line, const void* ptr, const Known& known) {
  if (known.start != nullptr) {
    add_block(line, ptr, known);
  } else {
    line.text(text_of(known.state));
    if (known.state == LastState::kFreeRun && known.bytes != 0) line.text(", last a page");
    if (known.bytes != 0) line.text(" of ").number(known.bytes).text("-byte blocks");
  }
  if (known.form != nullptr) line.text(", ").text(known.form);
  if (known.form == nullptr && known.bytes != 0) line.text(", size class ").number(known.size_class);
  if (known.arena != 0) line.text(", arena ").number(known.arena);
}

}  // namespace

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
    case Misuse::kOverflow:
      return "write past the end";
    case Misuse::kWriteAfterFree:
      return "write after free";
  }
  return "unknown misuse";
}

void misuse_report(Misuse misuse, const char* call, const void* ptr, const Known& known) {
  int saved = errno;
  reported.fetch_add(1, std::memory_order_relaxed);
  Line line;
  line.text("pagerun: ").text(misuse_name(misuse)).text(" of ").address(ptr).text(" in ").text(call).text(" (");
  add_known(line, ptr, known);
  line.text(")").print();
  if (settings().on_misuse == OnMisuse::kAbort) abort();
  errno = saved;
}

uint64_t misuse_count() { return reported.load(std::memory_order_relaxed); }

}  // namespace pagerun
