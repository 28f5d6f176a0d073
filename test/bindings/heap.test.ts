// malloc and its family as JavaScript sees them: what each call promises when nothing goes wrong.
import { alignedAlloc, calloc, free, malloc, memoryStats, realloc, usableSize, view } from "pagerun";
import { describe, expect, test } from "vitest";
import {
  expectLiveBlocks,
  fillWith,
  holds,
  isFastProfile,
  kilobyte,
  kinds,
  megabyte,
  strayBlocks,
  strayBytes,
  totalsAtRest,
  verifyAfterEach,
} from "../support/heap.js";

verifyAfterEach();

describe("malloc", () => {
  test.each(kinds)("gives a writable block of each kind: $kind, $size bytes", ({ size }) => {
    const ptr = malloc(size);
    expect(typeof ptr).toBe("bigint");
    expect(usableSize(ptr)).toBeGreaterThanOrEqual(size);
    fillWith(ptr, size, 1);
    expect(holds(ptr, size, 1)).toBe(true);
    free(ptr);
  });

  test("every size up to 4 KiB has its bytes for itself", () => {
    const blocks = Array.from({ length: 4097 }, (_, size) => ({ ptr: malloc(size), size }));
    for (const { ptr, size } of blocks) fillWith(ptr, size, size);
    expect(blocks.filter(({ ptr, size }) => !holds(ptr, size, size))).toEqual([]);
    expect(blocks.filter(({ ptr }) => ptr % 16n !== 0n)).toEqual([]);
    for (const { ptr } of blocks) free(ptr);
  });

  test("of 0 bytes gives a block with an address of its own", () => {
    const blocks = Array.from({ length: 100 }, () => malloc(0));
    expect(new Set(blocks).size).toBe(100);
    for (const ptr of blocks) free(ptr);
  });

  test("takes sizes as bigint", () => {
    const ptr = malloc(1000n);
    expect(usableSize(ptr)).toBeGreaterThanOrEqual(1000);
    free(ptr);
  });

  test("takes minus zero as zero", () => {
    free(malloc(-0));
  });

  test("wastes at most an eighth of a block above 64 bytes, beside what the alignment to 16 takes", () => {
    for (let size = 65; size <= 32 * kilobyte; size += 7) {
      const ptr = malloc(size);
      const aligned = Math.ceil(size / 16) * 16;
      expect(usableSize(ptr) - aligned, `size ${size}`).toBeLessThanOrEqual(usableSize(ptr) / 8);
      free(ptr);
    }
  });

  test("counts in the totals until it is freed", () => {
    const before = totalsAtRest();
    const count = 50_000;
    const blocks = Array.from({ length: count }, () => malloc(1024));
    const during = memoryStats();
    expect(Math.abs(during.liveBlocks - before.liveBlocks - count)).toBeLessThanOrEqual(strayBlocks);
    if (isFastProfile)
      expect(Math.abs(during.liveBytes - before.liveBytes - count * 1024)).toBeLessThanOrEqual(strayBytes);
    for (const ptr of blocks) free(ptr);
    expectLiveBlocks(before.liveBlocks);
  });
});

describe("calloc", () => {
  test.each(kinds)("gives zero bytes, also where memory was used before: $kind", ({ size }) => {
    const used = malloc(size);
    view(used, size).fill(0xaa);
    free(used);
    const ptr = calloc(size);
    expect(view(ptr, size).every((byte) => byte === 0)).toBe(true);
    free(ptr);
  });

  test("multiplies count and size", () => {
    const ptr = calloc(100, 33n);
    expect(usableSize(ptr)).toBeGreaterThanOrEqual(3300);
    expect(view(ptr, 3300).every((byte) => byte === 0)).toBe(true);
    free(ptr);
  });

  test.each([
    [0, 8],
    [8, 0],
    [0n, 2n ** 63n],
  ])("of %s times %s bytes gives a block", (count, size) => {
    const ptr = calloc(count, size);
    expect(ptr).not.toBe(0n);
    free(ptr);
  });
});

