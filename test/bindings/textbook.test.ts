// TextbookHeap from TypeScript: random programs with check() after each step over every kind and option, hostile
// arguments, heaps that were overwritten, heaps shared with workers, and heaps that end in every way.
import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { TextbookHeap, type TextbookHeapOptions } from "pagerun";
import { describe, expect, test } from "vitest";
import { codeOf, thrownBy } from "../support/heap.js";

const seed = Number(process.env.PAGERUN_TEST_SEED ?? Date.now() % 2 ** 31);
console.log(`textbook heaps: PAGERUN_TEST_SEED=${seed}`);

const kinds = ["free-list", "arenas", "bucket-pages"] as const;
const fits = ["first", "best", "next"] as const;
const choices = ["modulo", "random", "least-contended"] as const;
const origins = ["header", "address"] as const;

/** Every kind with every option that it uses. */
function everyOption(): TextbookHeapOptions[] {
  const lists = fits.flatMap((fit) => ([4, 8] as const).map((fieldBytes) => ({ fit, fieldBytes })));
  const arenas = [1, 3].flatMap((count) =>
    choices.flatMap((choice) => origins.map((origin) => ({ kind: "arenas" as const, arenas: count, choice, origin }))),
  );
  return [
    ...lists.map((list) => ({ kind: "free-list" as const, ...list })),
    ...lists.map((list) => ({ kind: "bucket-pages" as const, ...list })),
    ...arenas.flatMap((options) => lists.map((list) => ({ ...options, ...list }))),
  ];
}

const everyHeap = everyOption().map((options) => ({ options, name: Object.values(options).join(", ") }));

type Step =
  | { do: "malloc" | "calloc"; size: number }
  | { do: "realloc"; which: number; size: number }
  | { do: "free"; which: number };

const size = fc.oneof(
  { weight: 7, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 5000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 40_000 }) },
);
const which = fc.nat({ max: 1000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("malloc" as const), size }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("calloc" as const), size }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("realloc" as const), which, size }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("free" as const), which }) },
);

interface Live {
  ptr: bigint;
  bytes: Uint8Array;
}

/** One program against a heap and a model of it. */
class Run {
  private readonly live: Live[] = [];
  private mark = 0;

  constructor(private readonly heap: TextbookHeap) {}

  take(step: Step): void {
    const { heap, live } = this;
    if (!("which" in step)) {
      const ptr = step.do === "malloc" ? heap.malloc(step.size) : heap.calloc(step.size);
      if (step.do === "calloc") expect(heap.copyOut(ptr, step.size)).toEqual(new Uint8Array(step.size));
      live.push({ ptr, bytes: this.filled(ptr, step.size) });
    } else if (live.length > 0) {
      const index = step.which % live.length;
      const { ptr, bytes } = live[index]!;
      expect(heap.copyOut(ptr, bytes.length)).toEqual(bytes);
      live.splice(index, 1);
      if (step.do === "free") heap.free(ptr);
      else this.resize(ptr, bytes, step.size);
    }
    heap.check();
  }

  private resize(ptr: bigint, bytes: Uint8Array, length: number): void {
    const moved = this.heap.realloc(ptr, length);
    if (length === 0) return void expect(moved).toBe(0n);
    const kept = bytes.subarray(0, length);
    expect(this.heap.copyOut(moved, kept.length)).toEqual(kept);
    this.live.push({ ptr: moved, bytes: this.filled(moved, length) });
  }

  private filled(ptr: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length).fill(++this.mark);
    this.heap.copyIn(ptr, bytes);
    return bytes;
  }

  /** The heap's own account of its live blocks is the model's. */
  compare(): void {
    const blocks = new Map(
      this.heap.blocks().flatMap(({ kind, ptr, size }) => (kind === "header" ? [[ptr, size]] : [])) as [
        bigint,
        number,
      ][],
    );
    expect(blocks.size).toBe(this.live.length);
    for (const { ptr, bytes } of this.live) expect(blocks.get(ptr)).toBeGreaterThanOrEqual(bytes.length);
  }
}

function withHeap<Result>(options: TextbookHeapOptions, use: (heap: TextbookHeap) => Result): Result {
  const heap = new TextbookHeap(options);
  try {
    return use(heap);
  } finally {
    heap.destroy();
  }
}

