// ArrayBuffers over memory, which views are made over. Owns which there are; the addon makes them.
//
//   stretch buffer   over a whole stretch of a region; made on first use and kept, for its memory never goes away
//   block buffer     over a block that crosses stretches or has a mapping of its own; remembered while a view of it lives
//
// Block buffers are held weakly: a block that another thread frees leaves nothing behind here. The addon keeps the
// memory under a buffer mapped as long as the buffer can be reached, whoever frees the block meanwhile.
// Thread rule: each thread has buffers of its own.
import { constants } from "node:buffer";
import { type Place, placeOf } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";

/** An ArrayBuffer over the memory from address `start` to address `end` (not included). */
export interface MemoryBuffer {
  readonly start: number;
  readonly end: number;
  readonly buffer: ArrayBuffer;
}

interface WeakMemoryBuffer {
  readonly start: number;
  readonly end: number;
  readonly reference: WeakRef<ArrayBuffer>;
}

/** The longest ArrayBuffer, and so the longest view, of this runtime. */
export const maxBufferBytes = constants.MAX_LENGTH;

const { stretchBytes } = binding;
const { pointers, numbers } = mailbox;
const stretchBuffers = new Map<number, MemoryBuffer>();
const blockBuffers = new Map<number, WeakMemoryBuffer[]>();

/** Forgets the block buffers of a block when the last of them has been collected. */
const collected = new FinalizationRegistry<number>((start) => {
  const buffers = blockBuffers.get(start)?.filter(({ reference }) => reference.deref() !== undefined);
  if (buffers?.length === 0) blockBuffers.delete(start);
  else if (buffers !== undefined) blockBuffers.set(start, buffers);
});

function isWhole({ start, end, buffer }: MemoryBuffer): boolean {
  return buffer.byteLength === end - start;
}

function stretchStart(address: number): number {
  return address - (address % stretchBytes);
}

function stretchBuffer(address: number): MemoryBuffer | undefined {
  const start = stretchStart(address);
  const known = stretchBuffers.get(start);
  // A program can take the memory away from a buffer: transfer() does, for example.
  if (known !== undefined && isWhole(known)) return known;
  pointers[0] = BigInt(address);
  const buffer = binding.stretchBuffer();
  if (buffer === undefined) return undefined;
  const made = { start, end: start + stretchBytes, buffer };
  stretchBuffers.set(start, made);
  return made;
}

function knownBlockBuffer(place: Place, from: number, to: number): MemoryBuffer | undefined {
  const blockEnd = place.start + place.usableBytes;
  for (const { start, end, reference } of blockBuffers.get(place.start) ?? []) {
    if (start > from || end < to || end > blockEnd) continue;
    const buffer = reference.deref();
    if (buffer !== undefined && isWhole({ start, end, buffer })) return { start, end, buffer };
  }
  return undefined;
}

/** What a new buffer shall cover: the block, or of a block too long for one, a part that has `from` to `to`. */
function rangeAround(place: Place, from: number, to: number): { start: number; end: number } {
  const blockEnd = place.start + place.usableBytes;
  const step = maxBufferBytes / 2;
  const start = place.usableBytes <= maxBufferBytes ? place.start : from - ((from - place.start) % step);
  const end = Math.min(start + maxBufferBytes, blockEnd);
  return end >= to ? { start, end } : { start: from, end: Math.min(from + maxBufferBytes, blockEnd) };
}

function newBlockBuffer(place: Place, from: number, to: number): MemoryBuffer | undefined {
  const { start, end } = rangeAround(place, from, to);
  pointers[0] = BigInt(start);
  numbers[1] = end - start;
  const buffer = binding.blockBuffer();
  if (buffer === undefined) return undefined;
  blockBuffers.set(place.start, [
    ...(blockBuffers.get(place.start) ?? []),
    { start, end, reference: new WeakRef(buffer) },
  ]);
  collected.register(buffer, place.start);
  return { start, end, buffer };
}

/**
 * An ArrayBuffer that has all addresses from `from` to `to` (not included) of a live block; undefined where the runtime
 * refuses to make it. O(1) for what was made before.
 */
export function bufferOver(place: Place, from: number, to: number): MemoryBuffer | undefined {
  const last = place.start + place.usableBytes - 1;
  if (!place.hasOwnMapping && stretchStart(place.start) === stretchStart(last)) return stretchBuffer(from);
  return knownBlockBuffer(place, from, to) ?? newBlockBuffer(place, from, to);
}

/** Ends the views over block buffers that reach beyond the first `keepBytes` of the block at `ptr`. */
function endViews(ptr: bigint, keepBytes: number): void {
  const start = Number(ptr);
  const buffers = blockBuffers.get(start);
  if (buffers === undefined) return;
  const kept = buffers.filter(({ end }) => end - start <= keepBytes);
  for (const { end, reference } of buffers) {
    const buffer = end - start > keepBytes ? reference.deref() : undefined;
    if (buffer !== undefined) binding.detach(buffer);
  }
  if (kept.length > 0) blockBuffers.set(start, kept);
  else blockBuffers.delete(start);
}

/** To be called when the block at `ptr` has been freed, or has moved away. */
export function blockFreed(ptr: bigint): void {
  if (blockBuffers.size > 0) endViews(ptr, 0);
}

/** To be called when the block at `ptr` has been given another size in place. */
export function blockResized(ptr: bigint): void {
  if (blockBuffers.size > 0) endViews(ptr, placeOf(ptr)?.usableBytes ?? 0);
}