describe("realloc", () => {
  const sizes = [1, 24, 25, 500, 5000, 33 * kilobyte, 100 * kilobyte, 5 * megabyte, 40 * megabyte, 80 * megabyte];
  const steps = sizes.flatMap((from) => sizes.map((to) => ({ from, to })));

  test.each(steps)("keeps the content from $from to $to bytes", ({ from, to }) => {
    const ptr = malloc(from);
    fillWith(ptr, from, 3);
    const resized = realloc(ptr, to);
    expect(usableSize(resized)).toBeGreaterThanOrEqual(to);
    expect(holds(resized, Math.min(from, to), 3)).toBe(true);
    view(resized, to).fill(1);
    free(resized);
  });

  test("of 0n is malloc", () => {
    const ptr = realloc(0n, 100);
    expect(usableSize(ptr)).toBeGreaterThanOrEqual(100);
    free(ptr);
  });

  test.each([0, 0n])("to %s bytes frees the block and returns 0n", (size) => {
    const before = totalsAtRest().liveBlocks;
    for (let i = 0; i < 10_000; i++) expect(realloc(malloc(100), size)).toBe(0n);
    expectLiveBlocks(before);
  });

  test("within the usable size stays where it is", () => {
    const ptr = malloc(100);
    expect(realloc(ptr, usableSize(ptr))).toBe(ptr);
    free(ptr);
  });
});

describe("alignedAlloc", () => {
  const alignments = Array.from({ length: 24 }, (_, power) => 2 ** power);

  test.each(alignments)("gives multiples of %i, for sizes of every kind", (alignment) => {
    const blocks = [0, 1, 3, alignment, 100, 5000, 70_000].map((size) => ({
      ptr: alignedAlloc(alignment, size),
      size,
    }));
    for (const { ptr, size } of blocks) fillWith(ptr, size, size);
    expect(blocks.filter(({ ptr }) => ptr % BigInt(alignment) !== 0n)).toEqual([]);
    expect(blocks.filter(({ ptr, size }) => !holds(ptr, size, size))).toEqual([]);
    for (const { ptr } of blocks) free(ptr);
  });

  test("of small alignments gives the smallest blocks, 4 bytes apart", () => {
    const blocks = Array.from({ length: 1000 }, () => alignedAlloc(4, 4));
    expect(usableSize(blocks[0]!)).toBe(4);
    expect(new Set(blocks).size).toBe(1000);
    for (const ptr of blocks) view(ptr, 4).fill(Number(ptr & 0xffn));
    expect(blocks.every((ptr) => view(ptr, 4).every((byte) => byte === Number(ptr & 0xffn)))).toBe(true);
    for (const ptr of blocks) free(ptr);
  });

  test("takes a bigint, and a huge block at a huge alignment", () => {
    const ptr = alignedAlloc(2n ** 24n, 40 * megabyte);
    expect(ptr % 2n ** 24n).toBe(0n);
    free(ptr);
  });
});

describe("free", () => {
  test("of 0n does nothing, and returns nothing", () => {
    expect(free(0n)).toBeUndefined();
    expect(free(malloc(1))).toBeUndefined();
  });

  test("makes room again: a million pairs need no more memory than one", () => {
    for (let i = 0; i < 1000; i++) free(malloc(i));
    const before = totalsAtRest().committedBytes;
    for (let i = 0; i < 1_000_000; i++) free(malloc(i % 5000));
    expect(Math.abs(memoryStats().committedBytes - before)).toBeLessThanOrEqual(strayBytes);
  });

  test("of all blocks in any order leaves none behind", () => {
    const before = totalsAtRest();
    const blocks = Array.from({ length: 20_000 }, (_, i) => malloc((i * 7919) % 3000));
    for (let i = 0; i < 20_000; i++) free(blocks[(i * 7) % 20_000]!);
    expectLiveBlocks(before.liveBlocks);
  });
});

describe("usableSize", () => {
  test("of 0n is 0", () => {
    expect(usableSize(0n)).toBe(0);
  });

  test("is all usable", () => {
    for (const { size } of kinds) {
      const ptr = malloc(size);
      view(ptr, usableSize(ptr)).fill(9);
      free(ptr);
    }
  });
});
