// What the heap says about itself: totals, snapshot and verify agree with each other and with what the program did.
import { spawnSync } from "node:child_process";
import {
  alignedAlloc,
  free,
  type MemoryStats,
  malloc,
  memoryStats,
  type Snapshot,
  snapshot,
  usableSize,
  verify,
} from "pagerun";
import { describe, expect, test } from "vitest";
import { root } from "../structure/tree.js";
import {
  expectTotals,
  isFastProfile,
  isOwnHeap,
  kinds,
  liveAmong,
  megabyte,
  strayBytes,
  totalsAtRest,
  verifyAfterEach,
} from "../support/heap.js";

verifyAfterEach();

const pageBytes = 32_768;

/** The environment of a process on libc's malloc: only a sanitizer stays preloaded, and no witness of pagerun's looks on. */
function environmentWithoutPagerun(): NodeJS.ProcessEnv {
  const { LD_PRELOAD = "", PAGERUN_TEST_WITNESS: _, ...rest } = process.env;
  const others = LD_PRELOAD.split(/[: ]/).filter((file) => !file.endsWith("libpagerun.so"));
  return { ...rest, LD_PRELOAD: others.join(":") };
}

function popcount(words: BigUint64Array): number {
  return words.reduce((sum, word) => sum + word.toString(2).replaceAll("0", "").length, 0);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The totals as a reader of the records would add them up. */
function addedUp({ pages, runs, mappings, arenas }: Snapshot): Partial<MemoryStats> {
  return {
    liveBlocks: sum(pages.map(({ used, remote }) => used - remote)) + mappings.length,
    liveBytes:
      sum(pages.map(({ used, remote, blockBytes }) => (used - remote) * blockBytes)) +
      sum(mappings.map(({ bytes }) => bytes)),
    freeRunBytes: sum(runs.map((run) => run.pages * pageBytes)),
    mappingBytes: sum(mappings.map(({ bytes }) => bytes)),
    arenas: arenas.length,
  };
}

/** Blocks of every kind, some of them free again. */
function makeMixed(): bigint[] {
  const blocks = kinds.flatMap(({ size }) => Array.from({ length: size > megabyte ? 2 : 300 }, () => malloc(size)));
  blocks.push(...Array.from({ length: 50 }, () => alignedAlloc(4, 4)), alignedAlloc(65_536, 100));
  return blocks.filter((ptr, i) => {
    if (i % 3 === 0) free(ptr);
    return i % 3 !== 0;
  });
}

describe("snapshot", () => {
  test("totals equal the sum of the parts, and what memoryStats says", () => {
    const blocks = makeMixed();
    const taken = snapshot();
    expect(taken.totals).toMatchObject(addedUp(taken));
    expectTotals(taken.totals, memoryStats());
    for (const ptr of blocks) free(ptr);
    const after = snapshot();
    expect(after.totals).toMatchObject(addedUp(after));
  });

  test.runIf(isFastProfile)("has every live block, with its size and its bit", () => {
    const blocks = makeMixed();
    const { pages, mappings } = snapshot();
    for (const ptr of blocks) {
      const page = pages.find(({ address, pages }) => ptr >= address && ptr < address + BigInt(pages * pageBytes));
      if (page === undefined) {
        expect(mappings).toContainEqual({ address: ptr, bytes: usableSize(ptr) });
        continue;
      }
      const index = Number(ptr - page.address) / page.blockBytes;
      expect(Number.isInteger(index)).toBe(true);
      expect(usableSize(ptr)).toBe(page.blockBytes);
      expect((page.bitmap[index >> 6]! >> BigInt(index & 63)) & 1n).toBe(1n);
    }
    for (const ptr of blocks) free(ptr);
  });

  test("clears the bits of blocks that are freed", () => {
    const blocks = Array.from({ length: 200 }, () => malloc(100));
    const kept = blocks.filter((_, i) => i % 2 === 0);
    const freed = blocks.filter((_, i) => i % 2 === 1);
    expect(liveAmong(blocks)).toBe(200);
    for (const ptr of freed) free(ptr);
    expect(liveAmong(kept)).toBe(100);
    // Where Node.js shares the heap, some may be its blocks by now.
    expect(liveAmong(freed)).toBeLessThanOrEqual(isOwnHeap ? 0 : 50);
    for (const ptr of kept) free(ptr);
  });

  test("has the invariants of its records", () => {
    const blocks = makeMixed();
    const { pages, arenas, runs } = snapshot();
    for (const page of pages) {
      expect(page.used).toBe(popcount(page.bitmap));
      expect(page.bitmap).toHaveLength(Math.ceil(page.capacity / 64));
      expect(page.remote).toBeLessThanOrEqual(page.used);
      expect(page.capacity * page.blockBytes).toBeLessThanOrEqual(page.pages * pageBytes);
      expect(page.kind === "bucket" ? arenas.map(({ id }) => id).includes(page.arena!) : page.arena === undefined).toBe(
        true,
      );
      expect(page.sizeClass === undefined).toBe(page.kind === "run");
    }
    for (const arena of arenas) {
      const own = pages.filter((page) => page.arena === arena.id);
      expect(arena.pages).toBe(own.length);
      expect(arena.liveBlocks).toBe(sum(own.map(({ used, remote }) => used - remote)));
      expect(arena.liveBytes).toBe(sum(own.map(({ used, remote, blockBytes }) => (used - remote) * blockBytes)));
    }
    const ranges = [...pages, ...runs].map((part) => ({
      from: part.address,
      to: part.address + BigInt(part.pages * pageBytes),
    }));
    ranges.sort((a, b) => (a.from < b.from ? -1 : 1));
    expect(ranges.filter((range, i) => i > 0 && range.from < ranges[i - 1]!.to)).toEqual([]);
    for (const ptr of blocks) free(ptr);
  });

  test("is plain data that stays as it was taken", () => {
    const ptr = malloc(100);
    const taken = snapshot();
    const copy = structuredClone(taken);
    for (let i = 0; i < 10_000; i++) malloc(100);
    expect(taken).toEqual(copy);
    expect(taken.totals.liveBlocks).toBeLessThan(memoryStats().liveBlocks);
    free(ptr);
  });

  test("leaves no memory behind", () => {
    snapshot();
    const before = totalsAtRest();
    for (let i = 0; i < 50; i++) snapshot();
    expectTotals(totalsAtRest(), before);
  });
});

describe("memoryStats", () => {
  test("has plain, whole numbers", () => {
    for (const value of Object.values(memoryStats())) expect(Number.isSafeInteger(value) && value >= 0).toBe(true);
  });

  test("counts a huge block as a mapping, and gives it back", () => {
    const before = totalsAtRest();
    const ptr = malloc(64 * megabyte);
    expect(memoryStats().mappingBytes - before.mappingBytes).toBe(usableSize(ptr));
    expect(memoryStats().committedBytes - before.committedBytes - usableSize(ptr)).toBeLessThanOrEqual(strayBytes);
    expect(memoryStats().committedBytes - before.committedBytes).toBeGreaterThanOrEqual(usableSize(ptr) - strayBytes);
    free(ptr);
    expectTotals(totalsAtRest(), before);
  });

  test("holds more address space than memory, and its own records cost little", () => {
    const blocks = Array.from({ length: 10_000 }, () => malloc(1000));
    const { reservedBytes, committedBytes, metadataBytes, liveBytes } = memoryStats();
    expect(reservedBytes).toBeGreaterThanOrEqual(committedBytes);
    expect(committedBytes).toBeGreaterThanOrEqual(liveBytes);
    expect(metadataBytes).toBeGreaterThan(0);
    // The hardened profile has an entry for each block as well.
    expect(metadataBytes).toBeLessThan(committedBytes / (isFastProfile ? 10 : 6));
    for (const ptr of blocks) free(ptr);
  });
});

describe("verify", () => {
  test("is ok for a heap in use", () => {
    const blocks = makeMixed();
    expect(verify()).toEqual({ ok: true });
    for (const ptr of blocks) free(ptr);
  });

  test("is ok after calls that were refused", () => {
    const ptr = malloc(100);
    for (const call of [() => free(ptr + 1n), () => free(1n), () => malloc(2 ** 50)]) expect(call).toThrow();
    expect(verify()).toEqual({ ok: true });
    free(ptr);
    expect(() => free(ptr)).toThrow();
    expect(verify()).toEqual({ ok: true });
  });

  test("names the invariant that is broken, and where", () => {
    const { stdout, stderr } = spawnSync(process.execPath, ["test/support/damage.mjs"], {
      cwd: root,
      encoding: "utf8",
      // A heap of its own: a process whose every malloc is on the damaged heap would not live to tell.
      env: environmentWithoutPagerun(),
    });
    expect(stderr).toBe("");
    const { found, after } = JSON.parse(stdout) as {
      found: { ok: boolean; invariant: string; address: string }[];
      after: object;
    };
    expect(found.length).toBeGreaterThan(0);
    for (const verdict of found) {
      expect(verdict.ok).toBe(false);
      expect(verdict.invariant).toMatch(/^\S+ .+/);
      expect(verdict.address).toMatch(/^[1-9]\d+$/);
    }
    expect(after).toEqual({ ok: true });
  });
});
