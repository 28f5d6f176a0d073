// The heap under libFuzzer: every input is a list of operations (test/native/fuzz_input.h), each compared with the
// shadow model. An input that goes wrong ends the process; libFuzzer keeps it, and shrinks it with -minimize_crash=1.
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t length);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t length) {
  std::string wrong = pagerun::fuzz::run(bytes, length);
  if (wrong.empty() && harness::failed_checks == 0) return 0;
  fprintf(stderr, "%s\n", wrong.c_str());
  abort();
}
