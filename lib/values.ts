// Which JavaScript values fit a field of memory, and the error for one that does not. Owns the rules of node:ffi, which
// wraps nothing. Thread rule: none.
import { invalidArgument } from "./errors.js";

const signedWord = "a bigint from -(2n ** 63n) to 2n ** 63n - 1n or a safe integer";
const unsignedWord = "a bigint from 0n to 2n ** 64n - 1n or a non-negative safe integer";

/** The value of a 64-bit field as a bigint. */
export function signedFrom(value: bigint | number): bigint {
  if (typeof value === "bigint" && BigInt.asIntN(64, value) === value) return value;
  if (Number.isSafeInteger(value)) return BigInt(value);
  throw invalidArgument("value", signedWord, value);
}

export function unsignedFrom(value: bigint | number): bigint {
  if (typeof value === "bigint" && BigInt.asUintN(64, value) === value) return value;
  if (Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  throw invalidArgument("value", unsignedWord, value);
}

export function integerError(value: unknown, least: number, most: number): Error {
  return invalidArgument("value", `an integer from ${least} to ${most}`, value);
}

export function integerFrom(value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw integerError(value, least, most);
}

export function floatFrom(value: number): number {
  if (typeof value === "number") return value;
  throw floatError(value);
}

export function floatError(value: unknown): Error {
  return invalidArgument("value", "a number", value);
}

const leastByte = -128;
const mostByte = 255;

/** The byte that memset writes for a number: -1 is 255. */
export function byteFrom(value: number): number {
  return integerFrom(value, leastByte, mostByte) & mostByte;
}
