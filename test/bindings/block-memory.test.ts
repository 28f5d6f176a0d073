// The memory of Blocks under the collector, in random order and in threads that end; and what is said of dropped ones.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { root } from "../structure/tree.js";
import { isOwnHeap, megabyte, strayBlocks } from "../support/heap.js";

/** Node.js 20 has ArrayBuffer.prototype.transfer behind a switch. */
const hasTransfer = "transfer" in ArrayBuffer.prototype;
const flags = ["--expose-gc", ...(hasTransfer ? [] : ["--harmony-rab-gsab-transfer"])];

interface Outcome<Result> {
  result: Result;
  verdict: object;
  stderr: string;
}

function run<Result>(args: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome<Result> {
  const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, "test/support/blocks.mjs", ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 60_000,
  });
  expect({ status, stderr: env.PAGERUN_LEAK_WARNINGS ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  const outcome = { ...(JSON.parse(stdout) as Outcome<Result>), stderr };
  expect(outcome.verdict).toEqual({ ok: true });
  return outcome;
}

function expectNone(blocks: number): void {
  expect(Math.abs(blocks)).toBeLessThanOrEqual(strayBlocks);
}

// Where Node.js shares the heap its collector leaves more blocks behind, of its own, than there are Blocks.
test.skipIf(!isOwnHeap)(
  "Blocks that were dropped are freed by the collector, whatever was done with them before",
  () => {
    const { result } = run<Record<"plain" | "used" | "viewed" | "large" | "held" | "old", number>>(["dropped"]);
    const { held, ...left } = result;
    for (const blocks of Object.values(left)) expectNone(blocks);
    expectNone(held - 5000);
  },
);

test("a view keeps the memory of a Block that was dropped, and nobody else is given it", () => {
  const { result } = run<{ left: number; intact: boolean }[]>(["keptAlive"]);
  expect(result).toHaveLength(15);
  for (const { left, intact } of result) {
    expectNone(left - 1);
    expect(intact).toBe(true);
  }
});

test("memory counts once, as external memory where an ArrayBuffer keeps it", () => {
  const { result } = run<Record<string, number>>(["figures"]);
  const all = 64 * megabyte;
  const expected = {
    plain: 0,
    viewed: all,
    viewedAndUsed: all,
    halfFreed: all / 2,
    dropped: 0,
    one: 0,
    oneUsed: all,
    oneUsedAndViewed: all,
    oneFreed: 0,
  };
  for (const [name, bytes] of Object.entries(expected)) {
    expect(Math.abs(result[name]! - bytes), name).toBeLessThan(megabyte);
  }
});

test("the collector runs because of what Blocks keep", () => {
  const { result } = run<{ peak: number }>(["pressure"]);
  // Two thousand Blocks of a megabyte were dropped.
  expect(result.peak).toBeLessThan(1000 * megabyte);
});

test("random orders of views, transfers, clones, messages, resizes, frees and collections leave nothing stale", () => {
  const seed = String(Date.now() % 1_000_000);
  const { result } = run<{ wrong: string[]; received: number; left: number }>(["model", seed]);
  expect(result.wrong, `seed ${seed}`).toEqual([]);
  expect(result.received).toBeGreaterThan(500);
  expectNone(result.left);
});

test("threads that end, throw or are terminated leave no Block behind, but for memory that others have", () => {
  const { result } = run<{ left: number; intact: boolean; given: number }>(["threads"]);
  // A thread that is terminated in the middle of alloc can lose that one block.
  const terminated = 12;
  expect(result.left).toBeGreaterThanOrEqual(-strayBlocks);
  expect(result.left).toBeLessThanOrEqual(terminated + strayBlocks);
  expect(result.intact).toBe(true);
  expectNone(result.given - result.left - 2);
});

test("a dropped Block is told of, with the stack of its allocation, where that is asked for", () => {
  const { stderr } = run(["leak"], { PAGERUN_LEAK_WARNINGS: "1" });
  const warnings = stderr.match(/PagerunLeakWarning: A Block of \d+ bytes was dropped/g);
  expect(warnings?.map((text) => /\d+/.exec(text)?.[0]).sort()).toEqual(["1234", "4321"]);
  expect(stderr).toMatch(/at forgets \(.*blocks\.mjs:\d+:\d+\)/);
  expect(stderr).not.toMatch(/at alloc/);
  expect(run(["leak"]).stderr).toBe("");
});
