// SharedArrayBuffers over memory: the same bytes on every thread, and memory that stays as long as one of them has it.
// Runtimes that cannot make them say so; `test/programs/node.program.ts` runs this file on those that can.
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import {
  calloc,
  capabilities,
  copyIn,
  copyOut,
  free,
  malloc,
  mapPages,
  protectPages,
  realloc,
  shared,
  snapshot,
  unmapPages,
  view,
} from "pagerun";
import { describe, expect, test } from "vitest";
import {
  codeOf,
  isFastProfile,
  isOwnHeap,
  kilobyte,
  kinds,
  megabyte,
  strayBlocks,
  verifyAfterEach,
} from "../support/heap.js";

verifyAfterEach();

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Live blocks, without those that other threads (the collector's too) have freed and nobody has drained yet. */
function liveBlocks(): number {
  const { pages, mappings } = snapshot();
  return pages.reduce((sum, page) => sum + page.used - page.remote, mappings.length);
}

function expectLive(count: number): void {
  expect(Math.abs(liveBlocks() - count)).toBeLessThanOrEqual(strayBlocks);
}

/** Lets finalizers run, those of other threads included. */
async function collect(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    collectGarbage();
    await new Promise((done) => setTimeout(done, 5));
  }
}

test("where the runtime has no such call, that is a capability, and an error that says so", () => {
  const ptr = malloc(16);
  expect(typeof capabilities.sharedViews).toBe("boolean");
  if (!capabilities.sharedViews) expect(codeOf(() => shared(ptr, 16))).toBe("ERR_SHARED_VIEWS_UNSUPPORTED");
  // Arguments are looked at first.
  expect(codeOf(() => shared(ptr, 100_000))).toBe("ERR_OUT_OF_BOUNDS");
  expect(codeOf(() => shared(ptr + 4n, 4))).toBe("ERR_INVALID_ARGUMENT");
  free(ptr);
});

test("the runtimes that are known to have the call are told to have it", () => {
  const major = Number(process.versions.node.split(".")[0]);
  if (major === 20) expect(capabilities.sharedViews).toBe(false);
  if (major === 24 || major === 26) expect(capabilities.sharedViews).toBe(true);
});

