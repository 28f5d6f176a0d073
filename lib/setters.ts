// Single values into blocks: node:ffi's setters, checked. Owns nothing but which values each of them takes.
// The functions are written out, one by one, on purpose: those that one factory makes share what the engine learns of
// their types, and then none of them is fast.
// Thread rule: any thread, also for blocks of other threads; two threads that write the same bytes race, as in C.
import { forgetReached, type Put, placeAt, reached } from "./reach.js";
import { floatFrom, integerFrom, signedFrom, unsignedFrom } from "./values.js";

// The compiler folds constants, but not imports.
const place = placeAt;
const last = reached;

const putInt8: Put = (view, at, value) => view.setInt8(at, integerFrom(value as number, -(2 ** 7), 2 ** 7 - 1));
const putUint8: Put = (view, at, value) => view.setUint8(at, integerFrom(value as number, 0, 2 ** 8 - 1));
const putInt16: Put = (view, at, value) =>
  view.setInt16(at, integerFrom(value as number, -(2 ** 15), 2 ** 15 - 1), true);
const putUint16: Put = (view, at, value) => view.setUint16(at, integerFrom(value as number, 0, 2 ** 16 - 1), true);
const putInt32: Put = (view, at, value) =>
  view.setInt32(at, integerFrom(value as number, -(2 ** 31), 2 ** 31 - 1), true);
const putUint32: Put = (view, at, value) => view.setUint32(at, integerFrom(value as number, 0, 2 ** 32 - 1), true);
const putInt64: Put = (view, at, value) => view.setBigInt64(at, signedFrom(value as bigint), true);
const putUint64: Put = (view, at, value) => view.setBigUint64(at, unsignedFrom(value as bigint), true);
const putFloat32: Put = (view, at, value) => view.setFloat32(at, floatFrom(value as number), true);
const putFloat64: Put = (view, at, value) => view.setFloat64(at, floatFrom(value as number), true);

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
  const isFit = typeof value === "number" && (value << 24) >> 24 === value;
  const at = place("setInt8", ptr, offset, 1, isFit, value, putInt8);
  if (at < 0) return;
  try {
    last.view.setInt8(at, value);
  } catch {
    forgetReached();
    setInt8(ptr, offset, value);
  }
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
  const isFit = typeof value === "number" && (value & 0xff) === value;
  const at = place("setUint8", ptr, offset, 1, isFit, value, putUint8);
  if (at < 0) return;
  try {
    last.view.setUint8(at, value);
  } catch {
    forgetReached();
    setUint8(ptr, offset, value);
  }
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
  const isFit = typeof value === "number" && (value << 16) >> 16 === value;
  const at = place("setInt16", ptr, offset, 2, isFit, value, putInt16);
  if (at < 0) return;
  try {
    last.view.setInt16(at, value, true);
  } catch {
    forgetReached();
    setInt16(ptr, offset, value);
  }
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
  const isFit = typeof value === "number" && (value & 0xffff) === value;
  const at = place("setUint16", ptr, offset, 2, isFit, value, putUint16);
  if (at < 0) return;
  try {
    last.view.setUint16(at, value, true);
  } catch {
    forgetReached();
    setUint16(ptr, offset, value);
  }
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
  const isFit = typeof value === "number" && (value | 0) === value;
  const at = place("setInt32", ptr, offset, 4, isFit, value, putInt32);
  if (at < 0) return;
  try {
    last.view.setInt32(at, value, true);
  } catch {
    forgetReached();
    setInt32(ptr, offset, value);
  }
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
  const isFit = typeof value === "number" && value >>> 0 === value;
  const at = place("setUint32", ptr, offset, 4, isFit, value, putUint32);
  if (at < 0) return;
  try {
    last.view.setUint32(at, value, true);
  } catch {
    forgetReached();
    setUint32(ptr, offset, value);
  }
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
  const isFit = typeof value === "bigint" && BigInt.asIntN(64, value) === value;
  const at = place("setInt64", ptr, offset, 8, isFit, value, putInt64);
  if (at < 0) return;
  try {
    last.view.setBigInt64(at, value as bigint, true);
  } catch {
    forgetReached();
    setInt64(ptr, offset, value);
  }
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
  const isFit = typeof value === "bigint" && BigInt.asUintN(64, value) === value;
  const at = place("setUint64", ptr, offset, 8, isFit, value, putUint64);
  if (at < 0) return;
  try {
    last.view.setBigUint64(at, value as bigint, true);
  } catch {
    forgetReached();
    setUint64(ptr, offset, value);
  }
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
  const isFit = typeof value === "number";
  const at = place("setFloat32", ptr, offset, 4, isFit, value, putFloat32);
  if (at < 0) return;
  try {
    last.view.setFloat32(at, value, true);
  } catch {
    forgetReached();
    setFloat32(ptr, offset, value);
  }
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
  const isFit = typeof value === "number";
  const at = place("setFloat64", ptr, offset, 8, isFit, value, putFloat64);
  if (at < 0) return;
  try {
    last.view.setFloat64(at, value, true);
  } catch {
    forgetReached();
    setFloat64(ptr, offset, value);
  }
}
