// The bindings in worker threads: several at once, blocks that cross threads, and threads that end in every way.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { Worker, type WorkerOptions } from "node:worker_threads";
import {
  copyIn,
  copyOut,
  free,
  freeMany,
  malloc,
  memoryStats,
  PagerunError,
  snapshot,
  usableSize,
  verify,
  view,
} from "pagerun";
import { describe, expect, test } from "vitest";
import { root } from "../structure/tree.js";
import {
  codeOf,
  expectLiveBlocks,
  isFastProfile,
  isOwnHeap,
  kilobyte,
  kinds,
  liveAmong,
  megabyte,
  strayBlocks,
  strayBytes,
  totalsAtRest,
  verifyAfterEach,
} from "../support/heap.js";

verifyAfterEach();

function start(role: string, data: object = {}, options: WorkerOptions = {}): Worker {
  return new Worker(new URL("roles.mjs", import.meta.url), { workerData: { role, ...data }, ...options });
}

/** The first message of a worker, once the worker has ended. Both are listened for at once: they may come together. */
async function resultOf<Result>(worker: Worker): Promise<Result> {
  const [[message]] = (await Promise.all([once(worker, "message"), once(worker, "exit")])) as [[Result], unknown];
  return message;
}

const succeeded = "succeeded";

/** `succeeded`, or the code of the error. */
function outcomeOf(call: () => unknown): string {
  try {
    call();
    return succeeded;
  } catch (error) {
    return (error as PagerunError).code;
  }
}

/** Memory that the heap has in use or ready. */
function heldBytes(): number {
  return memoryStats().committedBytes;
}

describe("workers at the same time", () => {
  test("each work by themselves on one heap", async () => {
    const before = totalsAtRest().liveBlocks;
    const workers = Array.from({ length: 6 }, (_, seed) =>
      start("churn", { seed, steps: 20_000, largest: 200 * kilobyte }),
    );
    for (const result of await Promise.all(workers.map((worker) => resultOf(worker)))) {
      expect(result).toEqual({ wrong: 0, verdict: { ok: true } });
    }
    expectLiveBlocks(before);
  });

  test("with the main thread allocating in between", async () => {
    const workers = Array.from({ length: 3 }, (_, seed) =>
      resultOf(start("churn", { seed: seed + 50, steps: 10_000, largest: 5 * megabyte })),
    );
    const done = Promise.all(workers);
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    for (let i = 0; !isDone; i++) {
      const ptr = malloc(i % 100_000);
      view(ptr, i % 100_000).fill(1);
      free(ptr);
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    for (const result of await done) expect(result).toEqual({ wrong: 0, verdict: { ok: true } });
  });

  test("may number more than fifty, one after another and in groups, and leave nothing", async () => {
    const run = (count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, seed) =>
          resultOf(start("churn", { seed, steps: 300, largest: 50 * kilobyte })),
        ),
      );
    await run(8);
    const before = { liveBlocks: totalsAtRest().liveBlocks, committed: heldBytes() };
    for (let i = 0; i < 16; i++) await run(1);
    for (let i = 0; i < 5; i++) await run(8);
    expect(totalsAtRest().liveBlocks).toBeLessThanOrEqual(before.liveBlocks + strayBlocks);
    // Arenas and pages of threads that ended are used again: there are as many as threads at one time. Where Node.js
    // shares the heap, its own threads have some too.
    expect(memoryStats().arenas).toBeLessThanOrEqual(isOwnHeap ? 8 + 2 : 8 + 20);
    expect(heldBytes()).toBeLessThanOrEqual(before.committed + 8 * megabyte + strayBytes);
  }, 120_000);
});

/** A block; of two frees of one block that could not see each other, the malloc tells that finds them both. */
function takeAfter(freedTwice: readonly bigint[], size: number): bigint {
  for (;;) {
    try {
      return malloc(size);
    } catch (error) {
      const isTold = error instanceof PagerunError && error.code === "ERR_DOUBLE_FREE";
      if (!isTold || !freedTwice.includes(error.ptr)) throw error;
    }
  }
}

