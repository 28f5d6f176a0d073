// Single values out of blocks: node:ffi's getters, checked. Owns nothing but what each of them says.
// The functions are written out, one by one, on purpose: those that one factory makes share what the engine learns of
// their types, and then none of them is fast.
// Thread rule: any thread, also for blocks of other threads.
import { forgetReached, placeAt, reached } from "./reach.js";

// The compiler folds constants, but not imports.
const place = placeAt;
const last = reached;

/**
 * Reads a signed 8-bit integer, little endian, as node:ffi's function of this name; checked.
 *
 * Cost: a few loads while one block is read, a look-up when it is another one than the last. Any thread.
 *
 * @param ptr - an address in a live block; need not be aligned.
 * @param offset - bytes from there on, a non-negative safe integer.
 * @defaultValue offset: 0
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all of it is in the live block that holds `ptr`),
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { calloc, free, getInt8 } from "pagerun";
 *
 * const ptr = calloc(16);
 * console.assert(getInt8(ptr, 8) === 0);
 * free(ptr);
 * ```
 */
export function getInt8(ptr: bigint, offset = 0): number {
  const at = place("getInt8", ptr, offset, 1, true);
  try {
    return last.view.getInt8(at);
  } catch {
    forgetReached();
    return getInt8(ptr, offset);
  }
}

/**
 * Reads an unsigned 8-bit integer, little endian, as node:ffi's function of this name; checked.
 *
 * Cost: a few loads while one block is read, a look-up when it is another one than the last. Any thread.
 *
 * @param ptr - an address in a live block; need not be aligned.
 * @param offset - bytes from there on, a non-negative safe integer.
 * @defaultValue offset: 0
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all of it is in the live block that holds `ptr`),
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { calloc, free, getUint8 } from "pagerun";
 *
 * const ptr = calloc(16);
 * console.assert(getUint8(ptr, 8) === 0);
 * free(ptr);
 * ```
 */
export function getUint8(ptr: bigint, offset = 0): number {
  const at = place("getUint8", ptr, offset, 1, true);
  try {
    return last.view.getUint8(at);
  } catch {
    forgetReached();
    return getUint8(ptr, offset);
  }
}

/**
 * Reads a signed 16-bit integer, little endian, as node:ffi's function of this name; checked.
 *
 * Cost: a few loads while one block is read, a look-up when it is another one than the last. Any thread.
 *
 * @param ptr - an address in a live block; need not be aligned.
 * @param offset - bytes from there on, a non-negative safe integer.
 * @defaultValue offset: 0
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all of it is in the live block that holds `ptr`),
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { calloc, free, getInt16 } from "pagerun";
 *
 * const ptr = calloc(16);
 * console.assert(getInt16(ptr, 8) === 0);
 * free(ptr);
 * ```
 */
export function getInt16(ptr: bigint, offset = 0): number {
  const at = place("getInt16", ptr, offset, 2, true);
  try {
    return last.view.getInt16(at, true);
  } catch {
    forgetReached();
    return getInt16(ptr, offset);
  }
}

/**
 * Reads an unsigned 16-bit integer, little endian, as node:ffi's function of this name; checked.
 *
 * Cost: a few loads while one block is read, a look-up when it is another one than the last. Any thread.
 *
 * @param ptr - an address in a live block; need not be aligned.
 * @param offset - bytes from there on, a non-negative safe integer.
 * @defaultValue offset: 0
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all of it is in the live block that holds `ptr`),
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { calloc, free, getUint16 } from "pagerun";
 *
 * const ptr = calloc(16);
 * console.assert(getUint16(ptr, 8) === 0);
 * free(ptr);
 * ```
 */
export function getUint16(ptr: bigint, offset = 0): number {
  const at = place("getUint16", ptr, offset, 2, true);
  try {
    return last.view.getUint16(at, true);
  } catch {
    forgetReached();
    return getUint16(ptr, offset);
  }
}

/**
 * Reads a signed 32-bit integer, little endian, as node:ffi's function of this name; checked.
 *
 * Cost: a few loads while one block is read, a look-up when it is another one than the last. Any thread.
 *
 * @param ptr - an address in a live block; need not be aligned.
 * @param offset - bytes from there on, a non-negative safe integer.
 * @defaultValue offset: 0
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all of it is in the live block that holds `ptr`),
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { calloc, free, getInt32 } from "pagerun";
 *
 * const ptr = calloc(16);
 * console.assert(getInt32(ptr, 8) === 0);
 * free(ptr);
 * ```
 */
