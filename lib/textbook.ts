// The teaching heaps: the allocators that a course builds first, to be looked into. Owns the object and its checks; the
// allocators are native/textbook/. Thread rule: any thread, also several on one heap, through `handle` and `from`.
import { types } from "node:util";
import { checkPointer, sizeFrom } from "./arguments.js";
import {
  doubleFree,
  foreignPointer,
  heapBroken,
  heapDestroyed,
  interiorPointer,
  invalidArgument,
  outOfBounds,
  outOfMemory,
} from "./errors.js";
import { binding, mailbox } from "./native/binding.js";

const { pointers, numbers } = mailbox;

const kinds = ["free-list", "arenas", "bucket-pages"] as const;
const fits = ["first", "best", "next"] as const;
const choices = ["modulo", "random", "least-contended"] as const;
const origins = ["header", "address"] as const;
const fieldWidths = [4, 8] as const;
const mostArenas = 1024;

/** How a teaching heap works. What its kind does not use has no effect. */
export interface TextbookHeapOptions {
  /**
   * `free-list`: one list of free blocks (allocator A). `arenas`: several such lists, each with its lock (B).
   * `bucket-pages`: pages of equal blocks with a bitmap, as the notes draw them (C).
   * @defaultValue "free-list"
   */
  readonly kind?: "free-list" | "arenas" | "bucket-pages" | undefined;
  /**
   * Which free block a request gets: the first that is large enough, the smallest, or the first behind the last one.
   * @defaultValue "first"
   */
  readonly fit?: "first" | "best" | "next" | undefined;
  /**
   * Bytes of a field of a header or node.
   * @defaultValue 8
   */
  readonly fieldBytes?: 4 | 8 | undefined;
  /**
   * Number of arenas, 1 to 1024; for the kind `arenas`.
   * @defaultValue 2
   */
  readonly arenas?: number | undefined;
  /**
   * Which arena a thread allocates from: thread number modulo `arenas`, any at each call, or the one with the fewest
   * threads in it.
   * @defaultValue "modulo"
   */
  readonly choice?: "modulo" | "random" | "least-contended" | undefined;
  /**
   * How the arena of a block is found: by an id in its header, or from its address alone.
   * @defaultValue "address"
   */
  readonly origin?: "header" | "address" | undefined;
}

/** One block of a teaching heap, as it lies in memory. */
export interface TextbookBlock {
  /** `header`: handed out. `node`: free. */
  readonly kind: "header" | "node";
  /** Of its first byte: of header or node where the block has one. */
  readonly address: bigint;
  /** Of the first byte behind the header: what malloc returned, or may return next. */
  readonly ptr: bigint;
  /** What its size field says: the bytes from `ptr` on. */
  readonly size: number;
  /** Index of its arena. */
  readonly arena: number;
  /** Address of the next node of the list; undefined for a header and for the last node. */
  readonly next: bigint | undefined;
}

/** A bucket page: an OS page of equal blocks, which says at its end which of them are used. */
export interface TextbookPage {
  readonly address: bigint;
  /** Bytes of a block. */
  readonly blockSize: number;
  /** Number of blocks. */
  readonly capacity: number;
  /** Number of blocks handed out. */
  readonly used: number;
  /** Block i is used: bit i % 64 of word i / 64. */
  readonly bitmap: BigUint64Array;
  /** Address of the next page with free blocks of this size; undefined behind the last one, and for a full page. */
  readonly next: bigint | undefined;
  readonly prev: bigint | undefined;
}

/** The numbers by which the addon tells what it refuses. */
const refusals = { doubleFree: 1, interiorPointer: 2, foreignPointer: 3, brokenHeap: 4 } as const;

/** The index of a choice in its list; throws for anything else. */
function indexOf(choice: unknown, list: readonly (string | number)[], name: string): number {
  const index = list.indexOf(choice as string);
  if (index !== -1) return index;
  throw invalidArgument(name, list.map((value) => JSON.stringify(value)).join(" or "), choice);
}

function arenasFrom(value: unknown): number {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= mostArenas) return value as number;
  throw invalidArgument("arenas", `a whole number from 1 to ${mostArenas}`, value);
}

