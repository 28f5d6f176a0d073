// The accessors without bounds, for memory that pagerun never handed out. Owns nothing, and knows nothing of the memory.
// Thread rule: any thread; what that means for the memory is the caller's to know, as in C.
import { Buffer } from "node:buffer";
import { checkPointer, sizeFrom } from "./arguments.js";
import { capabilities } from "./capabilities.js";
import { externalViewsUnsupported, foreignPointer, invalidArgument } from "./errors.js";
import type * as exchange from "./exchange.js";
import { getRawPointer } from "./exchange.js";
import type * as getters from "./getters.js";
import type * as moves from "./moves.js";
import { binding, mailbox } from "./native/binding.js";
import { values, writtenAt } from "./reach.js";
import type * as setters from "./setters.js";
import { bytesOfArrayBuffer, bytesOfBuffer, bytesOfView, encodedString, roomFor, textOf } from "./sources.js";
import { byteFrom, floatFrom, integerFrom, signedFrom, unsignedFrom } from "./values.js";
import { newBytes } from "./view.js";

const { pointers, numbers } = mailbox;

type Accessors = typeof getters & typeof setters & typeof moves & typeof exchange;

/** The accessors by name, with the parameters and results that the checked ones have. */
export type UncheckedAccess = { readonly [Name in keyof Accessors]: Accessors[Name] };

/** Puts a pointer into the mailbox; an address, but for null. */
function post(call: string, ptr: bigint, word = 0): void {
  checkPointer(ptr, call);
  if (ptr === 0n) throw foreignPointer(call, ptr);
  pointers[word] = ptr;
}

function postValue(call: string, ptr: bigint, offset: number, size: number): void {
  post(call, ptr);
  if (!(Number.isSafeInteger(offset) && offset >= 0)) {
    throw invalidArgument("offset", "a non-negative safe integer", offset);
  }
  numbers[1] = offset;
  numbers[2] = size;
}

/** Throws where the addon refused: the bytes would end beyond the last address. */
function expectDone(done: true | undefined, call: string, ptr: bigint): void {
  if (done === undefined) throw foreignPointer(call, ptr);
}

function getter<Value>(call: string, size: number, get: (memory: DataView) => Value) {
  return (ptr: bigint, offset = 0): Value => {
    postValue(call, ptr, offset, size);
    expectDone(binding.uncheckedRead(), call, ptr);
    return get(values);
  };
}

/** `set` writes the value to where the addon takes it from, or throws. */
function setter<Value>(call: string, size: number, set: (value: Value) => void) {
  return (ptr: bigint, offset: number, value: Value): void => {
    postValue(call, ptr, offset, size);
    set(value);
    expectDone(binding.uncheckedWrite(), call, ptr);
  };
}

/** A setter of integers of `size` bytes from `least` to `most`. */
function integerSetter(call: string, size: number, least: number, most: number) {
  return setter(call, size, (value: number) => {
    // The addon takes the first `size` bytes: the lower ones of two's complement.
    values.setBigInt64(writtenAt, BigInt(integerFrom(value, least, most)), true);
  });
}

function toText(ptr: bigint): string | null {
  checkPointer(ptr, "toString");
  if (ptr === 0n) return null;
  pointers[0] = ptr;
  binding.uncheckedStringBytes();
  return textOf(copyOut("toString", ptr, numbers[0]!));
}

function copyOut(call: string, ptr: bigint, length: number | bigint): Uint8Array {
  const bytes = sizeFrom(length, "length");
  checkPointer(ptr, call);
  const copy = newBytes(call, bytes);
  if (bytes === 0) return copy;
  post(call, ptr);
  expectDone(binding.uncheckedCopyOut(copy), call, ptr);
  return copy;
}

function toArrayBuffer(ptr: bigint, length: number | bigint, copy = true): ArrayBuffer {
  if (copy) return copyOut("toArrayBuffer", ptr, length).buffer as ArrayBuffer;
  const bytes = sizeFrom(length, "length");
  checkPointer(ptr, "toArrayBuffer");
  if (bytes === 0) return new ArrayBuffer(0);
  post("toArrayBuffer", ptr);
  numbers[1] = bytes;
  const buffer = capabilities.externalViews ? binding.uncheckedBuffer() : null;
  if (buffer === null) throw externalViewsUnsupported("toArrayBuffer", ptr, bytes);
  return buffer;
}

function toBuffer(ptr: bigint, length: number | bigint, copy = true): Buffer {
  return Buffer.from(toArrayBuffer(ptr, length, copy));
}

function exportTo(call: string, source: Uint8Array, ptr: bigint, length: number | bigint): void {
  roomFor(source, length);
  checkPointer(ptr, call);
  if (source.length === 0) return;
  post(call, ptr);
  expectDone(binding.uncheckedCopyIn(source), call, ptr);
}

