// Random programs against a model: blocks never overlap, keep their content, are aligned, zeroed and large enough, and
// what is misused is refused. fast-check makes the programs, shrinks one that fails, and prints its seed and path.
// PAGERUN_TEST_SEED=n runs the programs of that seed again; with PAGERUN_FUZZ_SECONDS=n they go on for so long.
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { alignedAlloc, calloc, copyIn, copyOut, free, malloc, realloc, usableSize, verify, view } from "pagerun";
import { expect, test } from "vitest";
import { fuzzRuns } from "../support/fuzz.js";
import {
  codeOf,
  expectLiveBlocks,
  fillWith,
  holds,
  isOwnHeap,
  kilobyte,
  megabyte,
  totalsAtRest,
  verifyAfterEach,
} from "../support/heap.js";

verifyAfterEach();

const { seed, runs } = fuzzRuns("shadow model");

interface Live {
  ptr: bigint;
  size: number;
  /** What the content was made of. */
  mark: number;
}

type Step =
  | { do: "malloc" | "calloc"; size: number }
  | { do: "alignedAlloc"; size: number; power: number }
  | { do: "realloc"; which: number; size: number }
  | { do: "free" | "view" | "copy" | "misuse"; which: number };

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 600 }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 40 * kilobyte }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 500 * kilobyte }) },
  { weight: 1, arbitrary: fc.constantFrom(4 * megabyte, 5 * megabyte, 34 * megabyte) },
);
const which = fc.nat({ max: 1000 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("malloc" as const), size }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("calloc" as const), size }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("alignedAlloc" as const), size, power: fc.nat({ max: 16 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("realloc" as const), which, size }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("free" as const), which }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("view" as const, "copy" as const, "misuse" as const), which }),
  },
);

/** The content that the model looks at: all of a small block, both ends of a large one. */
const watchedBytes = 300;
const tailBytes = 8;

class Model {
  readonly live: Live[] = [];
  #marks = 0;

  add(ptr: bigint, size: number): void {
    const usable = usableSize(ptr);
    expect(usable).toBeGreaterThanOrEqual(size);
    const end = ptr + BigInt(usable);
    const overlapping = this.live.find((other) => ptr < other.ptr + BigInt(usableSize(other.ptr)) && other.ptr < end);
    expect(overlapping).toBeUndefined();
    const mark = this.#marks++;
    this.fill({ ptr, size, mark });
    this.live.push({ ptr, size, mark });
  }

  fill({ ptr, size, mark }: Live): void {
    fillWith(ptr, Math.min(size, watchedBytes), mark);
    if (size >= watchedBytes + tailBytes) fillWith(ptr + BigInt(size - tailBytes), tailBytes, mark);
  }

  check({ ptr, size, mark }: Live): void {
    expect(holds(ptr, Math.min(size, watchedBytes), mark)).toBe(true);
    if (size >= watchedBytes + tailBytes) expect(holds(ptr + BigInt(size - tailBytes), tailBytes, mark)).toBe(true);
  }

  /** Takes a live block out of the model, its content checked. */
  take(which: number): Live | undefined {
    const [block] = this.live.splice(which % Math.max(this.live.length, 1), 1);
    if (block !== undefined) this.check(block);
    return block;
  }
}

function allZero(ptr: bigint, size: number): boolean {
  return Buffer.compare(view(ptr, size), new Uint8Array(size)) === 0;
}

function resize(model: Model, { which, size }: { which: number; size: number }): void {
  const block = model.take(which);
  if (block === undefined) return;
  const ptr = realloc(block.ptr, size);
  if (size === 0) {
    expect(ptr).toBe(0n);
    return;
  }
  const kept = Math.min(size, block.size, watchedBytes);
  expect(holds(ptr, kept, block.mark)).toBe(true);
  model.add(ptr, size);
}

function misuse(model: Model, which: number): void {
  const block = model.take(which);
  if (block === undefined) return;
  expect(codeOf(() => free(block.ptr + 1n))).toBe("ERR_INTERIOR_POINTER");
  expect(codeOf(() => view(block.ptr, usableSize(block.ptr) + 1))).toBe("ERR_OUT_OF_BOUNDS");
  free(block.ptr);
  if (!isOwnHeap) return;
  expect(codeOf(() => free(block.ptr))).toBe("ERR_DOUBLE_FREE");
  expect(codeOf(() => realloc(block.ptr, 8))).toBe("ERR_DOUBLE_FREE");
  expect(codeOf(() => copyOut(block.ptr, 1))).toBe("ERR_OUT_OF_BOUNDS");
}

function copy(model: Model, which: number): void {
  const block = model.take(which);
  if (block === undefined) return;
  const bytes = copyOut(block.ptr, block.size);
  free(block.ptr);
  const ptr = malloc(block.size);
  copyIn(ptr, bytes);
  expect(holds(ptr, Math.min(block.size, watchedBytes), block.mark)).toBe(true);
  model.add(ptr, block.size);
}

function perform(model: Model, step: Step): void {
  switch (step.do) {
    case "malloc":
      model.add(malloc(step.size), step.size);
      break;
    case "calloc": {
      const ptr = calloc(step.size);
      expect(allZero(ptr, step.size)).toBe(true);
      model.add(ptr, step.size);
      break;
    }
    case "alignedAlloc": {
      const ptr = alignedAlloc(2 ** step.power, step.size);
      expect(ptr % 2n ** BigInt(step.power)).toBe(0n);
      model.add(ptr, step.size);
      break;
    }
    case "realloc":
      resize(model, step);
      break;
    case "free":
      free(model.take(step.which)?.ptr ?? 0n);
      break;
    case "view":
      for (const block of model.live) model.check(block);
      break;
    case "copy":
      copy(model, step.which);
      break;
    case "misuse":
      misuse(model, step.which);
      break;
  }
}

function run(steps: readonly Step[]): void {
  const model = new Model();
  try {
    for (const step of steps) perform(model, step);
    for (const block of model.live) model.check(block);
    expect(verify()).toEqual({ ok: true });
  } finally {
    // A shrunk program must begin with the heap that the whole one had.
    for (const { ptr } of model.live) free(ptr);
  }
}

test("random programs behave as the model says", async () => {
  const before = totalsAtRest().liveBlocks;
  fc.assert(fc.property(fc.array(step, { maxLength: 400, size: "max" }), run), { seed, ...runs(150) });
  // Finalizers of views run in turns of the event loop, and what they leave is garbage again.
  for (let i = 0; i < 5; i++) {
    totalsAtRest();
    await turn();
  }
  expectLiveBlocks(before);
});

test("a hundred thousand random steps in one go leave a heap that verifies", () => {
  const model = new Model();
  const small = fc.oneof(
    fc.record({ do: fc.constant("malloc" as const), size: fc.integer({ min: 0, max: 2000 }) }),
    fc.record({ do: fc.constant("calloc" as const), size: fc.integer({ min: 0, max: 9000 }) }),
    fc.record({ do: fc.constant("realloc" as const), which, size: fc.integer({ min: 1, max: 5000 }) }),
    fc.record({ do: fc.constant("free" as const), which }),
    fc.record({ do: fc.constant("free" as const), which }),
  );
  const steps = fc.sample(small, { seed, numRuns: 1000 });
  for (let i = 0; i < 100_000; i++) {
    const step = steps[(i * 7 + (i >> 10)) % steps.length]!;
    if (model.live.length < 200 || step.do === "free") perform(model, step);
  }
  for (const { ptr } of model.live) free(ptr);
  expect(verify()).toEqual({ ok: true });
});
