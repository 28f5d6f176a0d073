// The addon built with AddressSanitizer and UBSan, and the environment in which Node.js runs on it.
// Why leaks are not looked for: blocks of ours are no roots to that search, so what only they point to would be named.
import { execFileSync } from "node:child_process";
import { cmakeJs } from "./native-build.js";
import { root } from "./steps.js";

const directory = "build-test/address-node";

export const addressOptions = {
  ASAN_OPTIONS: "detect_leaks=0:allocator_may_return_null=1:detect_stack_use_after_return=0:verify_asan_link_order=0",
  UBSAN_OPTIONS: "print_stacktrace=1:halt_on_error=1",
};

function compilersLibrary(name: string): string {
  return execFileSync("g++", [`-print-file-name=${name}`], { encoding: "utf8" }).trim();
}

/** Builds the addon; returns the environment for Node.js, or what the build printed when it failed. */
export async function buildAddressAddon(): Promise<{ env: Record<string, string> } | { output: string }> {
  const built = await cmakeJs(directory, { PAGERUN_SANITIZE: "address" }, "pagerun_node");
  if (built.code !== 0) return { output: built.output };
  const env = {
    ...addressOptions,
    LD_PRELOAD: ["libasan.so", "libubsan.so"].map(compilersLibrary).join(":"),
    PAGERUN_NODE_PATH: `${root}/${directory}/Release/pagerun.node`,
    PAGERUN_TEST_SANITIZER: "address",
  };
  return { env };
}
