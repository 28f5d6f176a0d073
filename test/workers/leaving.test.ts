// Workers that end, throw, exit or are terminated with memory in use, several at a time: no crash, no leak.
// `npm run test:workers` runs a thousand of them.
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { copyOut, free, malloc, mapPages, memoryStats, snapshot, unmapPages, verify, view } from "pagerun";
import { expect, test } from "vitest";
import { isOwnHeap, megabyte, strayBlocks, strayBytes, verifyAfterEach } from "../support/heap.js";

verifyAfterEach();

/** Fewer where every step costs many times as much. */
const isSanitized = process.env.PAGERUN_TEST_SANITIZER !== undefined;
const usualCount = isSanitized ? 80 : 200;
const count = Number(process.env.PAGERUN_TEST_WORKERS ?? usualCount);
const atOnce = 4;
const ways = ["end", "throw", "exit", "run", "wait"] as const;

interface Left {
  blocks: bigint[];
  pages: bigint | undefined;
}

const parents = { block: malloc(5000), base: mapPages(4096) };

/** Runs one worker to its end; what it left is the parent's then. */
async function leave(number: number): Promise<void> {
  const how = ways[number % ways.length]!;
  const workerData = { how, number, ...parents };
  const worker = new Worker(new URL("leaving.mjs", import.meta.url), { workerData, execArgv: [] });
  const ended = new Promise<number>((resolve) => worker.once("exit", resolve));
  const failed = new Promise<Error | undefined>((resolve) => {
    worker.once("error", resolve);
    worker.once("exit", () => resolve(undefined));
  });
  const { blocks, pages } = await new Promise<Left>((resolve, reject) => {
    worker.once("message", resolve);
    void ended.then(() => setImmediate(reject, new Error(`worker ${number} (${how}) said nothing`)));
  });
  if (how === "run" || how === "wait") await worker.terminate();
  expect((await failed)?.message).toBe(how === "throw" ? "as the test wants" : undefined);
  expect(await ended).toBe(how === "end" ? 0 : how === "exit" ? 3 : 1);
  for (const ptr of blocks) {
    expect(copyOut(ptr, 8)).toHaveLength(8);
    free(ptr);
  }
  if (pages === undefined) return;
  expect(copyOut(pages + 4096n, 1)[0]).toBe(1);
  unmapPages(pages);
}

async function leaveAll(from: number, to: number): Promise<void> {
  let next = from;
  const runner = async () => {
    while (next < to) await leave(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, runner));
}

function liveBlocks(): number {
  const { pages, mappings } = snapshot();
  return pages.reduce((sum, page) => sum + page.used - page.remote, mappings.length);
}

function mappings(): number {
  return readFileSync("/proc/self/maps", "utf8").split("\n").length;
}

test(`${count} workers leave nothing behind, however they end`, async () => {
  await leaveAll(0, 40);
  const before = { blocks: liveBlocks(), committed: memoryStats().committedBytes, maps: mappings() };
  await leaveAll(40, count);
  expect(verify()).toEqual({ ok: true });
  // Of a process that is all on this heap, Node.js keeps some two dozen blocks of each worker.
  const nodesOwn = isOwnHeap ? 0 : count * 50;
  expect(Math.abs(liveBlocks() - before.blocks)).toBeLessThanOrEqual(strayBlocks + nodesOwn);
  expect(memoryStats().committedBytes).toBeLessThanOrEqual(before.committed + 16 * megabyte + strayBytes);
  expect(memoryStats().ranges).toBe(1);
  if (isOwnHeap) expect(memoryStats().arenas).toBeLessThanOrEqual(atOnce + 8);
  // Node.js itself leaves some, and a sanitizer one for nearly every thread; one of ours for each worker would be a thousand.
  if (!isSanitized) expect(mappings()).toBeLessThan(before.maps + count / 4);
  expect(view(parents.base, 4096).reduce((sum, byte) => sum + byte, 0)).toBe(count);
  free(parents.block);
  unmapPages(parents.base);
}, 240_000);
