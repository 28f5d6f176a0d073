// malloc and its family: checks the arguments, calls the core through the mailbox, and turns its answers into errors.
// Owns no memory and no state. Thread rule: any thread; a block may be freed on another one than it came from.
import { types } from "node:util";
import { alignmentFrom, checkPointer, sizeFrom } from "./arguments.js";
import { bytesOfBlock, giveBlock, lookAgain, takeBlock, takeBlockSlow } from "./buckets.js";
import { clearNear } from "./buffers.js";
import { invalidArgument, outOfMemory } from "./errors.js";
import { misuseError } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";

const { malloc: callMalloc, calloc: callCalloc, realloc: callRealloc } = binding;
const { clearBytes: callClearBytes, alignedAlloc: callAlignedAlloc, free: callFree, locate: callLocate } = binding;
const { pointers, numbers, halves } = mailbox;
const [take, takeSlow, give] = [takeBlock, takeBlockSlow, giveBlock];

/** More bytes than this are cleared faster by the core. */
const maxClearedHere = 256;

/** Puts a pointer into the mailbox, checked: what does not come out again as it went in is no address. */
function post(ptr: bigint, call: string): void {
  if (typeof ptr === "bigint") {
    pointers[0] = ptr;
    if (pointers[0] === ptr) return;
  }
  checkPointer(ptr, call);
}

/** Throws where an allocation has found a block that others misused (harden/finding.h): it is in word 0 of the mailbox. */
function checkFound(misuse: number | undefined, call: string): void {
  if (misuse !== undefined) throw misuseError(call, pointers[0]!, misuse);
}

/** Takes a new block out of the mailbox. Its halves tell a null pointer without making a bigint. */
function granted(call: string, size: number | bigint): bigint {
  if (halves[0] === 0 && halves[1] === 0) throw outOfMemory(call, size);
  const ptr = pointers[0]!;
  lookAgain();
  return ptr;
}

/** Gives a block back. */
function release(ptr: bigint, call: string): void {
  post(ptr, call);
  const misuse = callFree();
  if (misuse !== undefined) throw misuseError(call, ptr, misuse);
}

/**
 * Allocates a block of at least `size` bytes, whose content is not defined.
 *
 * Cost: O(1); a lock and a system call only where the thread needs more pages. Any thread.
 *
 * @param size - bytes: a non-negative safe integer, or a bigint below 2n ** 64n. 0 gives a block as well.
 * @returns the block's address, a multiple of 16.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY; ERR_DOUBLE_FREE of another block that two threads were
 * found to have freed at the same moment; in the hardened profile ERR_WRITE_AFTER_FREE as well, of one that was found to
 * be written to after its free
 * @example
 * ```ts
 * import { free, malloc } from "pagerun";
 *
 * const ptr = malloc(24);
 * console.assert(ptr % 16n === 0n);
 * free(ptr);
 * ```
 */
export function malloc(size: number | bigint): bigint {
  return take(size) ?? takeSlow(size, mallocByCore);
}

function mallocByCore(size: number | bigint): bigint {
  numbers[0] = sizeFrom(size, "size");
  checkFound(callMalloc(), "malloc");
  return granted("malloc", size);
}

/**
 * Allocates a block for `count` elements of `size` bytes each, all zero.
 *
 * Cost: O(bytes) where the memory was used before, else as `malloc`. Any thread.
 *
 * @param count - elements, as `size` of `malloc`.
 * @param size - bytes of each.
 * @defaultValue size: 1
 * @returns the block's address, a multiple of 16.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY (also where `count * size` is beyond any memory)
 * @example
 * ```ts
 * import { calloc, free, view } from "pagerun";
 *
 * const ptr = calloc(10, 4);
 * console.assert(view(ptr, 40).every((byte) => byte === 0));
 * free(ptr);
 * ```
 */
