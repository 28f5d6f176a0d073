// Views and copies: how a program reaches the bytes of a block. Owns the bounds: nothing outside one live block.
// Thread rule: any thread, also for blocks of other threads; two threads that write the same bytes race, as in C.
import { types } from "node:util";
import { checkPointer, sizeFrom } from "./arguments.js";
import { bytesToEnd } from "./buckets.js";
import { blockBuffer, maxBufferBytes, nearBuffers, stretchBuffer } from "./buffers.js";
import { capabilities } from "./capabilities.js";
import {
  externalViewsUnsupported,
  foreignPointer,
  invalidArgument,
  outOfBounds,
  outOfMemory,
  protectedPages,
} from "./errors.js";
import { type Place, placeOf, rangePlaceOf } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";

const { externalViews } = capabilities;
const { pointers, numbers } = mailbox;
const halves = new Int32Array(binding.mailbox);
const stretchShift = Math.log2(binding.stretchBytes);
const stretchMask = binding.stretchBytes - 1;

/** The error for `length` bytes that do not lie in one live block. */
export function boundsError(call: string, ptr: bigint, length: number): Error {
  const place = placeOf(ptr);
  if (place?.isRange && length <= place.end - place.address) return protectedPages(call, ptr, length);
  if (place !== undefined) return outOfBounds(call, ptr, length, place.end - place.address);
  pointers[0] = ptr;
  if (binding.locate() === binding.misuse.foreignPointer) return foreignPointer(call, ptr);
  return outOfBounds(call, ptr, length, undefined);
}

/** Where `ptr` points, with `length` bytes from there on in the same live block; else throws. */
export function placeFor(call: string, ptr: bigint, length: number): Place {
  checkPointer(ptr, call);
  const place = placeOf(ptr);
  if (place === undefined || length > place.end - place.address) throw boundsError(call, ptr, length);
  if (length <= maxBufferBytes) return place;
  throw invalidArgument("length", `at most ${maxBufferBytes} bytes, the longest typed array of this runtime,`, length);
}

/**
 * Gives a Uint8Array over the memory itself: what is written to it is in the block, and the other way round.
 *
 * The bytes must lie in one live block; `ptr` may point into it. The view does not keep the block alive: after `free`
 * or a `realloc` that moves, it must not be used any more. It does not crash, but shows what the memory holds next.
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
  if (typeof length === "number" && length >>> 0 === length && length <= bytesToEnd(ptr)) {
    const low = halves[0]!;
    const buffer = nearBuffers[low >>> stretchShift]!;
    const offset = low & stretchMask;
    // A program can take the memory away from a buffer, by transfer() for example: then it is shorter.
    if (buffer.byteLength >= offset + length && buffer.byteLength !== 0) return new Uint8Array(buffer, offset, length);
  }
  return viewOfPlace(ptr, length);
}

function viewOfPlace(ptr: bigint, length: number | bigint): Uint8Array {
  const bytes = sizeFrom(length, "length");
  const place = placeFor("view", ptr, bytes);
  if (!externalViews) throw externalViewsUnsupported("view", ptr, bytes);
  if (place.stretch === 0) return viewOfBlock(ptr, bytes, place);
  const buffer = stretchBuffer(place);
  if (!buffer) throw noBufferError(ptr, bytes, buffer);
  return new Uint8Array(buffer, place.address - place.stretch, bytes);
}

/** A view of a block that is not all in one stretch. */
function viewOfBlock(ptr: bigint, length: number, place: Place): Uint8Array {
  const memory = blockBuffer(place, place.address + length);
  if (!memory) throw noBufferError(ptr, length, memory);
  return new Uint8Array(memory.buffer, place.address - memory.start, length);
}

/** The runtime refused a buffer (null), another thread has freed the block at this moment, or OS pages are protected. */
function noBufferError(ptr: bigint, length: number, refusal: null | undefined): Error {
  if (refusal === null) return externalViewsUnsupported("view", ptr, length);
  return rangePlaceOf(ptr) === undefined
    ? outOfBounds("view", ptr, length, undefined)
    : boundsError("view", ptr, length);
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
export function newBytes(call: string, length: number): Uint8Array {
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
