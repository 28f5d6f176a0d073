// The settings of environment variables: what each value becomes, and what is said of a wrong one.
#include "base/settings.h"

#include <thread>
#include <utility>

#include "harness.h"

namespace pagerun {
namespace {

constexpr char kAtPreinit[] = "PAGERUN_TEST_AT_PREINIT=1";

// Runs before the C library's own beginning: `environ` is not set yet.
void at_preinit(int, char**, char** environment) {
  for (; *environment != nullptr; environment++) {
    if (strcmp(*environment, kAtPreinit) == 0) _exit(environ == nullptr && settings().purge_delay_ms == 77 ? 0 : 1);
  }
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const kPreinit)(int, char**, char**) = at_preinit;

/// The settings of an environment of these entries.
Settings parsed(std::vector<const char*> entries) {
  entries.push_back(nullptr);
  Settings settings;
  settings_parse(entries.data(), false, &settings);
  return settings;
}

/// What is said of these entries.
std::string said(std::vector<const char*> entries) {
  entries.push_back(nullptr);
  harness::ChildEnd end = harness::run_in_child([&] {
    Settings settings;
    settings_parse(entries.data(), true, &settings);
  });
  EXPECT_CLEAN(end);
  return end.output;
}

bool is_default(const Settings& settings) {
  Settings otherwise;
  return settings.profile == otherwise.profile && settings.on_misuse == otherwise.on_misuse &&
         settings.reports_at_exit == otherwise.reports_at_exit &&
         settings.harden_policies == otherwise.harden_policies && settings.purge_delay_ms == otherwise.purge_delay_ms &&
         settings.rss_target_bytes == otherwise.rss_target_bytes && settings.stats_file == nullptr &&
         settings.witness_file == nullptr && settings.said_faults == 0;
}

TEST("every right value becomes what it says, and nothing is said of it") {
  std::vector<const char*> entries = {"PATH=/bin",
                                      "PAGERUN_PROFILE=hardened",
                                      "PAGERUN_ON_MISUSE=report",
                                      "PAGERUN_REPORT=1",
                                      "PAGERUN_HARDEN=canary,sized",
                                      "PAGERUN_PURGE_DELAY=0",
                                      "PAGERUN_RSS_TARGET=512M",
                                      "PAGERUN_STATS_FILE=/a b/%p.json",
                                      "PAGERUN_WITNESS_FILE=w"};
  Settings settings = parsed(entries);
  EXPECT(settings.profile == Profile::kHardened);
  EXPECT(settings.on_misuse == OnMisuse::kReport);
  EXPECT(settings.reports_at_exit);
  EXPECT_EQ(settings.harden_policies, uint32_t{kHardenCanary | kHardenSized});
  EXPECT_EQ(settings.purge_delay_ms, 0);
  EXPECT_EQ(settings.rss_target_bytes, uint64_t{512} << 20);
  EXPECT_EQ(std::string(settings.stats_file), "/a b/%p.json");
  EXPECT_EQ(std::string(settings.witness_file), "w");
  EXPECT_EQ(said(entries), "");
}

TEST("an empty environment, none at all, and empty values are the defaults") {
  Settings settings;
  settings_parse(nullptr, true, &settings);
  EXPECT(is_default(settings));
  EXPECT(is_default(parsed({})));
  std::vector<const char*> empty = {
      "PAGERUN_PROFILE=",    "PAGERUN_ON_MISUSE=",  "PAGERUN_REPORT=",      "PAGERUN_HARDEN=",
      "PAGERUN_RSS_TARGET=", "PAGERUN_STATS_FILE=", "PAGERUN_PURGE_DELAY=", "PAGERUN_WITNESS_FILE="};
  EXPECT(is_default(parsed(empty)));
  EXPECT_EQ(said(empty), "");
}

struct Wrong {
  const char* entry;
  const char* line;
};

TEST("a wrong value leaves the default and gets one line") {
  const Wrong cases[] = {
      {"PAGERUN_PROFILE=Hardened", "expected fast or hardened; it is now fast"},
      {"PAGERUN_ON_MISUSE=ignore", "expected abort or report; it is now abort"},
      {"PAGERUN_REPORT=yes", "expected 0 or 1; it is now 0"},
      {"PAGERUN_EXTERNAL_VIEWS=no", "expected 0 or 1; it is now 1"},
      {"PAGERUN_LEAK_WARNINGS=2", "expected 0 or 1; it is now 0"},
      {"PAGERUN_PURGE_DELAY=10s", "expected 0 to 86400000 milliseconds, or off; it is now 1000"},
      {"PAGERUN_PURGE_DELAY=86400001", "expected 0 to 86400000 milliseconds, or off; it is now 1000"},
      {"PAGERUN_PURGE_DELAY=-2", "expected 0 to 86400000 milliseconds, or off; it is now 1000"},
      {"PAGERUN_PURGE_DELAY=99999999999999999999", "expected 0 to 86400000 milliseconds, or off; it is now 1000"},
      {"PAGERUN_RSS_TARGET=M", "expected bytes, or a number with K, M or G; it is now no target"},
      {"PAGERUN_RSS_TARGET=12MB", "expected bytes, or a number with K, M or G; it is now no target"},
      {"PAGERUN_RSS_TARGET=17179869184G", "expected bytes, or a number with K, M or G; it is now no target"},
      {"PAGERUN_RSS_TARGET=18446744073709551616", "expected bytes, or a number with K, M or G; it is now no target"},
  };
  for (const Wrong& wrong : cases) {
    EXPECT(is_default(parsed({wrong.entry})));
    EXPECT_EQ(said({wrong.entry}), std::string("pagerun: ") + wrong.entry + " is ignored: " + wrong.line + "\n");
  }
}

TEST("the policies of the hardened profile are chosen by name, or taken away by it") {
  auto policies = [](const char* entry) { return parsed({entry}).harden_policies; };
  EXPECT_EQ(policies("PAGERUN_HARDEN=none"), 0u);
  EXPECT_EQ(policies("PAGERUN_HARDEN=zero"), uint32_t{kHardenZero});
  EXPECT_EQ(policies("PAGERUN_HARDEN=-zero"), uint32_t{kHardenAll & ~kHardenZero});
  EXPECT_EQ(policies("PAGERUN_HARDEN=-zero,-random"), uint32_t{kHardenAll & ~kHardenZero & ~kHardenRandom});
  EXPECT_EQ(policies("PAGERUN_HARDEN=unmap,size0,guards,-size0"), uint32_t{kHardenUnmap | kHardenGuards});
  EXPECT_EQ(policies("PAGERUN_HARDEN=canary,zero,quarantine,random,guards,unmap,size0,sized"), uint32_t{kHardenAll});
  for (const char* wrong : {"canary,", ",canary", "-", "can", "canary zero", "canaryzero", "canary,none"}) {
    std::string entry = std::string("PAGERUN_HARDEN=") + wrong;
    EXPECT_EQ(policies(entry.c_str()), uint32_t{kHardenAll});
    EXPECT(said({entry.c_str()}).find("expected none, or names of policies") != std::string::npos);
  }
}

TEST("numbers have units of 1024, and the largest of all are taken") {
  auto target = [](const char* entry) { return parsed({entry}).rss_target_bytes; };
  EXPECT_EQ(target("PAGERUN_RSS_TARGET=4096"), 4096u);
  EXPECT_EQ(target("PAGERUN_RSS_TARGET=3k"), 3072u);
  EXPECT_EQ(target("PAGERUN_RSS_TARGET=3K"), 3072u);
  EXPECT_EQ(target("PAGERUN_RSS_TARGET=2g"), uint64_t{2} << 30);
  EXPECT_EQ(target("PAGERUN_RSS_TARGET=17179869183G"), uint64_t{17179869183} << 30);
  EXPECT_EQ(target("PAGERUN_RSS_TARGET=18446744073709551615"), UINT64_MAX);
  auto delay = [](const char* entry) { return parsed({entry}).purge_delay_ms; };
  EXPECT_EQ(delay("PAGERUN_PURGE_DELAY=86400000"), kMaxPurgeDelayMs);
  EXPECT_EQ(delay("PAGERUN_PURGE_DELAY=off"), kPurgeNever);
  EXPECT_EQ(delay("PAGERUN_PURGE_DELAY=-1"), kPurgeNever);
}

TEST("a path of 4095 bytes is taken, and a longer one is not") {
  std::string longest = "PAGERUN_STATS_FILE=" + std::string(kMaxPathBytes - 1, 'x');
  EXPECT_EQ(strlen(parsed({longest.c_str()}).stats_file), kMaxPathBytes - 1);
  longest += 'x';
  EXPECT(parsed({longest.c_str()}).stats_file == nullptr);
  EXPECT_EQ(said({longest.c_str()}), "pagerun: PAGERUN_STATS_FILE=" + std::string(64, 'x') +
                                         "... is ignored: expected a path of at most 4095 bytes; it is now no file\n");
}

TEST("of a name that occurs twice the first counts, as it does for getenv") {
  EXPECT(parsed({"PAGERUN_PROFILE=hardened", "PAGERUN_PROFILE=fast"}).profile == Profile::kHardened);
  EXPECT_EQ(said({"PAGERUN_PROFILE=hardened", "PAGERUN_PROFILE=wrong"}), "");
}

TEST("a name that is no setting gets a line, so that a typing error is seen; names of others do not") {
  EXPECT_EQ(said({"PAGERUN_PROFIL=hardened"}), "pagerun: PAGERUN_PROFIL is no setting of pagerun and is ignored\n");
  EXPECT_EQ(said({"PAGERUN_=1"}), "pagerun: PAGERUN_ is no setting of pagerun and is ignored\n");
  EXPECT_EQ(said({"PAGERUN_TEST_SEED=1", "PAGERUN_BENCH_IN_NODE=1", "PAGERUN_NODE_PATH=/x", "PAGERUN_MARK_FD=3",
                  "XPAGERUN_PROFIL=1", "PAGERUN", "PAGERUN_PROFILE", "pagerun_profile=x"}),
            "");
}

TEST("what is said of a value can do nothing to a terminal") {
  EXPECT_EQ(said({"PAGERUN_REPORT=\x1b[2J\n\xff"}),
            "pagerun: PAGERUN_REPORT=?[2J?? is ignored: expected 0 or 1; it is now 0\n");
}

TEST("the settings of a process are those of its environment when they were first asked for, copied") {
  char entry[] = "PAGERUN_STATS_FILE=first";
  putenv(entry);
  setenv("PAGERUN_PURGE_DELAY", "77", 1);
  const Settings& first = settings();
  memset(entry, 'x', sizeof(entry) - 1);
  setenv("PAGERUN_PURGE_DELAY", "78", 1);
  EXPECT_EQ(std::string(first.stats_file), "first");
  EXPECT_EQ(settings().purge_delay_ms, 77);
  EXPECT(&settings() == &first);
}

TEST("eight threads that ask at once get the same, and one line is said") {
  harness::ChildEnd end = harness::run_in_child([] {
    setenv("PAGERUN_PROFILE", "wrong", 1);
    setenv("PAGERUN_STATS_FILE", "here", 1);
    const Settings* seen[8] = {};
    std::vector<std::thread> threads;
    for (auto& place : seen) threads.emplace_back([&place] { place = &settings(); });
    for (std::thread& thread : threads) thread.join();
    for (const Settings* each : seen) EXPECT(each == seen[0] && std::string(each->stats_file) == "here");
  });
  EXPECT_CLEAN(end);
  EXPECT_EQ(end.output, "pagerun: PAGERUN_PROFILE=wrong is ignored: expected fast or hardened; it is now fast\n");
}

TEST("all that is wrong together has a number, in any order, which is another one for other faults and 0 for none") {
  auto faults = [](std::vector<const char*> entries) { return parsed(std::move(entries)).faults; };
  EXPECT_EQ(faults({"PAGERUN_PROFILE=fast", "PAGERUN_REPORT=1", "PATH=x"}), 0u);
  uint64_t one = faults({"PAGERUN_PROFILE=x"});
  EXPECT(one != 0);
  EXPECT_EQ(faults({"PATH=x", "PAGERUN_PROFILE=x", "PAGERUN_REPORT=1"}), one);
  for (const auto& other :
       {faults({"PAGERUN_PROFILE=y"}), faults({"PAGERUN_PROFIL=x"}), faults({"PAGERUN_PROFILE=x", "PAGERUN_REPORT=x"})})
    EXPECT(other != one && other != 0);
  EXPECT_EQ(faults({"PAGERUN_REPORT=x", "PAGERUN_FOO=1", "PAGERUN_PROFILE=x"}),
            faults({"PAGERUN_PROFILE=x", "PAGERUN_REPORT=x", "PAGERUN_FOO=1"}));
}

TEST("what another process has said of the same environment is not said again, and anything else is") {
  auto said_with = [](uint64_t said_faults) {
    harness::ChildEnd end = harness::run_in_child([said_faults] {
      setenv("PAGERUN_PROFILE", "wrong", 1);
      setenv("PAGERUN_SAID", std::to_string(said_faults).c_str(), 1);
      settings();
    });
    EXPECT_CLEAN(end);
    return end.output;
  };
  uint64_t faults = parsed({"PAGERUN_PROFILE=wrong"}).faults;
  EXPECT_EQ(said_with(faults), "");
  std::string line = "pagerun: PAGERUN_PROFILE=wrong is ignored: expected fast or hardened; it is now fast\n";
  EXPECT_EQ(said_with(faults + 1), line);
  EXPECT_EQ(said_with(0), line);
}

TEST("before the C library knows the environment, the settings are those of the environment all the same") {
  if (harness::kSanitized) return harness::skip("a sanitizer begins later than that");
  harness::ChildEnd end = harness::run_in_child([] {
    char program[] = "/proc/self/exe", delay[] = "PAGERUN_PURGE_DELAY=77", mark[sizeof(kAtPreinit)];
    strcpy(mark, kAtPreinit);
    char* arguments[] = {program, nullptr};
    char* environment[] = {delay, mark, nullptr};
    execve(program, arguments, environment);
    _exit(2);
  });
  EXPECT_CLEAN(end);
}

}  // namespace
}  // namespace pagerun
