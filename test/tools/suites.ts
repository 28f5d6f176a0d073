// The suites of the test commands: vitest and the C++ test programs, each run and counted test by test.
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { cmake } from "./native-build.mjs";
import { closingLine, count, heading, run, scratch } from "./steps.mjs";

const require = createRequire(import.meta.url);

/** Runs vitest and counts its tests; a file that cannot be loaded counts as a failed test. */
export async function vitest(what, args = [], options = {}) {
  heading(what);
  const file = `${scratch()}/vitest-${what.replaceAll(/\W+/g, "-")}.json`;
  rmSync(file, { force: true });
  const program = require.resolve("vitest/vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const { code } = await run(process.execPath, [program, "run", ...reporters, ...args], options);
  const result = vitestCounts(file, code);
  count(what, result);
  console.log(`${what}: ${closingLine(result)}`);
}

function vitestCounts(file, code) {
  try {
    const report = JSON.parse(readFileSync(file, "utf8"));
    const passed = report.numPassedTests;
    const skipped = report.numPendingTests + report.numTodoTests;
    const unloaded = report.testResults.filter(
      (suite) => suite.status === "failed" && suite.assertionResults.length === 0,
    );
    const failed = report.numFailedTests + unloaded.length;
    // An exit code of failure that no test explains (an error outside of any test) is a failure too.
    return { passed, skipped, failed: failed === 0 && code !== 0 ? 1 : failed };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

/**
 * Builds the C++ test programs in `directory`, runs them through ctest, and counts their own tests: each prints
 * "N passed, N failed" as its last line. A program that ends without it counts as one failed test.
 */
export async function cppTests(what, directory, { definitions = {}, wrapper = [], env = {} } = {}) {
  heading(what);
  const built = await cmake(directory, { PAGERUN_TESTS: "ON", ...definitions }, { quiet: true });
  if (built.code !== 0) {
    console.log(built.output);
    console.log(`${what}: the build FAILED`);
    count(what, { failed: 1 });
    return;
  }
  const [program, ...args] = [...wrapper, "ctest", "--test-dir", directory, "--verbose", "--parallel", "2"];
  const { output, code } = await run(program, args, { env, quiet: true });
  const result = ctestCounts(output);
  if (code !== 0 && result.failed === 0) result.failed = 1;
  console.log(result.failed > 0 ? output : programLines(output).join("\n"));
  count(what, result);
  console.log(`${what}: ${closingLine(result)}`);
}

/** The line in which ctest tells how a program ended: number, name, and the word for how. */
const ended = /^\s*\d+\/\d+ Test\s+#(\d+): (\S+) \.*\s*(Passed|\*\*\*\S+)/gm;

function programLines(output) {
  return [...output.matchAll(ended)].map(([, number, name]) => {
    const line = ownLine(output, number);
    return `  ${name}: ${line ? line[0] : "no closing line"}`;
  });
}

function ownLine(output, number) {
  const lines = [
    ...output.matchAll(new RegExp(`(?<=^${number}: )(\\d+) passed, (\\d+) failed(?=(?:, \\d+ skipped)?\\s*$)`, "gm")),
  ];
  return lines.at(-1);
}

/** Adds up the closing lines of all programs in ctest's verbose output. */
export function ctestCounts(output) {
  const sum = { passed: 0, failed: 0 };
  for (const [, number, , how] of output.matchAll(ended)) {
    const line = ownLine(output, number);
    const failed = line ? Number(line[2]) : 0;
    sum.passed += line ? Number(line[1]) : 0;
    sum.failed += failed;
    if (failed === 0 && (line === undefined || how !== "Passed")) sum.failed += 1;
  }
  return sum;
}
