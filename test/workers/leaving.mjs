// A worker that leaves in one way or another, with blocks, views, Blocks, mappings and structures that are alive.
// workerData: how it ends, and the addresses of its parent's memory.
import { parentPort, workerData } from "node:worker_threads";
import {
  addressOf,
  alloc,
  calloc,
  capabilities,
  i32,
  malloc,
  mapPages,
  shared,
  struct,
  unmapPages,
  view,
} from "pagerun";

const { how, number, block, base } = workerData;
const Pair = struct({ one: i32, other: i32 });

// Its own: live blocks of all kinds, which the parent frees; and what ends with the worker or before.
const own = [malloc(100), malloc(5000), malloc(200_000), calloc(8)];
const kept = own.map((ptr) => view(ptr, 8).fill(number & 255));
kept.push(alloc(64).bytes, alloc(300_000).bytes);
const pair = Pair.alloc({ one: number, other: -number });
const pages = mapPages(16_384, { guard: true });
kept.push(view(pages + 4096n, 100).fill(1));
if (number % 3 === 0) unmapPages(pages);
if (capabilities.sharedViews) kept.push(new Uint8Array(shared(own[0], 64)));

// Its parent's: seen, written, and viewed to the end.
kept.push(view(block, 16), view(base, 4096));
kept[kept.length - 1][number % 4096] = 1;
globalThis.kept = kept;

parentPort.postMessage({ blocks: [...own, addressOf(pair)], pages: number % 3 === 0 ? undefined : pages });
if (how === "throw") throw new Error("as the test wants");
if (how === "exit") process.exit(3);
if (how === "run") {
  // What it allocates here itself would be lost where it is stopped between malloc and free.
  for (;;) view(own[Math.floor(Math.random() * 4)], 8).fill(pair.one & 255);
}
if (how === "wait") setInterval(() => {}, 1000);