describe("random programs, with check() after each step", () => {
  test.each(everyHeap)("$name", ({ options }) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        withHeap(options, (heap) => {
          const run = new Run(heap);
          for (const one of steps) run.take(one);
          run.compare();
        });
      }),
      { seed, numRuns: 6 },
    );
  });
});

describe("the parts that a heap shows", () => {
  test.each(everyHeap)("blocks lie side by side, and the free list is the nodes in order: $name", ({ options }) => {
    withHeap(options, (heap) => {
      const ptrs = Array.from({ length: 40 }, (_, i) => heap.malloc(i * 7));
      for (let i = 0; i < ptrs.length; i += 3) heap.free(ptrs[i]!);
      const lists = heap.blocks().filter(({ address, ptr }) => address !== ptr);
      for (const [i, block] of lists.entries()) {
        const next = lists[i + 1];
        expect(block.ptr - block.address).toBe(BigInt(heap.headerBytes));
        if (next?.arena === block.arena) expect(block.ptr + BigInt(block.size)).toBe(next.address);
        expect(heap.headerBytes + block.size).toBeGreaterThanOrEqual(heap.nodeBytes);
      }
      const free = heap.freeList();
      for (const [i, node] of free.entries()) {
        expect(node.kind).toBe("node");
        expect(node.next).toBe(free[i + 1]?.arena === node.arena ? free[i + 1]?.address : undefined);
      }
    });
  });

  test("pages are those of the blocks in use, with their bits", () => {
    withHeap({ kind: "bucket-pages" }, (heap) => {
      const ptrs = Array.from({ length: 300 }, () => heap.malloc(16));
      heap.free(ptrs[1]!);
      const [first, second, ...rest] = heap.pages();
      expect(rest).toEqual([]);
      expect(first).toMatchObject({ address: ptrs[0], blockSize: 16, capacity: 252, used: 251 });
      expect(second).toMatchObject({ blockSize: 16, capacity: 252, used: 48 });
      expect(first!.bitmap[0]).toBe(2n ** 64n - 1n - 2n);
      expect([first!.next, second!.prev]).toEqual([second!.address, first!.address]);
      expect(heap.freeList()).toEqual([]);
    });
  });

  test("a heap tells its options, and what its kind has not", () => {
    withHeap({}, (heap) => {
      expect(heap).toMatchObject({
        kind: "free-list",
        fit: "first",
        fieldBytes: 8,
        arenas: 1,
        headerBytes: 8,
        nodeBytes: 16,
      });
    });
    withHeap({ kind: "arenas", fieldBytes: 4, arenas: 5, choice: "random", origin: "header" }, (heap) => {
      expect(heap).toMatchObject({
        kind: "arenas",
        arenas: 5,
        choice: "random",
        origin: "header",
        headerBytes: 8,
        nodeBytes: 8,
      });
    });
  });
});

/** Values that no argument takes. */
const hostile: unknown[] = [
  undefined,
  null,
  true,
  "8",
  -1,
  1.5,
  Number.NaN,
  2 ** 53,
  -1n,
  2n ** 64n,
  {},
  [],
  Symbol("s"),
  () => 8,
];

