// verify(): walks every structure and names the first broken invariant. Reads only.
// Thread rule: any thread. What other live threads own is checked as far as it stands still (headers, runs, lists of
// nobody); a heap with no other live threads is checked whole.
#pragma once

namespace pagerun {

struct Verdict {
  const char* invariant;  // null when every invariant holds; else its name, an equation such as "used == popcount(used
                          // bitmap)"
  const void* address;    // of the page, run, arena or block where it does not
};

Verdict verify();

}  // namespace pagerun
