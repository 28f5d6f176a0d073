// The course notes that this project began from, sentence by sentence: what they say of pointers and allocators, tried on
// the real heaps. Each test is named after its sentence. What needs C++ is in test/native/textbook_seeds_test.cc, and the
// lesson of Heartbleed is with the lesson.
import { readFileSync } from "node:fs";
import { malloc as coreMalloc, free as freeOfCore, snapshot, TextbookHeap, type TextbookHeapOptions } from "pagerun";
import { afterEach, describe, expect, test } from "vitest";
import { codeOf, isFastProfile } from "../support/heap.js";

const osPage = 4096;
const fieldWidths = [4, 8] as const;
let made: TextbookHeap[] = [];

/** A heap that ends, checked, with its test. */
function newHeap(options: TextbookHeapOptions = {}): TextbookHeap {
  const heap = new TextbookHeap(options);
  made.push(heap);
  return heap;
}

afterEach(() => {
  for (const heap of made) {
    heap.check();
    heap.destroy();
  }
  made = [];
});

/** The mapping of this process that holds an address, as the kernel lists it. */
function mappingOf(address: bigint): { start: bigint; end: bigint; rights: string; file: string } {
  for (const line of readFileSync("/proc/self/maps", "utf8").split("\n")) {
    const [range = "", rights = "", , , , ...file] = line.split(/\s+/);
    const [start, end] = range.split("-").map((digits) => BigInt(`0x${digits || "0"}`)) as [bigint, bigint];
    if (start <= address && address < end) return { start, end, rights, file: file.join(" ") };
  }
  return expect.fail(`Expected a mapping for 0x${address.toString(16)}`);
}

/** A field of a header or node as it lies in memory, little endian. */
function fieldAt(heap: TextbookHeap, address: bigint, index: number): bigint {
  const bytes = heap.copyOut(address + BigInt(index * heap.fieldBytes), heap.fieldBytes);
  return bytes.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);
}

function kindsOf(heap: TextbookHeap): string[] {
  return heap.blocks().map(({ kind, size }) => `${kind} ${size}`);
}

describe("1. memory comes from mmap, pointers are numbers", () => {
  test("all heap memory is a pointer that mmap returned plus a number of bytes that stays within the mapping", () => {
    const heap = newHeap();
    const base = heap.malloc(100) - BigInt(heap.headerBytes);
    for (let i = 0; i < 50; i++) {
      const ptr = heap.malloc(1000);
      const { end, rights, file } = mappingOf(ptr);
      expect({ rights, file }).toEqual({ rights: "rw-p", file: "" });
      expect(ptr).toBeGreaterThan(base);
      expect(ptr + 1000n).toBeLessThanOrEqual(end);
    }
    expect(mappingOf(base).end).toBe(mappingOf(heap.blocks().at(-1)!.address).end);
  });

  test("in TypeScript the number is a bigint, and byte arithmetic on it is legal as long as it stays in the block", () => {
    const heap = newHeap();
    const ptr = heap.malloc(16);
    expect(typeof ptr).toBe("bigint");
    heap.copyIn(ptr + 15n, Uint8Array.of(7));
    expect(heap.copyOut(ptr, 16)[15]).toBe(7);
    expect(codeOf(() => heap.free(ptr + 15n))).toBe("ERR_INTERIOR_POINTER");
  });
});

