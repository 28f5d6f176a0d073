// Getters and setters: the same bytes as a DataView has, every bound, every pointer that is none, and blocks that end
// while this thread knows their address.
import { once } from "node:events";
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import {
  Arena,
  alignedAlloc,
  calloc,
  copyOut,
  free,
  getInt32,
  getUint8,
  malloc,
  realloc,
  setInt32,
  setUint8,
  shared,
  usableSize,
  view,
} from "pagerun";
import { afterEach, describe, expect, test, vi } from "vitest";
import { fields, write } from "../support/fields.js";
import {
  codeOf,
  fillWith,
  isFastProfile,
  isOwnHeap,
  kinds,
  megabyte,
  thrownBy,
  verifyAfterEach,
} from "../support/heap.js";
import { foreignPointers, notNumeric, wrongPointers } from "../support/hostile.js";

verifyAfterEach();

/** What a DataView is over the block. */
function memoryOf(ptr: bigint, length: number): DataView {
  const { buffer, byteOffset } = view(ptr, length);
  return new DataView(buffer, byteOffset, length);
}

describe.each(fields)("get$name and set$name", (field) => {
  const { name, size, get, read, fitting, unfit } = field;

  test("write and read what a DataView would, at every alignment", () => {
    const ptr = calloc(64);
    const memory = memoryOf(ptr, 64);
    for (let offset = 0; offset < 8; offset++) {
      for (const value of fitting) {
        fillWith(ptr, 64, offset);
        const before = copyOut(ptr, 64);
        write(field, ptr, offset + 8, value);
        const rest = copyOut(ptr, 64);
        rest.set(before.subarray(offset + 8, offset + 8 + size), offset + 8);
        expect(rest).toEqual(before);
        expect(get(ptr, offset + 8)).toBe(read(memory, offset + 8));
        expect(get(ptr + BigInt(offset), 8)).toBe(read(memory, offset + 8));
        expect(get(ptr + BigInt(offset + 8))).toBe(read(memory, offset + 8));
      }
    }
    free(ptr);
  });

  test("refuse a value that does not fit, and write nothing", () => {
    const ptr = calloc(16);
    for (const value of unfit) {
      expect(thrownBy(() => write(field, ptr, 4, value))).toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        argument: "value",
        received: value,
      });
    }
    expect([...copyOut(ptr, 16)]).toEqual(Array(16).fill(0));
    free(ptr);
  });

  test.each(kinds)("reach the last byte of a block and none behind it: $kind", ({ size: bytes }) => {
    const ptr = malloc(Math.max(bytes, size));
    const end = usableSize(ptr);
    fillWith(ptr, Math.min(end, 4000), 3);
    write(field, ptr, end - size, 1);
    expect(Number(get(ptr, end - size))).toBe(1);
    for (let over = 1; over <= size; over++) {
      const expected = { code: "ERR_OUT_OF_BOUNDS", ptr, length: end + over, available: end };
      expect(thrownBy(() => get(ptr, end - size + over))).toMatchObject({ ...expected, call: `get${name}` });
      expect(thrownBy(() => write(field, ptr, end - size + over, 0))).toMatchObject(expected);
      if (over < size) expect(codeOf(() => get(ptr + BigInt(end - size + over)))).toBe("ERR_OUT_OF_BOUNDS");
    }
    expect(Number(get(ptr, end - size))).toBe(1);
    free(ptr);
  });

  test("refuse offsets that are none", () => {
    const ptr = calloc(64);
    const wrong = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -(2 ** 53), 1n];
    for (const offset of [...wrong, ...notNumeric.map(({ value }) => value)]) {
      if (offset !== undefined) expect(codeOf(() => get(ptr, offset as number))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => write(field, ptr, offset, 0))).toBe("ERR_INVALID_ARGUMENT");
    }
    for (const offset of [2 ** 31, 2 ** 32, 2 ** 32 + 8, Number.MAX_SAFE_INTEGER]) {
      expect(codeOf(() => get(ptr, offset))).toBe("ERR_OUT_OF_BOUNDS");
      expect(codeOf(() => write(field, ptr, offset, 0))).toBe("ERR_OUT_OF_BOUNDS");
    }
    expect(get(ptr, undefined)).toBe(get(ptr, 0));
    expect(Number(get(ptr, -0))).toBe(0);
    free(ptr);
  });

  test("refuse pointers that are none, right after one that is", () => {
    const ptr = calloc(64);
    const calls = (wrong: unknown) => [() => get(wrong as bigint), () => write(field, wrong as bigint, 0, 0)];
    for (const wrong of [...foreignPointers, ...wrongPointers, 0n, ptr + 2n ** 64n, ptr - 2n ** 64n, -ptr]) {
      for (const call of calls(wrong)) {
        get(ptr, 8);
        expect(codeOf(call), `${wrong}`).toBe("ERR_FOREIGN_POINTER");
      }
    }
    for (const { value, name: what } of [...notNumeric, { name: "a number", value: Number(ptr) }]) {
      for (const call of calls(value)) {
        get(ptr, 8);
        expect(codeOf(call), what).toBe("ERR_INVALID_ARGUMENT");
      }
    }
    expect(Number(get(ptr))).toBe(0);
    free(ptr);
  });
});

