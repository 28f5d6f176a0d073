// ArrayBuffers over memory for the accessors of Blocks. Owns them: no program gets hold of one, so that none can detach it.
//
//   stretch window   over a whole stretch of a region, whose memory never goes away; for all blocks that lie in it
//   own window       over one block that lies in no stretch, or as much of it as an ArrayBuffer can have
//
// Thread rule: each thread has windows of its own.
import { maxBufferBytes } from "./buffers.js";
import { countOwnWindow, countWindow } from "./ledger.js";
import { placeOf } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";

const { stretchBytes, stretchBuffer, blockBuffer } = binding;
const { pointers, numbers, halves } = mailbox;
const halfRange = 2 ** 32;

/** Memory that can be reached, from address `start` on. */
export interface Window {
  readonly start: number;
  readonly buffer: ArrayBuffer;
  /** One block's own. */
  readonly isOwn: boolean;
}

/** By the first address of the stretch. */
const stretchWindows = new Map<number, Window>();
let lastWindow: Window = { start: -1, buffer: new ArrayBuffer(0), isOwn: false };

/** The address as a number. */
export function addressOf(ptr: bigint): number {
  pointers[0] = ptr;
  return halves[1]! * halfRange + halves[0]!;
}

/** The window of the stretch that has all of a block, where there has been need of one before. */
export function knownWindow(address: number, bytes: number): Window | undefined {
  const offset = address % stretchBytes;
  if (offset + bytes > stretchBytes) return undefined;
  if (lastWindow.start === address - offset) return lastWindow;
  const window = stretchWindows.get(address - offset);
  if (window !== undefined) lastWindow = window;
  return window;
}

/**
 * A window over a live block, from `ptr` on, with address `at` in it; null where the runtime makes none, undefined where
 * the block is not live. One that is not over a stretch is `entry`'s own: the caller keeps it.
 */
export function newWindow(ptr: bigint, entry: number, at: number): Window | null | undefined {
  const place = placeOf(ptr);
  if (place === undefined) return undefined;
  return place.stretch === 0 ? ownWindow(place.start, place.end, entry, at) : stretchWindow(place.stretch, place.start);
}

function stretchWindow(stretch: number, start: number): Window | null | undefined {
  pointers[0] = BigInt(start);
  const buffer = stretchBuffer();
  if (!buffer) return buffer;
  countWindow(stretchBytes);
  lastWindow = { start: stretch, buffer, isOwn: false };
  stretchWindows.set(stretch, lastWindow);
  return lastWindow;
}

/** Windows of a block that is too long for one overlap by half, so that every value lies wholly in one. */
function ownWindow(start: number, end: number, entry: number, at: number): Window | null | undefined {
  const step = maxBufferBytes / 2;
  const from = end - start <= maxBufferBytes ? start : at - ((at - start) % step);
  const bytes = Math.min(end - from, maxBufferBytes);
  pointers[0] = BigInt(from);
  numbers[1] = bytes;
  const buffer = blockBuffer();
  if (!buffer) return buffer;
  countOwnWindow(entry, bytes);
  return { start: from, buffer, isOwn: true };
}
