// Strings, Buffers and ArrayBuffers out of blocks and into them: node:ffi's functions, checked. Owns nothing but what
// each of them says. Thread rule: any thread, also for blocks of other threads; two threads that write the same bytes
// race, as in C.
import { Buffer, constants } from "node:buffer";
import { checkPointer, sizeFrom } from "./arguments.js";
import { capabilities } from "./capabilities.js";
import { externalViewsUnsupported, invalidArgument } from "./errors.js";
import { type Place, placeOf } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";
import {
  bytesOfAny,
  bytesOfArrayBuffer,
  bytesOfBuffer,
  bytesOfView,
  encodedString,
  roomFor,
  textOf,
} from "./sources.js";
import { boundsError, copyIn, copyOut, placeFor, view } from "./view.js";

const { externalViews } = capabilities;
const { osPageBytes } = binding;
const { pointers, numbers } = mailbox;

/** How much of a block is looked through at once for the end of a string, where there are no views of it. */
const searchBytes = 4096;

/** The bytes before the first zero byte from `ptr` on; undefined when the block has none. */
function stringBytes(ptr: bigint, available: number): Uint8Array | undefined {
  const look = externalViews ? view : copyOut;
  for (let wanted = Math.min(searchBytes, available); ; wanted = Math.min(wanted * 2, available)) {
    const bytes = look(ptr, wanted);
    const end = bytes.indexOf(0);
    if (end >= 0) return bytes.subarray(0, end);
    if (wanted === available) return undefined;
  }
}

/** As stringBytes, in a range, whose OS pages need only be readable, and only as far as the string goes. */
function stringBytesInRange(ptr: bigint, { address, end }: Place): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (let at = address; at < end; ) {
    const bytes = new Uint8Array(osPageBytes - (at % osPageBytes));
    pointers[0] = BigInt(at);
    if (binding.copyOut(bytes) === undefined) throw boundsError("toString", ptr, at + bytes.length - address);
    const length = bytes.indexOf(0);
    parts.push(length === -1 ? bytes : bytes.subarray(0, length));
    if (length !== -1) return Buffer.concat(parts);
    at += bytes.length;
  }
  return undefined;
}

/**
 * Reads a string in UTF-8 that ends with a zero byte, as node:ffi's function of this name; checked.
 * Bytes that are no UTF-8 become U+FFFD.
 *
 * Cost: O(length). Any thread.
 *
 * @param ptr - an address in a live block, or 0n.
 * @returns the string; null for 0n.
 * @throws PagerunError ERR_INVALID_ARGUMENT (also for a string that is longer than the runtime's may be),
 * ERR_OUT_OF_BOUNDS (no zero byte before the end of the block, or no live block), ERR_FOREIGN_POINTER,
 * ERR_PROTECTED_PAGES
 * @example
 * ```ts
 * import { exportString, free, malloc, toString } from "pagerun";
 *
 * const ptr = malloc(32);
 * exportString("Grüße", ptr, 32);
 * console.assert(toString(ptr) === "Grüße");
 * free(ptr);
 * ```
 */
export function toString(ptr: bigint): string | null {
  checkPointer(ptr, "toString");
  if (ptr === 0n) return null;
  const place = placeOf(ptr);
  if (place === undefined) throw boundsError("toString", ptr, 1);
  const available = place.end - place.address;
  const bytes = place.isRange
    ? stringBytesInRange(ptr, place)
    : stringBytes(ptr, Math.min(available, constants.MAX_LENGTH));
  if (bytes === undefined) throw boundsError("toString", ptr, available + 1);
  return textOf(bytes);
}

/**
 * Gives the bytes of a block as a Buffer, as node:ffi's function of this name; checked.
 *
 * Without a copy it is what `view` gives, as a Buffer, with all that is said there: it does not keep the block alive,
 * and its ArrayBuffer is larger than it.
 *
 * Cost: O(length), without a copy O(1). Any thread.
 *
 * @param ptr - an address in a live block.
 * @param length - bytes from there on, a non-negative safe integer or a bigint.
 * @param copy - false for the memory itself.
 * @defaultValue copy: true
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER, ERR_OUT_OF_MEMORY,
 * ERR_EXTERNAL_VIEWS_UNSUPPORTED (without a copy)
 * @example
 * ```ts
 * import { exportString, free, malloc, toBuffer } from "pagerun";
 *
 * const ptr = malloc(8);
 * exportString("pages", ptr, 8);
 * console.assert(toBuffer(ptr, 5).toString("latin1") === "pages");
 * free(ptr);
 * ```
 */