describe("arguments", () => {
  test.each(["kind", "fit", "fieldBytes", "arenas", "choice", "origin"])(
    "%s is checked, and named when it is wrong",
    (name) => {
      for (const value of hostile.filter((value) => value !== undefined)) {
        const error = thrownBy(() => new TextbookHeap({ [name]: value }));
        expect(error).toMatchObject({ code: "ERR_INVALID_ARGUMENT", argument: name, received: value });
      }
    },
  );

  test("arenas are 1 to 1024", () => {
    for (const arenas of [0, 1025, 2 ** 32])
      expect(codeOf(() => new TextbookHeap({ kind: "arenas", arenas }))).toBe("ERR_INVALID_ARGUMENT");
    withHeap({ kind: "arenas", arenas: 1024, choice: "random" }, (heap) => heap.free(heap.malloc(10)));
  });

  test("options are an object, whatever else is given", () => {
    for (const options of hostile.filter((value) => typeof value !== "object" && value !== undefined)) {
      expect(codeOf(() => new TextbookHeap(options as object))).toBe("ERR_INVALID_ARGUMENT");
    }
    expect(codeOf(() => new TextbookHeap(null as never))).toBe("ERR_INVALID_ARGUMENT");
  });

  test("options that run code when they are read do not confuse the heap", () => {
    withHeap({}, (other) => {
      const heap = new TextbookHeap({
        get kind() {
          other.malloc(100);
          return "arenas" as const;
        },
        get arenas() {
          other.free(other.malloc(7));
          return 3;
        },
      });
      expect(heap).toMatchObject({ kind: "arenas", arenas: 3 });
      heap.destroy();
    });
  });

  test.each(kinds)("sizes and pointers of the wrong type are refused by %s, and nothing has changed", (kind) => {
    withHeap({ kind }, (heap) => {
      const ptr = heap.malloc(10);
      const before = heap.blocks();
      for (const value of hostile) {
        expect(codeOf(() => heap.malloc(value as number))).toBe("ERR_INVALID_ARGUMENT");
        expect(codeOf(() => heap.realloc(ptr, value as number))).toBe("ERR_INVALID_ARGUMENT");
        if (value !== undefined) expect(codeOf(() => heap.calloc(1, value as number))).toBe("ERR_INVALID_ARGUMENT");
        expect(codeOf(() => heap.copyOut(ptr, value as number))).toBe("ERR_INVALID_ARGUMENT");
        expect(codeOf(() => heap.copyIn(ptr, value as Uint8Array))).toBe("ERR_INVALID_ARGUMENT");
        const wrong = typeof value === "bigint" ? "ERR_FOREIGN_POINTER" : "ERR_INVALID_ARGUMENT";
        expect(codeOf(() => heap.free(value as bigint))).toBe(wrong);
        expect(codeOf(() => heap.realloc(value as bigint, 8))).toBe(wrong);
      }
      expect(heap.blocks()).toEqual(before);
    });
  });

  test.each(everyHeap)("wrong pointers are told apart: $name", ({ options }) => {
    withHeap(options, (heap) => {
      for (const bytes of [100, 6000]) {
        const ptr = heap.malloc(bytes);
        expect(thrownBy(() => heap.free(ptr + 1n))).toMatchObject({ code: "ERR_INTERIOR_POINTER", block: ptr });
        expect(codeOf(() => heap.realloc(ptr + 99n, 8))).toBe("ERR_INTERIOR_POINTER");
        for (const foreign of [1n, 2n ** 47n, 2n ** 64n - 1n, ptr + 2n ** 40n]) {
          expect(codeOf(() => heap.free(foreign))).toBe("ERR_FOREIGN_POINTER");
        }
        heap.free(ptr);
        expect(thrownBy(() => heap.free(ptr))).toMatchObject({ code: "ERR_DOUBLE_FREE", ptr });
        expect(codeOf(() => heap.realloc(ptr, 8))).toBe("ERR_DOUBLE_FREE");
      }
      heap.free(0n);
      heap.check();
    });
  });

  test.each(everyHeap)("what no memory can hold is refused: $name", ({ options }) => {
    withHeap(options, (heap) => {
      const ptr = heap.malloc(10);
      for (const size of [2 ** 50, Number.MAX_SAFE_INTEGER, 2n ** 64n - 1n]) {
        expect(codeOf(() => heap.malloc(size))).toBe("ERR_OUT_OF_MEMORY");
        expect(codeOf(() => heap.calloc(size, 16))).toBe("ERR_OUT_OF_MEMORY");
        expect(codeOf(() => heap.realloc(ptr, size))).toBe("ERR_OUT_OF_MEMORY");
        expect(codeOf(() => heap.copyOut(ptr, size))).toBe("ERR_OUT_OF_BOUNDS");
      }
      expect(codeOf(() => heap.copyOut(ptr, 2 ** 33))).toBe("ERR_OUT_OF_BOUNDS");
      heap.free(ptr);
    });
  });
});

