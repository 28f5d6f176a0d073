// Tells C programs of what the heap finds without being asked. Owns the place where the core leaves findings for it.
// Thread rule: any thread; holds no lock.
#include "../base/relaxed.h"
#include "../core/mapping_table.h"
#include "../core/place.h"
#include "../core/quarantine.h"
#include "../core/thread_arena.h"
#include "../harden/finding.h"
#include "../harden/policy.h"

namespace pagerun {

namespace {

void tell(const Finding& finding) {
  const char* call = finding.misuse == Misuse::kDoubleFree ? "free by two threads at once" : "malloc";
  misuse_report(finding.misuse, call, finding.block, known_of(finding.block));
}

[[gnu::constructor]] void start() { finding_handler.store(tell, std::memory_order_relaxed); }

// What was written to after its free, and not asked for again.
[[gnu::destructor]] void end() {
  if (load_shared(process_policies) == 0) return;
  quarantine_check(arena_now());
  mapping_table.check_kept();
}

}  // namespace

}  // namespace pagerun
