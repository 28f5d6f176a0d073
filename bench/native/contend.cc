#include "contend.h"

#include <stdio.h>
#include <string.h>

#include "die.h"
#include "json.h"
#include "textbook/contention.h"

namespace pagerun::bench {
namespace {

constexpr const char* kChoices[] = {"modulo", "random", "least-contended"};
constexpr const char* kLocks[] = {"mutex", "adaptive", "spin", "ticket"};
constexpr const char* kOrigins[] = {"header", "address"};

constexpr uint64_t kMostMilliseconds = 60'000;

/// The place of a name in a list; false when it is not in it.
template <size_t kCount>
bool find_name(const char* const (&names)[kCount], const char* name, uint32_t* place) {
  for (uint32_t i = 0; i < kCount; i++) {
    if (strcmp(names[i], name) != 0) continue;
    *place = i;
    return true;
  }
  fprintf(stderr, "pagerun_bench: %s is none of", name);
  for (const char* known : names) fprintf(stderr, " %s", known);
  fputs("\n", stderr);
  return false;
}

void print(const ContendArguments& arguments, const textbook::ContentionResult& result) {
  JsonPrinter json;
  json.open('{');
  json.number("threads", arguments.threads);
  json.number("arenas", arguments.arenas);
  json.text("choice", arguments.choice);
  json.text("lock", arguments.lock);
  json.text("origin", arguments.origin);
  json.decimal("seconds", result.seconds, 6);
  json.number("operations", result.operations);
  json.number("takes", result.takes);
  json.number("waits", result.waits);
  json.decimal("waited_seconds", result.waited_seconds, 6);
  json.close('}');
  puts("");
}

}  // namespace

bool contend(const ContendArguments& arguments) {
  uint32_t choice = 0;
  uint32_t lock = 0;
  uint32_t origin = 0;
  if (!find_name(kChoices, arguments.choice, &choice) || !find_name(kLocks, arguments.lock, &lock) ||
      !find_name(kOrigins, arguments.origin, &origin)) {
    return false;
  }
  if (arguments.threads > textbook::kMostContentionThreads || arguments.arenas > textbook::kMostArenas ||
      arguments.milliseconds > kMostMilliseconds) {
    fprintf(stderr, "pagerun_bench: at most %u threads, %u arenas, %u milliseconds\n", textbook::kMostContentionThreads,
            textbook::kMostArenas, static_cast<unsigned>(kMostMilliseconds));
    return false;
  }
  textbook::ContentionPlan plan;
  plan.threads = static_cast<uint32_t>(arguments.threads);
  plan.arenas = static_cast<uint32_t>(arguments.arenas);
  plan.milliseconds = static_cast<uint32_t>(arguments.milliseconds);
  plan.choice = static_cast<textbook::Choice>(choice);
  plan.lock = static_cast<textbook::LockKind>(lock);
  plan.origin = static_cast<textbook::Origin>(origin);
  textbook::ContentionResult result;
  if (!textbook::measure_contention(plan, &result)) die("no memory or no threads for the measurement");
  print(arguments, result);
  return true;
}

}  // namespace pagerun::bench