export function getInt32(ptr: bigint, offset = 0): number {
  const at = place("getInt32", ptr, offset, 4, true);
  try {
    return last.view.getInt32(at, true);
  } catch {
    forgetReached();
    return getInt32(ptr, offset);
  }
}

/**
 * Reads an unsigned 32-bit integer, little endian, as node:ffi's function of this name; checked.
 *
 * Cost: a few loads while one block is read, a look-up when it is another one than the last. Any thread.
 *
 * @param ptr - an address in a live block; need not be aligned.
 * @param offset - bytes from there on, a non-negative safe integer.
 * @defaultValue offset: 0
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all of it is in the live block that holds `ptr`),
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { calloc, free, getUint32 } from "pagerun";
 *
 * const ptr = calloc(16);
 * console.assert(getUint32(ptr, 8) === 0);
 * free(ptr);
 * ```
 */
export function getUint32(ptr: bigint, offset = 0): number {
  const at = place("getUint32", ptr, offset, 4, true);
  try {
    return last.view.getUint32(at, true);
  } catch {
    forgetReached();
    return getUint32(ptr, offset);
  }
}

/**
 * Reads a signed 64-bit integer, little endian, as node:ffi's function of this name; checked.
 *
 * Cost: a few loads while one block is read, a look-up when it is another one than the last. Any thread.
 *
 * @param ptr - an address in a live block; need not be aligned.
 * @param offset - bytes from there on, a non-negative safe integer.
 * @defaultValue offset: 0
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all of it is in the live block that holds `ptr`),
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { calloc, free, getInt64 } from "pagerun";
 *
 * const ptr = calloc(16);
 * console.assert(getInt64(ptr, 8) === 0n);
 * free(ptr);
 * ```
 */
export function getInt64(ptr: bigint, offset = 0): bigint {
  const at = place("getInt64", ptr, offset, 8, true);
  try {
    return last.view.getBigInt64(at, true);
  } catch {
    forgetReached();
    return getInt64(ptr, offset);
  }
}

/**
 * Reads an unsigned 64-bit integer, little endian, as node:ffi's function of this name; checked.
 *
 * Cost: a few loads while one block is read, a look-up when it is another one than the last. Any thread.
 *
 * @param ptr - an address in a live block; need not be aligned.
 * @param offset - bytes from there on, a non-negative safe integer.
 * @defaultValue offset: 0
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all of it is in the live block that holds `ptr`),
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { calloc, free, getUint64 } from "pagerun";
 *
 * const ptr = calloc(16);
 * console.assert(getUint64(ptr, 8) === 0n);
 * free(ptr);
 * ```
 */
export function getUint64(ptr: bigint, offset = 0): bigint {
  const at = place("getUint64", ptr, offset, 8, true);
  try {
    return last.view.getBigUint64(at, true);
  } catch {
    forgetReached();
    return getUint64(ptr, offset);
  }
}

/**
 * Reads a 32-bit float, little endian, as node:ffi's function of this name; checked.
 *
 * Cost: a few loads while one block is read, a look-up when it is another one than the last. Any thread.
 *
 * @param ptr - an address in a live block; need not be aligned.
 * @param offset - bytes from there on, a non-negative safe integer.
 * @defaultValue offset: 0
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all of it is in the live block that holds `ptr`),
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { calloc, free, getFloat32 } from "pagerun";
 *
 * const ptr = calloc(16);
 * console.assert(getFloat32(ptr, 8) === 0);
 * free(ptr);
 * ```
 */
export function getFloat32(ptr: bigint, offset = 0): number {
  const at = place("getFloat32", ptr, offset, 4, true);
  try {
    return last.view.getFloat32(at, true);
  } catch {
    forgetReached();
    return getFloat32(ptr, offset);
  }
}

/**
 * Reads a 64-bit float, little endian, as node:ffi's function of this name; checked.
 *
 * Cost: a few loads while one block is read, a look-up when it is another one than the last. Any thread.
 *
 * @param ptr - an address in a live block; need not be aligned.
 * @param offset - bytes from there on, a non-negative safe integer.
 * @defaultValue offset: 0
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS (not all of it is in the live block that holds `ptr`),
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { calloc, free, getFloat64 } from "pagerun";
 *
 * const ptr = calloc(16);
 * console.assert(getFloat64(ptr, 8) === 0);
 * free(ptr);
 * ```
 */
export function getFloat64(ptr: bigint, offset = 0): number {
  const at = place("getFloat64", ptr, offset, 8, true);
  try {
    return last.view.getFloat64(at, true);
  } catch {
    forgetReached();
    return getFloat64(ptr, offset);
  }
}
