// Arenas under the garbage collector and in threads, run with --expose-gc in a process of its own. Prints what it saw
// as JSON. As a worker it does what workerData.role says.
import { setImmediate as turn } from "node:timers/promises";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { Arena, free, snapshot, verify } from "pagerun";
import { codeOf, collect } from "./calls.mjs";

const megabyte = 2 ** 20;

function fill(arena) {
  for (const size of [10, 1000, 20_000, 200_000, 40 * megabyte]) arena.malloc(size);
  return arena;
}

const roles = {
  free() {
    for (const ptr of workerData.blocks) free(ptr);
    parentPort.postMessage(workerData.blocks.length);
  },

  leave() {
    globalThis.kept = Array.from({ length: 50 }, () => {
      const arena = fill(new Arena());
      return [arena, arena.view(arena.malloc(100), 100), arena.view(arena.malloc(200_000), 8), arena.alloc(100).bytes];
    });
    parentPort.postMessage("left");
  },

  endless() {
    const arenas = [];
    for (let i = 0; ; i++) {
      arenas.push(fill(new Arena()));
      arenas.at(-1).view(arenas.at(-1).malloc(100), 100).fill(i);
      if (arenas.length > 20) arenas.shift().destroy();
      if (i === 30) parentPort.postMessage("started");
    }
  },

  race() {
    parentPort.on("message", (blocks) => {
      if (blocks === "end") parentPort.close();
      else for (const ptr of blocks) codeOf(() => free(ptr));
    });
    parentPort.postMessage("ready");
  },
};

async function watchCollector() {
  // Those of arenas alone: with libpagerun.so preloaded the heap has Node.js's own blocks too.
  const left = () => snapshot().arenas.reduce((sum, { made, liveBlocks }) => sum + (made ? liveBlocks : 0), 0);
  const results = {};

  for (let i = 0; i < 50; i++) fill(new Arena({ name: "dropped" }));
  await collect();
  results.dropped = left();

  let arena = fill(new Arena());
  let bytes = arena.view(arena.calloc(100), 100);
  arena = undefined;
  await collect();
  bytes[99] = 7;
  results.keptByView = left() === 6 && bytes[99] === 7;
  bytes = undefined;
  await collect();
  results.afterView = left();

  arena = fill(new Arena());
  let block = arena.alloc(100);
  arena = undefined;
  await collect();
  block.setInt8(0, 3);
  results.keptByBlock = left() === 6 && block.getInt8(0) === 3;
  bytes = block.bytes;
  block = undefined;
  await collect();
  results.keptByBytes = left() === 6 && bytes[0] === 3;
  bytes = undefined;
  await collect();
  results.afterBytes = left();
  results.afterBlock = left();

  // Nobody calls the collector here: what it is told of the arenas' memory makes it run.
  for (let i = 0; i < 400; i++) {
    new Arena().malloc(4 * megabyte);
    await turn();
  }
  results.collectorWasTold = left() < 200;
  await collect();
  results.afterMany = left();
  results.verdict = verify();
  console.log(JSON.stringify(results));
}

if (isMainThread) await watchCollector();
else roles[workerData.role]();
