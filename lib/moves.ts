// memmove, memset and memcmp on blocks. Owns nothing but their bounds.
// Thread rule: any thread, also for blocks of other threads; two threads that write the same bytes race, as in C.
import { checkPointer, sizeFrom } from "./arguments.js";
import { outOfBounds, protectedPages } from "./errors.js";
import { rangePlaceOf } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";
import { byteFrom } from "./values.js";
import { placeFor } from "./view.js";

const { moveBytes: callMoveBytes, fillBytes: callFillBytes, compareBytes: callCompareBytes } = binding;
const { pointers, numbers } = mailbox;

/** Writes both places and the length where the addon reads them; returns the length. */
function writePlaces(call: string, first: bigint, second: bigint, length: number | bigint): number {
  const bytes = sizeFrom(length, "length");
  checkPointer(first, call);
  checkPointer(second, call);
  pointers[0] = first;
  pointers[1] = second;
  numbers[2] = bytes;
  return bytes;
}

/** Whether all the bytes may be read. */
function isReadable(ptr: bigint, length: number): boolean {
  pointers[0] = ptr;
  pointers[1] = ptr;
  numbers[2] = length;
  return callCompareBytes() !== undefined;
}

/** The error of a call that did nothing: one of the pointers has not that many bytes, or they are protected. */
function boundsErrorOf(call: string, ptrs: readonly bigint[], length: number): Error {
  for (const ptr of ptrs) placeFor(call, ptr, length);
  // What can be read could not be written, and only the first one is.
  const refused = ptrs.find((ptr) => !isReadable(ptr, length)) ?? ptrs[0]!;
  if (rangePlaceOf(refused) !== undefined) return protectedPages(call, refused, length);
  // Another thread freed a block between the call and the look-up, and it was handed out again.
  return outOfBounds(call, refused, length, undefined);
}

/**
 * Copies bytes from one place to another, as memmove: the two may overlap.
 *
 * Cost: O(length), one call of the addon. Any thread.
 *
 * @param to - an address in a live block.
 * @param from - an address in a live block, the same or another one.
 * @param length - bytes, a non-negative safe integer or a bigint.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was copied), ERR_FOREIGN_POINTER, ERR_PROTECTED_PAGES
 * @example
 * ```ts
 * import { copy, free, getInt32, malloc, setInt32 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setInt32(ptr, 0, 42);
 * copy(ptr + 8n, ptr, 4);
 * console.assert(getInt32(ptr, 8) === 42);
 * free(ptr);
 * ```
 */
export function copy(to: bigint, from: bigint, length: number | bigint): void {
  const bytes = writePlaces("copy", to, from, length);
  if (callMoveBytes() === undefined) throw boundsErrorOf("copy", [to, from], bytes);
}

/**
 * Sets bytes of a block to one value, as memset.
 *
 * Cost: O(length), one call of the addon. Any thread.
 *
 * @param ptr - an address in a live block.
 * @param value - an integer from -128 to 255; -1 is 255.
 * @param length - bytes, a non-negative safe integer or a bigint.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER, ERR_PROTECTED_PAGES
 * @example
 * ```ts
 * import { fill, free, getUint32, malloc } from "pagerun";
 *
 * const ptr = malloc(16);
 * fill(ptr, 0xff, 16);
 * console.assert(getUint32(ptr, 12) === 0xffffffff);
 * free(ptr);
 * ```
 */
export function fill(ptr: bigint, value: number, length: number | bigint): void {
  const byte = byteFrom(value);
  const bytes = sizeFrom(length, "length");
  checkPointer(ptr, "fill");
  pointers[0] = ptr;
  numbers[1] = byte;
  numbers[2] = bytes;
  if (callFillBytes() === undefined) throw boundsErrorOf("fill", [ptr], bytes);
}

/**
 * Compares bytes of two places as unsigned numbers, as memcmp.
 *
 * Cost: O(length), one call of the addon. Any thread.
 *
 * @param one - an address in a live block.
 * @param other - an address in a live block, the same or another one.
 * @param length - bytes, a non-negative safe integer or a bigint.
 * @returns -1, 0 or 1: whether the first byte that differs is smaller in `one`, there is none, or it is larger.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER, ERR_PROTECTED_PAGES
 * @example
 * ```ts
 * import { calloc, compare, free, setUint8 } from "pagerun";
 *
 * const ptr = calloc(16);
 * setUint8(ptr, 3, 1);
 * console.assert(compare(ptr, ptr + 8n, 8) === 1);
 * free(ptr);
 * ```
 */
export function compare(one: bigint, other: bigint, length: number | bigint): -1 | 0 | 1 {
  const bytes = writePlaces("compare", one, other, length);
  if (callCompareBytes() === undefined) throw boundsErrorOf("compare", [one, other], bytes);
  return numbers[0] as -1 | 0 | 1;
}
