// The steps about one free list: malloc(5000), splitting, the block that is given whole, free, and merging.
// Owns nothing between calls: each step has a heap of its own. Thread rule: any thread.
import type { TextbookHeap } from "../textbook.js";
import { baseOf, blocksOf, dumpOf, mapOf, wholeBytes } from "./heap-pictures.js";
import { onHeap } from "./on-heap.js";
import { code, offsetText, type Piece, text } from "./picture.js";
import type { Step } from "./step.js";

const options = { kind: "free-list", fit: "first", fieldBytes: 4 } as const;
const made = `const heap = new TextbookHeap({ kind: "free-list", fit: "first", fieldBytes: 4 });`;

function at(heap: TextbookHeap, ptr: bigint): string {
  return offsetText(Number(ptr - baseOf(heap)));
}

function first(heap: TextbookHeap): Piece[] {
  const before = blocksOf("Before: the heap", heap);
  const ptr = heap.malloc(5000);
  const { headerBytes } = heap;
  const blocks = heap.blocks();
  const node = blocks[1]!;
  const mapped = blocks.reduce((sum, block) => sum + wholeBytes(block), 0);
  return [
    text(
      "The simplest allocator has one list of free blocks. Every byte of its memory is in exactly one block, and every block is one of two things: a header with the user's memory behind it, or a node with unused space behind it. The numbers in this and the next steps are those of the notes: fields of four bytes.",
    ),
    code(made),
    before,
    code(`const ptr = heap.malloc(5000);   // base ${at(heap, ptr)}`),
    text(
      `5000 bytes and ${headerBytes} bytes of header do not fit one OS page of 4096 bytes: the heap maps two, ${mapped} bytes. The block is cut off the front, and the rest of the two pages, a block of ${wholeBytes(node)} bytes, goes on the free list.`,
    ),
    blocksOf("After: two blocks, and one of them is on the free list", heap),
    mapOf("After, byte by byte", heap),
    dumpOf(
      "The first 16 bytes: the size, 5000, stands in the header as 88 13 00 00, its lowest byte first",
      heap,
      baseOf(heap),
      16,
    ),
    dumpOf(
      `The border: the node's fields lie right behind the last byte of the user's memory`,
      heap,
      node.address - 8n,
      24,
    ),
    text(
      `The pointer that malloc returns is not the start of the block: it is the first byte behind the header. So free(ptr) finds the header ${headerBytes} bytes in front of what it is given.`,
    ),
  ];
}

function split(heap: TextbookHeap): Piece[] {
  heap.malloc(5000);
  const before = blocksOf("Before", heap);
  const ptr = heap.malloc(100);
  return [
    text(
      "malloc walks along the free list and takes the first node that is large enough (first fit). That node is larger than what was asked for, so it is split: the front becomes the block, and the rest becomes a smaller node that takes its place in the list.",
    ),
    before,
    code(`heap.malloc(100);   // base ${at(heap, ptr)}`),
    blocksOf("After: the node became a header and a smaller node", heap),
    dumpOf("The header of the new block stands where the node stood", heap, ptr - 16n, 32),
  ];
}

function whole(heap: TextbookHeap): Piece[] {
  const small = heap.malloc(8);
  heap.malloc(16);
  heap.free(small);
  const before = blocksOf("Before: the first free block has 12 bytes", heap);
  const { nodeBytes, headerBytes } = heap;
  const again = heap.malloc(4);
  const given = heap.blocks().find(({ ptr }) => ptr === again)!;
  const rest = 12 - (headerBytes + 4);
  return [
    text(
      `Every block must be large enough to be a node one day, because that is what free makes of it. A node has two fields, a size and the address of the next node: ${nodeBytes} bytes here.`,
    ),
    before,
    code(`heap.malloc(4);   // base ${at(heap, again)}`),
    text(
      `4 bytes and a header of ${headerBytes} leave ${rest} of the 12 bytes. That is less than a node, so nothing is split: the caller gets the whole block, and its size field says ${given.size}.`,
    ),
    blocksOf(`After: the block was given whole, with ${given.size} bytes for a request of 4`, heap),
    dumpOf("Its 12 bytes and the header of its neighbour", heap, given.address, 16),
  ];
}

function freed(heap: TextbookHeap): Piece[] {
  const ptr = heap.malloc(24);
  heap.malloc(24);
  heap.copyIn(ptr, new TextEncoder().encode("what the user wrote here"));
  const from = baseOf(heap);
  const before = dumpOf("Before: a header, and what the user wrote", heap, from, 32);
  const blocksBefore = blocksOf("Before", heap);
  heap.free(ptr);
  return [
    text(
      "Header and node are the same bytes, read in two ways. The size field lies at the same place in both, so free(ptr) has almost nothing to do: it writes behind the size which node is next, and the block is on the list, which is kept in address order.",
    ),
    blocksBefore,
    before,
    code("heap.free(ptr);"),
    blocksOf("After", heap),
    dumpOf("After: the same bytes; the link lies on the first bytes of the user's memory", heap, from, 32),
    text(
      "An address of eight bytes does not fit a field of four: such a field names the next node by its distance from the start of the heap, and 0 is the end of the list. 38 is 56, written with base 16.",
    ),
    text(
      "Two things can be seen that matter later. The rest of what the user wrote is still there: free clears nothing. And the heap's own notes lie in the user's memory: a program that writes on after free, or beyond the end of its block, writes into the list.",
    ),
  ];
}

function merged(heap: TextbookHeap): Piece[] {
  const ptrs = [heap.malloc(40), heap.malloc(40), heap.malloc(40), heap.malloc(40)] as const;
  const pictures = [blocksOf("Four blocks of 40 bytes, and the rest of the OS page", heap)];
  heap.free(ptrs[0]);
  heap.free(ptrs[2]);
  pictures.push(blocksOf("The first and the third are freed: no free block has a free neighbour, three nodes", heap));
  heap.free(ptrs[1]);
  pictures.push(blocksOf("The second is freed: it is merged with both neighbours", heap));
  heap.free(ptrs[3]);
  pictures.push(blocksOf("The fourth is freed: all is one node again", heap));
  return [
    text(
      "If free did no more than that, the heap would fall into small pieces: plenty of free bytes, and no block large enough. So a freed block is merged with its neighbours in memory when they are free too. The list is in address order, which makes the neighbours easy to find: they are the nodes before and behind it in the list.",
    ),
    ...pictures,
    text("The rule that the heap can be checked by: no two neighbours are both free."),
  ];
}

const scenes: readonly [string, string, (heap: TextbookHeap) => Piece[]][] = [
  ["malloc-5000", "malloc(5000), byte by byte", first],
  ["split", "A node that is too large is split", split],
  ["given-whole", "A block of 12 bytes is given whole", whole],
  ["free", "free: a header becomes a node", freed],
  ["merge", "Free neighbours are merged", merged],
];

export const freeListSteps: readonly Step[] = scenes.map(([id, title, scene]) => ({
  id,
  title,
  run: () => onHeap(options, scene),
}));