describe("2. the free-list allocator", () => {
  test("every block is exactly one of two things: header + user memory, or node + unused space", () => {
    const heap = newHeap();
    const ptrs = [10, 500, 3000, 40].map((bytes) => heap.malloc(bytes));
    heap.free(ptrs[1]!);
    let at = heap.blocks()[0]!.address;
    for (const { kind, address, ptr, size } of heap.blocks()) {
      expect(address).toBe(at);
      expect(kind === "header").toBe(ptrs.includes(ptr) && ptr !== ptrs[1]);
      expect(kind === "node").toBe(heap.freeList().some((node) => node.address === address));
      at = ptr + BigInt(size);
    }
    expect(at).toBe(mappingOf(ptrs[0]!).end);
  });

  test.each(fieldWidths)(
    "header and node are the same memory, with the size at the same place: %i-byte fields",
    (fieldBytes) => {
      const heap = newHeap({ fieldBytes });
      const ptr = heap.malloc(48);
      heap.malloc(8);
      const [block] = heap.blocks();
      const header = { size: fieldAt(heap, block!.address, 0), user: heap.copyOut(ptr, 8) };
      heap.copyIn(ptr, new Uint8Array(48).fill(0xaa));
      heap.free(ptr);
      const [node] = heap.blocks();
      expect(node).toMatchObject({ kind: "node", address: block!.address, size: 48 });
      expect(fieldAt(heap, node!.address, 0)).toBe(header.size);
      // next lies where the user's first bytes were: as an address, or as the distance from the first block.
      const distance = node!.next! - (fieldBytes === 8 ? 0n : block!.address);
      expect(fieldAt(heap, node!.address, 1)).toBe(distance);
      expect(heap.copyOut(ptr + BigInt(fieldBytes), 8)).toEqual(new Uint8Array(8).fill(0xaa));
      // And malloc turns the node into a header again.
      expect(heap.malloc(48)).toBe(ptr);
      expect(heap.blocks()[0]).toEqual(block);
    },
  );

  test.each(fieldWidths)(
    "malloc(5000) maps two OS pages, says 5000, and the rest of about 3000 is on the free list: %i-byte fields",
    (fieldBytes) => {
      const heap = newHeap({ fieldBytes });
      const ptr = heap.malloc(5000);
      const address = ptr - BigInt(fieldBytes);
      expect(mappingOf(ptr).end).toBe(address + BigInt(2 * osPage));
      expect(fieldAt(heap, address, 0)).toBe(5000n);
      const rest = 2 * osPage - 5000 - 2 * fieldBytes;
      expect(kindsOf(heap)).toEqual(["header 5000", `node ${rest}`]);
      expect(heap.freeList()).toEqual([heap.blocks()[1]]);
      expect(Math.abs(rest - 3000)).toBeLessThan(200);
    },
  );

  test.each(fieldWidths)(
    "if splitting would leave less than a node, the caller gets the whole block: %i-byte fields",
    (fieldBytes) => {
      const heap = newHeap({ fieldBytes });
      const ptr = heap.malloc(100 * fieldBytes);
      heap.malloc(fieldBytes);
      for (let wanted = 1; wanted <= 100; wanted++) {
        heap.free(ptr);
        expect(heap.malloc(wanted * fieldBytes)).toBe(ptr);
        // A node has two fields, and what is left over has its size field taken off.
        const left = (100 - wanted) * fieldBytes;
        const isSplit = left >= heap.nodeBytes;
        expect(kindsOf(heap).slice(0, 2)).toEqual(
          isSplit
            ? [`header ${wanted * fieldBytes}`, `node ${left - fieldBytes}`]
            : [`header ${100 * fieldBytes}`, `header ${fieldBytes}`],
        );
      }
    },
  );

  test("a node is 8 bytes with 4-byte fields, so a 12-byte free block with an 8-byte size is given whole", () => {
    const heap = newHeap({ fieldBytes: 4 });
    expect(heap.nodeBytes).toBe(8);
    const ptr = heap.malloc(8);
    const fence = heap.malloc(4);
    heap.free(ptr);
    const [node] = heap.blocks();
    expect(node).toMatchObject({ kind: "node", size: 8 });
    expect(fence - 4n - node!.address).toBe(12n);
    expect(heap.malloc(4)).toBe(ptr);
    expect(heap.blocks()[0]).toMatchObject({ kind: "header", size: 8 });
  });

  test("with 8-byte fields the numbers grow: a node is 16 bytes, and a 24-byte free block is given whole", () => {
    const heap = newHeap({ fieldBytes: 8 });
    expect(heap.nodeBytes).toBe(16);
    const ptr = heap.malloc(16);
    heap.malloc(8);
    heap.free(ptr);
    expect(heap.malloc(8)).toBe(ptr);
    expect(heap.blocks()[0]).toMatchObject({ kind: "header", size: 16 });
  });

  test.each([
    ["none", [], ["header 40", "node 40", "header 40", "header 40"]],
    ["before it", [0], ["node 84", "header 40", "header 40"]],
    ["behind it", [2], ["header 40", "node 84", "header 40"]],
    ["on both sides", [0, 2], ["node 128", "header 40"]],
  ] as const)("freed neighbours are merged: %s", (_, others, expected) => {
    const heap = newHeap({ fieldBytes: 4 });
    const ptrs = [40, 40, 40, 40].map((bytes) => heap.malloc(bytes));
    for (const i of others) heap.free(ptrs[i]!);
    heap.free(ptrs[1]!);
    expect(kindsOf(heap).slice(0, expected.length)).toEqual(expected);
  });
});