describe("a block that was reached", () => {
  test("does not reach into the live block behind it", () => {
    const blocks = Array.from({ length: 200 }, () => calloc(64));
    for (const ptr of blocks) {
      setInt32(ptr, 60, 7);
      expect(codeOf(() => getInt32(ptr, 64))).toBe("ERR_OUT_OF_BOUNDS");
      expect(codeOf(() => setInt32(ptr, 61, 9))).toBe("ERR_OUT_OF_BOUNDS");
    }
    expect(blocks.every((ptr) => getInt32(ptr) === 0 && getInt32(ptr, 60) === 7)).toBe(true);
    for (const ptr of blocks) free(ptr);
  });

  test.runIf(isOwnHeap).each(kinds)("is out of reach once it is free, also by inner pointers: $kind", ({ size }) => {
    const ptr = malloc(size);
    const neighbours = Array.from({ length: size > megabyte ? 1 : 40 }, () => malloc(size));
    setUint8(ptr, size - 1, 5);
    getUint8(ptr + 1n, 0);
    getUint8(ptr);
    free(ptr);
    const gone = /^ERR_(OUT_OF_BOUNDS|FOREIGN_POINTER)$/;
    expect(codeOf(() => getUint8(ptr))).toMatch(gone);
    expect(codeOf(() => setUint8(ptr, size - 1, 1))).toMatch(gone);
    expect(codeOf(() => getUint8(ptr + 1n, 0))).toMatch(gone);
    for (const other of neighbours) free(other);
    expect(codeOf(() => getUint8(ptr))).toMatch(gone);
  });

  test.runIf(isOwnHeap)("is out of reach when its page has become one of another size, or a part of a run", () => {
    const sizes = [16, 48, 120, 200, 1000, 5000, 20_000, 100_000, 3 * megabyte];
    for (const size of sizes) {
      const reached = Array.from({ length: 300 }, () => malloc(size)).filter((_, i) => size < 100_000 || i < 5);
      for (const ptr of reached) setUint8(ptr, size - 1, 1);
      for (const ptr of reached) free(ptr);
      for (const other of sizes) {
        const live = Array.from({ length: other < 100_000 ? 300 : 5 }, () => malloc(other));
        const isLive = (ptr: bigint) => live.some((start) => ptr >= start && ptr < start + BigInt(usableSize(start)));
        for (const ptr of reached) {
          if (isLive(ptr)) expect(getUint8(ptr)).toBeGreaterThanOrEqual(0);
          else expect(() => getUint8(ptr)).toThrow(/which is in none|never handed out|at most/);
        }
        for (const ptr of live) free(ptr);
      }
    }
  });

  test("has the bounds that a realloc gave it", () => {
    let ptr = malloc(200_000);
    for (const size of [100_000, 300_000, 3 * megabyte, 50_000, 100, 40 * megabyte, 5000, 5 * megabyte]) {
      setInt32(ptr, 0, size);
      ptr = realloc(ptr, size);
      const end = usableSize(ptr);
      expect(getInt32(ptr)).toBe(size);
      setUint8(ptr, end - 1, 1);
      expect(codeOf(() => getUint8(ptr, end))).toBe("ERR_OUT_OF_BOUNDS");
    }
    free(ptr);
  });

  test("is reached again when a program has taken the memory away from the buffer under it", () => {
    for (const size of [100, 6 * megabyte]) {
      const ptr = calloc(size);
      setInt32(ptr, 8, 1);
      const { buffer } = view(ptr, size) as Uint8Array<ArrayBuffer>;
      try {
        structuredClone(buffer, { transfer: [buffer] });
      } catch {
        // Some runtimes refuse it; then there is nothing to recover from.
      }
      expect(getInt32(ptr, 8)).toBe(1);
      setInt32(ptr, 8, 2);
      expect(getInt32(ptr, 8)).toBe(2);
      free(ptr);
    }
  });

  test.runIf(isOwnHeap)("is out of reach as soon as another thread has freed it", async () => {
    const blocks = [...kinds, ...kinds, ...kinds].map(({ size }) => malloc(size));
    for (const ptr of blocks) setUint8(ptr, 0, 1);
    const worker = new Worker(new URL("../support/free-blocks.mjs", import.meta.url), { workerData: blocks });
    await Promise.all([once(worker, "message"), once(worker, "exit")]);
    for (const ptr of blocks) {
      expect(codeOf(() => getUint8(ptr))).toMatch(/^ERR_(OUT_OF_BOUNDS|FOREIGN_POINTER)$/);
    }
  });

  test("is out of reach once it is free, also while a SharedArrayBuffer keeps its memory", () => {
    for (const { size } of kinds) {
      const ptr = calloc(size);
      setUint8(ptr, size - 1, 1);
      const kept = sharedOver(ptr, size);
      expect(getUint8(ptr, size - 1)).toBe(1);
      setUint8(ptr, 0, 2);
      if (kept !== undefined) expect(kept[0]).toBe(2);
      free(ptr);
      if (kept === undefined) continue;
      expect(codeOf(() => getUint8(ptr, size - 1))).toMatch(/^ERR_(OUT_OF_BOUNDS|FOREIGN_POINTER)$/);
      expect(codeOf(() => setUint8(ptr, 0, 3))).toMatch(/^ERR_(OUT_OF_BOUNDS|FOREIGN_POINTER)$/);
      // What a freed mapping held may be gone; nothing was written to it.
      expect(kept[0]).not.toBe(3);
    }
  });

  test.runIf(isOwnHeap && isFastProfile)("is out of reach once it is free, far up in the heap too", () => {
    const large = Array.from({ length: 80 }, () => malloc(megabyte));
    const small = Array.from({ length: 6000 }, (_, i) => malloc(i % 2 === 0 ? 40 : 1000));
    expect(small.some((ptr) => ptr - large[0]! > 64n * BigInt(megabyte))).toBe(true);
    for (const [i, ptr] of small.entries()) setInt32(ptr, 4, i);
    for (const [i, ptr] of small.entries()) {
      expect(getInt32(ptr, 4)).toBe(i);
      free(ptr);
      expect(codeOf(() => getInt32(ptr, 4))).toBe("ERR_OUT_OF_BOUNDS");
    }
    for (const ptr of large) free(ptr);
  });

  test.runIf(isOwnHeap && isFastProfile)("ends earlier once its page belongs to a hardened arena", () => {
    for (const size of [100, 200, 1000, 3000]) {
      const fast = new Arena();
      const reached = new Set(Array.from({ length: 100 }, () => fast.malloc(size)));
      for (const ptr of reached) setUint8(ptr, 0, 1);
      fast.destroy();
      const hardened = new Arena({ profile: "hardened" });
      // So many that what is free already is used up, whichever blocks are chosen.
      const blocks = Array.from({ length: 3000 }, () => hardened.malloc(size - 8));
      expect(blocks.some((ptr) => reached.has(ptr))).toBe(true);
      for (const ptr of blocks) {
        setUint8(ptr, size - 9, 1);
        expect(codeOf(() => getUint8(ptr, size - 8))).toBe("ERR_OUT_OF_BOUNDS");
        expect(codeOf(() => setInt32(ptr, size - 11, 1))).toBe("ERR_OUT_OF_BOUNDS");
      }
      hardened.destroy();
    }
  });

  test("of a few bytes is reached at its own alignment", () => {
    const blocks = Array.from({ length: 300 }, () => alignedAlloc(4, 4));
    for (const [i, ptr] of blocks.entries()) setInt32(ptr, 0, i);
    expect(blocks.every((ptr, i) => getInt32(ptr) === i)).toBe(true);
    expect(codeOf(() => getInt32(blocks[0]!, 1))).toBe("ERR_OUT_OF_BOUNDS");
    for (const ptr of blocks) free(ptr);
  });
});