describe.runIf(capabilities.sharedViews)("shared", () => {
  test.each(kinds.slice(1))("is the memory itself, for all views of it: $kind", ({ size }) => {
    const ptr = calloc(size);
    const length = size - (size % 8);
    const one = new Uint8Array(shared(ptr, length));
    const other = new Uint8Array(shared(ptr + 8n, length - 8));
    one[length - 1] = 7;
    expect([other[length - 9], copyOut(ptr + BigInt(length - 1), 1)[0]]).toEqual([7, 7]);
    view(ptr, size)[8] = 9;
    expect([one[8], other[0], one.length, other.length]).toEqual([9, 9, length, length - 8]);
    expect(one.buffer).toBeInstanceOf(SharedArrayBuffer);
    free(ptr);
  });

  test("of no bytes is empty", () => {
    const ptr = malloc(16);
    expect(shared(ptr, 0).byteLength).toBe(0);
    free(ptr);
  });

  test("is counted on and waited for by other threads with Atomics", async () => {
    const ptr = calloc(64);
    const counters = new Int32Array(shared(ptr, 64));
    const program = `
      const { workerData } = require("node:worker_threads");
      const counters = new Int32Array(workerData);
      for (let i = 0; i < 10_000; i++) Atomics.add(counters, 0, 1);
      Atomics.add(counters, 1, 1);
      Atomics.wait(counters, 2, 0);`;
    const workers = [1, 2, 3].map(() => new Worker(program, { eval: true, workerData: counters.buffer, execArgv: [] }));
    const ended = Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve))));
    while (Atomics.load(counters, 1) < 3) await new Promise(setImmediate);
    expect(Atomics.load(counters, 0)).toBe(30_000);
    Atomics.store(counters, 2, 1);
    Atomics.notify(counters, 2);
    expect(await ended).toEqual([0, 0, 0]);
    expect(new Int32Array(view(ptr, 4).slice().buffer)[0]).toBe(30_000);
    free(ptr);
  }, 30_000);

  test.runIf(isOwnHeap).each(kinds.slice(1))("keeps the memory of a block that is freed: $kind", async ({ size }) => {
    await collect();
    const before = liveBlocks();
    const ptr = calloc(size);
    let bytes: Uint8Array | undefined = new Uint8Array(shared(ptr, 16)).fill(3);
    free(ptr);
    for (const call of [() => free(ptr), () => realloc(ptr, 1)]) expect(codeOf(call)).toBe("ERR_DOUBLE_FREE");
    expect(codeOf(() => view(ptr, 1))).toBe("ERR_OUT_OF_BOUNDS");
    const others = Array.from({ length: size > megabyte ? 3 : 2000 }, () => malloc(size));
    expect(others).not.toContain(ptr);
    for (const other of others) copyIn(other, new Uint8Array(16).fill(9));
    // Blocks with a mapping of their own give their memory back at once, and keep their address.
    const isMapped = size >= (isFastProfile ? 33 * megabyte : 32 * kilobyte);
    expect(bytes.every((byte) => byte === 3 || (isMapped && byte === 0))).toBe(true);
    bytes.fill(4);
    for (const other of others) free(other);
    bytes = undefined;
    await collect();
    expectLive(before);
  });

  test("of a block holds it past the thread that freed it, and past the threads that had the buffer", async () => {
    await collect();
    const before = liveBlocks();
    const program = `
      const { parentPort } = require("node:worker_threads");
      const { calloc, free, shared } = require(${JSON.stringify(fileURLToPath(new URL("../../dist/cjs/index.js", import.meta.url)))});
      const ptr = calloc(48);
      const words = new Int32Array(shared(ptr, 48));
      words[3] = 77;
      free(ptr);
      parentPort.postMessage(words.buffer);`;
    const worker = new Worker(program, { eval: true, execArgv: [] });
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    let buffer: SharedArrayBuffer | undefined = await new Promise<SharedArrayBuffer>((resolve, reject) => {
      worker.once("message", resolve).once("error", reject);
    });
    await ended;
    await collect();
    expect(new Int32Array(buffer)[3]).toBe(77);
    new Int32Array(buffer)[3] = 78;
    buffer = undefined;
    // A buffer that another thread has made is let go when the collector comes round to it.
    for (let round = 0; round < 100 && Math.abs(liveBlocks() - before) > strayBlocks; round++) await collect();
    expectLive(before);
  });

  test("of a mapping keeps its address and its protection, and refuses one that may not be written", async () => {
    const base = mapPages(8192);
    const words = new Int32Array(shared(base, 8192));
    words[0] = 5;
    expect(codeOf(() => protectPages(base, 4096, "read"))).toBe("ERR_PAGES_IN_USE");
    unmapPages(base);
    words[1] = 6;
    expect(words[0]).toBe(0);
    const guarded = mapPages(4096, { protection: "read" });
    expect(codeOf(() => shared(guarded, 8))).toBe("ERR_PROTECTED_PAGES");
    expect(codeOf(() => shared(guarded, 4097))).toBe("ERR_OUT_OF_BOUNDS");
    unmapPages(guarded);
  });

  test("a hundred thousand times over the same and other blocks leaves nothing", async () => {
    await collect();
    const before = liveBlocks();
    for (let i = 0; i < 100_000; i++) {
      const ptr = malloc(16 + (i % 500));
      new Int32Array(shared(ptr, 16))[0] = i;
      if (i % 2 === 0) shared(ptr, 8);
      free(ptr);
      if (i % 5000 === 0) await collect();
    }
    await collect();
    expectLive(before);
  }, 120_000);
});
