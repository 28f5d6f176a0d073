// Builds what the tests run: the addon's own build when it is missing or old, and CMake builds in their folders.
import { readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Ended, type RunOptions, root, run } from "./steps.js";
import { ensure } from "./system-tools.js";

const require = createRequire(import.meta.url);
const quiet: RunOptions = { quiet: true };
const parallel = String(Math.min(8, availableParallelism()));

/** Time of the last change of a file, or of the newest file in a folder; 0 when there is none. */
function changedAt(path: string): number {
  try {
    const status = statSync(path);
    if (!status.isDirectory()) return status.mtimeMs;
    return Math.max(0, ...readdirSync(path).map((name) => changedAt(join(path, name))));
  } catch {
    return 0;
  }
}

/** True when build/Release holds everything, newer than every source. */
export function isBuilt(): boolean {
  const results = ["pagerun.node", "libpagerun.so", "librecorder.so", "libtextbook.so", "pagerun_bench"];
  const built = Math.min(...results.map((name) => changedAt(join(root, "build/Release", name))));
  const changed = Math.max(...["native", "bench/native", "binding.gyp"].map((name) => changedAt(join(root, name))));
  return built > changed;
}

/** Arguments for node that bring build/Release up to date. */
export const nodeGyp = [require.resolve("node-gyp/bin/node-gyp.js"), "configure", "build", "--release", "-j", parallel];

export type Definitions = Record<string, string>;

/** Configures and builds with cmake-js in `directory`: everything, addon included, or one target. */
export async function cmakeJs(directory: string, definitions: Definitions = {}, target?: string): Promise<Ended> {
  const program = require.resolve("cmake-js/bin/cmake-js");
  const defines = Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`);
  const configured = await run(process.execPath, [program, "configure", "--out", directory, ...defines], quiet);
  if (configured.code !== 0) return configured;
  const only = target === undefined ? [] : ["--target", target];
  return run(process.execPath, [program, "build", "--out", directory, "--parallel", parallel, ...only], quiet);
}

/** Configures with cmake alone, and builds the C++ test programs, in `directory`. */
export async function cmakeTests(directory: string, definitions: Definitions = {}): Promise<Ended> {
  const defines = Object.entries({ PAGERUN_TESTS: "ON", ...definitions }).map(([name, value]) => `-D${name}=${value}`);
  const args = ["-S", ".", "-B", directory, "-DCMAKE_BUILD_TYPE=Release", ...defines];
  const configured = await run("cmake", args, quiet);
  if (configured.code !== 0) return configured;
  return run("cmake", ["--build", directory, "--parallel", parallel, "--target", "pagerun_tests"], quiet);
}

/** The folder of the C++ test programs, built for a command that needs them; ends the process where that fails. */
export async function cmakeTestsOrExit(): Promise<string> {
  const directory = "build-test/cpp";
  if (ensure(["cmake", "g++"]).length > 0) process.exit(1);
  const built = await cmakeTests(directory);
  if (built.code === 0) return join(root, directory, "Release");
  console.error(built.output);
  process.exit(1);
}
