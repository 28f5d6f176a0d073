// Two hundred thousand hostile calls; `npm run test:hostile` makes as many as it is asked for.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { root } from "../structure/tree.js";
import { strayBlocks } from "../support/heap.js";

const flags = ["--expose-gc", ...("transfer" in ArrayBuffer.prototype ? [] : ["--harmony-rab-gsab-transfer"])];

test("no hostile call crashes, reaches what is over, or leaves anything behind", () => {
  const calls = 200_000;
  const seed = String(Date.now() % 1_000_000);
  const args = [...flags, "test/support/hostile-calls.mjs", String(calls), seed];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    timeout: 120_000,
  });
  expect({ status, stderr }, `seed ${seed}`).toEqual({ status: 0, stderr: "" });
  const found = JSON.parse(stdout) as Record<string, never> & {
    left: number;
    refusals: Record<string, number>;
    calls: number;
  };
  expect(found, `seed ${seed}`).toMatchObject({ ended: true, wrong: {}, verdict: { ok: true } });
  expect(Math.abs(found.left)).toBeLessThanOrEqual(strayBlocks);
  expect(found.calls).toBeGreaterThanOrEqual(calls);
  // The calls were as hostile as they should be.
  for (const code of ["INVALID_ARGUMENT", "OUT_OF_BOUNDS", "DOUBLE_FREE", "INTERIOR_POINTER", "FOREIGN_POINTER"]) {
    expect(found.refusals[`ERR_${code}`], code).toBeGreaterThan(1000);
  }
}, 150_000);