describe("3. arenas", () => {
  test.each([1, 2, 10, 64])("more than one free list: %i arenas are as many lists", (arenas) => {
    const heap = newHeap({ kind: "arenas", arenas, choice: "random" });
    for (let i = 0; i < arenas * 20; i++) heap.malloc(100);
    const found = [...new Set(heap.blocks().map(({ arena }) => arena))];
    expect(found).toEqual(Array.from({ length: arenas }, (_, i) => i));
    expect(heap.freeList()).toHaveLength(arenas);
  });

  test("arenas[t % n]: a thread has one arena", () => {
    const heap = newHeap({ kind: "arenas", arenas: 4, choice: "modulo" });
    for (let i = 0; i < 50; i++) heap.malloc(100);
    expect(new Set(heap.blocks().map(({ arena }) => arena)).size).toBe(1);
  });

  test("arenas[rand()]: a thread comes to all arenas", () => {
    const heap = newHeap({ kind: "arenas", arenas: 4, choice: "random" });
    for (let i = 0; i < 200; i++) heap.malloc(100);
    expect(new Set(heap.blocks().map(({ arena }) => arena)).size).toBe(4);
  });

  test.each(fieldWidths)(
    "plan A: an arena id in the header says where a block came from, %i-byte fields",
    (fieldBytes) => {
      const heap = newHeap({ kind: "arenas", arenas: 4, choice: "random", origin: "header", fieldBytes });
      for (let i = 0; i < 100; i++) heap.malloc(100);
      expect(heap.headerBytes).toBe(2 * fieldBytes);
      for (const { kind, address, arena } of heap.blocks()) {
        if (kind === "header") expect(fieldAt(heap, address, 1)).toBe(BigInt(arena));
      }
    },
  );

  test("plan B: the memory address alone says it, and the header is a field smaller", () => {
    const heap = newHeap({ kind: "arenas", arenas: 4, choice: "random", origin: "address" });
    for (let i = 0; i < 100; i++) heap.malloc(100);
    expect(heap.headerBytes).toBe(8);
    const first = new Map<number, bigint>();
    for (const { arena, address } of heap.blocks()) if (!first.has(arena)) first.set(arena, address);
    const distance = first.get(1)! - first.get(0)!;
    for (const { arena, address } of heap.blocks()) {
      expect(Number((address - first.get(0)!) / distance)).toBe(arena);
    }
  });

  test.each(["header", "address"] as const)(
    "free returns a block to the arena that it came from, by its %s",
    (origin) => {
      const heap = newHeap({ kind: "arenas", arenas: 4, choice: "random", origin });
      const ptrs = Array.from({ length: 100 }, () => heap.malloc(100));
      const lists = heap
        .blocks()
        .filter(({ kind }) => kind === "node")
        .map(({ arena }) => arena);
      for (const ptr of ptrs) heap.free(ptr);
      // Each arena is one node again: nothing went to another one's list.
      expect(heap.blocks().map(({ kind, arena }) => `${kind} ${arena}`)).toEqual(lists.map((arena) => `node ${arena}`));
    },
  );
});

