// From the core's word for a misuse to the error that is thrown. Owns nothing. Thread rule: none.
import {
  doubleFree,
  foreignPointer,
  interiorPointer,
  type PagerunError,
  writeAfterFree,
  writePastEnd,
} from "./errors.js";
import { binding, mailbox } from "./native/binding.js";

const { locate: callLocate, locateRange: callLocateRange, misuse: misuseNumbers } = binding;
const { pointers, numbers } = mailbox;

/** Where a pointer points, in numbers: addresses are below 2 ** 53. */
export interface Place {
  /** First address of the live block that holds the pointer. */
  readonly start: number;
  /** Address behind its last usable byte. */
  readonly end: number;
  /** The pointer. */
  readonly address: number;
  /** First address of the stretch that has all of the block; 0 when it is not all in one. */
  readonly stretch: number;
  /** True in a range: OS pages that the program mapped for itself, which may be protected. Then the block is the range. */
  readonly isRange?: true;
}

/** Where `ptr` points in a range, if it is in one. A lock. */
export function rangePlaceOf(ptr: bigint): Place | undefined {
  pointers[0] = ptr;
  callLocateRange();
  const start = numbers[0]!;
  if (start === 0) return undefined;
  return { start, end: start + numbers[1]!, address: numbers[2]!, stretch: 0, isRange: true };
}

/** Where `ptr`, a checked pointer, points; undefined when it is in no live block or range. O(1), a lock for the largest blocks. */
export function placeOf(ptr: bigint): Place | undefined {
  pointers[0] = ptr;
  callLocate();
  const start = numbers[0]!;
  if (start === 0) return rangePlaceOf(ptr);
  return { start, end: start + numbers[1]!, address: numbers[2]!, stretch: numbers[3]! };
}

/** The error for what the core says of `ptr`. */
export function misuseError(call: string, ptr: bigint, misuse: number): PagerunError {
  if (misuse === misuseNumbers.doubleFree) return doubleFree(call, ptr);
  if (misuse === misuseNumbers.foreignPointer) return foreignPointer(call, ptr);
  if (misuse === misuseNumbers.overflow) return writePastEnd(call, ptr);
  if (misuse === misuseNumbers.writeAfterFree) return writeAfterFree(call, ptr);
  const place = placeOf(ptr);
  return interiorPointer(call, ptr, place === undefined ? undefined : BigInt(place.start));
}
