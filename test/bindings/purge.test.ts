// Memory that goes back to the system: by purge(), by the background thread, under a budget. No live byte is lost, and
// what is counted agrees with what is resident.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { free, malloc, memoryStats, purge, setBudget, view } from "pagerun";
import { describe, expect, test } from "vitest";
import { codeOf, fillWith, holds, isOwnHeap, megabyte, verifyAfterEach } from "../support/heap.js";
import { notNumeric, wrongNumbers, wrongSizes } from "../support/hostile.js";

verifyAfterEach();

const osPage = 4096;

function residentBytes(): number {
  return Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]) * osPage;
}

/** Blocks of one size, written to; then all are freed but one in `keptIn`. */
function burst(count: number, size: number, keptIn: number): bigint[] {
  const blocks = Array.from({ length: count }, () => malloc(size));
  blocks.forEach((ptr, i) => {
    view(ptr, size).fill(i & 0xff);
  });
  const kept = blocks.filter((_, i) => i % keptIn === 0);
  kept.forEach((ptr, i) => {
    fillWith(ptr, size, i);
  });
  for (const [i, ptr] of blocks.entries()) if (i % keptIn !== 0) free(ptr);
  return kept;
}

async function until(holdsNow: () => boolean): Promise<boolean> {
  for (let i = 0; i < 200 && !holdsNow(); i++) await sleep(50);
  return holdsNow();
}

describe("purge", () => {
  test("gives back the OS pages between blocks that live, at once, and keeps these", () => {
    const size = 3000;
    const kept = burst(10_000, size, 32);
    purge();
    const before = residentBytes();
    const bytes = purge({ force: true });
    expect(bytes).toBeGreaterThan(isOwnHeap ? 10 * megabyte : 0);
    if (isOwnHeap) expect(before - residentBytes()).toBeGreaterThan(10 * megabyte);
    expect(kept.every((ptr, i) => holds(ptr, size, i))).toBe(true);
    kept.forEach(free);
  });

  test("a second time gives back nothing that was given back", () => {
    const kept = burst(2000, 5000, 8);
    purge({ force: true });
    if (isOwnHeap) expect(purge({ force: true })).toBeLessThan(megabyte);
    kept.forEach(free);
  });

  test("is counted, and so is what is taken again", () => {
    const kept = burst(4000, 5000, 8);
    const { purgedBytes, purges } = memoryStats();
    const bytes = purge({ force: true });
    const after = memoryStats();
    expect(after.purgedBytes).toBeGreaterThanOrEqual(purgedBytes + bytes);
    expect(after.purges).toBeGreaterThan(purges);
    const again = Array.from({ length: 8000 }, () => malloc(5000));
    expect(memoryStats().retakenBytes - after.retakenBytes).toBeGreaterThan(8 * megabyte);
    again.forEach(free);
    kept.forEach(free);
  });

  test("refuses what is no option", () => {
    expect(codeOf(() => purge({ force: 1 as unknown as boolean }))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => purge(null as unknown as object))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => purge(true as unknown as object))).toBe("ERR_INVALID_ARGUMENT");
  });
});

describe("the background thread", () => {
  test("gives back what an idle thread has freed, and keeps what lives", async () => {
    const size = 5500;
    const kept = burst(12_000, size, 64);
    const before = memoryStats().purgedBytes;
    expect(await until(() => memoryStats().purgedBytes - before > 30 * megabyte)).toBe(true);
    expect(kept.every((ptr, i) => holds(ptr, size, i))).toBe(true);
    kept.forEach(free);
  });

  test("gives back what a worker freed that waits for messages", async () => {
    const size = 6000;
    const code = `
      import { parentPort } from "node:worker_threads";
      import { free, malloc, view } from ${JSON.stringify(import.meta.resolve("pagerun"))};
      const blocks = Array.from({ length: 8000 }, (_, i) => { const ptr = malloc(${size}); view(ptr, ${size}).fill(i); return ptr; });
      blocks.forEach((ptr, i) => { if (i % 50 !== 0) free(ptr); });
      parentPort.postMessage("idle");
      parentPort.once("message", () => {
        const lost = blocks.filter((ptr, i) => i % 50 === 0 && view(ptr, ${size}).some((byte) => byte !== (i & 255)));
        parentPort.postMessage(lost.length);
        blocks.forEach((ptr, i) => { if (i % 50 === 0) free(ptr); });
      });`;
    const before = memoryStats().purgedBytes;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
    const answer = () => new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    expect(await answer()).toBe("idle");
    expect(await until(() => memoryStats().purgedBytes - before > 20 * megabyte)).toBe(true);
    const lost = answer();
    worker.postMessage("look");
    expect(await lost).toBe(0);
    await worker.terminate();
  });

  test.runIf(isOwnHeap)("sleeps when there is nothing left to give back", async () => {
    await sleep(3000);
    const { purgePasses } = memoryStats();
    await sleep(2500);
    expect(memoryStats().purgePasses).toBe(purgePasses);
  });
});

describe("setBudget", () => {
  test("makes purging eager when the budget is used up, and stops with 0", async () => {
    setBudget(megabyte);
    const before = memoryStats().purgedBytes;
    const kept = burst(8000, 5000, 64);
    expect(await until(() => memoryStats().purgedBytes - before > 20 * megabyte)).toBe(true);
    setBudget(0n);
    kept.forEach(free);
  });

  test("refuses what is no size", () => {
    for (const value of [...wrongNumbers, ...wrongSizes, ...notNumeric.map((wrong) => wrong.value)])
      expect(codeOf(() => setBudget(value as number))).toBe("ERR_INVALID_ARGUMENT");
  });
});
