// malloc and free in TypeScript and those of the core: two hands on one heap.
import { types } from "node:util";
import { calloc, free, freeMany, malloc, mallocMany, memoryStats, realloc, usableSize, verify, view } from "pagerun";
import { describe, expect, test } from "vitest";
import { freeByCore, mallocByCore } from "../../lib/internal/testing.js";
import {
  codeOf,
  expectLiveBlocks,
  isFastProfile,
  isOwnHeap,
  kilobyte,
  megabyte,
  thrownBy,
  totalsAtRest,
  verifyAfterEach,
} from "../support/heap.js";
import { foreignPointers, notNumeric, wrongPointers, wrongSizes } from "../support/hostile.js";

verifyAfterEach();

/** A small generator, so that a failing run can be had again. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const granule = 16n;

/** Which 16 bytes belong to a live block: no two blocks may share any. */
class Granules {
  readonly #taken = new Set<bigint>();

  take(ptr: bigint, bytes: number): void {
    expect(ptr % granule).toBe(0n);
    for (let at = ptr; at < ptr + BigInt(bytes); at += granule) {
      if (this.#taken.has(at)) throw new Error(`two blocks at ${at}`);
      this.#taken.add(at);
    }
  }

  give(ptr: bigint, bytes: number): void {
    for (let at = ptr; at < ptr + BigInt(bytes); at += granule) this.#taken.delete(at);
  }
}

describe("TypeScript and the core, in turns", () => {
  test.each([1, 2, 3])("hand out no byte twice, refuse the same and leave a whole heap: seed %i", (seed) => {
    const random = randomNumbers(seed);
    const before = totalsAtRest().liveBlocks;
    const granules = new Granules();
    const live: { ptr: bigint; size: number; mark: number }[] = [];
    const freed: bigint[] = [];
    const largest = [64, 600, 20_000] as const;
    for (let step = 0; step < 30_000; step++) {
      const grows = random(100) < (step % 10_000 < 5000 ? 60 : 40);
      if (grows || live.length === 0) {
        const size = random(largest[random(3)]!);
        const ptr = random(2) === 0 ? malloc(size) : mallocByCore(size);
        const mark = random(256);
        granules.take(ptr, usableSize(ptr));
        view(ptr, size).fill(mark);
        live.push({ ptr, size, mark });
        continue;
      }
      const index = random(live.length);
      const { ptr, size, mark } = live[index]!;
      live[index] = live.at(-1)!;
      live.pop();
      const bytes = view(ptr, size);
      if (size > 0) expect([bytes[0], bytes[size - 1]]).toEqual([mark, mark]);
      granules.give(ptr, usableSize(ptr));
      if (random(2) === 0) free(ptr);
      else expect(freeByCore(ptr)).toBeUndefined();
      freed.push(ptr);
      if (isOwnHeap && random(20) === 0) {
        expect(codeOf(() => free(ptr))).toBe("ERR_DOUBLE_FREE");
        expect(freeByCore(ptr)).toBeDefined();
        expect(codeOf(() => view(ptr, 1))).toBe("ERR_OUT_OF_BOUNDS");
        expect(codeOf(() => usableSize(ptr))).toBe("ERR_DOUBLE_FREE");
      }
      if (step % 500 === 0) expect(verify()).toEqual({ ok: true });
    }
    for (const { ptr } of live) free(ptr);
    expectLiveBlocks(before);
  });

  test("every size up to beyond the largest bucket gives a block of the core's size", () => {
    for (let size = 0; size <= 40_000; size += size < 2100 ? 1 : 97) {
      const [mine, its] = [malloc(size), mallocByCore(size)];
      expect(usableSize(mine)).toBe(usableSize(its));
      expect(usableSize(mine)).toBeGreaterThanOrEqual(isFastProfile ? Math.max(size, 16) : size);
      expect(view(mine, size)).toHaveLength(size);
      free(its);
      expect(freeByCore(mine)).toBeUndefined();
    }
  });

  test("blocks of all pages are served when the heap grows far beyond what it was", () => {
    const before = totalsAtRest().liveBlocks;
    const count = 60_000;
    const ptrs = Array.from({ length: count }, (_, i) => malloc(100 + (i % 4) * kilobyte));
    for (const [i, ptr] of ptrs.entries()) view(ptr, 8).fill(i & 0xff);
    expect(memoryStats().committedBytes).toBeGreaterThan(80 * megabyte);
    expect(ptrs.every((ptr, i) => view(ptr, 8).every((byte) => byte === (i & 0xff)))).toBe(true);
    for (let i = 0; i < count; i += 2) free(ptrs[i]!);
    for (let i = 0; i < count; i += 2) ptrs[i] = malloc(100 + (i % 4) * kilobyte);
    expect(new Set(ptrs).size).toBe(count);
    for (const ptr of ptrs) free(ptr);
    expectLiveBlocks(before);
  });

  test("interior pointers of every kind of page are refused by both, and free nothing", () => {
    for (const size of [16, 24, 100, 130, 1000, 5000, 16_384, 20_000]) {
      const ptr = malloc(size);
      for (const offset of [1n, 4n, 8n, BigInt(usableSize(ptr) - 1)]) {
        expect(codeOf(() => free(ptr + offset))).toBe("ERR_INTERIOR_POINTER");
        expect(freeByCore(ptr + offset)).toBeDefined();
      }
      expect(codeOf(() => free(ptr + 2n ** 64n))).toBe("ERR_FOREIGN_POINTER");
      expect(codeOf(() => free(ptr - 2n ** 64n))).toBe("ERR_FOREIGN_POINTER");
      expect(codeOf(() => view(ptr + 2n ** 64n, 1))).toBe("ERR_FOREIGN_POINTER");
      expect(codeOf(() => usableSize(ptr + 2n ** 64n))).toBe("ERR_FOREIGN_POINTER");
      free(ptr);
    }
  });

  test.runIf(isFastProfile)("what would be blocks behind a page's last are refused by both", () => {
    const pageBytes = 32_768;
    for (const size of [24, 48, 100, 130, 700, 1000, 5000, 10_000]) {
      const ptr = malloc(size);
      const bytes = usableSize(ptr);
      const page = ptr - (ptr % BigInt(pageBytes));
      const count = Math.floor(pageBytes / bytes);
      for (let at = count * bytes; at < pageBytes; at += 16) {
        expect(codeOf(() => free(page + BigInt(at)))).toMatch(/^ERR_(INTERIOR|FOREIGN)_POINTER$/);
        expect(codeOf(() => usableSize(page + BigInt(at)))).toMatch(/^ERR_(INTERIOR|FOREIGN)_POINTER$/);
      }
      free(ptr);
    }
  });

  test("an address that comes again is the same pointer, after others in its place too", () => {
    const rounds = Array.from({ length: 3 }, () => {
      const ptrs = Array.from({ length: 5000 }, (_, i) => malloc(16 + (i % 60) * 16));
      expect(new Set(ptrs).size).toBe(ptrs.length);
      for (const ptr of ptrs) free(ptr);
      return ptrs;
    });
    // Another part of the process may have these pages by now.
    if (!isOwnHeap) return;
    for (const ptr of rounds.flat()) expect(codeOf(() => free(ptr))).toBe("ERR_DOUBLE_FREE");
  });

  test("calloc clears what was used before, whatever the size", () => {
    for (let size = 1; size < 600; size += 7) {
      const dirty = malloc(size);
      view(dirty, size).fill(255);
      free(dirty);
      const ptr = calloc(1, size);
      expect(view(ptr, size).every((byte) => byte === 0)).toBe(true);
      free(ptr);
    }
  });

  test.runIf(isFastProfile)(
    "realloc keeps a block where the core would keep it, and refuses what the core refuses",
    () => {
      const ptr = malloc(1000);
      const usable = usableSize(ptr);
      expect(realloc(ptr, usable)).toBe(ptr);
      expect(realloc(ptr, usable / 2)).toBe(ptr);
      for (const size of [100.5, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(codeOf(() => realloc(ptr, size))).toBe("ERR_INVALID_ARGUMENT");
      }
      const moved = realloc(ptr, 10);
      expect(moved).not.toBe(ptr);
      if (isOwnHeap) expect(codeOf(() => realloc(ptr, usable))).toBe("ERR_DOUBLE_FREE");
      free(moved);
    },
  );
});

describe("mallocMany and freeMany", () => {
  test("give and take as many blocks as there are sizes", () => {
    const before = totalsAtRest().liveBlocks;
    for (const sizes of [[], [16], [0, 1, 100, 50_000, 5 * megabyte], Uint16Array.of(16, 300, 40_000), [16n, 100]]) {
      const ptrs = mallocMany(sizes);
      expect(ptrs).toHaveLength(sizes.length);
      for (const [i, ptr] of ptrs.entries()) expect(usableSize(ptr)).toBeGreaterThanOrEqual(Number(sizes[i]));
      freeMany(ptrs);
    }
    const ptrs = mallocMany([32, 64]);
    freeMany(BigUint64Array.from(ptrs));
    freeMany([0n, 0n]);
    expectLiveBlocks(before);
  });

  test("leave nothing allocated when one size is refused, or reading one throws", () => {
    const before = totalsAtRest().liveBlocks;
    expect(codeOf(() => mallocMany([16, 32, -1]))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => mallocMany([16, 32, 2 ** 50]))).toBe("ERR_OUT_OF_MEMORY");
    const sizes = [16, 32, 64];
    Object.defineProperty(sizes, 2, {
      get() {
        throw new RangeError("as the test wants");
      },
    });
    expect(() => mallocMany(sizes)).toThrow("as the test wants");
    expectLiveBlocks(before);
  });

  test("stop at the first pointer that is refused, and say which", () => {
    const ptrs = mallocMany([16, 32, 64, 128]);
    const index = 2;
    const broken = ptrs.with(index, ptrs[index]! + 1n);
    expect(thrownBy(() => freeMany(broken))).toMatchObject({ code: "ERR_INTERIOR_POINTER", call: "freeMany", index });
    if (isOwnHeap) expect(codeOf(() => free(ptrs[0]!))).toBe("ERR_DOUBLE_FREE");
    freeMany(ptrs.slice(index));
  });

  test.each(notNumeric)("refuse $name as a list's element, and as a list unless it is one", ({ value }) => {
    const isList =
      (!types.isProxy(value) && Array.isArray(value)) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
    for (const list of [[value], ...(isList ? [] : [value])]) {
      expect(codeOf(() => freeMany(list as never))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => mallocMany(list as never))).toBe("ERR_INVALID_ARGUMENT");
    }
  });

  test("refuse every size and pointer that malloc and free refuse", () => {
    for (const size of wrongSizes) expect(codeOf(() => mallocMany([16, size]))).toBe("ERR_INVALID_ARGUMENT");
    for (const ptr of [...wrongPointers, ...foreignPointers]) {
      expect(codeOf(() => freeMany([0n, ptr]))).toBe(codeOf(() => free(ptr)));
    }
  });
});
