// How many tests passed: read from vitest's report and from ctest's output. Pure functions, tested by themselves.
import type { Counts } from "./steps.js";

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { name: string; status: string; assertionResults: { status: string; fullName: string }[] }[];
}

/** Counts of vitest's JSON report; a failure that no test explains (a file that does not load, a crash) is one more. */
export function vitestCounts(text: string, exitCode: number): Counts {
  let report: VitestReport;
  try {
    report = JSON.parse(text) as VitestReport;
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const unloaded = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
  const failed = report.numFailedTests + unloaded.length;
  return {
    passed: report.numPassedTests,
    skipped: report.numPendingTests + report.numTodoTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
  };
}

/** Names of the tests that failed in vitest's JSON report, and of the files that did not load. */
export function vitestFailures(text: string): string[] {
  let report: VitestReport;
  try {
    report = JSON.parse(text) as VitestReport;
  } catch {
    return [];
  }
  return report.testResults
    .filter((file) => file.status === "failed")
    .flatMap((file) => {
      const tests = file.assertionResults.filter((found) => found.status === "failed");
      return tests.length === 0 ? [file.name] : tests.map((found) => found.fullName);
    });
}

/** The line in which ctest tells how a program ended: number, name, and how. */
const ended = /^\s*\d+\/\d+ Test\s+#(\d+): (\S+) \.*\s*(Passed|[\w ]*\*\*\*.*?)\s+[\d.]+ sec/gm;

/**
 * Counts of ctest's verbose output. Every program prints "N passed, N failed" as its last such line; one that ends
 * without it, or with an exit code that contradicts it, is one failed test.
 */
export function ctestCounts(output: string, exitCode: number): Counts & { programs: string[] } {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const programs: string[] = [];
  for (const [, number, name, how] of output.matchAll(ended)) {
    const own = [...output.matchAll(new RegExp(`^${number}: (\\d+) passed, (\\d+) failed\\s*$`, "gm"))].at(-1);
    const failed = own ? Number(own[2]) : 0;
    sum.passed += own ? Number(own[1]) : 0;
    sum.failed += failed === 0 && (own === undefined || how !== "Passed") ? 1 : failed;
    programs.push(`${name}: ${own ? `${own[1]} passed, ${own[2]} failed` : "no closing line"} (${how})`);
  }
  if (sum.failed === 0 && (exitCode !== 0 || programs.length === 0)) sum.failed = 1;
  return { ...sum, programs };
}
