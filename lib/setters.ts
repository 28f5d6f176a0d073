// Single values into blocks: node:ffi's setters, checked. Owns nothing but which values each of them takes.
// The functions are written out, one by one, on purpose: those that one factory makes share what the engine learns of
// their types, and then none of them is fast.
// Thread rule: any thread, also for blocks of other threads; two threads that write the same bytes race, as in C.
import { reach, reached, values, write, writtenAt } from "./reach.js";
import { floatError, integerError, signedFrom, unsignedFrom } from "./values.js";

// The compiler folds constants, but not imports.
const reachAt = reach;
const last = reached;

/**
 * Writes a signed 8-bit integer, little endian, as node:ffi's function of this name; checked. Cost, `ptr` and `offset`: as
 * `getInt8`.
 *
 * @param value - an integer of that range; nothing is wrapped.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, getInt8, malloc, setInt8 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setInt8(ptr, 8, -1);
 * console.assert(getInt8(ptr, 8) === -1);
 * free(ptr);
 * ```
 */
export function setInt8(ptr: bigint, offset: number, value: number): void {
  const at = reachAt("setInt8", ptr, offset, 1);
  if (typeof value !== "number" || (value << 24) >> 24 !== value) throw integerError(value, -(2 ** 7), 2 ** 7 - 1);
  if (at >= 0) {
    last.block.view.setInt8(at, value);
    return;
  }
  values.setInt8(writtenAt, value);
  write("setInt8", ptr, offset, 1);
}

/**
 * Writes an unsigned 8-bit integer, little endian, as node:ffi's function of this name; checked. Cost, `ptr` and `offset`: as
 * `getUint8`.
 *
 * @param value - an integer of that range; nothing is wrapped.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, getUint8, malloc, setUint8 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setUint8(ptr, 8, 255);
 * console.assert(getUint8(ptr, 8) === 255);
 * free(ptr);
 * ```
 */
export function setUint8(ptr: bigint, offset: number, value: number): void {
  const at = reachAt("setUint8", ptr, offset, 1);
  if (typeof value !== "number" || (value & 0xff) !== value) throw integerError(value, 0, 2 ** 8 - 1);
  if (at >= 0) {
    last.block.view.setUint8(at, value);
    return;
  }
  values.setUint8(writtenAt, value);
  write("setUint8", ptr, offset, 1);
}

/**
 * Writes a signed 16-bit integer, little endian, as node:ffi's function of this name; checked. Cost, `ptr` and `offset`: as
 * `getInt16`.
 *
 * @param value - an integer of that range; nothing is wrapped.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, getInt16, malloc, setInt16 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setInt16(ptr, 8, -300);
 * console.assert(getInt16(ptr, 8) === -300);
 * free(ptr);
 * ```
 */
export function setInt16(ptr: bigint, offset: number, value: number): void {
  const at = reachAt("setInt16", ptr, offset, 2);
  if (typeof value !== "number" || (value << 16) >> 16 !== value) throw integerError(value, -(2 ** 15), 2 ** 15 - 1);
  if (at >= 0) {
    last.block.view.setInt16(at, value, true);
    return;
  }
  values.setInt16(writtenAt, value, true);
  write("setInt16", ptr, offset, 2);
}

/**
 * Writes an unsigned 16-bit integer, little endian, as node:ffi's function of this name; checked. Cost, `ptr` and `offset`: as
 * `getUint16`.
 *
 * @param value - an integer of that range; nothing is wrapped.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, getUint16, malloc, setUint16 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setUint16(ptr, 8, 65535);
 * console.assert(getUint16(ptr, 8) === 65535);
 * free(ptr);
 * ```
 */
export function setUint16(ptr: bigint, offset: number, value: number): void {
  const at = reachAt("setUint16", ptr, offset, 2);
  if (typeof value !== "number" || (value & 0xffff) !== value) throw integerError(value, 0, 2 ** 16 - 1);
  if (at >= 0) {
    last.block.view.setUint16(at, value, true);
    return;
  }
  values.setUint16(writtenAt, value, true);
  write("setUint16", ptr, offset, 2);
}

/**
 * Writes a signed 32-bit integer, little endian, as node:ffi's function of this name; checked. Cost, `ptr` and `offset`: as
 * `getInt32`.
 *
 * @param value - an integer of that range; nothing is wrapped.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, getInt32, malloc, setInt32 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setInt32(ptr, 8, -70000);
 * console.assert(getInt32(ptr, 8) === -70000);
 * free(ptr);
 * ```
 */
