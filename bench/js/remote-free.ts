// Owns the workload "remote-free": the main thread gets blocks, a worker thread gives them back.
// Pointers travel through a ring in shared memory, in batches; each side sleeps when the ring is full or empty.
// Thread rule: the producer alone writes kHead, the worker alone writes kTail.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { ScriptName } from "../options.js";
import { loadScriptContender, type ManualContender } from "./contenders.js";
import { makeSizes } from "./workloads.js";

export const kRemoteFree = {
  name: "remote-free",
  question: "What does a block of 16 to 1024 bytes cost that one thread gets and another gives back?",
  steps: 200_000,
  needs: [["malloc", "remote"]],
  hasLatency: false,
} as const;

const kRingPlaces = 4096;
const kBatch = 256;
const kHead = 0;
const kTail = 1;

export interface Ring {
  /** Pointers; place = count modulo kRingPlaces. */
  places: BigUint64Array;
  /** Pointers put in and taken out so far, both modulo 2^32. */
  counts: Int32Array;
}

export interface WorkerInput {
  contender: ScriptName;
  blocks: number;
  memory: SharedArrayBuffer;
}

/** The ring over its shared memory. */
export function makeRing(memory: SharedArrayBuffer): Ring {
  return {
    places: new BigUint64Array(memory, 0, kRingPlaces),
    counts: new Int32Array(memory, kRingPlaces * BigUint64Array.BYTES_PER_ELEMENT, 2),
  };
}

/** The worker's side: frees `blocks` pointers as they come. */
export function consume(ring: Ring, blocks: number, free: (pointer: bigint) => void): void {
  for (let taken = 0; taken < blocks; ) {
    let head = Atomics.load(ring.counts, kHead);
    while (head === taken) {
      Atomics.wait(ring.counts, kHead, head);
      head = Atomics.load(ring.counts, kHead);
    }
    for (; taken < head; taken++) free(ring.places[taken % kRingPlaces] as bigint);
    Atomics.store(ring.counts, kTail, taken);
    Atomics.notify(ring.counts, kTail);
  }
}

function produce(ring: Ring, from: number, to: number, malloc: (size: number) => bigint, sizes: Uint32Array): void {
  for (let given = from; given < to; ) {
    const end = Math.min(given + kBatch, to);
    let tail = Atomics.load(ring.counts, kTail);
    while (end - tail > kRingPlaces) {
      Atomics.wait(ring.counts, kTail, tail);
      tail = Atomics.load(ring.counts, kTail);
    }
    for (; given < end; given++) ring.places[given % kRingPlaces] = malloc(sizes[given % sizes.length] as number);
    Atomics.store(ring.counts, kHead, given);
    Atomics.notify(ring.counts, kHead);
  }
}

function waitForTail(ring: Ring, count: number): void {
  let tail = Atomics.load(ring.counts, kTail);
  while (tail < count) {
    Atomics.wait(ring.counts, kTail, tail);
    tail = Atomics.load(ring.counts, kTail);
  }
}

/** Seconds until the worker has freed `blocks` blocks, after a fifth as many to warm both sides up. */
export async function measureRemoteFree(name: ScriptName, blocks: number): Promise<number> {
  const { malloc } = (await loadScriptContender(name)) as ManualContender<bigint>;
  const warm = Math.ceil(blocks / 5);
  const memory = new SharedArrayBuffer((kRingPlaces + 1) * BigUint64Array.BYTES_PER_ELEMENT);
  const ring = makeRing(memory);
  const input: WorkerInput = { contender: name, blocks: warm + blocks, memory };
  const worker = new Worker(new URL("free-worker.js", import.meta.url), { workerData: input });
  const sizes = makeSizes(16, 1024);
  await once(worker, "online");
  produce(ring, 0, warm, malloc, sizes);
  waitForTail(ring, warm);
  const start = performance.now();
  produce(ring, warm, warm + blocks, malloc, sizes);
  waitForTail(ring, warm + blocks);
  const seconds = (performance.now() - start) / 1000;
  await once(worker, "exit");
  return seconds;
}