describe("4. the optimised bucket allocator", () => {
  const firstSizes = [4, 8, 12, 16, 24, 32];

  test("frees[0] holds blocks of 4 bytes, frees[1] 8, then 12, 16, 24, 32: one list for each size", () => {
    const heap = newHeap({ kind: "bucket-pages" });
    for (const size of firstSizes) for (const bytes of [size - 1, size]) heap.malloc(bytes);
    expect(heap.pages().map(({ blockSize, used }) => ({ blockSize, used }))).toEqual(
      firstSizes.map((blockSize) => ({ blockSize, used: 2 })),
    );
    for (const { next, prev } of heap.pages()) expect([next, prev]).toEqual([undefined, undefined]);
  });

  test("a list entry points to a page of equal blocks, and the pages of a size are one list", () => {
    const heap = newHeap({ kind: "bucket-pages" });
    const ptrs = Array.from({ length: 252 * 3 }, () => heap.malloc(16));
    const pages = heap.pages();
    expect(pages).toHaveLength(3);
    for (const { address } of pages) heap.free(address);
    const [first, second, third] = heap.pages();
    expect([first!.next, second!.next, third!.next]).toEqual([undefined, first!.address, second!.address]);
    expect([first!.prev, second!.prev, third!.prev]).toEqual([second!.address, third!.address, undefined]);
    for (const [i, ptr] of ptrs.entries()) {
      expect(ptr).toBe(pages[Math.floor(i / 252)]!.address + BigInt((i % 252) * 16));
    }
  });

  test("of a page of 16-byte blocks: the blocks, a bitmap of 32 bytes, next page, previous page, and the size of 8 bytes", () => {
    const heap = newHeap({ kind: "bucket-pages" });
    const ptrs = Array.from({ length: 252 + 1 }, () => heap.malloc(16));
    heap.free(ptrs[5]!);
    const [page, other] = heap.pages();
    expect(page!.address % BigInt(osPage)).toBe(0n);
    // The notes draw 256 blocks, which fill the OS page: what describes them takes the place of the last four.
    expect(page!.capacity).toBe(252);
    expect(page!.bitmap.byteLength).toBe(32);
    const words = new BigUint64Array(heap.copyOut(page!.address, osPage).buffer);
    const at = (offset: number) => words[offset / 8];
    expect(words.slice((osPage - 24 - 32) / 8, (osPage - 24) / 8)).toEqual(page!.bitmap);
    expect([at(osPage - 24), at(osPage - 16), at(osPage - 8)]).toEqual([other!.address, 0n, 16n]);
    const used = ptrs.slice(0, 252).map((_, i) => ((page!.bitmap[i >> 6]! >> BigInt(i & 63)) & 1n) === 1n);
    expect(used).toEqual(used.map((_, i) => i !== 5));
  });

  test.runIf(isFastProfile)(
    "the product's core has these sizes as well, and keeps bitmap and links out of the blocks' page",
    () => {
      const ptr = coreMalloc(16);
      const page = snapshot().pages.find(
        ({ address, capacity, blockBytes }) => ptr >= address && ptr < address + BigInt(capacity * blockBytes),
      );
      expect(page).toMatchObject({ kind: "bucket", blockBytes: 16 });
      const index = Number(ptr - page!.address) / 16;
      expect((page!.bitmap[index >> 6]! >> BigInt(index & 63)) & 1n).toBe(1n);
      // Blocks from the page's first byte to its last: 32 KiB have no room for anything else.
      expect(page!.capacity * 16).toBe(32 * 1024);
      freeOfCore(ptr);
    },
  );
});
