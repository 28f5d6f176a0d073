// The ledger of Blocks: which there are, so that a dropped one is freed by the collector, and all that are left when the
// thread ends (by the addon); and what V8 is told of the memory that they keep. Owns entries, not Blocks.
//
//   entry   | block | its ArrayBuffer, for the addon | number of its life | bytes |       block 0: the Block is over
//
// Most Blocks are freed in the job that made them. So a new one is only noted as young. The microtask that ends the job
// registers with the collector those that are live; an entry is used again when it is in neither list.
// Thread rule: each thread has a ledger of its own.
import { isMainThread } from "node:worker_threads";
import { outOfMemory } from "./errors.js";
import { binding, mailbox } from "./native/binding.js";

const { addLedger, growLedger, dropBlockBytes, endHome, adjustExternalMemory } = binding;
const { numbers } = mailbox;

/** The time from the making of a home, or from the end of all its Blocks, to the next such end. */
export class Life {
  isOver = false;
  /** In the ledger; 0 is the heap's. Below 0: not given yet, which happens with the first Block. */
  number = -1;
  /** Bytes that its Blocks keep, without those whose ArrayBuffer V8 counts. */
  keptBytes = 0;
}

/**
 * Where Blocks have their memory: the heap, or an arena. The functions are those of lib/heap.ts for that memory.
 * Whoever ends all blocks of a home at once calls endBlocks before.
 */
export interface BlockHome {
  life: Life;
  malloc(size: number): bigint;
  calloc(count: number, size: number): bigint;
  alignedAlloc(alignment: number, size: number): bigint;
  realloc(ptr: bigint, size: number): bigint;
  free(ptr: bigint): void;
}

const wordsPerEntry = 4;
const firstEntries = 256;
const firstYoungLimit = 1024;
/** V8 is told at the end of a job, and before that when so many bytes have come or gone. */
const untoldLimit = 2 ** 20;
const resolved = Promise.resolve();

addLedger();
/** The ledger of this copy of the package: a program may have loaded it as an ES module and as CommonJS. */
const ledger = numbers[0]!;

let capacity = 0;
let pointers = new BigUint64Array(0);
let quantities = new Float64Array(0);
let halves = new Uint32Array(0);
const freeEntries: number[] = [];

/** The young Blocks and their entries; over ones included, until the list is full or the job ends. */
const youngBlocks: (object | undefined)[] = [];
const youngEntries: number[] = [];
let youngCount = 0;
let youngLimit = firstYoungLimit;

let isScheduled = false;
/** Bytes that have come or gone since V8 was told. */
let untoldBytes = 0;

let heap: BlockHome | undefined;
/** The other homes, by the number of their life. */
const homes = new Map<number, WeakRef<BlockHome>>();
/** No other copy of the package has the same numbers. */
let lastLife = ledger * 2 ** 32;

/** In threads that others outlive: what Blocks gave out, so that it is not collected before somebody has looked at it. */
const guardedBuffers = new Map<number, ArrayBuffer>();

/** What is told of a Block that was dropped, if anything: lib/leaks.ts puts itself here. */
export const leakListener: { call: ((entry: number, bytes: number) => void) | undefined } = { call: undefined };

const dropped = new FinalizationRegistry<number>((entry) => {
  if (isLive(entry)) reclaim(entry);
  freeEntries.push(entry);
});

function isLive(entry: number): boolean {
  const half = entry * 2 * wordsPerEntry;
  if (halves[half] === 0 && halves[half + 1] === 0) return false;
  const number = quantities[entry * wordsPerEntry + 2]!;
  if (number === 0 || homes.has(number)) return true;
  clear(entry);
  return false;
}

/** All Blocks of its home have ended. */
function clear(entry: number): void {
  pointers[entry * wordsPerEntry] = 0n;
  pointers[entry * wordsPerEntry + 1] = 0n;
  noteBuffer(entry, undefined);
}

function hasBuffer(entry: number): boolean {
  return pointers[entry * wordsPerEntry + 1] !== 0n;
}

/** Puts the ledger and a number of entries, or one entry, into the mailbox. */
export function post(entry: number): void {
  numbers[0] = ledger;
  numbers[1] = entry;
}

/** Makes room and returns the first new entry. */
function grow(): number {
  const first = capacity;
  const entries = Math.max(firstEntries, capacity * 2);
  post(entries);
  const memory = growLedger();
  if (memory === undefined) throw outOfMemory("alloc", entries * wordsPerEntry * BigUint64Array.BYTES_PER_ELEMENT);
  pointers = new BigUint64Array(memory);
  quantities = new Float64Array(memory);
  halves = new Uint32Array(memory);
  capacity = pointers.length / wordsPerEntry;
  for (let entry = capacity - 1; entry > first; entry--) freeEntries.push(entry);
  return first;
}

/** Notes a new Block of `home`; returns its entry. */
export function enter(block: object, home: BlockHome, ptr: bigint, bytes: number): number {
  const entry = freeEntries.pop() ?? grow();
  const { life } = home;
  if (life.number < 0) nameLife(home);
  const word = entry * wordsPerEntry;
  pointers[word] = ptr;
  quantities[word + 2] = life.number;
  quantities[word + 3] = bytes;
  youngBlocks[youngCount] = block;
  youngEntries[youngCount++] = entry;
  if (youngCount === youngLimit) thinYoung();
  tell(life, bytes);
  return entry;
}

