// ArrayBuffers over ranges, the OS pages that a program mapped for itself. Owns which there are.
//
// Unlike blocks (lib/buffers.ts), a range tells here when it ends or is protected: its buffers are detached then, so that
// their views have length 0. They are kept as long as their range, so that each can be; another thread's are its own.
// Thread rule: each thread has buffers of its own.
import { constants } from "node:buffer";
import type { Place } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";

/** An ArrayBuffer over the memory from address `start` to address `end` (not included). */
export interface MemoryBuffer {
  readonly start: number;
  readonly end: number;
  readonly buffer: ArrayBuffer;
}

const { rangeBuffer: newBuffer, endRangeBuffer: endBuffer, locateRange: callLocateRange } = binding;
const { pointers, numbers } = mailbox;

/** By the first address of the range. */
const rangeBuffers = new Map<number, MemoryBuffer[]>();

/** So many ranges are in the map before those are looked for that another thread has unmapped. */
const leastSweep = 64;
let nextSweep = leastSweep;

function sweep(): void {
  if (rangeBuffers.size < nextSweep) return;
  for (const start of rangeBuffers.keys()) {
    pointers[0] = BigInt(start);
    callLocateRange();
    if (numbers[0] !== start) endRangeBuffers(start);
  }
  nextSweep = Math.max(leastSweep, rangeBuffers.size * 2);
}

/**
 * An ArrayBuffer that has all addresses from `place.address` to `to` (not included) of a range; null where the runtime
 * refuses to make one, undefined where not all of them may be read and written. O(1) for what was made before.
 */
export function rangeBuffer(place: Place, to: number): MemoryBuffer | null | undefined {
  const known = rangeBuffers.get(place.start) ?? [];
  for (const memory of known) {
    if (memory.start > place.address || memory.end < to) continue;
    if (memory.buffer.byteLength === memory.end - memory.start) return memory;
  }
  sweep();
  pointers[0] = BigInt(place.address);
  numbers[1] = to - place.address;
  numbers[2] = constants.MAX_LENGTH;
  const buffer = newBuffer();
  if (!buffer) return buffer;
  const start = numbers[0]!;
  const made = { start, end: start + numbers[1]!, buffer };
  rangeBuffers.set(place.start, [...known.filter((memory) => memory.buffer.byteLength > 0), made]);
  return made;
}

/** How many of a range's views, as the core counts them, are this thread's and can be ended here. */
export function rangeViews(start: number): number {
  return rangeBuffers.get(start)?.filter(({ buffer }) => buffer.byteLength > 0).length ?? 0;
}

/** Ends every view that this thread has of the range that starts at `start`. */
export function endRangeBuffers(start: number): void {
  const buffers = rangeBuffers.get(start);
  if (buffers === undefined) return;
  rangeBuffers.delete(start);
  for (const { buffer } of buffers) endBuffer(buffer);
}
