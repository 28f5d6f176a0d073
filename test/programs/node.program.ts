// Every supported version of Node.js on pagerun: the smoke test, one heap for JavaScript and the process, and vitest.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  execute,
  expectOnPagerun,
  folder,
  freshFolder,
  library,
  plainEnvironment,
  preloadedEnvironment,
  root,
  runPreloaded,
  witnessedIn,
} from "./preload.js";

const versions = [20, 22, 24, 26].map((version) => ({
  version,
  node: join(folder, `runtimes/node_modules/node${version}/bin/node`),
}));

/** A part of this project's own tests: on the addon, and on files. */
const ownTests = ["heap", "misuse", "pages", "shared", "struct"].map((name) => `test/bindings/${name}.test.ts`);
ownTests.push("test/structure/words.test.ts");

interface Report {
  testResults: { assertionResults: { status: string; fullName: string }[] }[];
}

/** Runs vitest with this node; returns the names of the tests that passed. */
async function vitestWith(node: string, cwd: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const report = join(cwd, "report.json");
  const program = join(root, "node_modules/vitest/vitest.mjs");
  const args = [program, "run", "--root", root, "--reporter=json", `--outputFile.json=${report}`, ...ownTests];
  const { status, stderr } = await execute({ command: node, args }, { cwd, env });
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report;
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const named = (how: string) => tests.filter((found) => found.status === how).map(({ fullName }) => fullName);
  expect({ failed: named("failed"), status, stderr }).toEqual({ failed: [], status: 0, stderr: "" });
  return named("passed").sort();
}

describe.each(versions)("Node.js $version", ({ version, node }) => {
  test("is that version", async () => {
    const { stdout } = await execute({ command: node, args: ["--version"] }, { cwd: root, env: plainEnvironment() });
    expect(stdout).toMatch(new RegExp(`^v${version}\\.`));
  });

  test("passes the smoke test on the preloaded core", async () => {
    const job = { name: `node${version}-smoke`, command: node, args: [join(root, "test/tools/smoke.mjs")] };
    const { outcome, lines } = await runPreloaded(job);
    expect(outcome).toMatchObject({ status: 0, stderr: "" });
    const { mapped, stats } = JSON.parse(outcome.stdout) as { mapped: string[]; stats: { liveBlocks: number } };
    expect(mapped).toEqual([library, join(root, "build/Release/pagerun.node")]);
    expect(stats.liveBlocks).toBeGreaterThan(3000);
    expectOnPagerun(lines, ["node"]);
  });

  test("has one heap, which JavaScript sees whole, in the main thread and in workers", async () => {
    const file = join(root, "test/programs/jobs/one-heap.mjs");
    const { outcome, lines } = await runPreloaded({ name: `node${version}-heap`, command: node, args: [file] });
    expect(outcome).toMatchObject({ status: 0, stderr: "" });
    expect(outcome.stdout.trim().split("\n")).toHaveLength(9);
    expectOnPagerun(lines, ["node"]);
  });

  test("runs vitest: the same tests pass as without the library", async () => {
    const name = `node${version}-vitest`;
    const plain = await vitestWith(node, freshFolder(name, "plain"), plainEnvironment());
    const lines = join(folder, "jobs", name, "witness");
    const preloaded = await vitestWith(node, freshFolder(name, "preloaded"), preloadedEnvironment(lines));
    // Some tests are for a heap that nobody shares; all others are the same.
    expect(preloaded.filter((name) => !plain.includes(name))).toEqual([]);
    expect(preloaded.length).toBeGreaterThan(800);
    expect(plain.length - preloaded.length).toBeLessThan(100);
    expectOnPagerun(witnessedIn(lines), ["node"]);
  });
});
