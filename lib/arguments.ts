// Checks of arguments: what is a size, a pointer. Owns the rules that all functions share.
// Thread rule: none. No check calls code of the value that it checks: objects are refused, never converted.
import { foreignPointer, invalidArgument } from "./errors.js";

const wordBits = 64;

export const expectedSize = "a non-negative safe integer or a bigint from 0n to 2n ** 64n - 1n";
const expectedPointer = "a bigint";

function isWord(value: bigint): boolean {
  return BigInt.asUintN(wordBits, value) === value;
}

/** The size as a number. A bigint above 2 ** 53 loses its last digits, which no machine has the memory to miss. */
export function sizeFrom(size: unknown, argument: string): number {
  if (Number.isSafeInteger(size) && (size as number) >= 0) return size as number;
  if (typeof size === "bigint" && isWord(size)) return Number(size);
  throw invalidArgument(argument, expectedSize, size);
}

function isPowerOfTwo(value: bigint): boolean {
  return value !== 0n && (value & (value - 1n)) === 0n;
}

/** The alignment as a number; the same rule as for sizes, and a power of two. */
export function alignmentFrom(alignment: number | bigint, argument = "alignment"): number {
  const number = sizeFrom(alignment, argument);
  if (isPowerOfTwo(BigInt(alignment))) return number;
  throw invalidArgument(argument, "a power of two", alignment);
}

/** Throws unless `ptr` is a bigint that is an address. */
export function checkPointer(ptr: unknown, call: string): asserts ptr is bigint {
  if (typeof ptr !== "bigint") throw invalidArgument("ptr", expectedPointer, ptr);
  if (!isWord(ptr)) throw foreignPointer(call, ptr);
}
