// pagerun_misuse: misuses of memory, and what malloc owes its callers, each as a case that runs in a process of its
// own. Owns the command line. It calls the malloc of its process: which allocator that is, LD_PRELOAD says. Standard
// output is one word: unharmed, two-owners, foreign-memory, leaked, passed, failed or n/a; whoever stops the process
// speaks on standard error.
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "case.h"

namespace pagerun::misuse {
namespace {

constexpr int kExitUsage = 2;

struct NamedGroup {
  const char* name;
  Group group;
  Cases (*cases)();
};

constexpr NamedGroup kGroups[] = {{"attack", Group::kAttack, attack_cases},
                                  {"free", Group::kFree, free_cases},
                                  {"damage", Group::kDamage, damage_cases},
                                  {"property", Group::kProperty, property_cases},
                                  {"property", Group::kProperty, process_cases}};

void print_cases() {
  const char* separator = "[";
  for (const NamedGroup& group : kGroups) {
    Cases cases = group.cases();
    for (size_t i = 0; i < cases.count; i++) {
      const Case& one = cases.first[i];
      printf("%s\n  {\"name\": \"%s\", \"group\": \"%s\", \"title\": \"%s\", \"isHarmlessEnough\": %s}", separator,
             one.name, group.name, one.title, one.is_harmless_enough ? "true" : "false");
      separator = ",";
    }
  }
  puts("\n]");
}

[[noreturn]] void run(const Case& one, Group group) {
  rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  one.run();
  if (group == Group::kProperty) end_with("passed");
  go_on();
  end_with("unharmed");
}

int run_main(int count, char** arguments) {
  if (count == 2 && strcmp(arguments[1], "--list") == 0) {
    print_cases();
    return 0;
  }
  for (const NamedGroup& group : kGroups) {
    Cases cases = group.cases();
    for (size_t i = 0; count == 2 && i < cases.count; i++) {
      if (strcmp(cases.first[i].name, arguments[1]) == 0) run(cases.first[i], group.group);
    }
  }
  fputs("usage: pagerun_misuse <case>\n       pagerun_misuse --list    the cases as a JSON array\n", stderr);
  return kExitUsage;
}

}  // namespace
}  // namespace pagerun::misuse

int main(int count, char** arguments) { return pagerun::misuse::run_main(count, arguments); }
