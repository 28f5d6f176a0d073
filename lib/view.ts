// Views and copies: how a program reaches the bytes of a block. Owns the bounds: nothing outside one live block.
// Thread rule: any thread, also for blocks of other threads; two threads that write the same bytes race, as in C.
import { types } from "node:util";
import { checkPointer, sizeFrom } from "./arguments.js";
import { bufferOver, maxBufferBytes } from "./buffers.js";
import { capabilities } from "./capabilities.js";
import { externalViewsUnsupported, foreignPointer, invalidArgument, outOfBounds, outOfMemory } from "./errors.js";
import { type Place, placeOf } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";

const { pointers, numbers } = mailbox;

/** Bytes that the live block which holds `ptr` has from there on. */
function availableAt(ptr: bigint, place: Place): number {
  return place.start + place.usableBytes - Number(ptr);
}

/** The error for `length` bytes that do not lie in one live block. */
function boundsError(call: string, ptr: bigint, length: number): Error {
  pointers[0] = ptr;
  if (binding.locate() === binding.misuse.foreignPointer) return foreignPointer(call, ptr);
  const place = placeOf(ptr);
  return outOfBounds(call, ptr, length, place === undefined ? undefined : availableAt(ptr, place));
}

/** The live block that holds `length` bytes from `ptr` on, which one typed array can have; else throws. */
function placeFor(call: string, ptr: bigint, length: number): Place {
  checkPointer(ptr, call);
  const place = placeOf(ptr);
  if (place === undefined || length > availableAt(ptr, place)) throw boundsError(call, ptr, length);
  if (length <= maxBufferBytes) return place;
  throw invalidArgument("length", `at most ${maxBufferBytes} bytes, the longest typed array of this runtime,`, length);
}

/**
 * Gives a Uint8Array over the memory itself: what is written to it is in the block, and the other way round.
 *
 * The bytes must lie in one live block; `ptr` may point into it. The view does not keep the block alive: after `free`
 * or a `realloc` that moves, it must not be used any more (it shows what the memory holds next, or has length 0).
 * Many views share one ArrayBuffer: send a copy (`slice()`) to other threads, not the view, whose `postMessage` or
 * `structuredClone` would copy all of that buffer.
 *
 * Cost: O(1), no copy; the first view of a stretch of memory, or of a very large block, takes microseconds. Any thread.
 *
 * @param ptr - an address in a live block.
 * @param length - bytes from there on, a non-negative safe integer or a bigint.
 * @returns the view, `length` bytes long.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all bytes are in a live block, a freed one
 * included), ERR_FOREIGN_POINTER, ERR_EXTERNAL_VIEWS_UNSUPPORTED
 * @example
 * ```ts
 * import { free, malloc, view } from "pagerun";
 *
 * const ptr = malloc(16);
 * view(ptr, 16).fill(0);
 * view(ptr + 8n, 8)[0] = 255;
 * console.assert(view(ptr, 16)[8] === 255);
 * free(ptr);
 * ```
 */
export function view(ptr: bigint, length: number | bigint): Uint8Array {
  const bytes = sizeFrom(length, "length");
  const place = placeFor("view", ptr, bytes);
  const from = Number(ptr);
  const memory = capabilities.externalViews ? bufferOver(place, from, from + bytes) : undefined;
  if (memory === undefined) throw externalViewsUnsupported("view", ptr, bytes);
  return new Uint8Array(memory.buffer, from - memory.start, bytes);
}

/** The bytes that a value stands for, without a copy. No code of the value decides what memory that is. */
function bytesOf(value: unknown): Uint8Array {
  if (types.isUint8Array(value)) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (types.isAnyArrayBuffer(value)) return new Uint8Array(value);
  throw invalidArgument("bytes", "a typed array, a DataView or an ArrayBuffer", value);
}

/**
 * Copies bytes into a block. Works in every runtime, also where `view` does not.
 *
 * Cost: O(bytes). Any thread.
 *
 * @param ptr - an address in a live block.
 * @param bytes - what to copy: any typed array, DataView or ArrayBuffer, all of it.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was copied), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { copyIn, copyOut, free, malloc } from "pagerun";
 *
 * const ptr = malloc(5);
 * copyIn(ptr, new TextEncoder().encode("hello"));
 * console.assert(new TextDecoder().decode(copyOut(ptr, 5)) === "hello");
 * free(ptr);
 * ```
 */
export function copyIn(ptr: bigint, bytes: ArrayBufferView | ArrayBufferLike): void {
  checkPointer(ptr, "copyIn");
  const source = bytesOf(bytes);
  pointers[0] = ptr;
  if (binding.copyIn(source) === undefined) throw boundsError("copyIn", ptr, numbers[0]!);
}

/** A Uint8Array of its own memory; out of memory where JavaScript has none. */
function newBytes(call: string, length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch {
    throw outOfMemory(call, length);
  }
}

/**
 * Copies bytes of a block out into a new Uint8Array. Works in every runtime, also where `view` does not.
 *
 * Cost: O(length). Any thread.
 *
 * @param ptr - an address in a live block.
 * @param length - bytes from there on, a non-negative safe integer or a bigint.
 * @returns the copy, which has an ArrayBuffer of its own.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER, ERR_OUT_OF_MEMORY
 * @example
 * ```ts
 * import { calloc, copyOut, free } from "pagerun";
 *
 * const ptr = calloc(4);
 * const copy = copyOut(ptr, 4);
 * free(ptr);
 * console.assert(copy.join() === "0,0,0,0");
 * ```
 */
export function copyOut(ptr: bigint, length: number | bigint): Uint8Array {
  const bytes = sizeFrom(length, "length");
  placeFor("copyOut", ptr, bytes);
  const copy = newBytes("copyOut", bytes);
  pointers[0] = ptr;
  if (binding.copyOut(copy) === undefined) throw boundsError("copyOut", ptr, bytes);
  return copy;
}