/** The options as the addon numbers them. Each property is read once. */
function postOptions(options: unknown): void {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object", options);
  const {
    kind = "free-list",
    fit = "first",
    fieldBytes = 8,
    arenas = 2,
    choice = "modulo",
    origin = "address",
  } = options as TextbookHeapOptions;
  const words = [
    indexOf(kind, kinds, "kind"),
    indexOf(fit, fits, "fit"),
    fieldWidths[indexOf(fieldBytes, fieldWidths, "fieldBytes")]!,
    arenasFrom(arenas),
    indexOf(choice, choices, "choice"),
    indexOf(origin, origins, "origin"),
  ];
  numbers.set(words);
}

/** Gives a heap's share back when the object that had it is garbage. */
const collected = new FinalizationRegistry<number>((handle) => {
  numbers[0] = handle;
  binding.textbookDrop();
});

/** What `from` makes an object of, instead of options: no caller can have it. */
class Handle {
  constructor(readonly value: number) {}
}

/**
 * A heap of its own, managed by one of the allocators that a course builds first. For looking into, not for production:
 * it is as slow and as trusting as the textbook's. Its blocks are not pagerun's: `view` and `free` refuse them.
 *
 * Calls from JavaScript check what the textbook believes: a wrong pointer is refused, and so is a heap whose fields were
 * overwritten through `copyIn`.
 *
 * Memory goes back at `destroy()`, or when no object of the heap is left. Any thread; several threads may use one heap.
 *
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY
 * @example
 * ```ts
 * import { TextbookHeap } from "pagerun";
 *
 * const heap = new TextbookHeap({ kind: "free-list", fieldBytes: 4 });
 * const ptr = heap.malloc(5000);
 * const [block, rest] = heap.blocks();
 * console.assert(block.kind === "header" && block.size === 5000 && block.ptr === ptr);
 * console.assert(rest.kind === "node" && rest.size === 2 * 4096 - 5004 - 4);
 * heap.free(ptr);
 * heap.destroy();
 * ```
 */
export class TextbookHeap {
  /** The heap's number, for `TextbookHeap.from` on another thread. */
  readonly handle: number;
  readonly kind: "free-list" | "arenas" | "bucket-pages";
  readonly fit: "first" | "best" | "next";
  readonly fieldBytes: 4 | 8;
  /** Number of arenas; 1 for a kind that has none. */
  readonly arenas: number;
  readonly choice: "modulo" | "random" | "least-contended";
  readonly origin: "header" | "address";
  /** Bytes of a header: the size field, and the arena's id with `origin: "header"`. Blocks of bucket pages have none. */
  readonly headerBytes: number;
  /** Bytes of a node, the least that a block can have: size and next. */
  readonly nodeBytes: number;

  constructor(options: TextbookHeapOptions = {}) {
    const given: unknown = options;
    this.handle = given instanceof Handle ? given.value : create(given);
    numbers[0] = this.handle;
    if (binding.textbookShare() !== undefined) throw heapDestroyed("TextbookHeap.from");
    const words = [...numbers];
    this.headerBytes = words[0]!;
    this.nodeBytes = words[1]!;
    this.kind = kinds[words[2]!]!;
    this.fit = fits[words[3]!]!;
    this.fieldBytes = words[4] as 4 | 8;
    this.arenas = words[5]!;
    this.choice = choices[words[6]!]!;
    this.origin = origins[words[7]!]!;
    collected.register(this, this.handle);
  }

  /**
   * The same heap once more, on this thread. It is destroyed for all of its objects at once.
   *
   * @param handle - `handle` of a TextbookHeap of this process.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_HEAP_DESTROYED (there is no heap of this number)
   * @example
   * ```ts
   * import { TextbookHeap } from "pagerun";
   *
   * const heap = new TextbookHeap({ kind: "arenas", arenas: 4 });
   * const same = TextbookHeap.from(heap.handle); // in a worker, for example
   * same.free(heap.malloc(100));
   * heap.destroy();
   * ```
   */
  static from(handle: number): TextbookHeap {
    if (!Number.isSafeInteger(handle) || handle < 1) throw invalidArgument("handle", "the handle of a heap", handle);
    return new TextbookHeap(new Handle(handle) as TextbookHeapOptions);
  }

  /**
   * As C's malloc. Cost: O(free blocks); O(1) for bucket pages.
   *
   * @param size - bytes, a non-negative safe integer or a bigint.
   * @returns the address of the user's first byte.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY, ERR_HEAP_BROKEN, ERR_HEAP_DESTROYED
   */
  malloc(size: number | bigint): bigint {
    const bytes = sizeFrom(size, "size");
    numbers[0] = this.handle;
    numbers[1] = bytes;
    refuse(this.handle, "malloc", 0n, binding.textbookMalloc());
    return granted("malloc", size);
  }

