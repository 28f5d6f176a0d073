// The frame of every C++ test program: tests named as sentences, checks that print both values, children that may die,
// random numbers with a printed seed. Owns main(); a program is one file that includes this one.
// Thread rule: checks may be made from any thread; tests run one after the other.
//
//   program [--filter text] [--list] [--seed n] [--here]      the seed also comes from PAGERUN_TEST_SEED
//
// Every test runs in a child process of its own, so that each begins with a fresh heap and one that dies is one
// failure;
// --here runs them in this process, for a debugger.
// The last line on standard output is "N passed, N failed"; the exit code is 1 when anything failed.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace harness {

#ifdef __SANITIZE_THREAD__
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif
#ifdef __SANITIZE_ADDRESS__
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif
constexpr bool kSanitized = kThreadSanitizer || kAddressSanitizer;

/// A number of rounds, made smaller where every step costs more. At least 1.
constexpr uint64_t rounds(uint64_t plain) {
  uint64_t scaled = kThreadSanitizer ? plain / 10 : kAddressSanitizer ? plain / 4 : plain;
  return scaled == 0 ? 1 : scaled;
}

struct Test {
  const char* sentence;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Registration {
  Registration(const char* sentence, void (*body)()) { tests().push_back({sentence, body}); }
};

inline std::atomic<uint64_t> failed_checks{0};  // of the running test
inline std::string skip_reason;                 // of the running test; empty when it was not skipped
constexpr uint64_t kPrintedFailures = 12;       // of one test; the others are only counted

/// Ends a test that cannot be made here; the caller returns behind it.
inline void skip(const char* reason) { skip_reason = reason; }

template <class T>
std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, std::nullptr_t>) {
    return "null";
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<long long>(value));
  } else if constexpr (std::is_convertible_v<T, std::string_view>) {
    return "\"" + std::string(std::string_view(value)) + "\"";
  } else if constexpr (std::is_pointer_v<T>) {
    char buffer[32];
    snprintf(buffer, sizeof(buffer), "0x%" PRIxPTR, reinterpret_cast<uintptr_t>(value));
    return buffer;
  } else {
    return std::to_string(value);
  }
}

inline bool report_failure(const char* file, int line, const std::string& what) {
  if (failed_checks.fetch_add(1) < kPrintedFailures) fprintf(stderr, "  %s:%d: %s\n", file, line, what.c_str());
  return false;
}

inline bool expect(bool holds, const char* file, int line, const char* text) {
  return holds || report_failure(file, line, std::string("expected ") + text);
}

template <class A, class B>
bool expect_equal(const A& a, const B& b, const char* file, int line, const char* a_text, const char* b_text) {
  if (a == b) return true;
  return report_failure(file, line,
                        std::string(a_text) + " == " + b_text + ", but " + text_of(a) + " != " + text_of(b));
}

template <class A, class B>
bool expect_at_most(const A& a, const B& b, const char* file, int line, const char* a_text, const char* b_text) {
  if (a <= b) return true;
  return report_failure(file, line, std::string(a_text) + " <= " + b_text + ", but " + text_of(a) + " > " + text_of(b));
}

/// A small fast generator (splitmix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t x = state_ += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }
  /// 0 .. end-1; end must not be 0.
  uint64_t below(uint64_t end) { return next() % end; }
  /// low .. high, both included.
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  bool one_in(uint64_t n) { return below(n) == 0; }

 private:
  uint64_t state_;
};

inline uint64_t chosen_seed = 0;
inline std::vector<std::string> program_arguments;

/// The program's seed, printed at its start, so that a failure can be repeated.
inline uint64_t seed() { return chosen_seed; }

/// The value behind an option of the program's own, such as --operations 1000; `otherwise` without it.
inline uint64_t option(const char* name, uint64_t otherwise) {
  for (size_t i = 0; i + 1 < program_arguments.size(); i++) {
    if (program_arguments[i] == name) return strtoull(program_arguments[i + 1].c_str(), nullptr, 10);
  }
  return otherwise;
}

/// How a child process ended.
struct ChildEnd {
  bool timed_out = false;
  int exit_code = -1;  // -1 when a signal ended it
  int signal = 0;      // 0 when it exited
  std::string output;  // of its standard error
};

constexpr int kChildSeconds = 120;

inline void read_until_end(int from, pid_t child, int seconds, ChildEnd* end) {
  timespec start = {}, now = {};
  clock_gettime(CLOCK_MONOTONIC, &start);
  char buffer[4096];
  for (;;) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    auto left = static_cast<int>(start.tv_sec + seconds - now.tv_sec) * 1000;
    pollfd waiting = {from, POLLIN, 0};
    int ready = left <= 0 ? 0 : poll(&waiting, 1, left);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      end->timed_out = true;
      kill(child, SIGKILL);
      return;
    }
    ssize_t got = read(from, buffer, sizeof(buffer));
    if (got <= 0) return;
    end->output.append(buffer, static_cast<size_t>(got));
  }
}

/// Runs `body` in a child process. The child exits with 0, or with 1 when a check in it failed.
template <class Body>
ChildEnd run_in_child(Body&& body, int seconds = kChildSeconds) {
  ChildEnd end;
  int ends[2];
  if (pipe(ends) != 0) return end;
  fflush(stdout);
  fflush(stderr);
  pid_t child = fork();
  if (child == 0) {
    rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    failed_checks = 0;
    body();
    fflush(stderr);
    _exit(failed_checks == 0 ? 0 : 1);
  }
  close(ends[1]);
  if (child > 0) {
    read_until_end(ends[0], child, seconds, &end);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  }
  close(ends[0]);
  return end;
}

