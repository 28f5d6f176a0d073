#include "settings.h"

#include <sched.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstring>

#include "check.h"

// Where the kernel put argc, with the arguments and the environment behind it; known before `environ` is.
extern "C" [[gnu::weak]] void* __libc_stack_end;  // NOLINT(readability-identifier-naming): the loader's name

namespace pagerun {

constinit std::atomic<const Settings*> settings_place{nullptr};

namespace {

constexpr char kPrefix[] = "PAGERUN_";
constexpr size_t kPrefixBytes = sizeof(kPrefix) - 1;
constexpr size_t kShownBytes = 64;  // of a wrong value

bool is_equal(const char* a, const char* b) { return strcmp(a, b) == 0; }

/// The decimal number that `*text` begins with; moves behind it. False when there is none, or it does not fit.
bool take_number(const char** text, uint64_t* number) {
  const char* at = *text;
  *number = 0;
  for (; *at >= '0' && *at <= '9'; at++) {
    if (__builtin_mul_overflow(*number, 10u, number)) return false;
    if (__builtin_add_overflow(*number, static_cast<uint64_t>(*at - '0'), number)) return false;
  }
  bool has_digits = at != *text;
  *text = at;
  return has_digits;
}

bool read_profile(const char* text, Settings* settings) {
  settings->profile = is_equal(text, "hardened") ? Profile::kHardened : Profile::kFast;
  return is_equal(text, "hardened") || is_equal(text, "fast");
}

bool read_on_misuse(const char* text, Settings* settings) {
  settings->on_misuse = is_equal(text, "report") ? OnMisuse::kReport : OnMisuse::kAbort;
  return is_equal(text, "report") || is_equal(text, "abort");
}

bool is_flag(const char* text, Settings*) { return is_equal(text, "0") || is_equal(text, "1"); }

bool read_report(const char* text, Settings* settings) {
  settings->reports_at_exit = is_equal(text, "1");
  return is_flag(text, settings);
}

struct PolicyName {
  const char* name;
  HardenPolicy policy;
};

constexpr PolicyName kPolicyNames[] = {
    {"canary", kHardenCanary}, {"zero", kHardenZero},   {"quarantine", kHardenQuarantine}, {"random", kHardenRandom},
    {"guards", kHardenGuards}, {"unmap", kHardenUnmap}, {"size0", kHardenSize0},           {"sized", kHardenSized},
};

uint32_t policy_named(const char* name, size_t bytes) {
  for (const PolicyName& each : kPolicyNames) {
    if (strlen(each.name) == bytes && memcmp(each.name, name, bytes) == 0) return each.policy;
  }
  return 0;
}

// "canary,zero" is these two alone; "-canary,-zero" is all but these two; "none" is none.
bool read_harden(const char* text, Settings* settings) {
  if (is_equal(text, "none")) {
    settings->harden_policies = 0;
    return true;
  }
  uint32_t named = 0, taken_away = 0;
  for (const char* at = text;; at++) {
    bool takes_away = *at == '-';
    if (takes_away) at++;
    size_t bytes = strcspn(at, ",");
    uint32_t policy = policy_named(at, bytes);
    if (policy == 0) return false;
    (takes_away ? taken_away : named) |= policy;
    at += bytes;
    if (*at == 0) break;
  }
  settings->harden_policies = (named == 0 ? uint32_t{kHardenAll} : named) & ~taken_away;
  return true;
}

bool read_purge_delay(const char* text, Settings* settings) {
  if (is_equal(text, "off") || is_equal(text, "-1")) {
    settings->purge_delay_ms = kPurgeNever;
    return true;
  }
  uint64_t number = 0;
  if (!take_number(&text, &number) || *text != 0 || number > uint64_t{kMaxPurgeDelayMs}) return false;
  settings->purge_delay_ms = static_cast<int64_t>(number);
  return true;
}

/// How far K, M or G moves a number to the left; 0 for the end of the text, 64 for anything else.
unsigned unit_shift(const char* text) {
  constexpr unsigned kNoUnit = 64;
  if (*text == 0) return 0;
  if (text[1] != 0) return kNoUnit;
  switch (*text) {
    case 'k':
    case 'K':
      return 10;
    case 'm':
    case 'M':
      return 20;
    case 'g':
    case 'G':
      return 30;
    default:
      return kNoUnit;
  }
}

bool read_rss_target(const char* text, Settings* settings) {
  uint64_t number = 0;
  if (!take_number(&text, &number)) return false;
  unsigned shift = unit_shift(text);
  if (shift == 64 || number > UINT64_MAX >> shift) return false;
  settings->rss_target_bytes = number << shift;
  return true;
}

bool read_stats_file(const char* text, Settings* settings) {
  settings->stats_file = text;
  return strlen(text) < kMaxPathBytes;
}

bool read_witness_file(const char* text, Settings* settings) {
  settings->witness_file = text;
  return strlen(text) < kMaxPathBytes;
}

bool read_said(const char* text, Settings* settings) {
  return take_number(&text, &settings->said_faults) && *text == 0;
}

/// Others read it: another part of pagerun, which judges the value itself, or a tool of those who build it.
bool accept(const char*, Settings*) { return true; }

struct Variable {
  const char* name;                                // behind the prefix
  bool (*read)(const char* text, Settings* into);  // false: wrong, and `into` is not used
  const char* expected;
  const char* otherwise;  // what holds when the value is wrong
};

constexpr char kFlag[] = "0 or 1";
constexpr char kPath[] = "a path of at most 4095 bytes";

constexpr Variable kVariables[] = {
    {"PROFILE", read_profile, "fast or hardened", "fast"},
    {"ON_MISUSE", read_on_misuse, "abort or report", "abort"},
    {"HARDEN", read_harden, "none, or names of policies with commas between, -name to take one away", "all"},
    {"PURGE_DELAY", read_purge_delay, "0 to 86400000 milliseconds, or off", "1000"},
    {"RSS_TARGET", read_rss_target, "bytes, or a number with K, M or G", "no target"},
    {"REPORT", read_report, kFlag, "0"},
    {"STATS_FILE", read_stats_file, kPath, "no file"},
    {"WITNESS_FILE", read_witness_file, kPath, "no file"},
    {"SAID", read_said, "the number that another process has put there", "nothing"},
    {"EXTERNAL_VIEWS", is_flag, kFlag, "1"},
    {"LEAK_WARNINGS", is_flag, kFlag, "0"},
    {"MARK_FD", accept, "", ""},
    {"MARK_FILE", accept, "", ""},
    {"NODE_PATH", accept, "", ""},
    {"RECORD", accept, "", ""},
    {"RECORD_EVENTS", accept, "", ""},
    {"TEXTBOOK", accept, "", ""},
    {"TEXTBOOK_ORIGIN", accept, "", ""},
    {"WERROR", accept, "", ""},
};
constexpr size_t kVariableCount = sizeof(kVariables) / sizeof(kVariables[0]);
static_assert(kVariableCount <= 64, "one bit of a word each");

/// Names of tests and of benches, which come and go.
constexpr const char* kFamilies[] = {"TEST_", "BENCH_"};

bool is_of_family(const char* name) {
  for (const char* family : kFamilies) {
    if (strncmp(name, family, strlen(family)) == 0) return true;
  }
  return false;
}

size_t variable_named(const char* name, size_t bytes) {
  size_t i = 0;
  while (i < kVariableCount && (strlen(kVariables[i].name) != bytes || memcmp(kVariables[i].name, name, bytes) != 0))
    i++;
  return i;
}

/// At most `kShownBytes` of the text as a terminal may be given it.
void add_shown(Line& line, const char* text, size_t bytes) {
  char shown[kShownBytes + 1];
  size_t length = bytes < kShownBytes ? bytes : kShownBytes;
  for (size_t i = 0; i < length; i++) shown[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
  shown[length] = 0;
  line.text(shown).text(bytes > kShownBytes ? "..." : "");
}

void say_unknown(const char* name, size_t bytes) {
  Line line;
  line.text("pagerun: ").text(kPrefix);
  add_shown(line, name, bytes);
  line.text(" is no setting of pagerun and is ignored");
  line.print();
}

void say_wrong(const Variable& variable, const char* value) {
  Line line;
  line.text("pagerun: ").text(kPrefix).text(variable.name).text("=");
  add_shown(line, value, strlen(value));
  line.text(" is ignored: expected ").text(variable.expected).text("; it is now ").text(variable.otherwise);
  line.print();
}

/// FNV-1a (Fowler, Noll, Vo 1991) of each fault's entry, added up: a shell may give its children another order.
void add_fault(const char* entry, Settings* settings) {
  constexpr uint64_t kBasis = 0xcbf29ce484222325, kPrime = 0x100000001b3;
  uint64_t hash = kBasis;
  for (; *entry != 0; entry++) hash = (hash ^ static_cast<unsigned char>(*entry)) * kPrime;
  settings->faults += hash;
}

/// One entry, given behind its prefix: a name, `=` and a value. `seen` has a bit for each variable that came before.
void parse_entry(const char* name, bool says, uint64_t* seen, Settings* settings) {
  size_t bytes = strcspn(name, "=");
  if (name[bytes] == 0 || is_of_family(name)) return;
  const char* value = name + bytes + 1;
  size_t i = variable_named(name, bytes);
  if (i == kVariableCount) {
    add_fault(name, settings);
    if (says) say_unknown(name, bytes);
    return;
  }
  bool is_first = (*seen >> i & 1) == 0;
  *seen |= uint64_t{1} << i;
  if (!is_first || *value == 0) return;
  Settings changed = *settings;
  if (kVariables[i].read(value, &changed)) {
    *settings = changed;
    return;
  }
  add_fault(name, settings);
  if (says) say_wrong(kVariables[i], value);
}

const char* const* environment_now() {
  if (environ != nullptr || &__libc_stack_end == nullptr || __libc_stack_end == nullptr) return environ;
  const char* const* arguments = static_cast<const char* const*>(__libc_stack_end) + 1;
  while (*arguments != nullptr) arguments++;
  return arguments + 1;
}

// Several threads, and a signal's handler, may come here at once: each reads into a place of its own, and the first
// that has finished is the one that counts.
constexpr size_t kPlaces = 4;
Settings places[kPlaces];
std::atomic<size_t> places_taken{0};
// The paths of each place: a program may write over its environment, to show another title.
char paths[kPlaces][2][kMaxPathBytes];

const char* keep(const char* path, char (&copy)[kMaxPathBytes]) {
  return path == nullptr ? nullptr : strcpy(copy, path);
}

}  // namespace

void settings_parse(const char* const* environment, bool says, Settings* settings) {
  uint64_t seen = 0;
  if (environment == nullptr) return;
  for (; *environment != nullptr; environment++) {
    if (strncmp(*environment, kPrefix, kPrefixBytes) == 0)
      parse_entry(*environment + kPrefixBytes, says, &seen, settings);
  }
}

[[gnu::noinline, gnu::cold]] const Settings& settings_read() {
  size_t place = places_taken.fetch_add(1, std::memory_order_relaxed);
  const Settings* first = nullptr;
  if (place >= kPlaces) {
    // acquire: as in settings()
    while ((first = settings_place.load(std::memory_order_acquire)) == nullptr) sched_yield();
    return *first;
  }
  const char* const* environment = getauxval(AT_SECURE) != 0 ? nullptr : environment_now();
  Settings& own = places[place];
  settings_parse(environment, false, &own);
  own.stats_file = keep(own.stats_file, paths[place][0]);
  own.witness_file = keep(own.witness_file, paths[place][1]);
  // release: pairs with settings(); acquire: another's place is read when that was first
  if (!settings_place.compare_exchange_strong(first, &own, std::memory_order_acq_rel)) return *first;
  if (own.faults == own.said_faults) return own;
  Settings said;
  settings_parse(environment, true, &said);
  return own;
}

}  // namespace pagerun