  /**
   * As C's calloc: all bytes are zero. Cost: O(free blocks + bytes).
   *
   * @param count - elements.
   * @param size - bytes of each.
   * @defaultValue size: 1
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY, ERR_HEAP_BROKEN, ERR_HEAP_DESTROYED
   */
  calloc(count: number | bigint, size: number | bigint = 1): bigint {
    const elements = sizeFrom(count, "count");
    const bytes = sizeFrom(size, "size");
    numbers[0] = this.handle;
    numbers[1] = elements;
    numbers[2] = bytes;
    refuse(this.handle, "calloc", 0n, binding.textbookCalloc());
    return granted("calloc", BigInt(count) * BigInt(size));
  }

  /**
   * As C's realloc: `realloc(0n, size)` is `malloc(size)`, `realloc(ptr, 0)` frees and returns 0n. A block that is large
   * enough stays where it is, and what it has too much becomes free. Cost: O(blocks + bytes).
   *
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY (the block is as it was), ERR_DOUBLE_FREE,
   * ERR_INTERIOR_POINTER, ERR_FOREIGN_POINTER, ERR_HEAP_BROKEN, ERR_HEAP_DESTROYED
   */
  realloc(ptr: bigint, size: number | bigint): bigint {
    const bytes = sizeFrom(size, "size");
    checkPointer(ptr, "realloc");
    if (ptr === 0n) return this.malloc(size);
    if (bytes === 0) {
      release(this.handle, ptr, "realloc");
      return 0n;
    }
    numbers[0] = this.handle;
    pointers[1] = ptr;
    numbers[2] = bytes;
    refuse(this.handle, "realloc", ptr, binding.textbookRealloc());
    return granted("realloc", size);
  }

  /**
   * As C's free; `free(0n)` does nothing. The block becomes a node and one with its free neighbours, or its bit is
   * cleared. Cost: O(blocks), as the pointer is looked up first.
   *
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_DOUBLE_FREE, ERR_INTERIOR_POINTER, ERR_FOREIGN_POINTER,
   * ERR_HEAP_BROKEN, ERR_HEAP_DESTROYED
   */
  free(ptr: bigint): void {
    checkPointer(ptr, "free");
    if (ptr !== 0n) release(this.handle, ptr, "free");
  }

  /**
   * Every block in the order of addresses, the large ones of bucket pages last. Cost: O(blocks).
   *
   * @throws PagerunError ERR_HEAP_BROKEN, ERR_HEAP_DESTROYED
   */
  blocks(): TextbookBlock[] {
    return recordsOf(this.handle, "blocks", binding.textbookBlocks);
  }

  /**
   * The nodes in the order of the list; of several arenas, one list behind the other. For bucket pages the free list of
   * the large blocks. Cost: O(blocks).
   *
   * @throws PagerunError ERR_HEAP_BROKEN, ERR_HEAP_DESTROYED
   */
  freeList(): TextbookBlock[] {
    // The list is kept in the order of addresses, which check() proves of every next.
    return this.blocks().filter(({ kind, address, ptr }) => kind === "node" && address !== ptr);
  }

  /**
   * The bucket pages in the order of addresses; none for the other kinds. Cost: O(pages).
   *
   * @throws PagerunError ERR_HEAP_BROKEN, ERR_HEAP_DESTROYED
   */
  pages(): TextbookPage[] {
    return recordsOf(this.handle, "pages", binding.textbookPages);
  }

  /**
   * Checks every invariant of the notes: every byte is in exactly one block, no two neighbours are both free, no block is
   * smaller than a node, next and prev agree, the bitmap equals the live blocks. Cost: O(blocks).
   *
   * @throws PagerunError ERR_HEAP_BROKEN, which names the first invariant that does not hold; ERR_HEAP_DESTROYED
   */
  check(): void {
    numbers[0] = this.handle;
    const verdict = binding.textbookCheck();
    if (typeof verdict === "number") throw heapDestroyed("check");
    if (verdict !== undefined) throw heapBroken("check", verdict.invariant, verdict.address);
  }