export function calloc(count: number | bigint, size: number | bigint = 1): bigint {
  if (typeof count === "number" && typeof size === "number" && Number.isInteger(size)) {
    const bytes = count * size;
    if (bytes <= maxClearedHere && size >= 0 && Number.isInteger(count)) {
      return cleared(takeBlock(bytes) ?? takeBlockSlow(bytes, zerosByCore), bytes);
    }
  }
  return callocByCore(count, size);
}

function cleared(ptr: bigint, bytes: number): bigint {
  pointers[0] = ptr;
  if (!clearNear(bytes)) {
    numbers[1] = bytes;
    callClearBytes();
  }
  return ptr;
}

function zerosByCore(bytes: number): bigint {
  return callocByCore(bytes, 1);
}

function callocByCore(count: number | bigint, size: number | bigint): bigint {
  numbers[0] = sizeFrom(count, "count");
  numbers[1] = sizeFrom(size, "size");
  checkFound(callCalloc(), "calloc");
  if (halves[0] === 0 && halves[1] === 0) throw outOfMemory("calloc", BigInt(count) * BigInt(size));
  return granted("calloc", count);
}

/**
 * Resizes a block, in place where that can be, and keeps its content up to the smaller of both sizes.
 * As in C, `realloc(0n, size)` is `malloc(size)`, and `realloc(ptr, 0)` frees the block and returns 0n.
 *
 * Views do not follow a block that moves: make them anew from the returned address.
 *
 * Cost: O(bytes) where the block moves; the largest blocks are moved by the kernel without a copy. Any thread.
 *
 * @param ptr - a live block, or 0n.
 * @param size - bytes, as for `malloc`.
 * @returns the block's address, which may be a new one; the old one is then free.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY (the block is as it was), ERR_DOUBLE_FREE,
 * ERR_INTERIOR_POINTER, ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, malloc, realloc, view } from "pagerun";
 *
 * let ptr = malloc(16);
 * view(ptr, 16).fill(7);
 * ptr = realloc(ptr, 100_000);
 * console.assert(view(ptr, 16).every((byte) => byte === 7));
 * free(ptr);
 * ```
 */
export function realloc(ptr: bigint, size: number | bigint): bigint {
  if (typeof size === "number" && size > 0) {
    const usable = bytesOfBlock(ptr);
    // Where the core would leave the block in its place: it shrinks by no more than half.
    if (size <= usable && size >= usable >> 1 && Number.isInteger(size)) return ptr;
  }
  return reallocByCore(ptr, size);
}

function reallocByCore(ptr: bigint, size: number | bigint): bigint {
  const bytes = sizeFrom(size, "size");
  post(ptr, "realloc");
  if (ptr === 0n) return malloc(size);
  if (bytes === 0) {
    release(ptr, "realloc");
    return 0n;
  }
  numbers[1] = bytes;
  const misuse = callRealloc();
  if (misuse !== undefined) throw misuseError("realloc", ptr, misuse);
  return granted("realloc", size);
}

/**
 * Allocates a block whose address is a multiple of `alignment`. Its content is not defined.
 * Alignments of 1, 2, 4 and 8 give the smallest blocks: `alignedAlloc(4, 4)` takes four bytes.
 *
 * Cost: as `malloc`. Any thread.
 *
 * @param alignment - a power of two, as a number or a bigint.
 * @param size - bytes, as for `malloc`; need not be a multiple of the alignment.
 * @returns the block's address.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY
 * @example
 * ```ts
 * import { alignedAlloc, free } from "pagerun";
 *
 * const ptr = alignedAlloc(4096, 10_000);
 * console.assert(ptr % 4096n === 0n);
 * free(ptr);
 * ```
 */
export function alignedAlloc(alignment: number | bigint, size: number | bigint): bigint {
  numbers[0] = alignmentFrom(alignment);
  numbers[1] = sizeFrom(size, "size");
  checkFound(callAlignedAlloc(), "alignedAlloc");
  return granted("alignedAlloc", size);
}