/** The block as shared memory; undefined where the runtime has none over memory that is not its own. */
function sharedOver(ptr: bigint, length: number): Uint8Array | undefined {
  try {
    return new Uint8Array(shared(ptr, length));
  } catch (error) {
    expect(error).toMatchObject({ code: "ERR_SHARED_VIEWS_UNSUPPORTED" });
    return undefined;
  }
}

/** Reads so often that the block is at hand afterwards (lib/reach.ts). */
function bringToHand(ptr: bigint): void {
  for (let i = 0; i < 300; i++) getUint8(ptr, i & 15);
}

/** Frees blocks in a worker. */
async function freeElsewhere(blocks: bigint[]): Promise<void> {
  const worker = new Worker(new URL("../support/free-blocks.mjs", import.meta.url), { workerData: blocks });
  await Promise.all([once(worker, "message"), once(worker, "exit")]);
}

describe.runIf(isOwnHeap)("a block that was reached many times in a row", () => {
  const gone = /^ERR_(OUT_OF_BOUNDS|FOREIGN_POINTER)$/;

  function expectGone(ptr: bigint): void {
    expect(codeOf(() => getUint8(ptr, 8))).toMatch(gone);
    expect(codeOf(() => setUint8(ptr, 8, 1))).toMatch(gone);
  }

  test.each(kinds)("is out of reach at once where it is freed: $kind", ({ size }) => {
    const neighbours = Array.from({ length: size > megabyte ? 1 : 40 }, () => malloc(size + 16));
    for (let turn = 0; turn < 20; turn++) {
      const ptr = malloc(size + 16);
      bringToHand(ptr);
      free(ptr);
      expectGone(ptr);
    }
    for (const ptr of neighbours) free(ptr);
  });

  test("is in reach while others are freed, and so is what is next at its place", () => {
    const others = Array.from({ length: 40 }, () => malloc(64));
    let ptr = malloc(64);
    for (const [i, other] of others.entries()) {
      bringToHand(ptr);
      free(other);
      setInt32(ptr, 60, i);
      expect(getInt32(ptr, 60)).toBe(i);
      free(ptr);
      const next = malloc(64);
      expect(getInt32(next, 60)).toBe(next === ptr ? i : getInt32(next, 60));
      if (next !== ptr) expectGone(ptr);
      ptr = next;
    }
    free(ptr);
  });

  test.each(kinds)("is out of reach once another thread has freed it: $kind", async ({ size }) => {
    const ptr = malloc(size + 16);
    const neighbour = malloc(size + 16);
    bringToHand(ptr);
    await freeElsewhere([ptr]);
    expectGone(ptr);
    bringToHand(neighbour);
    await freeElsewhere([neighbour]);
    expectGone(neighbour);
  });

  test("is out of reach where a realloc has moved it away", () => {
    for (let turn = 0; turn < 20; turn++) {
      const ptr = calloc(100);
      bringToHand(ptr);
      const moved = realloc(ptr, 5000);
      expect(moved).not.toBe(ptr);
      expectGone(ptr);
      free(moved);
    }
  });

  test("is out of reach once another thread has freed it while a SharedArrayBuffer keeps its memory", async () => {
    const ptr = calloc(100);
    const kept = sharedOver(ptr, 100);
    bringToHand(ptr);
    await freeElsewhere([ptr]);
    expectGone(ptr);
    if (kept !== undefined) expect(kept[8]).toBe(0);
  });

  test("is not taken for another one by a pointer or an offset that is none", () => {
    const ptr = calloc(64);
    const wrong = [0n, -1n, -ptr, ptr + 2n ** 64n, ptr - 2n ** 64n, -(2n ** 63n), 2n ** 63n];
    for (const other of wrong) {
      bringToHand(ptr);
      expect(codeOf(() => getUint8(other))).toBe("ERR_FOREIGN_POINTER");
    }
    for (const offset of [-1, 0.5, Number.NaN, -(2 ** 31), -(2 ** 32)]) {
      bringToHand(ptr);
      expect(codeOf(() => getUint8(ptr, offset))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => setUint8(ptr, offset, 1))).toBe("ERR_INVALID_ARGUMENT");
    }
    for (const offset of [64, 2 ** 31, 2 ** 32, 2 ** 32 + 8]) {
      bringToHand(ptr);
      expect(codeOf(() => getUint8(ptr, offset))).toBe("ERR_OUT_OF_BOUNDS");
    }
    bringToHand(ptr);
    expect(codeOf(() => getInt32(ptr, 61))).toBe("ERR_OUT_OF_BOUNDS");
    expect(codeOf(() => setUint8(ptr, 8, 256))).toBe("ERR_INVALID_ARGUMENT");
    expect(getUint8(ptr, 8)).toBe(0);
    free(ptr);
  });

  test("does not reach behind the end by an inner pointer", () => {
    const ptr = calloc(64);
    for (let inner = 48n; inner < 64n; inner++) {
      for (let i = 0; i < 300; i++) getUint8(ptr + inner);
      expect(codeOf(() => getInt32(ptr + inner, Number(61n - inner)))).toMatch(
        /^ERR_(OUT_OF_BOUNDS|INVALID_ARGUMENT)$/,
      );
      expect(codeOf(() => getUint8(ptr + inner, Number(64n - inner)))).toBe("ERR_OUT_OF_BOUNDS");
    }
    free(ptr);
  });

  test("is out of reach when the other copy of the package in this thread frees it", () => {
    const other = createRequire(import.meta.url)("pagerun") as typeof import("pagerun");
    const [ptr, second] = [calloc(64), calloc(64)];
    bringToHand(ptr);
    other.setInt32(second, 0, 7);
    for (let i = 0; i < 300; i++) expect(other.getInt32(second)).toBe(7);
    expect(getInt32(ptr)).toBe(0);
    bringToHand(ptr);
    other.free(ptr);
    expectGone(ptr);
    expect(getInt32(second)).toBe(7);
    free(second);
  });

  test("is reached again when a program has taken the memory away from the buffer under it", () => {
    const ptr = calloc(100);
    bringToHand(ptr);
    const { buffer } = view(ptr, 100) as Uint8Array<ArrayBuffer>;
    try {
      structuredClone(buffer, { transfer: [buffer] });
    } catch {
      // Some runtimes refuse it; then there is nothing to recover from.
    }
    setInt32(ptr, 8, 1);
    expect(getInt32(ptr, 8)).toBe(1);
    free(ptr);
  });
});

describe("where there are no external ArrayBuffers", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  test("accessors do the same through calls", async () => {
    vi.resetModules();
    vi.stubEnv("PAGERUN_EXTERNAL_VIEWS", "0");
    const other = (await import("pagerun")) as typeof import("pagerun");
    expect(other.capabilities.externalViews).toBe(false);
    const ptr = other.calloc(100);
    const memory = memoryOf(ptr, 100);
    for (const { name, size, read, fitting, unfit } of fields) {
      const get = other[`get${name}` as "getInt8"];
      const set = other[`set${name}` as "setInt8"];
      for (const value of fitting) {
        set(ptr, 13, value as number);
        expect(get(ptr, 13)).toBe(read(memory, 13));
      }
      for (const value of unfit) expect(() => set(ptr, 13, value as number)).toThrow(/for value but received/);
      expect(() => get(ptr, other.usableSize(ptr) - size + 1)).toThrow(/Expected at most/);
      expect(() => get(ptr, -1)).toThrow(/for offset but received/);
    }
    other.free(ptr);
    if (isOwnHeap) expect(() => other.getInt8(ptr)).toThrow(/which is in none/);
  });
});
