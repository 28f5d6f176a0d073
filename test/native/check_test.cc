// A broken invariant of our own: what is said, and that others can know of it before the process ends.
#include "base/check.h"

#include "harness.h"

namespace pagerun {
namespace {

TEST("a check that fails says its condition and ends by SIGABRT, and one that holds does nothing") {
  EXPECT(!has_check_failed());
  CHECK(1 + 1 == 2);
  EXPECT(!has_check_failed());
  harness::ChildEnd end = harness::run_in_child([] { CHECK(1 + 1 == 3); });
  EXPECT_EQ(end.signal, SIGABRT);
  EXPECT_EQ(end.output.find("pagerun: broken invariant: 1 + 1 == 3 at "), 0u);
  end = harness::run_in_child([] { CHECK_AT(false, "all is well", nullptr); });
  EXPECT_DEATH(end, SIGABRT, "pagerun: broken invariant: all is well at 0x0\n");
}

TEST("a handler of SIGABRT is told that a check has failed: nothing is to be walked then") {
  harness::ChildEnd end = harness::run_in_child([] {
    struct sigaction action = {};
    action.sa_handler = [](int) { _exit(has_check_failed() ? 0 : 1); };
    sigaction(SIGABRT, &action, nullptr);
    CHECK(false);
  });
  EXPECT_EQ(end.output.find("pagerun: broken invariant: false at "), 0u);
  EXPECT_EQ(end.exit_code, 0);
}

}  // namespace
}  // namespace pagerun