describe("blocks that cross threads", () => {
  test.each(kinds)("are used and freed by a thread that has not made them: $kind", async ({ size }) => {
    const ptr = malloc(size);
    view(ptr, size).fill(1);
    const result = await resultOf(start("use", { ptr, size }));
    expect(result).toEqual({ seen: 1, size: usableSize(ptr), copied: 3, interior: "ERR_INTERIOR_POINTER" });
    expect(view(ptr, size)[0]).toBe(3);
    if (!isOwnHeap) {
      expect(await resultOf(start("free", { blocks: [ptr] }))).toEqual(["freed"]);
      return;
    }
    expect(await resultOf(start("free", { blocks: [ptr, ptr] }))).toEqual(["freed", "ERR_DOUBLE_FREE"]);
    expect(codeOf(() => free(ptr))).toBe("ERR_DOUBLE_FREE");
    expect(codeOf(() => view(ptr, 1))).toBe("ERR_OUT_OF_BOUNDS");
  });

  test.each(kinds)("outlive the thread that made them: $kind", async ({ size }) => {
    const count = size > megabyte ? 3 : 500;
    const before = totalsAtRest().liveBlocks;
    const blocks = await resultOf<bigint[]>(start("make", { count, size }));
    expectLiveBlocks(before + count);
    expect(liveAmong(blocks)).toBe(count);
    blocks.forEach((ptr, i) => {
      expect(view(ptr, size).every((byte) => byte === (i & 0xff))).toBe(true);
      free(ptr);
      if (isOwnHeap) expect(codeOf(() => free(ptr))).toBe("ERR_DOUBLE_FREE");
    });
    expectLiveBlocks(before);
  });

  test("made here and freed there by the ten thousand, leave nothing", async () => {
    const before = totalsAtRest().liveBlocks;
    const blocks = Array.from({ length: 10_000 }, (_, i) => malloc((i * 37) % 3000));
    const workers = [0, 1].map((part) => start("free", { blocks: blocks.filter((_, i) => i % 2 === part) }));
    for (const codes of await Promise.all(workers.map((worker) => resultOf<string[]>(worker)))) {
      expect(new Set(codes)).toEqual(new Set(["freed"]));
    }
    expect(totalsAtRest().liveBlocks).toBeLessThanOrEqual(before + strayBlocks);
    // This thread takes the pages back when it wants blocks of their classes.
    freeMany(Array.from({ length: 10_000 }, (_, i) => malloc((i * 37) % 3000)));
    expect(totalsAtRest().liveBlocks).toBeLessThanOrEqual(before + strayBlocks);
    const left = snapshot().pages.reduce((sum, page) => sum + page.used - page.remote, 0);
    expect(left).toBeLessThanOrEqual(before + strayBlocks);
  });

  test.runIf(isOwnHeap)(
    "are freed once, when two threads that have not made them free them at the same moment",
    async () => {
      for (const { size } of kinds) {
        // Of mappings that were released the last 1,024 are known: one thread may have freed all before the other begins.
        const blocks = Array.from({ length: size > megabyte ? 20 : 1000 }, () => malloc(size));
        const gate = new SharedArrayBuffer(4);
        const workers = [0, 1].map(() => start("race", { blocks, gate, threads: 2 }));
        const [one, other] = (await Promise.all(workers.map((worker) => resultOf<string[]>(worker)))) as [
          string[],
          string[],
        ];
        blocks.forEach((_, i) => {
          expect([one[i], other[i]].sort()).toEqual(["ERR_DOUBLE_FREE", "freed"]);
        });
        expect(verify()).toEqual({ ok: true });
      }
    },
  );

  test.runIf(isOwnHeap)(
    "freed by their own thread and another at the same moment are free, and never handed out twice",
    async () => {
      for (const { size } of kinds.slice(0, 4)) {
        const blocks = Array.from({ length: 2000 }, () => malloc(size));
        const shared = new SharedArrayBuffer(4);
        const gate = new Int32Array(shared);
        const result = resultOf<string[]>(start("race", { blocks, gate: shared, threads: 2 }));
        while (Atomics.load(gate, 0) < 1) await new Promise(setImmediate);
        Atomics.add(gate, 0, 1);
        const own = blocks.map((ptr) => outcomeOf(() => free(ptr)));
        const other = await result;
        // Which of two frees is one too many is not always seen while they race; what one of them did always holds.
        blocks.forEach((_, i) => {
          expect(own[i] === succeeded || other[i] === "freed").toBe(true);
        });
        const freedTwice = blocks.filter((_, i) => own[i] === succeeded && other[i] === "freed");
        const again = Array.from({ length: 6000 }, () => takeAfter(freedTwice, size));
        expect(new Set(again).size).toBe(again.length);
        expect(verify()).toEqual({ ok: true });
        for (const ptr of again) free(ptr);
      }
    },
  );

  test("stay readable for a view that another thread holds, after they are freed", async () => {
    for (const size of [100, 6 * megabyte, 64 * megabyte]) {
      const ptr = malloc(size);
      const worker = start("hold", { ptr, size, writes: isOwnHeap });
      await once(worker, "message");
      free(ptr);
      const others = [malloc(64 * megabyte), malloc(64 * megabyte)];
      worker.postMessage("go on");
      const { length, live } = await resultOf<{ length: number; live: string | undefined }>(worker);
      expect(length).toBe(size);
      if (isOwnHeap) expect(live).toEqual(size === 100 ? expect.anything() : "ERR_OUT_OF_BOUNDS");
      for (const other of others) free(other);
    }
  });

  test("can be asked for while other threads free them: refused or done, never a crash", async () => {
    const places = new BigInt64Array(new SharedArrayBuffer(16 * 8));
    const workers = [1, 2].map((seed) => start("recycle", { seed, places: places.buffer }));
    await Promise.all(workers.map((worker) => once(worker, "message")));
    const reads = [
      (ptr: bigint) => view(ptr + 7n, 4000)[3999],
      (ptr: bigint) => copyOut(ptr, 5000),
      (ptr: bigint) => usableSize(ptr),
    ];
    const writes = [(ptr: bigint) => view(ptr, 1000).fill(1), (ptr: bigint) => copyIn(ptr, new Uint8Array(5000))];
    // The hardened profile tells of writes to freed blocks.
    const calls = isOwnHeap && isFastProfile ? [...reads, ...writes] : reads;
    const outcomes = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const ptr = BigInt.asUintN(64, Atomics.load(places, i % 16));
      const outcome = outcomeOf(() => (ptr === 0n ? undefined : calls[i % calls.length]?.(ptr)));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    await Promise.all(workers.map((worker) => worker.terminate()));
    const refusals = ["ERR_OUT_OF_BOUNDS", "ERR_FOREIGN_POINTER", "ERR_DOUBLE_FREE", "ERR_INTERIOR_POINTER"];
    expect([...outcomes.keys()].filter((outcome) => outcome !== succeeded && !refusals.includes(outcome))).toEqual([]);
    expect(outcomes.get(succeeded)).toBeGreaterThan(100);
    for (const ptr of places) if (ptr !== 0n) free(BigInt.asUintN(64, ptr));
  });
});