/** The same Block at another place. */
export function move(entry: number, ptr: bigint, bytes: number): void {
  pointers[entry * wordsPerEntry] = ptr;
  quantities[entry * wordsPerEntry + 3] = bytes;
}

/** The Block of an entry has given out an ArrayBuffer, or no longer has one. V8 counts the ArrayBuffer by itself. */
export function noteBuffer(entry: number, buffer: ArrayBuffer | undefined): void {
  if (isMainThread) return;
  if (buffer === undefined) guardedBuffers.delete(entry);
  else guardedBuffers.set(entry, buffer);
}

/** The Block is over. */
export function leave(entry: number): void {
  pointers[entry * wordsPerEntry] = 0n;
}

/** The life can be found by its number from now on. */
function nameLife(home: BlockHome): void {
  home.life.number = ++lastLife;
  homes.set(lastLife, new WeakRef(home));
}

/**
 * Ends all Blocks of a home at once, and every view of them. Their memory is not freed: that is for the caller, but for
 * the blocks that are returned. These can still be reached, because their ArrayBuffer was transferred: they must stay
 * allocated, and are freed one by one when they cannot.
 *
 * Cost: O(Blocks that have given out an ArrayBuffer). Call it with a home, or, where the home is gone, with its last
 * life.
 */
export function endBlocks(home: BlockHome): readonly bigint[] {
  const { life } = home;
  home.life = new Life();
  return endLife(life);
}

/** As endBlocks, of a home that has been collected. */
export function endLife(life: Life): readonly bigint[] {
  if (life.isOver) return [];
  life.isOver = true;
  tell(life, -life.keptBytes);
  if (life.number < 0) return [];
  homes.delete(life.number);
  numbers[0] = life.number;
  return endHome() ?? [];
}

/** V8 learns of `bytes` more, or fewer, that Blocks keep. */
export function tell(life: Life, bytes: number): void {
  life.keptBytes += bytes;
  tellBytes(bytes);
}

function tellBytes(bytes: number): void {
  untoldBytes += bytes;
  if (untoldBytes > untoldLimit || untoldBytes < -untoldLimit) tellNow();
  if (!isScheduled) schedule();
}

function tellNow(): void {
  if (untoldBytes === 0) return;
  numbers[0] = untoldBytes;
  untoldBytes = 0;
  adjustExternalMemory();
}

function schedule(): void {
  isScheduled = true;
  resolved.then(endJob);
}

function endJob(): void {
  isScheduled = false;
  settleYoung();
  tellNow();
}

/** Hands the live young Blocks over to the collector. */
function settleYoung(): void {
  const count = youngCount;
  youngCount = 0;
  youngLimit = firstYoungLimit;
  for (let i = 0; i < count; i++) {
    const entry = youngEntries[i]!;
    if (isLive(entry)) dropped.register(youngBlocks[i]!, entry);
    else freeEntries.push(entry);
    youngBlocks[i] = undefined;
  }
}

/** Forgets the young Blocks that are over. In a long job with many live ones the list grows with their number. */
function thinYoung(): void {
  let kept = 0;
  for (let i = 0; i < youngCount; i++) {
    const entry = youngEntries[i]!;
    if (isLive(entry)) {
      youngBlocks[kept] = youngBlocks[i];
      youngEntries[kept++] = entry;
    } else {
      freeEntries.push(entry);
    }
  }
  youngBlocks.fill(undefined, kept, youngCount);
  youngCount = kept;
  youngLimit = Math.max(firstYoungLimit, kept * 2);
}

/** The home of a live entry; undefined when all its Blocks have ended. */
function homeOf(entry: number): BlockHome | undefined {
  const number = quantities[entry * wordsPerEntry + 2]!;
  return number === 0 ? heap : homes.get(number)?.deref();
}

/** Makes a home the one whose Blocks end with the thread, if not before. */
export function setHeap(home: BlockHome): void {
  heap = home;
  home.life.number = 0;
}

/** Frees the block of a Block that was dropped, unless its ArrayBuffer lives on: then it is freed with that. */
function reclaim(entry: number): void {
  const home = homeOf(entry);
  if (home === undefined) {
    clear(entry);
    return;
  }
  const ptr = pointers[entry * wordsPerEntry]!;
  const bytes = quantities[entry * wordsPerEntry + 3]!;
  leakListener.call?.(entry, bytes);
  let isMine = true;
  if (hasBuffer(entry)) {
    post(entry);
    dropBlockBytes(guardedBuffers.get(entry));
    guardedBuffers.delete(entry);
    isMine = numbers[0] === 1;
  } else {
    tell(home.life, -bytes);
  }
  leave(entry);
  if (isMine) releaseQuietly(home, ptr);
}

/** A misuse here is that the program has freed the block behind its Block's back: there is no call to throw it from. */
function releaseQuietly(home: BlockHome, ptr: bigint): void {
  try {
    home.free(ptr);
  } catch {
    // The block is free already.
  }
}
