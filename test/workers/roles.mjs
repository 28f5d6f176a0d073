// What the workers of these tests do: workerData.role chooses. Each talks to its parent by messages.
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { calloc, capabilities, copyIn, copyOut, free, malloc, realloc, usableSize, verify, view } from "pagerun";
import { codeOf } from "../support/calls.mjs";

const megabyte = 2 ** 20;

/** A small generator of numbers, the same for the same seed. */
function numbersFrom(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Looks at both ends of large blocks only. */
function isFilledWith(bytes, value) {
  const ends = bytes.length < 4000 ? [bytes] : [bytes.subarray(0, 2000), bytes.subarray(-2000)];
  return ends.every((end) => end.every((byte) => byte === value));
}

/** Random malloc, realloc, free and views with content checked; returns the number of blocks that were wrong. */
function churn({ seed, steps, largest }) {
  const next = numbersFrom(seed);
  const live = [];
  let wrong = 0;
  const check = ({ ptr, size, mark }) => {
    if (!isFilledWith(view(ptr, size), mark)) wrong++;
  };
  for (let i = 0; i < steps; i++) {
    const which = live.length === 0 ? -1 : next(live.length);
    const mark = i & 0xff;
    const size = next(next(50) === 0 ? largest : 1000);
    if (live.length < 50 || next(2) === 0) {
      const ptr = malloc(size);
      view(ptr, size).fill(mark);
      live.push({ ptr, size, mark });
    } else if (next(4) === 0) {
      check(live[which]);
      const ptr = realloc(live[which].ptr, size + 1);
      view(ptr, size + 1).fill(mark);
      live[which] = { ptr, size: size + 1, mark };
    } else {
      const [block] = live.splice(which, 1);
      check(block);
      free(block.ptr);
    }
    if (live.length > 100) free(live.shift().ptr);
  }
  for (const block of live) {
    check(block);
    free(block.ptr);
  }
  return wrong;
}

const roles = {
  /** Works by itself and says how it went. */
  churn: () => parentPort.postMessage({ wrong: churn(workerData), verdict: verify() }),

  /** Allocates until it is ended from outside. */
  endless() {
    parentPort.postMessage("started");
    for (let round = 0; ; round++) churn({ seed: workerData.seed + round, steps: 2000, largest: 6 * megabyte });
  },

  /** Makes blocks for others and ends while they are live. */
  make() {
    const blocks = Array.from({ length: workerData.count }, (_, i) => {
      const ptr = malloc(workerData.size);
      view(ptr, workerData.size).fill(i & 0xff);
      return ptr;
    });
    parentPort.postMessage(blocks);
  },

  /** Frees blocks of others; says what came of each. */
  free: () => parentPort.postMessage(workerData.blocks.map((ptr) => codeOf(() => free(ptr)) ?? "freed")),

  /** Frees the same blocks as another worker, at the same moment. */
  race() {
    const gate = new Int32Array(workerData.gate);
    Atomics.add(gate, 0, 1);
    while (Atomics.load(gate, 0) < workerData.threads) {}
    const codes = workerData.blocks.map((ptr) => codeOf(() => free(ptr)) ?? "freed");
    parentPort.postMessage(codes);
  },

  /** Everything that one thread may do with another's block, but freeing it. */
  use() {
    const { ptr, size } = workerData;
    const bytes = view(ptr, size);
    const seen = bytes[0];
    bytes.fill(2);
    copyIn(ptr, Uint8Array.of(3));
    parentPort.postMessage({
      seen,
      size: usableSize(ptr),
      copied: copyOut(ptr, 1)[0],
      interior: codeOf(() => free(ptr + 1n)),
    });
  },

  /** Holds a view of another thread's block while that thread frees it. */
  async hold() {
    const bytes = view(workerData.ptr, workerData.size);
    parentPort.postMessage("holding");
    await once(parentPort, "message");
    if (workerData.writes) bytes.fill(9);
    else bytes.slice();
    parentPort.postMessage({ length: bytes.length, live: codeOf(() => view(workerData.ptr, 1)) });
    parentPort.close();
  },

  /** Puts new blocks into shared places and frees what was there, until it is ended from outside. */
  recycle() {
    const places = new BigInt64Array(workerData.places);
    const next = numbersFrom(workerData.seed);
    const sizes = [5000, 5 * megabyte, 33 * megabyte, 40 * megabyte, 64 * megabyte];
    parentPort.postMessage("started");
    for (;;) {
      const ptr = malloc(sizes[next(sizes.length)]);
      const old = Atomics.exchange(places, next(places.length), BigInt.asIntN(64, ptr));
      free(BigInt.asUintN(64, old));
    }
  },

  /** Ends with views of blocks of every kind, its own and its parent's. */
  leaveViews() {
    const own = [100, 5 * megabyte, 64 * megabyte].map((size) => {
      const ptr = calloc(size);
      view(ptr, size)[0] = 1;
      return ptr;
    });
    globalThis.kept = [...own, ...workerData.blocks].map((ptr) => view(ptr, 100));
    for (const ptr of own) free(ptr);
    parentPort.postMessage("done");
  },

  /** Ends by an error, with live blocks. */
  fail() {
    parentPort.postMessage([malloc(100), malloc(200_000)]);
    throw new Error("as the test wants");
  },

  capabilities: () => parentPort.postMessage(capabilities),
};

await roles[workerData.role]();