export function toBuffer(ptr: bigint, length: number | bigint, copy = true): Buffer {
  const bytes = copy ? copyOut(ptr, length) : view(ptr, length);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Gives the bytes of a block as an ArrayBuffer, as node:ffi's function of this name; checked.
 *
 * Without a copy it is an ArrayBuffer of its own over the memory itself. It does not keep the block alive: after `free`
 * it does not crash, but shows what the memory holds next.
 *
 * Cost: O(length), without a copy microseconds. Any thread.
 *
 * @param ptr - an address in a live block.
 * @param length - bytes from there on, a non-negative safe integer or a bigint.
 * @param copy - false for the memory itself.
 * @defaultValue copy: true
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER, ERR_OUT_OF_MEMORY,
 * ERR_EXTERNAL_VIEWS_UNSUPPORTED (without a copy)
 * @example
 * ```ts
 * import { calloc, free, getUint8, toArrayBuffer } from "pagerun";
 *
 * const ptr = calloc(8);
 * new Uint8Array(toArrayBuffer(ptr, 8, false))[0] = 7;
 * console.assert(getUint8(ptr) === 7);
 * free(ptr);
 * ```
 */
export function toArrayBuffer(ptr: bigint, length: number | bigint, copy = true): ArrayBuffer {
  if (copy) return copyOut(ptr, length).buffer as ArrayBuffer;
  const bytes = sizeFrom(length, "length");
  const place = placeFor("toArrayBuffer", ptr, bytes);
  if (place.isRange) throw invalidArgument("copy", "true for mapped pages, which only views may show,", copy);
  if (bytes === 0) return new ArrayBuffer(0);
  if (!externalViews) throw externalViewsUnsupported("toArrayBuffer", ptr, bytes);
  pointers[0] = ptr;
  numbers[1] = bytes;
  const buffer = binding.blockBuffer();
  if (buffer === undefined) throw boundsError("toArrayBuffer", ptr, bytes);
  if (buffer === null) throw externalViewsUnsupported("toArrayBuffer", ptr, bytes);
  return buffer;
}

/** Copies all of `source` to where `length` bytes are for it. */
function exportTo(call: string, source: Uint8Array, ptr: bigint, length: number | bigint): void {
  const room = roomFor(source, length);
  placeFor(call, ptr, room);
  copyIn(ptr, source);
}

/**
 * Writes a string into a block, and the zero byte that ends it (two in UTF-16), as node:ffi's function of this name;
 * checked.
 *
 * Cost: O(length of the string). Any thread.
 *
 * @param string - what to write.
 * @param ptr - an address in a live block.
 * @param length - bytes that are there for it, all in the block: at least what the string takes with its end.
 * @param encoding - one that Buffer knows.
 * @defaultValue encoding: "utf8"
 * @throws PagerunError ERR_INVALID_ARGUMENT (also where `length` is too small), ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER;
 * nothing was written
 * @example
 * ```ts
 * import { exportString, free, getUint8, malloc } from "pagerun";
 *
 * const ptr = malloc(8);
 * exportString("abc", ptr, 8);
 * console.assert(getUint8(ptr, 3) === 0);
 * free(ptr);
 * ```
 */
export function exportString(
  string: string,
  ptr: bigint,
  length: number | bigint,
  encoding: BufferEncoding = "utf8",
): void {
  exportTo("exportString", encodedString(string, encoding), ptr, length);
}

/**
 * Copies all of a Buffer into a block, as node:ffi's function of this name; checked.
 *
 * Cost: O(length of the Buffer). Any thread.
 *
 * @param source - what to copy.
 * @param ptr - an address in a live block.
 * @param length - bytes that are there for it, all in the block: at least as many as the Buffer has.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER; nothing was written
 * @example
 * ```ts
 * import { exportBuffer, free, getUint8, malloc } from "pagerun";
 *
 * const ptr = malloc(8);
 * exportBuffer(Buffer.from([1, 2, 3]), ptr, 8);
 * console.assert(getUint8(ptr, 2) === 3);
 * free(ptr);
 * ```
 */
export function exportBuffer(source: Buffer, ptr: bigint, length: number | bigint): void {
  exportTo("exportBuffer", bytesOfBuffer(source), ptr, length);
}

/**
 * Copies all of an ArrayBuffer into a block, as node:ffi's function of this name; checked. Cost, parameters and errors:
 * as `exportBuffer`.
 *
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER; nothing was written
 * @example
 * ```ts
 * import { exportArrayBuffer, free, getFloat64, malloc } from "pagerun";
 *
 * const ptr = malloc(8);
 * exportArrayBuffer(Float64Array.of(0.5).buffer, ptr, 8);
 * console.assert(getFloat64(ptr) === 0.5);
 * free(ptr);
 * ```
 */
export function exportArrayBuffer(source: ArrayBuffer, ptr: bigint, length: number | bigint): void {
  exportTo("exportArrayBuffer", bytesOfArrayBuffer(source), ptr, length);
}

/**
 * Copies all bytes of a typed array or DataView into a block, as node:ffi's function of this name; checked. Cost,
 * parameters and errors: as `exportBuffer`.
 *
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER; nothing was written
 * @example
 * ```ts
 * import { exportArrayBufferView, free, getInt16, malloc } from "pagerun";
 *
 * const ptr = malloc(8);
 * exportArrayBufferView(Int16Array.of(1, -2), ptr, 8);
 * console.assert(getInt16(ptr, 2) === -2);
 * free(ptr);
 * ```
 */
export function exportArrayBufferView(source: ArrayBufferView, ptr: bigint, length: number | bigint): void {
  exportTo("exportArrayBufferView", bytesOfView(source), ptr, length);
}

/**
 * Tells the address of the bytes of a typed array, DataView, ArrayBuffer or SharedArrayBuffer, as node:ffi's function of
 * this name. A view of a block has the address that it was made with; other memory belongs to the runtime, which may
 * give it back as soon as nobody holds the source.
 *
 * Cost: one call of the addon. Any thread.
 *
 * @param source - what has the bytes.
 * @returns the address; 0n where there is no memory behind an empty source.
 * @throws PagerunError ERR_INVALID_ARGUMENT (also for a source that is detached)
 * @example
 * ```ts
 * import { free, getRawPointer, malloc, view } from "pagerun";
 *
 * const ptr = malloc(64);
 * console.assert(getRawPointer(view(ptr, 64)) === ptr);
 * free(ptr);
 * ```
 */
export function getRawPointer(source: ArrayBufferView | ArrayBufferLike): bigint {
  binding.rawPointer(bytesOfAny(source));
  return pointers[0]!;
}
