// npm run test:sanitize: the C++ tests under AddressSanitizer + UBSan and under ThreadSanitizer, and the bindings' tests
// on an addon built with AddressSanitizer + UBSan.
import { spawnSync } from "node:child_process";
import { arch } from "node:os";
import { addressOptions, buildAddressAddon } from "./address-addon.js";
import { count, finish, handOnSignals, heading } from "./steps.js";
import { cppTests, vitest } from "./suites.js";
import { ensure } from "./system-tools.js";

handOnSignals();
if (ensure(["cmake"]).length > 0) {
  count("programs that the tests need", { failed: 1 });
  finish();
}

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
const addon = await buildAddressAddon();
if ("env" in addon) {
  // The sanitizer's own memory is larger than any limit on address space that a test sets.
  const withoutLimits = "--testNamePattern=^(?!.*limit on address space)";
  await vitest("bindings under ASan and UBSan", ["test/bindings/", "test/workers/", withoutLimits], addon);
} else {
  console.log(addon.output);
  count("addon with ASan and UBSan", { failed: 1 });
}
finish();