export function setInt32(ptr: bigint, offset: number, value: number): void {
  const at = reachAt("setInt32", ptr, offset, 4);
  if (typeof value !== "number" || (value | 0) !== value) throw integerError(value, -(2 ** 31), 2 ** 31 - 1);
  if (at >= 0) {
    last.block.view.setInt32(at, value, true);
    return;
  }
  values.setInt32(writtenAt, value, true);
  write("setInt32", ptr, offset, 4);
}

/**
 * Writes an unsigned 32-bit integer, little endian, as node:ffi's function of this name; checked. Cost, `ptr` and `offset`: as
 * `getUint32`.
 *
 * @param value - an integer of that range; nothing is wrapped.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, getUint32, malloc, setUint32 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setUint32(ptr, 8, 4_000_000_000);
 * console.assert(getUint32(ptr, 8) === 4_000_000_000);
 * free(ptr);
 * ```
 */
export function setUint32(ptr: bigint, offset: number, value: number): void {
  const at = reachAt("setUint32", ptr, offset, 4);
  if (typeof value !== "number" || value >>> 0 !== value) throw integerError(value, 0, 2 ** 32 - 1);
  if (at >= 0) {
    last.block.view.setUint32(at, value, true);
    return;
  }
  values.setUint32(writtenAt, value, true);
  write("setUint32", ptr, offset, 4);
}

/**
 * Writes a signed 64-bit integer, little endian, as node:ffi's function of this name; checked. Cost, `ptr` and `offset`: as
 * `getInt64`.
 *
 * @param value - a bigint of that range or a safe integer; nothing is wrapped.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, getInt64, malloc, setInt64 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setInt64(ptr, 8, -1n);
 * console.assert(getInt64(ptr, 8) === -1n);
 * free(ptr);
 * ```
 */
export function setInt64(ptr: bigint, offset: number, value: bigint | number): void {
  const at = reachAt("setInt64", ptr, offset, 8);
  const word = signedFrom(value);
  if (at >= 0) {
    last.block.view.setBigInt64(at, word, true);
    return;
  }
  values.setBigInt64(writtenAt, word, true);
  write("setInt64", ptr, offset, 8);
}

/**
 * Writes an unsigned 64-bit integer, little endian, as node:ffi's function of this name; checked. Cost, `ptr` and `offset`: as
 * `getUint64`.
 *
 * @param value - a bigint of that range or a safe integer; nothing is wrapped.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, getUint64, malloc, setUint64 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setUint64(ptr, 8, 2n ** 64n - 1n);
 * console.assert(getUint64(ptr, 8) === 2n ** 64n - 1n);
 * free(ptr);
 * ```
 */
export function setUint64(ptr: bigint, offset: number, value: bigint | number): void {
  const at = reachAt("setUint64", ptr, offset, 8);
  const word = unsignedFrom(value);
  if (at >= 0) {
    last.block.view.setBigUint64(at, word, true);
    return;
  }
  values.setBigUint64(writtenAt, word, true);
  write("setUint64", ptr, offset, 8);
}

/**
 * Writes a 32-bit float, little endian, as node:ffi's function of this name; checked. Cost, `ptr` and `offset`: as
 * `getFloat32`.
 *
 * @param value - any number, rounded to the nearest of that type.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, getFloat32, malloc, setFloat32 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setFloat32(ptr, 8, 0.5);
 * console.assert(getFloat32(ptr, 8) === 0.5);
 * free(ptr);
 * ```
 */
export function setFloat32(ptr: bigint, offset: number, value: number): void {
  const at = reachAt("setFloat32", ptr, offset, 4);
  if (typeof value !== "number") throw floatError(value);
  if (at >= 0) {
    last.block.view.setFloat32(at, value, true);
    return;
  }
  values.setFloat32(writtenAt, value, true);
  write("setFloat32", ptr, offset, 4);
}

/**
 * Writes a 64-bit float, little endian, as node:ffi's function of this name; checked. Cost, `ptr` and `offset`: as
 * `getFloat64`.
 *
 * @param value - any number.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (nothing was written), ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { free, getFloat64, malloc, setFloat64 } from "pagerun";
 *
 * const ptr = malloc(16);
 * setFloat64(ptr, 8, Math.PI);
 * console.assert(getFloat64(ptr, 8) === Math.PI);
 * free(ptr);
 * ```
 */
export function setFloat64(ptr: bigint, offset: number, value: number): void {
  const at = reachAt("setFloat64", ptr, offset, 8);
  if (typeof value !== "number") throw floatError(value);
  if (at >= 0) {
    last.block.view.setFloat64(at, value, true);
    return;
  }
  values.setFloat64(writtenAt, value, true);
  write("setFloat64", ptr, offset, 8);
}
