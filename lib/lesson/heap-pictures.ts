// Pictures of a textbook heap, made from what the heap itself reports: blocks(), freeList(), pages(), and its bytes.
// Owns the way from these to parts, boxes and bits; draws nothing by hand. Thread rule: the heap's.
import type { TextbookBlock, TextbookHeap, TextbookPage } from "../textbook.js";
import {
  addressText,
  type BitsPicture,
  type BlockBox,
  type BlocksPicture,
  type DumpPicture,
  type MapPicture,
  offsetText,
  type Part,
  type TablePicture,
} from "./picture.js";

/** From the header's or node's first byte to the last byte of the block: the size field counts from `ptr` on. */
export function wholeBytes(block: TextbookBlock): number {
  return Number(block.ptr - block.address) + block.size;
}

/** A block as its parts: header and user memory, or node and unused space. */
export function partsOf(block: TextbookBlock, nodeBytes: number): Part[] {
  const [first, rest]: [Part, Part] =
    block.kind === "header"
      ? [
          { ink: "header", bytes: Number(block.ptr - block.address) },
          { ink: "user", bytes: block.size },
        ]
      : [
          { ink: "node", bytes: nodeBytes },
          { ink: "unused", bytes: wholeBytes(block) - nodeBytes },
        ];
  return [first, rest].filter(({ bytes }) => bytes > 0);
}

/** Address of the heap's first block; 0n while it has no memory. */
export function baseOf(heap: TextbookHeap): bigint {
  return heap.blocks()[0]?.address ?? 0n;
}

/** All bytes of a heap whose blocks lie one behind the other: of one free list. */
export function mapOf(title: string, heap: TextbookHeap, rowBytes = 64): MapPicture {
  const parts = heap.blocks().flatMap((block) => partsOf(block, heap.nodeBytes));
  return { kind: "map", title, base: baseOf(heap), parts, rowBytes };
}

/** Offsets are counted from the first block of the block's own arena. */
function offsetsOf(blocks: readonly TextbookBlock[]): (address: bigint) => number {
  const bases = new Map<number, bigint>();
  for (const { arena, address } of blocks) if (!bases.has(arena)) bases.set(arena, address);
  const sorted = [...bases.values()].sort((a, b) => (a < b ? -1 : 1));
  return (address) => Number(address - (sorted.findLast((base) => base <= address) ?? address));
}

function boxOf(block: TextbookBlock, heap: TextbookHeap, offsetOf: (address: bigint) => number): BlockBox {
  const arena = heap.arenas > 1 ? [`arena ${block.arena}`] : [];
  const next = block.next === undefined ? "next: none" : `next ${offsetText(offsetOf(block.next))}`;
  return {
    ink: block.kind,
    offset: offsetOf(block.address),
    bytes: wholeBytes(block),
    fields: [`size ${block.size}`, ...arena, ...(block.kind === "node" ? [next] : [])],
  };
}

/** The blocks of one free list, or of arenas, each of which then has its own offsets. */
export function blocksOf(title: string, heap: TextbookHeap, blocks = heap.blocks()): BlocksPicture {
  const offsetOf = offsetsOf(blocks);
  const freeList = heap.arenas > 1 ? undefined : heap.freeList().map((node) => offsetOf(node.address));
  const boxes = blocks.map((block) => boxOf(block, heap, offsetOf));
  return { kind: "blocks", title, base: blocks[0]?.address ?? 0n, boxes, freeList };
}

/** The bytes of memory from `from` on, each with what the heap says that it belongs to. */
export function dumpOf(title: string, heap: TextbookHeap, from: bigint, bytes: number): DumpPicture {
  const parts: Part[] = [];
  let at = baseOf(heap);
  for (const part of heap.blocks().flatMap((block) => partsOf(block, heap.nodeBytes))) {
    const end = at + BigInt(part.bytes);
    const first = at > from ? at : from;
    const last = end < from + BigInt(bytes) ? end : from + BigInt(bytes);
    if (last > first) parts.push({ ink: part.ink, bytes: Number(last - first) });
    at = end;
  }
  return { kind: "dump", title, offset: Number(from - baseOf(heap)), bytes: heap.copyOut(from, bytes), parts };
}

const wordBits = 64;

/** The flags of a page, as booleans: the lowest bit of the first word is the one of block 0. */
export function bitsOf(title: string, bitmap: BigUint64Array, capacity: number): BitsPicture {
  const isSet = (i: number) => (((bitmap[Math.floor(i / wordBits)] ?? 0n) >> BigInt(i % wordBits)) & 1n) === 1n;
  return { kind: "bits", title, bits: Array.from({ length: capacity }, (_, i) => isSet(i)) };
}

export function pageBits(title: string, page: TextbookPage): BitsPicture {
  return bitsOf(title, page.bitmap, page.capacity);
}

const osPageBytes = 4096;

/** A page of the notes, byte by byte: its blocks, and what it says of them at its end. */
export function pageMap(title: string, page: TextbookPage): MapPicture {
  const blocks = page.capacity * page.blockSize;
  const parts: Part[] = [
    { ink: "user", bytes: blocks },
    { ink: "record", bytes: osPageBytes - blocks },
  ];
  return { kind: "map", title, base: page.address, parts, rowBytes: 64 };
}

export function pageTable(title: string, pages: readonly TextbookPage[]): TablePicture {
  const link = (address: bigint | undefined) => (address === undefined ? "none" : addressText(address));
  return {
    kind: "table",
    title,
    head: ["page", "block size", "blocks", "used", "next", "prev"],
    rows: pages.map((page) => [
      addressText(page.address),
      `${page.blockSize}`,
      `${page.capacity}`,
      `${page.used}`,
      link(page.next),
      link(page.prev),
    ]),
  };
}