inline std::string text_of_end(const ChildEnd& end) {
  std::string how = end.timed_out     ? "was killed after its time"
                    : end.signal != 0 ? "ended by signal " + std::to_string(end.signal)
                                      : "exited with " + std::to_string(end.exit_code);
  return "the child " + how + "; its standard error:\n" + end.output;
}

inline bool expect_clean(const ChildEnd& end, const char* file, int line) {
  return (end.exit_code == 0 && !end.timed_out) || report_failure(file, line, text_of_end(end));
}

inline bool expect_death(const ChildEnd& end, int signal, const std::string& message, const char* file, int line) {
  if (!end.timed_out && end.signal == signal && end.output == message) return true;
  return report_failure(
      file, line, "expected signal " + std::to_string(signal) + " and \"" + message + "\", but " + text_of_end(end));
}

enum class Outcome { kPassed, kFailed, kSkipped };

inline double seconds_now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

inline Outcome run_here(const Test& test) {
  failed_checks = 0;
  skip_reason.clear();
  double start = seconds_now();
  test.body();
  uint64_t failed = failed_checks;
  Outcome outcome = failed != 0 ? Outcome::kFailed : skip_reason.empty() ? Outcome::kPassed : Outcome::kSkipped;
  if (failed > kPrintedFailures) fprintf(stderr, "  and %" PRIu64 " more failed checks\n", failed - kPrintedFailures);
  const char* result = outcome == Outcome::kFailed ? "FAILED" : outcome == Outcome::kSkipped ? "skipped" : "ok";
  printf("%s: %s (%.2f s)%s%s\n", result, test.sentence, seconds_now() - start, skip_reason.empty() ? "" : ": ",
         skip_reason.c_str());
  fflush(stdout);
  return outcome;
}

inline Outcome run_in_own_process(const Test& test) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(static_cast<int>(run_here(test)));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  bool has_outcome = WIFEXITED(status) && WEXITSTATUS(status) <= static_cast<int>(Outcome::kSkipped);
  if (has_outcome) return static_cast<Outcome>(WEXITSTATUS(status));
  const char* how = WIFSIGNALED(status) ? "signal" : "exit code";
  printf("FAILED: %s: ended by %s %d\n", test.sentence, how,
         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return Outcome::kFailed;
}

struct Options {
  const char* filter = "";
  bool only_list = false;
  bool runs_here = false;
};

inline Options options_read(int argc, char** argv) {
  Options options;
  if (const char* from_environment = getenv("PAGERUN_TEST_SEED")) chosen_seed = strtoull(from_environment, nullptr, 10);
  for (int i = 1; i < argc; i++) {
    program_arguments.emplace_back(argv[i]);
    bool has_value = i + 1 < argc;
    if (strcmp(argv[i], "--list") == 0) options.only_list = true;
    if (strcmp(argv[i], "--here") == 0) options.runs_here = true;
    if (strcmp(argv[i], "--filter") == 0 && has_value) options.filter = argv[i + 1];
    if (strcmp(argv[i], "--seed") == 0 && has_value) chosen_seed = strtoull(argv[i + 1], nullptr, 10);
  }
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  if (chosen_seed == 0) chosen_seed = static_cast<uint64_t>(now.tv_nsec) + 1;
  return options;
}

inline int run_all(int argc, char** argv) {
  Options options = options_read(argc, argv);
  int counts[3] = {};
  if (!options.only_list) printf("seed %" PRIu64 " (--seed %" PRIu64 " repeats it)\n", seed(), seed());
  for (const Test& test : tests()) {
    if (strstr(test.sentence, options.filter) == nullptr) continue;
    if (options.only_list) {
      printf("%s\n", test.sentence);
      continue;
    }
    counts[static_cast<int>(options.runs_here ? run_here(test) : run_in_own_process(test))]++;
  }
  if (options.only_list) return 0;
  int failed = counts[static_cast<int>(Outcome::kFailed)], skipped = counts[static_cast<int>(Outcome::kSkipped)];
  if (skipped > 0) printf("%d skipped\n", skipped);
  printf("%d passed, %d failed\n", counts[static_cast<int>(Outcome::kPassed)], failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace harness

#define HARNESS_JOIN_(a, b) a##b
#define HARNESS_JOIN(a, b) HARNESS_JOIN_(a, b)
#define HARNESS_TEST(sentence, name)                                       \
  static void name();                                                      \
  static harness::Registration HARNESS_JOIN(name, _entry)(sentence, name); \
  static void name()

/// TEST("a sentence that says what holds") { ... }
#define TEST(sentence) HARNESS_TEST(sentence, HARNESS_JOIN(test_at_line_, __LINE__))

// Each is an expression: true when the check held. A failed check is counted and the test goes on.
#define EXPECT(condition) harness::expect(static_cast<bool>(condition), __FILE__, __LINE__, #condition)
#define EXPECT_EQ(a, b) harness::expect_equal(a, b, __FILE__, __LINE__, #a, #b)
#define EXPECT_AT_MOST(a, b) harness::expect_at_most(a, b, __FILE__, __LINE__, #a, #b)
#define EXPECT_CLEAN(child_end) harness::expect_clean(child_end, __FILE__, __LINE__)
#define EXPECT_DEATH(child_end, signal, message) harness::expect_death(child_end, signal, message, __FILE__, __LINE__)

// A child of a process with several threads may make threads of its own; that is what some tests are about.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

// A fuzzer brings its own.
#ifndef PAGERUN_FUZZER
int main(int argc, char** argv) { return harness::run_all(argc, argv); }
#endif
