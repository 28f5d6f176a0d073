// What tests of the heap share: the errors that calls throw, content that tells where it came from, sizes of every kind.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { capabilities, type MemoryStats, memoryStats, PagerunError, snapshot, verify, view } from "pagerun";
import { afterEach, expect } from "vitest";

/** Ends every test of the calling file with a walk through the whole heap. */
export function verifyAfterEach(): void {
  afterEach(() => {
    expect(verify()).toEqual({ ok: true });
  });
}

/**
 * True when the tests have the heap for themselves. With libpagerun.so preloaded it is the whole process's: Node.js
 * allocates and frees meanwhile, on every thread, and a block that a test has freed may be one of Node.js the moment
 * after. Then counts hold give or take what Node.js does, and no test may free twice or write to freed memory.
 */
export const isOwnHeap = !capabilities.preloaded;

/**
 * False under PAGERUN_PROFILE=hardened, which promises other sizes (a canary behind each block), other places (large
 * blocks in mappings of their own), and that memory is cleared and not used again at once.
 */
export const isFastProfile = process.env.PAGERUN_PROFILE !== "hardened";

/** How far counts of blocks, and of bytes, may be off by what Node.js itself does during a test. */
export const strayBlocks = isOwnHeap ? 0 : 4000;
export const strayBytes = isOwnHeap ? 0 : 24 * 2 ** 20;

/** Runs the garbage collector where garbage of JavaScript is in the heap too: ArrayBuffers that nobody holds. */
const collectGarbage: () => void = isOwnHeap ? () => {} : garbageCollector();

function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // The memory of ArrayBuffers is freed on another thread, for which the next collection waits.
  return () => {
    collect();
    collect();
  };
}

/** The totals of the heap, without what is only garbage of JavaScript. */
export function totalsAtRest(): MemoryStats {
  collectGarbage();
  return memoryStats();
}

/** Expects this number of live blocks in the heap. */
export function expectLiveBlocks(count: number, message?: string): void {
  expect(Math.abs(totalsAtRest().liveBlocks - count), message).toBeLessThanOrEqual(strayBlocks);
}

/** The figures that come back to what they were: not those that count what the process has done so far. */
function withoutCounters({ purgedBytes, purges, retakenBytes, purgePasses, ...figures }: MemoryStats) {
  return figures;
}

/** Expects figures to be equal, strays aside. */
export function expectTotals(found: MemoryStats, expected: MemoryStats): void {
  if (isOwnHeap) {
    expect(withoutCounters(found)).toEqual(withoutCounters(expected));
    return;
  }
  expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
  expect(Math.abs(found.liveBlocks - expected.liveBlocks)).toBeLessThanOrEqual(strayBlocks);
  for (const bytes of ["liveBytes", "committedBytes", "mappingBytes"] as const) {
    expect(Math.abs(found[bytes] - expected[bytes]), bytes).toBeLessThanOrEqual(strayBytes);
  }
}

/** How many of these addresses are live blocks by the records of the heap. */
export function liveAmong(blocks: readonly bigint[]): number {
  const { pages, mappings } = snapshot();
  return blocks.filter((ptr) => {
    const page = pages.find(
      ({ address, capacity, blockBytes }) => ptr >= address && ptr < address + BigInt(capacity * blockBytes),
    );
    if (page === undefined) return mappings.some(({ address }) => address === ptr);
    const index = Number(ptr - page.address) / page.blockBytes;
    return ((page.bitmap[Math.floor(index) >> 6]! >> BigInt(index & 63)) & 1n) === 1n && Number.isInteger(index);
  }).length;
}

/** The PagerunError that `call` throws; the test fails when it throws none, or another error. */
export function thrownBy(call: () => unknown): PagerunError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(PagerunError);
    return error as PagerunError;
  }
  return expect.fail("Expected an error but nothing was thrown");
}

/** The code of the error that `call` throws. */
export function codeOf(call: () => unknown): string {
  return thrownBy(call).code;
}

/** Fills a block with bytes that only this seed gives. */
export function fillWith(ptr: bigint, length: number, seed: number): void {
  const bytes = view(ptr, length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed * 97 + (i >> 8)) & 0xff;
}

/** Whether a block still has the bytes that fillWith gave it. */
export function holds(ptr: bigint, length: number, seed: number): boolean {
  const bytes = view(ptr, length);
  for (let i = 0; i < length; i++) if (bytes[i] !== ((i * 31 + seed * 97 + (i >> 8)) & 0xff)) return false;
  return true;
}

export const kilobyte = 1024;
export const megabyte = 1024 * kilobyte;

/** One size of every kind of block, by name. */
export const kinds = [
  { kind: "tiny", size: 4 },
  { kind: "small", size: 100 },
  { kind: "middle", size: 5000 },
  { kind: "last of the bucket sizes", size: 32 * kilobyte },
  { kind: "large", size: 200_000 },
  { kind: "across stretches", size: 6 * megabyte },
  { kind: "huge", size: 64 * megabyte },
] as const;
