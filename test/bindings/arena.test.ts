// Arenas of programs: what they hand out, count and refuse; how everything of them ends at once; and what outlives them.
import { spawnSync } from "node:child_process";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Arena, type ArenaOptions, copyIn, copyOut, free, malloc, realloc, snapshot, usableSize, view } from "pagerun";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { failSystemCall } from "../../lib/internal/testing.js";
import { root } from "../structure/tree.js";
import {
  codeOf,
  expectLiveBlocks,
  isFastProfile,
  isOwnHeap,
  kinds,
  megabyte,
  thrownBy,
  totalsAtRest,
  verifyAfterEach,
} from "../support/heap.js";
import {
  foreignPointers,
  impossibleSizes,
  notNumeric,
  wrongNumbers,
  wrongPointers,
  wrongSizes,
} from "../support/hostile.js";
import { transferred } from "../support/transfer.js";

verifyAfterEach();

let liveBefore = 0;
let arena: Arena;
beforeEach(() => {
  liveBefore = totalsAtRest().liveBlocks;
  arena = new Arena();
});
afterEach(() => {
  failSystemCall(0);
  arena.destroy();
  expectLiveBlocks(liveBefore);
});

/** An arena in the place of the test's own. */
function newArena(options: unknown): Arena {
  arena.destroy();
  arena = new Arena(options as ArenaOptions);
  return arena;
}

/** Calls with what their types would not allow. */
type Loose = Record<
  "malloc" | "calloc" | "realloc" | "alignedAlloc" | "free" | "view" | "alloc",
  (...args: unknown[]) => unknown
>;
function loose(): Loose {
  return arena as unknown as Loose;
}

describe("blocks of an arena", () => {
  test.runIf(isFastProfile).each(kinds)("$kind ones are ordinary blocks, and counted to the byte", ({ size }) => {
    const ptr = arena.malloc(size);
    expect(arena.used).toBe(usableSize(ptr));
    expect(usableSize(ptr)).toBeGreaterThanOrEqual(size);
    view(ptr, size).fill(7);
    expect(arena.view(ptr + 1n, size - 1).every((byte) => byte === 7)).toBe(true);
    const other = arena.calloc(size);
    expect(arena.view(other, size).every((byte) => byte === 0)).toBe(true);
    expect(arena.used).toBe(usableSize(ptr) + usableSize(other));
    free(ptr);
    arena.free(other);
    expect(arena.used).toBe(0);
  });

  test("are aligned as asked for", () => {
    for (const alignment of [1, 4, 16, 64n, 4096, 32768, 65536n, 2 ** 20]) {
      expect(arena.alignedAlloc(alignment, 100) % BigInt(alignment)).toBe(0n);
    }
  });

  test.runIf(isFastProfile)("stay in it when it resizes them, with their content", () => {
    const sizes = [10, 5000, 40_000, 300_000, 3 * megabyte, 40 * megabyte, 100_000, 20];
    let ptr = arena.malloc(1);
    copyIn(ptr, Uint8Array.of(99));
    for (const size of sizes) {
      ptr = arena.realloc(ptr, size);
      expect(copyOut(ptr, 1)[0]).toBe(99);
      expect(arena.used).toBe(usableSize(ptr));
    }
    expect(arena.realloc(ptr, 0)).toBe(0n);
    expect(arena.used).toBe(0);
    const fresh = arena.realloc(0n, 50);
    expect(arena.used).toBe(usableSize(fresh));
  });

  test("leave it with their content when the global realloc moves them", () => {
    for (const { size } of kinds) {
      const ptr = arena.malloc(size);
      copyIn(ptr, Uint8Array.of(41));
      const moved = realloc(ptr, size * 2 + 100_000);
      expect(copyOut(moved, 1)[0]).toBe(41);
      expect(arena.used).toBe(0);
      free(moved);
    }
  });

  test("free(0n) does nothing, sizes may be bigint, and 0 is a size", () => {
    arena.free(0n);
    expect(arena.malloc(0)).not.toBe(arena.malloc(0n));
    expect(usableSize(arena.malloc(100n))).toBeGreaterThanOrEqual(100);
    expect(usableSize(arena.calloc(10n, 10n))).toBeGreaterThanOrEqual(100);
  });
});

