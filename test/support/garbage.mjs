// What the garbage collector sees of pagerun, run with --expose-gc in a process of its own. Prints figures as JSON.
import { copyOut, free, malloc, memoryStats, verify, view } from "pagerun";
import { collect } from "./calls.mjs";

const megabyte = 2 ** 20;
const results = {};
const liveBlocks = memoryStats().liveBlocks;

function external() {
  return process.memoryUsage().external;
}

function useHuge(size) {
  const ptr = malloc(size);
  view(ptr, size).fill(1);
  free(ptr);
}

// Views over one stretch: the stretch counts once.
await collect();
const block = malloc(1000);
const beforeViews = external();
for (let i = 0; i < 100_000; i++) view(block, 1000)[0] = i;
await collect();
results.stretchExternal = external() - beforeViews;

// A huge block is counted while a view of it lives, and no longer.
const huge = malloc(64 * megabyte);
const beforeHuge = external();
let bytes = view(huge, 64 * megabyte);
bytes[5] = 55;
results.hugeExternal = external() - beforeHuge;
bytes = undefined;
await collect();
results.hugeExternalAfter = external() - beforeHuge;
results.contentAfterCollection = view(huge, 6)[5];
free(huge);
await collect();

// A view outlives its block: memory stays, however hard the collector works; and goes when the view goes.
const committed = memoryStats().committedBytes;
const outlived = malloc(64 * megabyte);
let stale = view(outlived, 64 * megabyte);
free(outlived);
await collect();
stale.fill(3);
results.staleLength = stale.length;
results.keptForStale = memoryStats().committedBytes - committed;
stale = undefined;
await collect();
results.committedAfterStale = memoryStats().committedBytes - committed;

// Many huge blocks with views, event loop running: nothing is left.
for (let i = 0; i < 40; i++) {
  useHuge(48 * megabyte);
  if (i % 4 === 3) await collect();
}
await collect();
results.committedAfterMany = memoryStats().committedBytes - committed;
results.externalAfterMany = external() - beforeHuge;

// The same without a turn of the event loop: no finalizer can run, but memory of freed blocks must not pile up.
let peak = 0;
const restingRss = process.memoryUsage.rss();
for (let i = 0; i < 40; i++) {
  useHuge(48 * megabyte);
  peak = Math.max(peak, process.memoryUsage.rss());
}
results.rssGrowthWithoutTurns = peak - restingRss;
await collect();
results.committedAtEnd = memoryStats().committedBytes - committed;

// Pressure: small views by the million and blocks of all kinds while the collector runs.
const kept = [];
for (let i = 0; i < 300_000; i++) {
  const ptr = malloc(16 + (i % 3000));
  view(ptr, 16).fill(i & 0xff);
  kept.push(ptr);
  if (kept.length > 500) free(kept.splice((i * 7) % 500, 1)[0]);
  if (i % 30_000 === 0) globalThis.gc();
}
results.lastByte = copyOut(kept.at(-1), 1)[0];
for (const ptr of kept) free(ptr);
free(block);
await collect();
results.liveBlocks = memoryStats().liveBlocks - liveBlocks;
results.verdict = verify();
console.log(JSON.stringify(results));
