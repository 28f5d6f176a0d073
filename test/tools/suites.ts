// The suites of the test commands: vitest and the C++ test programs, each run and counted test by test.
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ctestCounts, vitestCounts, vitestFailures } from "./counts.js";
import { cmakeTests, type Definitions } from "./native-build.js";
import { closingLine, count, heading, type RunOptions, run, scratch } from "./steps.js";

const require = createRequire(import.meta.url);

/** Runs vitest and counts its tests; a file that cannot be loaded counts as a failed test. */
export async function vitest(what: string, args: readonly string[] = [], options: RunOptions = {}): Promise<void> {
  heading(what);
  const file = `${scratch()}/vitest-${what.replaceAll(/\W+/g, "-")}.json`;
  rmSync(file, { force: true });
  const program = join(dirname(require.resolve("vitest/package.json")), "vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const { code } = await run(process.execPath, [program, "run", ...reporters, ...args], options);
  const report = readReport(file);
  const result = vitestCounts(report, code);
  count(what, result, vitestFailures(report));
  console.log(`${what}: ${closingLine(result)}`);
}

function readReport(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

export interface CppOptions {
  definitions?: Definitions;
  /** A command in front of ctest. */
  wrapper?: readonly string[];
  env?: Record<string, string>;
}

/** Builds the C++ test programs in `directory`, runs them through ctest, and counts their own tests. */
export async function cppTests(what: string, directory: string, options: CppOptions = {}): Promise<void> {
  const { definitions = {}, wrapper = [], env = {} } = options;
  heading(what);
  const built = await cmakeTests(directory, definitions);
  if (built.code !== 0) {
    console.log(`${built.output}\n${what}: the build FAILED`);
    count(what, { failed: 1 });
    return;
  }
  const command = [...wrapper, "ctest", "--test-dir", directory, "--verbose", "--parallel", "2"];
  const { output, code } = await run(command[0] as string, command.slice(1), { env, quiet: true });
  const { programs, ...result } = ctestCounts(output, code);
  if (result.failed > 0) console.log(output);
  for (const program of programs) console.log(`  ${program}`);
  count(what, result);
  console.log(`${what}: ${closingLine(result)}`);
}