describe("the limit", () => {
  test.runIf(isFastProfile)("refuses what goes beyond it, says by how much, and nothing is lost", () => {
    newArena({ limit: 10_000 });
    const ptr = arena.malloc(4096);
    copyIn(ptr, Uint8Array.of(5));
    expect(thrownBy(() => arena.malloc(6000))).toMatchObject({
      code: "ERR_ARENA_LIMIT",
      call: "malloc",
      size: 6000,
      limit: 10_000,
      used: 4096,
    });
    expect(codeOf(() => arena.calloc(100, 100))).toBe("ERR_ARENA_LIMIT");
    expect(codeOf(() => arena.alignedAlloc(4096, 6000))).toBe("ERR_ARENA_LIMIT");
    expect(codeOf(() => arena.realloc(ptr, 20_000))).toBe("ERR_ARENA_LIMIT");
    expect(thrownBy(() => arena.alloc(6000))).toMatchObject({ code: "ERR_ARENA_LIMIT", call: "alloc", size: 6000 });
    expect(arena.used).toBe(4096);
    expect(copyOut(ptr, 1)[0]).toBe(5);
    arena.malloc(5000);
    arena.reset();
    arena.malloc(10_000 - 2000);
  });

  test.runIf(isFastProfile)("is exact: the last byte is given", () => {
    newArena({ limit: 1024n });
    for (let i = 0; i < 64; i++) arena.malloc(16);
    expect(arena.used).toBe(1024);
    expect(codeOf(() => arena.malloc(1))).toBe("ERR_ARENA_LIMIT");
  });

  test("holds for runs and mappings, and for sizes that no machine has", () => {
    newArena({ limit: 50 * megabyte });
    arena.malloc(40 * megabyte);
    expect(codeOf(() => arena.malloc(11 * megabyte))).toBe("ERR_ARENA_LIMIT");
    for (const size of impossibleSizes) expect(codeOf(() => arena.malloc(size))).toBe("ERR_ARENA_LIMIT");
    expect(codeOf(() => arena.calloc(2 ** 40, 2 ** 40))).toBe("ERR_ARENA_LIMIT");
    newArena({ limit: 0 });
    expect(codeOf(() => arena.malloc(1))).toBe("ERR_ARENA_LIMIT");
    newArena({});
    for (const size of impossibleSizes) expect(codeOf(() => arena.malloc(size))).toBe("ERR_OUT_OF_MEMORY");
  });

  test("is the limit of what is live: a block that is resized counts once", () => {
    newArena({ limit: 100_000 });
    const ptr = arena.realloc(arena.malloc(60_000), 90_000);
    expect(usableSize(ptr)).toBeGreaterThanOrEqual(90_000);
  });
});

