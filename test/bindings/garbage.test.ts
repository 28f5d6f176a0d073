// The garbage collector and pagerun: no leak of ArrayBuffers, truthful figures, and no memory that goes too early.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { root } from "../structure/tree.js";
import { isFastProfile, megabyte, strayBlocks, strayBytes } from "../support/heap.js";

interface Figures {
  stretchExternal: number;
  hugeExternal: number;
  hugeExternalAfter: number;
  contentAfterCollection: number;
  staleLength: number;
  keptForStale: number;
  committedAfterStale: number;
  committedAfterMany: number;
  externalAfterMany: number;
  rssGrowthWithoutTurns: number;
  committedAtEnd: number;
  liveBlocks: number;
  verdict: object;
}

function measured(): Figures {
  const { stdout, stderr } = spawnSync(process.execPath, ["--expose-gc", "test/support/garbage.mjs"], {
    cwd: root,
    encoding: "utf8",
    timeout: 60_000,
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout) as Figures;
}

test("under the collector, memory and its figures come and go with what can be reached", () => {
  const figures = measured();
  const little = 100_000;

  // A hundred thousand views of one stretch count as one ArrayBuffer, where there is one for all.
  expect(Math.abs(figures.stretchExternal - (isFastProfile ? 4 * megabyte : 0))).toBeLessThan(little);

  // A huge block counts while a view of it can be reached; its content is the block's, not the view's.
  expect(Math.abs(figures.hugeExternal - 64 * megabyte)).toBeLessThan(little);
  expect(Math.abs(figures.hugeExternalAfter)).toBeLessThan(little);
  expect(figures.contentAfterCollection).toBe(55);

  // A view that outlives its block keeps the memory mapped, and gives it back when it goes.
  expect(figures.staleLength).toBe(64 * megabyte);
  expect(Math.abs(figures.keptForStale - 64 * megabyte)).toBeLessThanOrEqual(strayBytes);
  expect(Math.abs(figures.committedAfterStale)).toBeLessThanOrEqual(strayBytes);

  // Nothing is left of many.
  expect(Math.abs(figures.committedAfterMany)).toBeLessThanOrEqual(strayBytes);
  expect(Math.abs(figures.externalAfterMany)).toBeLessThan(little);

  // Where no finalizer can run for a while, the content of freed blocks does not pile up.
  expect(figures.rssGrowthWithoutTurns).toBeLessThan(300 * megabyte);
  expect(Math.abs(figures.committedAtEnd)).toBeLessThanOrEqual(strayBytes);

  expect(Math.abs(figures.liveBlocks)).toBeLessThanOrEqual(strayBlocks);
  expect(figures.verdict).toEqual({ ok: true });
});