describe("a worker that ends", () => {
  test("by terminate() while it allocates, twenty times, does no harm", async () => {
    for (let i = 0; i < 20; i++) {
      const workers = [start("endless", { seed: i }), start("endless", { seed: i + 100 })];
      await Promise.all(workers.map((worker) => once(worker, "message")));
      await new Promise((done) => setTimeout(done, (i * 7) % 40));
      await Promise.all(workers.map((worker) => worker.terminate()));
      expect(verify()).toEqual({ ok: true });
      free(malloc(1000));
    }
  }, 120_000);

  test("by an error leaves its blocks to the others", async () => {
    const worker = start("fail");
    // Not once(): its promise of a message is refused when the error is told first.
    const message = new Promise<bigint[]>((resolve) => worker.once("message", resolve));
    const error = new Promise((resolve) => worker.once("error", resolve));
    expect(await error).toMatchObject({ message: "as the test wants" });
    const blocks = await message;
    for (const ptr of blocks) {
      expect(copyOut(ptr, 100)).toHaveLength(100);
      free(ptr);
    }
  });

  test("gives back what only its views held", async () => {
    const blocks = [malloc(100), malloc(6 * megabyte), malloc(64 * megabyte)];
    await resultOf(start("leaveViews", { blocks }));
    const before = heldBytes();
    for (let i = 0; i < 5; i++) await resultOf(start("leaveViews", { blocks }));
    expect(heldBytes()).toBeLessThanOrEqual(before + strayBytes);
    const [, , huge] = blocks as [bigint, bigint, bigint];
    const size = usableSize(huge);
    for (const ptr of blocks) free(ptr);
    expect(heldBytes()).toBeLessThanOrEqual(before - size + strayBytes);
  });

  test("has its own environment and capabilities", async () => {
    const env = { ...process.env, PAGERUN_EXTERNAL_VIEWS: "0" };
    expect(await resultOf(start("capabilities", {}, { env }))).toMatchObject({ externalViews: false });
    expect(await resultOf(start("capabilities"))).toMatchObject({ externalViews: true });
  });
});