describe("onPressure", () => {
  test.runIf(isFastProfile)("is called before the error, and what it frees is there for the call", () => {
    const seen: unknown[] = [];
    let spare = 0n;
    newArena({
      limit: 10_000,
      onPressure(of: Arena, pressure: object) {
        seen.push(of, pressure);
        of.free(spare);
        spare = 0n;
      },
    });
    spare = arena.malloc(7000);
    const ptr = arena.malloc(7000);
    expect(arena.used).toBe(usableSize(ptr));
    expect(seen).toEqual([arena, { needed: 7000, used: 7168, limit: 10_000 }]);
    expect(codeOf(() => arena.malloc(7000))).toBe("ERR_ARENA_LIMIT");
    expect(seen.length).toBe(4);
  });

  test("is called once when 80 % of the limit are passed, and again when they are passed anew", () => {
    const used: number[] = [];
    newArena({ limit: 100_000, onPressure: (of: Arena) => used.push(of.used) });
    const blocks = Array.from({ length: 95 }, () => arena.malloc(1000));
    expect(used).toEqual([79 * 1024 - 1024 * 1]);
    for (const ptr of blocks.splice(0, 50)) arena.free(ptr);
    expect(used.length).toBe(1);
    while (arena.used < 90_000) arena.malloc(1000);
    expect(used.length).toBe(2);
    const grown = arena.malloc(1000);
    arena.reset();
    expect(grown).not.toBe(0n);
    const small = arena.malloc(50_000);
    arena.realloc(small, 90_000);
    expect(used.length).toBe(3);
  });

  test.runIf(isFastProfile)("may reset and destroy the arena, allocate, and throw", () => {
    let act: (of: Arena) => void = (of) => of.reset();
    newArena({ limit: 10_000, onPressure: (of: Arena) => act(of) });
    arena.malloc(7000);
    const ptr = arena.malloc(9000);
    expect(arena.used).toBe(usableSize(ptr));

    let nested = "";
    act = (of) => {
      nested = codeOf(() => of.malloc(9000));
    };
    expect(codeOf(() => arena.malloc(9000))).toBe("ERR_ARENA_LIMIT");
    expect(nested).toBe("ERR_ARENA_LIMIT");

    act = () => {
      throw new RangeError("mine");
    };
    expect(() => arena.malloc(9000)).toThrow(RangeError);
    expect(arena.used).toBe(usableSize(ptr));

    act = (of) => of.destroy();
    expect(codeOf(() => arena.malloc(9000))).toBe("ERR_ARENA_DESTROYED");
    act = () => {};
    newArena({ limit: 10_000, onPressure: (of: Arena) => of.destroy() });
    const last = arena.malloc(5000);
    expect(codeOf(() => arena.realloc(last, 9000))).toBe("ERR_ARENA_DESTROYED");
  });

  test("leaves the count as it is when it throws at the high water", () => {
    newArena({
      limit: 10_000,
      onPressure() {
        throw new RangeError("mine");
      },
    });
    expect(() => arena.malloc(9000)).toThrow(RangeError);
    expect(arena.used).toBe(0);
  });
});

describe("the end of an arena", () => {
  test.each(["reset", "destroy"] as const)("by %s frees all blocks and ends all views and Blocks", (end) => {
    const ptrs = kinds.map(({ size }) => arena.malloc(size));
    const views = kinds.map(({ size }, i) => arena.view(ptrs[i]!, size));
    const blocks = kinds.map(({ size }) => arena.alloc(size));
    const bytes = blocks.map((block) => block.bytes);
    for (const view of [...views, ...bytes]) view.fill(3);
    const words = new Float64Array(views[6]!.buffer, 0, 1);
    arena[end]();
    expect([...views, ...bytes].map(({ length }) => length)).toEqual(new Array(14).fill(0));
    expect(words.length).toBe(0);
    expect(views[0]!.buffer.byteLength).toBe(0);
    expect(blocks.map(({ size, ptr }) => [size, ptr])).toEqual(new Array(7).fill([0, 0n]));
    expect(codeOf(() => blocks[1]!.getInt8())).toBe("ERR_OUT_OF_BOUNDS");
    expect(codeOf(() => blocks[1]!.free())).toBe("ERR_DOUBLE_FREE");
    expect(arena.used).toBe(0);
    expectLiveBlocks(liveBefore);
    if (isOwnHeap) for (const ptr of ptrs) expect(codeOf(() => free(ptr))).toBe("ERR_DOUBLE_FREE");
    if (end === "reset") expect(arena.view(arena.calloc(100), 100).length).toBe(100);
  });

  test("leaves a destroyed arena that says so, and may be destroyed again", () => {
    const ptr = arena.malloc(100);
    expect(arena.isDestroyed).toBe(false);
    arena.destroy();
    expect(arena.isDestroyed).toBe(true);
    arena.destroy();
    arena[Symbol.dispose]();
    for (const call of [
      () => arena.malloc(8),
      () => arena.calloc(8),
      () => arena.realloc(ptr, 8),
      () => arena.alignedAlloc(8, 8),
      () => arena.free(ptr),
      () => arena.alloc(8),
      () => arena.view(ptr, 8),
      () => arena.reset(),
    ]) {
      expect(codeOf(call)).toBe("ERR_ARENA_DESTROYED");
    }
    expect(arena.used).toBe(0);
  });

  test("comes with the scope of `using`, also when that throws", () => {
    let bytes: Uint8Array = new Uint8Array(1);
    expect(() => {
      using scoped = new Arena();
      bytes = scoped.view(scoped.malloc(100), 100);
      throw new RangeError("mine");
    }).toThrow(RangeError);
    expect(bytes.length).toBe(0);
  });

  test("comes for a large block's views with its free, and with a realloc that moves", () => {
    const ptr = arena.malloc(200_000);
    const bytes = arena.view(ptr, 200_000);
    const moved = arena.realloc(ptr, 64 * megabyte);
    expect(moved).not.toBe(ptr);
    expect(bytes.length).toBe(0);
    const huge = arena.view(moved, 64 * megabyte);
    arena.free(moved);
    expect(huge.length).toBe(0);
  });

  test.runIf(isFastProfile)("costs by the page: a million blocks end as one does", () => {
    for (let i = 0; i < 200_000; i++) arena.malloc(16);
    expect(arena.used).toBe(200_000 * 16);
    arena.reset();
    expectLiveBlocks(liveBefore);
  });
});

