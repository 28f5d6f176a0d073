// The sums of the test command: a suite that crashes, or ends early, must not look like one that passed.
import { describe, expect, test } from "vitest";
import { ctestCounts, vitestCounts, vitestFailures } from "../tools/counts.js";

const passedProgram = [
  "test 1",
  "1: a test of something",
  "1: 12 passed, 0 failed",
  "1/2 Test #1: bits_test ........................   Passed    0.02 sec",
].join("\n");

describe("counts of ctest", () => {
  test("each program's own tests are added up", () => {
    const output = `${passedProgram}\n2: 3 passed, 1 failed\n2/2 Test #2: list_test ...***Failed    0.02 sec\n`;
    expect(ctestCounts(output, 8)).toMatchObject({ passed: 15, failed: 1 });
  });

  test("a program that crashes counts as a failure, whatever it had printed", () => {
    const silent = `${passedProgram}\n2/2 Test #2: list_test .....***Exception: SegFault  0.02 sec\n`;
    expect(ctestCounts(silent, 8)).toMatchObject({ passed: 12, failed: 1 });
    const how = "Subprocess aborted***Exception:   0.02 sec";
    const late = `${passedProgram}\n2: 3 passed, 0 failed\n2/2 Test #2: list_test ........${how}\n`;
    expect(ctestCounts(late, 8)).toMatchObject({ passed: 15, failed: 1 });
  });

  test("a run without any program is a failure", () => {
    expect(ctestCounts("No tests were found!!!\n", 0)).toMatchObject({ passed: 0, failed: 1 });
  });
});

describe("counts of vitest", () => {
  const report = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 1, numTodoTests: 0, testResults: [] };

  test("passed, failed and skipped tests are taken over", () => {
    expect(vitestCounts(JSON.stringify(report), 0)).toEqual({ passed: 5, failed: 0, skipped: 1 });
  });

  test("a file that does not load, a missing report and an unexplained exit code are failures", () => {
    const unloaded = { ...report, testResults: [{ status: "failed", assertionResults: [] }] };
    expect(vitestCounts(JSON.stringify(unloaded), 1).failed).toBe(1);
    expect(vitestCounts("", 1).failed).toBe(1);
    expect(vitestCounts(JSON.stringify(report), 1).failed).toBe(1);
  });

  test("what failed is named", () => {
    const tests = [
      { status: "failed", fullName: "a heap > grows" },
      { status: "passed", fullName: "a heap > shrinks" },
    ];
    const testResults = [
      { name: "heap.test.ts", status: "failed", assertionResults: tests },
      { name: "broken.test.ts", status: "failed", assertionResults: [] },
      { name: "good.test.ts", status: "passed", assertionResults: [tests[1]] },
    ];
    expect(vitestFailures(JSON.stringify({ ...report, testResults }))).toEqual(["a heap > grows", "broken.test.ts"]);
    expect(vitestFailures("")).toEqual([]);
  });
});
