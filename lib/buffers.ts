// ArrayBuffers over memory, which views are made over. Owns which there are; the addon makes them.
//
//   stretch buffer   over a whole stretch of a region; made on first use and kept, for its memory never goes away
//   block buffer     over a block that crosses stretches or has a mapping of its own; remembered while a view of it lives
//
// A buffer is memory, not a block: whatever block is there later can be viewed over it. That is safe because memory under
// a buffer stays what it is as long as the buffer can be reached: a region's for good, and the addon pins mappings. So
// nothing has to be told here when a block is freed, by this thread or another; block buffers are held weakly instead.
// No buffer is ever detached: Node.js ends the process when a buffer is detached under an asynchronous call (zlib).
// Thread rule: each thread has buffers of its own.
import { constants } from "node:buffer";
import type { Place } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";
import { type MemoryBuffer, rangeBuffer } from "./range-buffers.js";

interface WeakMemoryBuffer {
  readonly start: number;
  readonly end: number;
  readonly reference: WeakRef<ArrayBuffer>;
}

/** The longest ArrayBuffer, and so the longest view, of this runtime. */
export const maxBufferBytes = constants.MAX_LENGTH;

const { stretchBytes, stretchBuffer: newStretchBuffer, blockBuffer: callBlockBuffer } = binding;
const { pointers, numbers } = mailbox;

/** By the first address of the stretch. */
const stretchBuffers = new Map<number, ArrayBuffer>();
/** By the first address of the block. */
const blockBuffers = new Map<number, WeakMemoryBuffer[]>();

/** Forgets the buffers of a block when the last of them has been collected. */
const collected = new FinalizationRegistry<number>((start) => {
  const buffers = blockBuffers.get(start)?.filter(({ reference }) => reference.deref() !== undefined);
  if (buffers?.length === 0) blockBuffers.delete(start);
  else if (buffers !== undefined) blockBuffers.set(start, buffers);
});

const none = new ArrayBuffer(0);
const windowBytes = 2 ** 32;
const regionStart = Number(binding.tables?.regionStart ?? 0n);

/** The buffers of the stretches that lib/buckets.ts serves, by number; one of length 0 where there is none yet. */
export const nearBuffers: ArrayBuffer[] = new Array<ArrayBuffer>(windowBytes / stretchBytes).fill(none);

/** The words of these stretches. */
const nearWords: Float64Array[] = new Array<Float64Array>(windowBytes / stretchBytes).fill(new Float64Array(0));
const halves = new Int32Array(binding.mailbox);
const stretchShift = Math.log2(stretchBytes);
const stretchMask = stretchBytes - 1;
const wordShift = 3;

/**
 * Clears the first `bytes` of a block that lib/buckets.ts has taken, which word 0 of the mailbox points to; to the next
 * multiple of 8, which such blocks have. False where that is left to the core: there is no view of the stretch yet.
 */
export function clearNear(bytes: number): boolean {
  const low = halves[0]!;
  const words = nearWords[low >>> stretchShift]!;
  const from = (low & stretchMask) >> wordShift;
  const to = from + ((bytes + 7) >> wordShift);
  if (to > words.length) return false;
  for (let word = from; word < to; word++) words[word] = 0;
  return true;
}

/**
 * The ArrayBuffer over the stretch that has all of a live block; null where the runtime refuses to make one, undefined
 * where the block is gone. O(1).
 */
export function stretchBuffer({ stretch, start }: Place): ArrayBuffer | null | undefined {
  let buffer: ArrayBuffer | null | undefined = stretchBuffers.get(stretch);
  // A program can take the memory away from a buffer, by transfer() for example.
  if (buffer?.byteLength !== stretchBytes) {
    pointers[0] = BigInt(start);
    buffer = newStretchBuffer();
    if (!buffer) return buffer;
    stretchBuffers.set(stretch, buffer);
    const distance = stretch - regionStart;
    if (distance >= 0 && distance < windowBytes) {
      nearBuffers[distance / stretchBytes] = buffer;
      nearWords[distance / stretchBytes] = new Float64Array(buffer);
    }
  }
  return buffer;
}

function knownBlockBuffer(place: Place, to: number): MemoryBuffer | undefined {
  for (const { start, end, reference } of blockBuffers.get(place.start) ?? []) {
    if (start > place.address || end < to || end > place.end) continue;
    const buffer = reference.deref();
    if (buffer !== undefined && buffer.byteLength === end - start) return { start, end, buffer };
  }
  return undefined;
}

/** What a new buffer shall cover: the block, or of a block too long for one, a part that has the bytes wanted. */
export function rangeFor(place: Omit<Place, "stretch">, to: number): { start: number; end: number } {
  if (place.end - place.start <= maxBufferBytes) return place;
  const step = maxBufferBytes / 2;
  const start = place.address - ((place.address - place.start) % step);
  const end = Math.min(start + maxBufferBytes, place.end);
  return end >= to
    ? { start, end }
    : { start: place.address, end: Math.min(place.address + maxBufferBytes, place.end) };
}

function newBlockBuffer(place: Place, to: number): MemoryBuffer | null | undefined {
  const { start, end } = rangeFor(place, to);
  pointers[0] = BigInt(start);
  numbers[1] = end - start;
  const buffer = callBlockBuffer();
  if (!buffer) return buffer;
  const made = { start, end, reference: new WeakRef(buffer) };
  blockBuffers.set(place.start, [...(blockBuffers.get(place.start) ?? []), made]);
  collected.register(buffer, place.start);
  return { start, end, buffer };
}

/**
 * An ArrayBuffer that has all addresses from `place.address` to `to` (not included) of a live block that is not all in
 * one stretch, or of a range; null where the runtime refuses to make one, undefined where the block is gone or the range
 * does not allow reading and writing. O(1) for what was made
 * before.
 */
export function blockBuffer(place: Place, to: number): MemoryBuffer | null | undefined {
  if (place.isRange) return rangeBuffer(place, to);
  return knownBlockBuffer(place, to) ?? newBlockBuffer(place, to);
}