describe("memory that was transferred away", () => {
  test.runIf(isFastProfile).each([100, 200_000, 40 * megabyte])(
    "is with nobody else until it can be reached no more (%i bytes)",
    async (size) => {
      const ptr = arena.malloc(size);
      const bytes = arena.view(ptr, size);
      bytes.fill(77);
      let taken: ArrayBuffer | undefined = transferred(bytes.buffer);
      expect(bytes.length).toBe(0);
      const again = arena.view(ptr, size);
      expect(again[size - 1]).toBe(77);
      const before = new Uint8Array(taken).slice();
      arena.destroy();
      expect(again.length).toBe(0);
      const others = Array.from({ length: 300 }, () => malloc(Math.min(size, 200_000)));
      for (const other of others) view(other, 100).fill(1);
      // The largest blocks give their content back as they end, and keep the address.
      const expected = size === 40 * megabyte ? new Uint8Array(before.length) : before;
      expect(Buffer.compare(new Uint8Array(taken), expected)).toBe(0);
      new Uint8Array(taken).fill(5);
      expect(others.every((other) => view(other, 100).every((byte) => byte === 1))).toBe(true);
      for (const other of others) free(other);
      transferred(taken, 0);
      taken = undefined;
      await turn();
      expectLiveBlocks(liveBefore);
    },
  );

  test("of a Block likewise", async () => {
    const block = arena.alloc(1000);
    const taken = transferred(block.bytes.buffer);
    arena.reset();
    expect(block.size).toBe(0);
    const others = Array.from({ length: 1000 }, () => arena.malloc(1000));
    for (const other of others) view(other, 1000).fill(1);
    expect(new Uint8Array(taken).every((byte) => byte === 0)).toBe(true);
    transferred(taken, 0);
    await turn();
  });

  test("a clone is a copy, and a view of it goes on", () => {
    const bytes = arena.view(arena.calloc(100), 100);
    bytes[3] = 4;
    const copy = structuredClone(bytes);
    arena.destroy();
    expect(copy[3]).toBe(4);
  });
});

