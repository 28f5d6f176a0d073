// From the core's word for a misuse to the error that is thrown. Owns nothing. Thread rule: none.
import { doubleFree, foreignPointer, interiorPointer, type PagerunError } from "./errors.js";
import { binding, mailbox } from "./native/binding.js";

const { locate: callLocate, misuse: misuseNumbers } = binding;
const { pointers, numbers } = mailbox;

/** The live block that a pointer points into. */
export interface Place {
  /** First address of the block. Addresses are below 2 ** 53, so that a number holds them exactly. */
  readonly start: number;
  readonly usableBytes: number;
  readonly hasOwnMapping: boolean;
}

/** The live block that `ptr`, a checked pointer, points into, or undefined. O(1), a lock for the largest blocks. */
export function placeOf(ptr: bigint): Place | undefined {
  pointers[0] = ptr;
  callLocate();
  const start = numbers[0]!;
  if (start === 0) return undefined;
  return { start, usableBytes: numbers[1]!, hasOwnMapping: numbers[2] !== 0 };
}

/** The error for what the core says of `ptr`. */
export function misuseError(call: string, ptr: bigint, misuse: number): PagerunError {
  if (misuse === misuseNumbers.doubleFree) return doubleFree(call, ptr);
  if (misuse === misuseNumbers.foreignPointer) return foreignPointer(call, ptr);
  const place = placeOf(ptr);
  return interiorPointer(call, ptr, place === undefined ? undefined : BigInt(place.start));
}
