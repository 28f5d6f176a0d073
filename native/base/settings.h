// What users choose through environment variables (docs/environment.md): one struct, read once, constant from then on.
// Owns the names, the values they take and the one line that is said of a wrong one. Does not act on any of them.
// Thread rule: any thread, any moment after the loader has bound this library: before main, and before the C library is
// ready. Allocates nothing and waits for nobody. A process with more rights than its caller has the defaults.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pagerun {

enum class Profile : uint8_t { kFast, kHardened };

#ifdef PAGERUN_DEFAULT_HARDENED
constexpr Profile kDefaultProfile = Profile::kHardened;
#else
constexpr Profile kDefaultProfile = Profile::kFast;
#endif

/// What follows a misuse from C: the line and abort(), or the line alone and the call refused.
enum class OnMisuse : uint8_t { kAbort, kReport };

/// The policies of the hardened profile, as bits of `Settings::harden_policies`.
enum HardenPolicy : uint32_t {
  kHardenCanary = 1 << 0,
  kHardenZero = 1 << 1,
  kHardenQuarantine = 1 << 2,
  kHardenRandom = 1 << 3,
  kHardenGuards = 1 << 4,
  kHardenUnmap = 1 << 5,
  kHardenSize0 = 1 << 6,
  kHardenSized = 1 << 7,
  kHardenAll = (1 << 8) - 1,
};

constexpr int64_t kPurgeNever = -1;
constexpr int64_t kDefaultPurgeDelayMs = 1000;
constexpr int64_t kMaxPurgeDelayMs = int64_t{24} * 60 * 60 * 1000;
constexpr size_t kMaxPathBytes = 4096;  // the zero at its end included

struct Settings {
  Profile profile = kDefaultProfile;              // PAGERUN_PROFILE=fast|hardened
  OnMisuse on_misuse = OnMisuse::kAbort;          // PAGERUN_ON_MISUSE=abort|report
  bool reports_at_exit = false;                   // PAGERUN_REPORT=0|1
  uint32_t harden_policies = kHardenAll;          // PAGERUN_HARDEN=canary,zero,... or -name,...
  int64_t purge_delay_ms = kDefaultPurgeDelayMs;  // PAGERUN_PURGE_DELAY=milliseconds|off; or kPurgeNever
  uint64_t rss_target_bytes = 0;                  // PAGERUN_RSS_TARGET=bytes, or with K, M, G; 0: none
  const char* stats_file = nullptr;               // PAGERUN_STATS_FILE=path
  const char* witness_file = nullptr;             // PAGERUN_WITNESS_FILE=path
  uint64_t said_faults = 0;                       // PAGERUN_SAID=number: the faults that were said already
  uint64_t faults = 0;  // a number for all that is wrong in the environment, other than for anything else; 0: nothing
};

extern std::atomic<const Settings*> settings_place;
const Settings& settings_read();

/// The settings of this process: those of its environment when they were first asked for.
inline const Settings& settings() {
  // acquire: pairs with settings_read(), which fills what it then points to
  const Settings* place = settings_place.load(std::memory_order_acquire);
  return __builtin_expect(place != nullptr, 1) ? *place : settings_read();
}

/// Reads `environment`, a list as `environ` is one (null: empty), into `settings`, which holds the defaults. Of a name
/// that occurs twice the first counts, and an empty value is none. Paths point into the list. `says` whether a wrong
/// value or an unknown name gets its line on standard error.
void settings_parse(const char* const* environment, bool says, Settings* settings);

}  // namespace pagerun