describe("misuse", () => {
  test("blocks of others are refused, and live on", () => {
    const other = new Arena();
    const ptrs = [malloc(100), other.malloc(100), malloc(200_000), other.malloc(200_000), other.malloc(40 * megabyte)];
    for (const ptr of ptrs) {
      for (const call of [() => arena.free(ptr), () => arena.realloc(ptr, 500), () => arena.view(ptr, 10)]) {
        expect(thrownBy(call)).toMatchObject({ code: "ERR_OTHER_ARENA", ptr });
      }
      expect(usableSize(ptr)).toBeGreaterThan(0);
    }
    free(ptrs[0]!);
    free(ptrs[2]!);
    other.destroy();
  });

  test.runIf(isFastProfile)("freed, interior and foreign pointers are refused", () => {
    for (const { size } of kinds) {
      const ptr = arena.malloc(size);
      expect(codeOf(() => arena.free(ptr + 1n))).toBe("ERR_INTERIOR_POINTER");
      expect(codeOf(() => arena.realloc(ptr + 1n, 8))).toBe("ERR_INTERIOR_POINTER");
      expect(codeOf(() => arena.view(ptr, usableSize(ptr) + 1))).toBe("ERR_OUT_OF_BOUNDS");
      arena.free(ptr);
      if (!isOwnHeap) continue;
      expect(codeOf(() => arena.free(ptr))).toBe("ERR_DOUBLE_FREE");
      expect(codeOf(() => arena.realloc(ptr, 8))).toBe("ERR_DOUBLE_FREE");
      expect(codeOf(() => arena.view(ptr, 1))).toBe("ERR_OUT_OF_BOUNDS");
    }
    const run = arena.malloc(100_000);
    expect(thrownBy(() => arena.view(run + 131_000n, 1))).toMatchObject({
      code: "ERR_OUT_OF_BOUNDS",
      available: undefined,
    });
    for (const ptr of [...foreignPointers, ...wrongPointers]) {
      expect(codeOf(() => arena.free(ptr))).toBe("ERR_FOREIGN_POINTER");
      expect(codeOf(() => arena.realloc(ptr, 8))).toBe("ERR_FOREIGN_POINTER");
      expect(codeOf(() => arena.view(ptr, 8))).toBe("ERR_FOREIGN_POINTER");
    }
  });

  test("values of wrong types are refused without a call of their code", () => {
    const ptr = arena.malloc(8);
    for (const { value } of notNumeric) {
      for (const call of [
        () => loose().malloc(value),
        () => loose().calloc(value === undefined ? null : value),
        () => loose().calloc(1, value === undefined ? null : value),
        () => loose().alignedAlloc(value, 8),
        () => loose().alignedAlloc(8, value),
        () => loose().realloc(value, 8),
        () => loose().realloc(ptr, value),
        () => loose().free(value),
        () => loose().view(value, 8),
        () => loose().view(ptr, value),
        () => loose().alloc(value),
      ]) {
        expect(codeOf(call)).toBe("ERR_INVALID_ARGUMENT");
      }
    }
    for (const value of [...wrongNumbers, ...wrongSizes]) {
      expect(codeOf(() => loose().malloc(value))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => loose().view(ptr, value))).toBe("ERR_INVALID_ARGUMENT");
    }
    expect(arena.used).toBe(16);
  });

  test("options are checked before anything is made", () => {
    const wrong = {
      name: [1, null],
      limit: [-1, 1.5, "1", null],
      profile: ["slow", null, 1],
      onPressure: [1, null, {}],
    };
    for (const [option, values] of Object.entries(wrong)) {
      for (const value of values) {
        expect(thrownBy(() => new Arena({ [option]: value } as ArenaOptions))).toMatchObject({
          code: "ERR_INVALID_ARGUMENT",
          argument: option,
        });
      }
    }
    for (const options of [null, 1, "x"]) expect(codeOf(() => newArena(options))).toBe("ERR_INVALID_ARGUMENT");
    expect(() =>
      Reflect.construct(Arena, [
        {
          get limit() {
            throw new RangeError("mine");
          },
        },
      ]),
    ).toThrow(RangeError);
    expect(() => Arena.prototype.malloc.call({} as Arena, 8)).toThrow(TypeError);
  });

  test("a refused system call is an error, and the arena goes on", () => {
    for (let n = 1; n < 12; n++) {
      failSystemCall(n);
      for (const size of [100, 200_000, 5 * megabyte, 40 * megabyte]) {
        try {
          arena.free(arena.malloc(size));
        } catch (error) {
          expect(error).toMatchObject({ code: "ERR_OUT_OF_MEMORY" });
        }
      }
      failSystemCall(0);
      arena.reset();
    }
  });
});

