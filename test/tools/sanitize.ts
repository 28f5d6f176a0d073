// npm run test:sanitize: the C++ tests under AddressSanitizer + UBSan and under ThreadSanitizer, and the bindings' tests
// on an addon built with AddressSanitizer + UBSan.
// Why leaks are not looked for: blocks of ours are no roots to that search, so what only they point to would be named.
import { execFileSync, spawnSync } from "node:child_process";
import { arch } from "node:os";
import { cmakeJs } from "./native-build.js";
import { count, finish, handOnSignals, heading, root } from "./steps.js";
import { cppTests, vitest } from "./suites.js";
import { ensure } from "./system-tools.js";

handOnSignals();
if (ensure(["cmake"]).length > 0) {
  count("programs that the tests need", { failed: 1 });
  finish();
}

const addressOptions = {
  ASAN_OPTIONS: "detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=0:verify_asan_link_order=0",
  UBSAN_OPTIONS: "print_stacktrace=1:halt_on_error=1",
};

await cppTests("C++ tests under ASan and UBSan", "build-test/address", {
  definitions: { PAGERUN_SANITIZE: "address" },
  env: addressOptions,
});

// ThreadSanitizer of this age does not start where the kernel spreads mappings widely, so that is switched off for it.
const canFixAddresses = spawnSync("setarch", ["-R", "true"]).status === 0;
await cppTests("C++ tests under TSan", "build-test/thread", {
  definitions: { PAGERUN_SANITIZE: "thread" },
  wrapper: canFixAddresses ? ["setarch", "-R"] : [],
  env: { TSAN_OPTIONS: "halt_on_error=1:second_deadlock_stack=1" },
});

heading(`addon with ASan and UBSan (${arch()})`);
const built = await cmakeJs("build-test/address-node", { PAGERUN_SANITIZE: "address" }, "pagerun_node");
if (built.code === 0) {
  const library = (name: string) => execFileSync("g++", [`-print-file-name=${name}`], { encoding: "utf8" }).trim();
  // The sanitizer's own memory is larger than any limit on address space that a test sets.
  const withoutLimits = "--testNamePattern=^(?!.*limit on address space)";
  await vitest("bindings under ASan and UBSan", ["test/bindings/", "test/workers/", withoutLimits], {
    env: {
      ...addressOptions,
      LD_PRELOAD: [library("libasan.so"), library("libubsan.so")].join(":"),
      PAGERUN_NODE_PATH: `${root}/build-test/address-node/Release/pagerun.node`,
      PAGERUN_TEST_SANITIZER: "address",
    },
  });
} else {
  console.log(built.output);
  count("addon with ASan and UBSan", { failed: 1 });
}
finish();