describe("a heap that was overwritten", () => {
  /** Little-endian bytes of a field. */
  const field = (value: bigint) => new Uint8Array(new BigUint64Array([value]).buffer);

  test("is refused by every call, which names the invariant and the place", () => {
    withHeap({ kind: "free-list" }, (heap) => {
      const ptr = heap.malloc(40);
      heap.copyIn(ptr - 8n, field(2n ** 40n));
      const broken = { code: "ERR_HEAP_BROKEN", invariant: "every byte is in exactly one block", address: ptr - 8n };
      for (const call of [
        () => heap.check(),
        () => heap.blocks(),
        () => heap.freeList(),
        () => heap.pages(),
        () => heap.malloc(8),
        () => heap.calloc(8),
        () => heap.free(ptr),
        () => heap.realloc(ptr, 400),
      ]) {
        expect(thrownBy(call)).toMatchObject(broken);
      }
      heap.copyIn(ptr - 8n, field(40n));
      heap.free(ptr);
      heap.check();
    });
  });

  test.each(everyHeap)("at random does no harm to the process: $name", ({ options }) => {
    const write = fc.record({
      at: fc.nat({ max: 12_000 }),
      value: fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 9000n)),
    });
    fc.assert(
      fc.property(fc.array(write, { minLength: 1, maxLength: 12 }), (writes) => {
        withHeap(options, (heap) => {
          const ptrs = [3000, 16, 16, 100, 5000].map((bytes) => heap.malloc(bytes));
          heap.free(ptrs[1]!);
          for (const { at, value } of writes) {
            for (const call of [
              () => heap.copyIn(ptrs[0]! + BigInt(at) - 4000n, field(value)),
              () => heap.malloc(30),
              () => heap.realloc(ptrs[2]!, 300),
              () => heap.free(ptrs[3]!),
              () => heap.blocks(),
              () => heap.pages(),
            ]) {
              try {
                call();
              } catch (error) {
                expect(error).toMatchObject({ name: "PagerunError" });
              }
            }
          }
        });
      }),
      { seed, numRuns: 10 },
    );
  });
});

describe("many threads and the end", () => {
  test.each(kinds)("workers share %s by its handle, and free each other's blocks", async (kind) => {
    const heap = new TextbookHeap({ kind, arenas: 2 });
    const workers = [1, 2].map(
      (seed) =>
        new Worker(new URL("../workers/textbook.mjs", import.meta.url), { workerData: { handle: heap.handle, seed } }),
    );
    const left = (await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]))) as bigint[][];
    heap.check();
    expect(heap.blocks().filter(({ kind }) => kind === "header")).toHaveLength(left.flat().length);
    for (const ptr of left.flat()) heap.free(ptr);
    expect(heap.blocks().every(({ kind }) => kind === "node")).toBe(true);
    await Promise.all(workers.map((worker) => worker.terminate()));
    heap.destroy();
  });

  test("after destroy() every call says so, on every object of the heap, and a second destroy() does nothing", () => {
    const heap = new TextbookHeap();
    const ptr = heap.malloc(8);
    const same = TextbookHeap.from(heap.handle);
    expect(same).toMatchObject({ kind: "free-list", handle: heap.handle });
    expect(same.blocks()).toEqual(heap.blocks());
    heap.destroy();
    heap.destroy();
    for (const one of [heap, same]) {
      for (const call of [
        () => one.malloc(8),
        () => one.calloc(8),
        () => one.realloc(ptr, 8),
        () => one.free(ptr),
        () => one.blocks(),
        () => one.freeList(),
        () => one.pages(),
        () => one.check(),
        () => one.copyOut(ptr, 8),
        () => one.copyIn(ptr, new Uint8Array(8)),
        () => TextbookHeap.from(one.handle),
      ]) {
        expect(codeOf(call)).toBe("ERR_HEAP_DESTROYED");
      }
    }
  });

  test("a handle that is none is refused", () => {
    for (const handle of hostile)
      expect(codeOf(() => TextbookHeap.from(handle as number))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => TextbookHeap.from(2 ** 52))).toBe("ERR_HEAP_DESTROYED");
  });

  test("heaps that nobody holds any more give their memory back", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    let handle = 0;
    (() => {
      handle = new TextbookHeap().handle;
    })();
    for (let i = 0; i < 50; i++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10));
      try {
        TextbookHeap.from(handle);
      } catch {
        return;
      }
    }
    expect.fail(`Expected heap ${handle} to be gone`);
  });
});