describe("many arenas", () => {
  test("a hundred thousand made and destroyed leave nothing behind", async () => {
    const request = (i: number) => {
      using scoped = new Arena({ name: `request ${i}`, limit: 100_000 });
      for (const size of [24, 100, 500, 3000]) scoped.malloc(size);
      if (i % 100 === 0) scoped.view(scoped.malloc(60_000), 60_000)[0] = i;
      if (i % 10 === 0) scoped.view(scoped.malloc(30), 30)[0] = i;
    };
    const count = process.env.PAGERUN_TEST_SANITIZER === undefined ? 100_000 : 5000;
    for (let i = 0; i < count / 10; i++) request(i);
    await turn();
    const before = totalsAtRest();
    const resident = process.memoryUsage().rss;
    for (let i = 0; i < count; i++) request(i);
    // What Node.js keeps of ended ArrayBuffers goes with the next turn.
    await turn();
    const after = totalsAtRest();
    expect(after.arenas).toBe(before.arenas);
    expectLiveBlocks(before.liveBlocks);
    expect(after.committedBytes).toBeLessThanOrEqual(before.committedBytes + 16 * megabyte);
    expect(process.memoryUsage().rss).toBeLessThan(resident + 200 * megabyte);
  });

  test.runIf(isFastProfile)("are named by the snapshot, with their blocks of every kind", () => {
    newArena({ name: "a request", limit: 100 * megabyte });
    for (const { size } of kinds) arena.malloc(size);
    const { arenas, pages, mappings } = snapshot();
    const found = arenas.filter(({ made }) => made?.name === "a request");
    expect(found).toEqual([
      expect.objectContaining({ state: "active", liveBlocks: kinds.length, liveBytes: arena.used }),
    ]);
    const [{ id, made }] = found as [(typeof found)[0]];
    expect(made?.limit).toBe(100 * megabyte);
    expect(arenas.some((other) => other.id === made?.host && other.made === undefined)).toBe(true);
    expect(pages.filter((page) => page.arena === id && page.kind === "run").length).toBe(2);
    expect(mappings.filter((mapping) => mapping.arena === id).length).toBe(1);
    arena.destroy();
    expect(snapshot().arenas.some((other) => other.id === id)).toBe(false);
  });
});

describe("other threads", () => {
  async function inWorker<Result>(data: object): Promise<Result> {
    const worker = new Worker(new URL("../support/arenas.mjs", import.meta.url), { workerData: data });
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    const message = await new Promise<Result>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    await ended;
    return message;
  }

  test.runIf(isFastProfile)("use and free its blocks, and what they free makes room", async () => {
    newArena({ limit: megabyte });
    const blocks = Array.from({ length: 1024 }, () => arena.malloc(1024));
    expect(codeOf(() => arena.malloc(16))).toBe("ERR_ARENA_LIMIT");
    expect(await inWorker({ role: "free", blocks })).toBe(1024);
    for (let i = 0; i < 1024; i++) arena.malloc(1024);
    expect(codeOf(() => arena.malloc(16))).toBe("ERR_ARENA_LIMIT");
  });

  test("that end, return or are terminated, leave nothing of their arenas", async () => {
    expect(await inWorker({ role: "leave" })).toBe("left");
    const worker = new Worker(new URL("../support/arenas.mjs", import.meta.url), { workerData: { role: "endless" } });
    await new Promise((resolve) => worker.once("message", resolve));
    await worker.terminate();
    expectLiveBlocks(liveBefore);
  });

  test.runIf(isOwnHeap)("that free while the arena is reset harm nothing", async () => {
    const worker = new Worker(new URL("../support/arenas.mjs", import.meta.url), { workerData: { role: "race" } });
    const done = new Promise((resolve) => worker.once("exit", resolve));
    await new Promise((resolve) => worker.once("message", resolve));
    for (let round = 0; round < 200; round++) {
      worker.postMessage(Array.from({ length: 200 }, (_, i) => arena.malloc(i % 4 === 3 ? 40_000 : 100 + i)));
      for (let spins = 0; spins < 20_000; spins++) if (arena.used === 0) break;
      arena.reset();
      await turn();
    }
    worker.postMessage("end");
    await done;
    expect(arena.used).toBe(0);
  });
});

test("under the collector, arenas come and go with what can be reached", () => {
  const { stdout, stderr } = spawnSync(process.execPath, ["--expose-gc", "test/support/arenas.mjs"], {
    cwd: root,
    encoding: "utf8",
    timeout: 60_000,
  });
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual({
    dropped: 0,
    keptByView: true,
    afterView: 0,
    keptByBlock: true,
    afterBlock: 0,
    keptByBytes: true,
    afterBytes: 0,
    collectorWasTold: true,
    afterMany: 0,
    verdict: { ok: true },
  });
});
