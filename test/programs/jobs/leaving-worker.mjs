// Workers that end, return or exit with Blocks, arenas, mapped pages and views that are alive; and arenas that end with
// their views on the main thread. Prints what is left of them as JSON. Runs on Node.js, Deno and Bun.
import { once } from "node:events";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { Arena, alloc, mapPages, memoryStats, unmapPages, verify, view } from "pagerun";

const kept = [];
globalThis.kept = kept;

function takeBlocks() {
  for (let i = 1; i <= 20; i++) {
    const block = alloc(100 * i * i);
    kept.push(block, block.bytes);
  }
}

function takeArena() {
  const arena = new Arena();
  kept.push(arena);
  for (let i = 1; i <= 20; i++) kept.push(arena.view(arena.malloc(100 * i * i), 100), arena.alloc(100 * i).bytes);
  return arena;
}

function takePages() {
  const base = mapPages(50_000);
  kept.push(view(base, 100));
  return base;
}

async function endOf(how) {
  const worker = new Worker(new URL(import.meta.url), { workerData: how });
  await once(worker, "exit");
}

/** How many views have a length after their arena has ended. */
function endArenas() {
  let stale = 0;
  for (let turn = 0; turn < 50; turn++) {
    const arena = takeArena();
    if (turn % 2 === 0) arena.reset();
    arena.destroy();
    stale += kept.splice(0).filter((one) => one.length > 0).length;
    unmapPages(takePages());
    stale += kept.splice(0).filter((one) => one.length > 0).length;
  }
  return stale;
}

if (isMainThread) {
  const before = memoryStats().liveBlocks;
  const stale = endArenas();
  for (const how of ["return", "exit", "return", "exit"]) await endOf(how);
  const { liveBlocks, ranges } = memoryStats();
  console.log(JSON.stringify({ stale, left: liveBlocks - before, ranges, verdict: verify() }));
  process.exit(0);
}
takeBlocks();
takeArena();
unmapPages(takePages());
if (workerData === "exit") process.exit(0);
