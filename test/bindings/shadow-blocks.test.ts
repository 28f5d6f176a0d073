// Random programs over Blocks and Arenas against a model: content, ends, limits, and what is left when all is over.
// fast-check makes the programs, shrinks one that fails, and prints its seed and path. PAGERUN_TEST_SEED=n runs the
// programs of that seed again; with PAGERUN_FUZZ_SECONDS=n they go on for so long.
import fc from "fast-check";
import { Arena, alloc, type Block, copyIn, copyOut, free, usableSize, verify, view } from "pagerun";
import { expect, test } from "vitest";
import { fuzzRuns } from "../support/fuzz.js";
import { codeOf, kilobyte, megabyte, verifyAfterEach } from "../support/heap.js";

verifyAfterEach();

const { seed, runs } = fuzzRuns("shadow blocks");

type Step =
  | { do: "alloc" | "take"; which: number; size: number }
  | { do: "resize"; which: number; size: number }
  | { do: "free" | "freeTwice" | "outOfBounds" | "give" | "reset" | "destroy" | "verify"; which: number };

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 600 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 40 * kilobyte }) },
  { weight: 1, arbitrary: fc.constantFrom(300 * kilobyte, 5 * megabyte) },
);
const which = fc.nat({ max: 1000 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("alloc" as const, "take" as const), which, size }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("resize" as const), which, size }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom("free" as const, "give" as const, "outOfBounds" as const), which }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom("freeTwice" as const, "reset" as const, "destroy" as const, "verify" as const),
      which,
    }),
  },
);

const arenaCount = 3;
const limit = 64 * megabyte;
const watchedBytes = 200;

interface Held {
  block: Block;
  mark: number;
}

interface Taken {
  ptr: bigint;
  bytes: Uint8Array;
}

/** Bytes that tell where they came from. */
function pattern(mark: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (mark * 31 + i * 7) & 255);
}

class Model {
  readonly #blocks: Held[] = [];
  readonly #arenas: { arena: Arena; taken: Taken[] }[] = [];
  #marks = 0;

  constructor() {
    for (let i = 0; i < arenaCount; i++) this.#arenas.push({ arena: new Arena({ limit }), taken: [] });
  }

  perform(step: Step): void {
    switch (step.do) {
      case "alloc":
        this.#alloc(step.size);
        break;
      case "take":
        this.#take(step.which, step.size);
        break;
      case "resize":
        this.#resize(step.which, step.size);
        break;
      case "free":
      case "freeTwice":
        this.#free(step.which, step.do === "freeTwice");
        break;
      case "outOfBounds":
        this.#outOfBounds(step.which);
        break;
      case "give":
        this.#give(step.which);
        break;
      case "reset":
        this.#reset(step.which);
        break;
      case "destroy":
        this.#destroy(step.which);
        break;
      case "verify":
        expect(verify()).toEqual({ ok: true });
    }
  }

  end(): void {
    while (this.#blocks.length > 0) this.#free(0, false);
    for (let i = 0; i < arenaCount; i++) {
      this.#checkArena(i);
      this.#arenas[i]!.arena.destroy();
    }
  }

  #mark(block: Block): Held {
    const mark = this.#marks++;
    block.bytes.set(pattern(mark, Math.min(block.size, watchedBytes)));
    return { block, mark };
  }

  #check({ block, mark }: Held, length = block.size): void {
    const watched = Math.min(length, block.size, watchedBytes);
    expect(block.bytes.subarray(0, watched)).toEqual(pattern(mark, watched));
  }

  #alloc(size: number): void {
    const block = alloc(size);
    expect(block.size).toBe(size);
    expect(block.bytes.subarray(0, watchedBytes).every((byte) => byte === 0)).toBe(true);
    this.#blocks.push(this.#mark(block));
  }

  #chosen(which: number): Held | undefined {
    return this.#blocks[which % Math.max(this.#blocks.length, 1)];
  }

  #resize(which: number, size: number): void {
    const held = this.#chosen(which);
    if (held === undefined) return;
    this.#check(held);
    const before = held.block.size;
    const kept = held.block.bytes;
    held.block.resize(size);
    expect(held.block.size).toBe(size);
    if (size !== before) expect(kept.length === 0 || kept === held.block.bytes).toBe(true);
    this.#check(held, Math.min(before, size));
    this.#blocks[this.#blocks.indexOf(held)] = this.#mark(held.block);
  }

  #free(which: number, again: boolean): void {
    const held = this.#chosen(which);
    if (held === undefined) return;
    this.#check(held);
    const { bytes } = held.block;
    held.block.free();
    expect([bytes.length, held.block.size, held.block.ptr]).toEqual([0, 0, 0n]);
    if (again) expect(codeOf(() => held.block.free())).toMatch(/^ERR_/);
    this.#blocks.splice(this.#blocks.indexOf(held), 1);
  }

  #outOfBounds(which: number): void {
    const held = this.#chosen(which);
    if (held === undefined) return;
    expect(codeOf(() => view(held.block.ptr, usableSize(held.block.ptr) + 1))).toBe("ERR_OUT_OF_BOUNDS");
    expect(codeOf(() => held.block.getUint8(held.block.size))).toBe("ERR_OUT_OF_BOUNDS");
  }

  #take(which: number, size: number): void {
    const { arena, taken } = this.#arenas[which % arenaCount]!;
    if (size > 8 * megabyte) return;
    let ptr: bigint;
    try {
      ptr = arena.malloc(size);
    } catch (error) {
      expect((error as { code: string }).code).toBe("ERR_ARENA_LIMIT");
      return;
    }
    const bytes = pattern(this.#marks++, Math.min(size, watchedBytes));
    copyIn(ptr, bytes);
    taken.push({ ptr, bytes });
  }

  #checkArena(which: number): void {
    for (const { ptr, bytes } of this.#arenas[which % arenaCount]!.taken) {
      expect(copyOut(ptr, bytes.length)).toEqual(bytes);
    }
  }

  #give(which: number): void {
    const { taken } = this.#arenas[which % arenaCount]!;
    const [last] = taken.splice(which % Math.max(taken.length, 1), 1);
    if (last === undefined) return;
    expect(copyOut(last.ptr, last.bytes.length)).toEqual(last.bytes);
    free(last.ptr);
  }

  #reset(which: number): void {
    const held = this.#arenas[which % arenaCount]!;
    this.#checkArena(which);
    held.arena.reset();
    held.taken = [];
  }

  #destroy(which: number): void {
    this.#checkArena(which);
    this.#arenas[which % arenaCount]!.arena.destroy();
    this.#arenas[which % arenaCount] = { arena: new Arena({ limit }), taken: [] };
  }
}

function run(steps: readonly Step[]): void {
  const model = new Model();
  try {
    for (const step of steps) model.perform(step);
  } finally {
    model.end();
  }
  expect(verify()).toEqual({ ok: true });
}

test("random programs over blocks and arenas behave as the model says", () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 120, size: "max" }), run), { seed, ...runs(20) });
});