describe("a process", () => {
  /** Runs a program that starts workers of these roles; `Worker` and `start` are there. */
  function execute(program: string): { status: number | null; signal: string | null; stdout: string; stderr: string } {
    const prelude = `
      import { once } from "node:events";
      import { Worker } from "node:worker_threads";
      const start = (role, data = {}) => new Worker(${JSON.stringify(new URL("roles.mjs", import.meta.url).pathname)}, { execArgv: [], workerData: { role, ...data } });`;
    return spawnSync(process.execPath, ["--input-type=module", "-e", prelude + program], {
      cwd: root,
      encoding: "utf8",
      timeout: 60_000,
    });
  }

  test("whose first use is in a worker that ends goes on in the main thread", () => {
    const { stdout, stderr, status } = execute(`
      const first = start("make", { count: 100, size: 500 });
      const [[blocks]] = await Promise.all([once(first, "message"), once(first, "exit")]);
      const { free, malloc, memoryStats, verify, view } = await import("pagerun");
      const before = memoryStats().liveBlocks;
      for (const ptr of blocks) free(ptr);
      view(malloc(100), 100).fill(1);
      const verdict = verify();
      console.log(JSON.stringify({ before, after: memoryStats().liveBlocks, verdict }));`);
    expect(stderr).toBe("");
    const { before, after, verdict } = JSON.parse(stdout) as { before: number; after: number; verdict: object };
    expect(verdict).toEqual({ ok: true });
    if (isOwnHeap) expect({ before, after }).toEqual({ before: 100, after: 1 });
    else expect(Math.abs(before - after)).toBeLessThanOrEqual(strayBlocks);
    expect(status).toBe(0);
  });

  test("that loads the addon only in workers, again and again, ends well", () => {
    const { stderr, status, signal } = execute(`
      for (let i = 0; i < 10; i++) {
        const worker = start("churn", { seed: i, steps: 500, largest: 6_000_000 });
        await once(worker, "exit");
      }`);
    expect({ stderr, status, signal }).toEqual({ stderr: "", status: 0, signal: null });
  });

  test.each(["process.exit(7)", "throw new Error('as the test wants')"])(
    "ends by %s while workers allocate and views are held",
    (end) => {
      const { status, signal } = execute(`
      const { malloc, view } = await import("pagerun");
      globalThis.kept = [view(malloc(100), 100), view(malloc(64_000_000), 100), view(malloc(6_000_000), 100)];
      const workers = [1, 2, 3].map((seed) => start("endless", { seed }));
      await Promise.all(workers.map((worker) => once(worker, "message")));
      ${end}`);
      expect(signal).toBeNull();
      expect(status).toBe(end.includes("7") ? 7 : 1);
    },
  );
});