function copy(to: bigint, from: bigint, length: number | bigint): void {
  const bytes = sizeFrom(length, "length");
  post("copy", to);
  post("copy", from, 1);
  numbers[2] = bytes;
  expectDone(binding.uncheckedMoveBytes(), "copy", to);
}

function fill(ptr: bigint, value: number, length: number | bigint): void {
  const bytes = sizeFrom(length, "length");
  const byte = byteFrom(value);
  post("fill", ptr);
  numbers[1] = byte;
  numbers[2] = bytes;
  expectDone(binding.uncheckedFillBytes(), "fill", ptr);
}

function compare(one: bigint, other: bigint, length: number | bigint): -1 | 0 | 1 {
  const bytes = sizeFrom(length, "length");
  post("compare", one);
  post("compare", other, 1);
  numbers[2] = bytes;
  expectDone(binding.uncheckedCompareBytes(), "compare", one);
  return numbers[0] as -1 | 0 | 1;
}

/**
 * The accessors without bounds: the same names, parameters and results, for memory that pagerun never handed out (of
 * libc, of a library, of an ArrayBuffer by its address).
 *
 * Nothing is known of that memory. A wrong address, a wrong length or memory that is gone ends the process or corrupts
 * it, as in C. Only what is no address at all is refused: other types than bigint, null, and what ends beyond 2 ** 64.
 *
 * Cost: one call of the addon each, O(bytes). Any thread.
 *
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_FOREIGN_POINTER (no address), ERR_OUT_OF_MEMORY,
 * ERR_EXTERNAL_VIEWS_UNSUPPORTED
 * @example
 * ```ts
 * import { getRawPointer, unchecked } from "pagerun";
 *
 * const numbers = Int32Array.of(1, 2, 3);
 * console.assert(unchecked.getInt32(getRawPointer(numbers), 8) === 3);
 * ```
 */
export const unchecked: UncheckedAccess = Object.freeze({
  getInt8: getter("getInt8", 1, (memory) => memory.getInt8(0)),
  getUint8: getter("getUint8", 1, (memory) => memory.getUint8(0)),
  getInt16: getter("getInt16", 2, (memory) => memory.getInt16(0, true)),
  getUint16: getter("getUint16", 2, (memory) => memory.getUint16(0, true)),
  getInt32: getter("getInt32", 4, (memory) => memory.getInt32(0, true)),
  getUint32: getter("getUint32", 4, (memory) => memory.getUint32(0, true)),
  getInt64: getter("getInt64", 8, (memory) => memory.getBigInt64(0, true)),
  getUint64: getter("getUint64", 8, (memory) => memory.getBigUint64(0, true)),
  getFloat32: getter("getFloat32", 4, (memory) => memory.getFloat32(0, true)),
  getFloat64: getter("getFloat64", 8, (memory) => memory.getFloat64(0, true)),
  setInt8: integerSetter("setInt8", 1, -(2 ** 7), 2 ** 7 - 1),
  setUint8: integerSetter("setUint8", 1, 0, 2 ** 8 - 1),
  setInt16: integerSetter("setInt16", 2, -(2 ** 15), 2 ** 15 - 1),
  setUint16: integerSetter("setUint16", 2, 0, 2 ** 16 - 1),
  setInt32: integerSetter("setInt32", 4, -(2 ** 31), 2 ** 31 - 1),
  setUint32: integerSetter("setUint32", 4, 0, 2 ** 32 - 1),
  setInt64: setter("setInt64", 8, (value: bigint | number) => values.setBigInt64(writtenAt, signedFrom(value), true)),
  setUint64: setter("setUint64", 8, (value: bigint | number) =>
    values.setBigUint64(writtenAt, unsignedFrom(value), true),
  ),
  setFloat32: setter("setFloat32", 4, (value: number) => values.setFloat32(writtenAt, floatFrom(value), true)),
  setFloat64: setter("setFloat64", 8, (value: number) => values.setFloat64(writtenAt, floatFrom(value), true)),
  toString: toText,
  toBuffer,
  toArrayBuffer,
  exportString: (string: string, ptr: bigint, length: number | bigint, encoding: BufferEncoding = "utf8") =>
    exportTo("exportString", encodedString(string, encoding), ptr, length),
  exportBuffer: (source: Buffer, ptr: bigint, length: number | bigint) =>
    exportTo("exportBuffer", bytesOfBuffer(source), ptr, length),
  exportArrayBuffer: (source: ArrayBuffer, ptr: bigint, length: number | bigint) =>
    exportTo("exportArrayBuffer", bytesOfArrayBuffer(source), ptr, length),
  exportArrayBufferView: (source: ArrayBufferView, ptr: bigint, length: number | bigint) =>
    exportTo("exportArrayBufferView", bytesOfView(source), ptr, length),
  getRawPointer,
  copy,
  fill,
  compare,
});