/**
 * Frees a block. `free(0n)` does nothing, as in C.
 *
 * A pointer that is no live block is refused with an error, and nothing has changed. Views of the block must not be
 * used any more: they do not crash, but they show what the memory holds next.
 *
 * Cost: O(1); a lock where the last block of a page goes. Any thread, also another one than the block came from.
 *
 * @param ptr - a live block, or 0n.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_DOUBLE_FREE, ERR_INTERIOR_POINTER, ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, malloc } from "pagerun";
 *
 * const ptr = malloc(100);
 * free(ptr);
 * try {
 *   free(ptr);
 * } catch (error) {
 *   console.assert(error.code === "ERR_DOUBLE_FREE");
 * }
 * ```
 */
export function free(ptr: bigint): void {
  if (!give(ptr)) release(ptr, "free");
}

/**
 * Tells how many bytes of a block may be used: at least those that were asked for. 0 for 0n.
 *
 * Cost: O(1), a lock for the largest blocks. Any thread.
 *
 * @param ptr - a live block, or 0n.
 * @returns bytes.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_DOUBLE_FREE, ERR_INTERIOR_POINTER, ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, malloc, usableSize } from "pagerun";
 *
 * const ptr = malloc(100);
 * console.assert(usableSize(ptr) >= 100);
 * free(ptr);
 * ```
 */
export function usableSize(ptr: bigint): number {
  const bytes = bytesOfBlock(ptr);
  return bytes >= 0 ? bytes : usableSizeByCore(ptr);
}

function usableSizeByCore(ptr: bigint): number {
  post(ptr, "usableSize");
  if (ptr === 0n) return 0;
  const misuse = callLocate();
  if (misuse !== undefined) throw misuseError("usableSize", ptr, misuse);
  return numbers[1]!;
}

/** Throws unless `values` is an array or a typed array. A proxy is neither: it may be anything, and be revoked. */
function checkList(values: unknown, argument: string): void {
  if (types.isTypedArray(values) || (!types.isProxy(values) && Array.isArray(values))) return;
  throw invalidArgument(argument, "an array or a typed array", values);
}

/**
 * Allocates one block for each size: all of them, or none.
 *
 * Cost: as `malloc` for each. Any thread.
 *
 * @param sizes - bytes of each block, as for `malloc`.
 * @returns the blocks' addresses, in the same order.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY: nothing is left allocated.
 * @example
 * ```ts
 * import { freeMany, mallocMany } from "pagerun";
 *
 * const ptrs = mallocMany([16, 100, 5000]);
 * console.assert(ptrs.length === 3);
 * freeMany(ptrs);
 * ```
 */
export function mallocMany(sizes: ArrayLike<number | bigint>): bigint[] {
  checkList(sizes, "sizes");
  const ptrs: bigint[] = [];
  try {
    for (let index = 0; index < sizes.length; index++) ptrs.push(malloc(sizes[index]!));
  } catch (error) {
    for (const ptr of ptrs) free(ptr);
    throw error;
  }
  return ptrs;
}

/**
 * Frees several blocks, in order, as `free` would. It stops at the first pointer that is refused: the blocks before it
 * are free, it and those behind it are as they were, and the error's `index` tells which it was.
 *
 * Cost: as `free` for each. Any thread.
 *
 * @param ptrs - live blocks, or 0n.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_DOUBLE_FREE, ERR_INTERIOR_POINTER, ERR_FOREIGN_POINTER; with `index`
 * @example
 * ```ts
 * import { freeMany, malloc } from "pagerun";
 *
 * const ptrs = [malloc(16), malloc(32)];
 * freeMany(ptrs);
 * try {
 *   freeMany(ptrs);
 * } catch (error) {
 *   console.assert(error.code === "ERR_DOUBLE_FREE" && error.index === 0);
 * }
 * ```
 */
export function freeMany(ptrs: ArrayLike<bigint>): void {
  checkList(ptrs, "ptrs");
  for (let index = 0; index < ptrs.length; index++) {
    const ptr = ptrs[index]!;
    if (giveBlock(ptr)) continue;
    try {
      release(ptr, "freeMany");
    } catch (error) {
      throw error instanceof Error ? Object.assign(error, { index }) : error;
    }
  }
}
