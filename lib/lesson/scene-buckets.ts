// The steps about pages of equal blocks: the notes' own page, and the page of the allocator that this package ships.
// Owns nothing between calls. Thread rule: any thread; the second step looks at the heap that all threads share.
import { free, malloc } from "../heap.js";
import { type PageSnapshot, snapshot } from "../report.js";
import type { TextbookHeap, TextbookPage } from "../textbook.js";
import { bitsOf, pageBits, pageMap, pageTable } from "./heap-pictures.js";
import { onHeap } from "./on-heap.js";
import { addressText, code, type Piece, text } from "./picture.js";
import type { Step } from "./step.js";

const blockBytes = 16;
const osPageBytes = 4096;

/** The pages whose blocks have `blockBytes`. */
function pagesOf(heap: TextbookHeap): TextbookPage[] {
  return heap.pages().filter(({ blockSize }) => blockSize === blockBytes);
}

function firstPieces(heap: TextbookHeap): Piece[] {
  const ptrs = [1, 2, 3].map(() => heap.malloc(blockBytes));
  const page = pagesOf(heap)[0]!;
  const records = osPageBytes - page.capacity * page.blockSize;
  const three = pageBits("After three mallocs of 16 bytes: three bits are set", page);
  heap.free(ptrs[1]!);
  const two = pageBits("The second of them is freed: its bit is clear, nothing else has changed", pagesOf(heap)[0]!);
  return [
    text(
      "A list of single blocks must be searched. The optimisation of the notes: one list for each size, 4, 8, 12, 16, 24, 32 bytes and so on, and an entry of a list is a page of equal blocks instead of one block. The blocks have no header any more. The page has a bitmap, one bit a block, which says which blocks are handed out; a pointer to the next page and one to the previous page; and the size of its blocks.",
    ),
    code(`const heap = new TextbookHeap({ kind: "bucket-pages" });`, `heap.malloc(${blockBytes});   // three times`),
    pageMap(`The page: ${page.capacity} blocks of ${page.blockSize} bytes, and ${records} bytes for its records`, page),
    text(
      `The notes draw 256 blocks of ${blockBytes} bytes, which are all of the 4096 bytes of an OS page. The bitmap, the two pointers and the size lie in the same OS page here, so there is room for ${page.capacity}.`,
    ),
    three,
    code("heap.free(second);"),
    two,
  ];
}

function fullPieces(heap: TextbookHeap): Piece[] {
  while (pagesOf(heap).length < 2) heap.malloc(blockBytes);
  const pages = pagesOf(heap);
  const full = pages.find(({ used, capacity }) => used === capacity)!;
  return [
    text(
      `malloc finds a bit that is clear and sets it; the number of the bit times ${blockBytes} is where the block lies in the page. When a page is full it leaves its list, which has the pages with a free block, and the next malloc needs a new page.`,
    ),
    pageBits(`A full page: all ${full.capacity} bits are set`, full),
    pageTable(`The pages with blocks of ${blockBytes} bytes now`, pages),
  ];
}

const wanted = 24;
const manyBlocks = 100;

function pageHolding(ptr: bigint): PageSnapshot {
  const pages = snapshot().pages.filter(({ address, kind }) => kind === "bucket" && address <= ptr);
  return pages.reduce((nearest, page) => (page.address > nearest.address ? page : nearest));
}

function usedBits(words: string, page: PageSnapshot): Piece {
  return bitsOf(`${words}: ${page.used} of ${page.capacity} bits are set`, page.bitmap, page.capacity);
}

/** Allocates, draws, and frees half of the blocks; whatever is live at any moment is in `live`. */
function corePieces(live: Set<bigint>): Piece[] {
  const ptrs = Array.from({ length: manyBlocks }, () => malloc(wanted));
  for (const ptr of ptrs) live.add(ptr);
  const last = ptrs.at(-1)!;
  const page = pageHolding(last);
  const number = Number(last - page.address) / page.blockBytes;
  for (const ptr of ptrs.filter((_, i) => i % 2 === 0)) {
    free(ptr);
    live.delete(ptr);
  }
  return [
    text(
      "The allocator of this package goes one step further: the bitmap and the other records do not lie in the page but in tables beside all pages. The record of a page is found by arithmetic: the distance of the block from the start of the region, divided by the size of a page, is the record's index.",
    ),
    code(`const ptrs = Array.from({ length: ${manyBlocks} }, () => malloc(${wanted}));`),
    {
      kind: "table",
      title: "What `snapshot()` says of the page that the last of them lies in",
      head: ["field", "value"],
      rows: [
        ["address of the page", addressText(page.address)],
        ["size of a block", `${page.blockBytes} bytes`],
        ["blocks handed out", `${page.used} of ${page.capacity}`],
        ["arena that owns it", `${page.arena}`],
        ["the last block's address minus the page's, divided by the size of a block", `${number}, without a rest`],
      ],
    },
    text(
      `The blocks have ${page.blockBytes} bytes for a request of ${wanted}: malloc promises addresses that 16 divides, which equal blocks can keep only when their size is a multiple of 16.`,
    ),
    usedBits("Its used bitmap", page),
    code("ptrs.filter((_, i) => i % 2 === 0).forEach(free);   // every other one"),
    usedBits("Afterwards", pageHolding(last)),
    text(
      "Nothing of the heap lies in the blocks or between them, so there is nothing that an overflow could damage; a double free is a bit that is clear already; and a pointer into the middle of a block is one whose division leaves a rest. Every free looks at all three. This is the heap that the rest of this process uses while you read: some of the bits are not the lesson's.",
    ),
  ];
}

export const bucketPageStep: Step = {
  id: "bucket-page",
  title: "A page of equal blocks, and its bitmap",
  run: () => onHeap({ kind: "bucket-pages" }, (heap) => [...firstPieces(heap), ...fullPieces(heap)]),
};

export const corePageStep: Step = {
  id: "core-page",
  title: "The same in this package: the records lie beside the memory",
  run() {
    const live = new Set<bigint>();
    try {
      return corePieces(live);
    } finally {
      for (const ptr of live) free(ptr);
    }
  },
};