  /**
   * Copies bytes out of the heap's memory, wherever a block may end: headers, nodes and neighbours can be read, as in C.
   * Cost: O(bytes).
   *
   * @param address - of the first byte; need not be in a live block.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all bytes are the heap's), ERR_HEAP_DESTROYED
   */
  copyOut(address: bigint, length: number | bigint): Uint8Array {
    const size = sizeFrom(length, "length");
    checkPointer(address, "copyOut");
    numbers[0] = this.handle;
    pointers[1] = address;
    numbers[2] = size;
    refuseCopy("copyOut", address, size, binding.textbookHas());
    const bytes = new Uint8Array(size);
    copyThrough(this.handle, "copyOut", address, bytes, binding.textbookCopyOut);
    return bytes;
  }

  /**
   * Copies bytes into the heap's memory, wherever a block may end: a header can be overwritten, as in C. The calls after
   * it look at the heap first, and refuse a broken one. Cost: O(bytes).
   *
   * @param address - of the first byte; need not be in a live block.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all bytes are the heap's), ERR_HEAP_DESTROYED
   */
  copyIn(address: bigint, bytes: Uint8Array): void {
    checkPointer(address, "copyIn");
    if (!types.isUint8Array(bytes)) throw invalidArgument("bytes", "a Uint8Array", bytes);
    copyThrough(this.handle, "copyIn", address, bytes, binding.textbookCopyIn);
  }

  /**
   * Gives all memory back, whatever blocks there are, for every object of the heap. A second call does nothing.
   */
  destroy(): void {
    numbers[0] = this.handle;
    binding.textbookDestroy();
  }
}

/** What the addon says of a broken heap. */
interface BrokenHeap {
  readonly invariant: string;
  readonly address: bigint;
}

/** Makes a heap; its number. */
function create(options: unknown): number {
  postOptions(options);
  binding.textbookCreate();
  if (numbers[0] === 0) throw outOfMemory("TextbookHeap", 0);
  return numbers[0]!;
}

/** Takes a new block out of the mailbox. */
function granted(call: string, size: number | bigint): bigint {
  const ptr = pointers[0]!;
  if (ptr === 0n) throw outOfMemory(call, size);
  return ptr;
}

function release(handle: number, ptr: bigint, call: string): void {
  numbers[0] = handle;
  pointers[1] = ptr;
  refuse(handle, call, ptr, binding.textbookFree());
}

function copyThrough(
  handle: number,
  call: string,
  address: bigint,
  bytes: Uint8Array,
  copy: (bytes: Uint8Array) => number | undefined,
): void {
  numbers[0] = handle;
  pointers[1] = address;
  refuseCopy(call, address, bytes.length, copy(bytes));
}

/** Throws the error for a copy that was refused. */
function refuseCopy(call: string, address: bigint, length: number, refusal: number | undefined): void {
  if (refusal === refusals.foreignPointer) throw outOfBounds(call, address, length, undefined);
  if (refusal !== undefined) throw heapDestroyed(call);
}

function recordsOf<Item>(handle: number, call: string, read: () => Item[] | BrokenHeap | number): Item[] {
  numbers[0] = handle;
  const records = read();
  if (typeof records === "number") throw heapDestroyed(call);
  if (!Array.isArray(records)) throw heapBroken(call, records.invariant, records.address);
  return records;
}

/** Throws the error for what the addon refused. */
function refuse(handle: number, call: string, ptr: bigint, refusal: number | undefined): void {
  switch (refusal) {
    case undefined:
      return;
    case refusals.doubleFree:
      throw doubleFree(call, ptr);
    case refusals.interiorPointer:
      throw interiorPointer(call, ptr, holderOf(handle, ptr));
    case refusals.foreignPointer:
      throw foreignPointer(call, ptr);
    case refusals.brokenHeap:
      throw brokenError(handle, call);
    default:
      throw heapDestroyed(call);
  }
}

function brokenError(handle: number, call: string): Error {
  numbers[0] = handle;
  const verdict = binding.textbookCheck();
  if (typeof verdict === "object") return heapBroken(call, verdict.invariant, verdict.address);
  return heapDestroyed(call);
}

/** The block that `ptr` points into. */
function holderOf(handle: number, ptr: bigint): bigint | undefined {
  numbers[0] = handle;
  pointers[1] = ptr;
  binding.textbookLocate();
  return pointers[0] === 0n ? undefined : pointers[0];
}
