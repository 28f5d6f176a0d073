// The block that was reached last, and how this thread knows without a call that it is still live: what single values
// are read and written through. Owns what is kept of blocks that were reached.
//
// A block is looked up once. After that the words of the header table that say whether it is live (`native/inspect/`)
// are read beside each access, and the access itself goes through a DataView. Blocks with mappings of their own have no
// such words, and some runtimes no buffers over our memory: there every access is a call of the addon.
//
// Most accesses need less. A block of this thread's arena ends by a free in lib/buckets.ts, which sets all bits of the word
// `freed`, or in a call of the core or by another thread's free, which set those of `closed` before. As long as both are 0,
// and the pointer that of the last accesses, the block is at hand. (Where two threads free into one page at the same moment, the first one sets it
// for both, and the other one's block may be at hand until it has. The block is in no other use until this thread drains.)
//
// All this is arranged for loops over one block. V8 takes what it asks of the pointer out of a loop that it peels, and
// peels none with a branch that was never taken. So the only call is in `placeAt`, the first accesses of a thread all make
// it, and an accessor has no branch of its own.
// Thread rule: any thread, also for blocks of other threads; two threads that write the same bytes race, as in C.
import { checkPointer } from "./arguments.js";
import { closed, freedHalf, isOwnBlock } from "./buckets.js";
import { blockBuffer, stretchBuffer } from "./buffers.js";
import { capabilities } from "./capabilities.js";
import { invalidArgument } from "./errors.js";
import { type Place, placeOf } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";
import { boundsError } from "./view.js";

const { externalViews } = capabilities;
const { watch: callWatch, watchWindow: callWatchWindow, read: callRead, write: callWrite } = binding;
const { pointers, numbers, halves } = mailbox;

/** The mailbox byte by byte: a value that the addon has read is in word 0, one that it shall write at `writtenAt`. */
export const values = new DataView(binding.mailbox);
export const writtenAt = 3 * BigUint64Array.BYTES_PER_ELEMENT;

/** A word of the tables that has a fixed value as long as a block is live. */
interface WatchedWord {
  words: Int32Array;
  readonly index: number;
  readonly mask: number;
  readonly value: number;
}

type WatchedWords = readonly [WatchedWord, WatchedWord, WatchedWord, WatchedWord, WatchedWord];

/** A block that was looked up. Its fields are flat and always the same: the fast path is mostly loads of them. */
class ReachedBlock {
  readonly start: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly kindWords: Int32Array;
  readonly kindIndex: number;
  readonly kindValue: number;
  readonly ownWords: Int32Array;
  readonly ownIndex: number;
  readonly ownMask: number;
  readonly ownValue: number;
  readonly remoteWords: Int32Array;
  readonly remoteIndex: number;
  readonly remoteMask: number;
  readonly remoteValue: number;
  /** Of a word among `kindWords`: its bits under the mask are 0 as long as nobody else keeps freed blocks of the page. */
  readonly heldIndex: number;
  readonly heldMask: number;
  /** Of a word among `kindWords` that is 0 as long as the page is not hardened. */
  readonly policiesIndex: number;

  constructor(start: number, bytes: Uint8Array, [kind, own, remote, held, policies]: WatchedWords) {
    this.start = start;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.kindWords = kind.words;
    this.kindIndex = kind.index;
    this.kindValue = kind.value;
    this.ownWords = own.words;
    this.ownIndex = own.index;
    this.ownMask = own.mask;
    this.ownValue = own.value;
    this.remoteWords = remote.words;
    this.remoteIndex = remote.index;
    this.remoteMask = remote.mask;
    this.remoteValue = remote.value;
    this.heldIndex = held.index;
    this.heldMask = held.mask;
    this.policiesIndex = policies.index;
  }
}

const noWord: WatchedWord = { words: new Int32Array(1), index: 0, mask: 0, value: 0 };
const noBlock = new ReachedBlock(0, new Uint8Array(0), [noWord, noWord, noWord, noWord, noWord]);

// The two blocks that were looked up last, as many programs read from one and write to the other: the pointers by which,
// and how many bytes of the blocks come before these.
const lastBlocks: ReachedBlock[] = [noBlock, noBlock];
const lastPtrs = new BigInt64Array(16);
const lastBases = new Int32Array(64);
/** Which of them is the last one, 0 or 1. */
let which = 0;

/** What the accessors read and write through, where `placeAt` says. A field: the engine keeps those at hand. */
export const reached = (() => {
  binding.reached ??= { view: values };
  return binding.reached;
})();
const last = reached;

// The words behind the mailbox (`native/node/environment.h`): the pointer to the block at hand, the bytes of the block
// that follow it, and those before it.
const signed = new BigInt64Array(binding.mailbox);
const unsigned = new Uint32Array(binding.mailbox);
const ptrWord = 20;
const leftHalf = 42;
const baseHalf = 43;
const freed = freedHalf;
const closedWords = closed;
let blockAtHand = noBlock;
/** Fewer bytes than this are never at hand: no value is longer, so that a subtraction does not wrap. */
const leastLeft = 8;
if (unsigned[leftHalf]! < leastLeft) unsigned[leftHalf] = leastLeft;

// A block is at hand from the eighth access in a row: to bring one there costs as much as some accesses. The first ones of
// a thread are looked up in any case, so that the engine knows this way.
const accessesUntilHand = 8;
const accessesUntilNextTry = 1000;
let accesses = -64;

/** Blocks that were reached before, by a hash of the pointer: upper bits of its product with a number of many bits. */
const knownBits = 10;
const spread = 0x9e3779b1;
const known: ReachedBlock[] = new Array<ReachedBlock>(2 ** knownBits).fill(noBlock);
/** By first address. */
const windows = new Map<number, Int32Array>();

function isLive(block: ReachedBlock): boolean {
  return (
    block.kindWords[block.kindIndex] === block.kindValue &&
    (block.ownWords[block.ownIndex]! & block.ownMask) === block.ownValue &&
    (block.remoteWords[block.remoteIndex]! & block.remoteMask) === block.remoteValue &&
    (block.kindWords[block.heldIndex]! & block.heldMask) === 0 &&
    block.kindWords[block.policiesIndex] === 0
  );
}

/** Writes a value at that place of the view, in another form where it has to be, or throws where it does not fit. */
export type Put = (view: DataView, at: number, value: unknown) => void;

/**
 * Where in `reached` the value of `size` bytes at `ptr + offset` is to be read, or `value` to be written, which does not
 * fit unless `isFit`. Less than 0 where it has been written already. Throws when it is not in the live block that holds
 * `ptr`.
 */
export const placeAt = (
  call: string,
  ptr: bigint,
  offset: number,
  size: number,
  isFit: boolean,
  value?: unknown,
  put?: Put,
): number =>
  ptr === signed[ptrWord] &&
  typeof offset === "number" &&
  (offset | 0) === offset &&
  (offset | closedWords[0]! | unsigned[freed]!) >>> 0 <= (unsigned[leftHalf]! - size) >>> 0 &&
  isFit
    ? (unsigned[baseHalf]! + offset) | 0
    : placeSlow(call, ptr, offset, size, isFit, value, put) | 0;

/**
 * As placeAt, whatever is at hand; the block that it finds is at hand then. One long function on purpose: what has less
 * than 460 bytes of code, the engine would put into a loop that it calls for one access in many, and not peel that.
 */
function placeSlow(
  call: string,
  ptr: bigint,
  offset: number,
  size: number,
  isFit: boolean,
  value: unknown,
  put?: Put,
): number {
  if (unsigned[freed] !== 0 && closedWords[0] === 0 && ptr === signed[ptrWord] && blockAtHand.view === last.view) {
    // Something was freed here, and this or another block is live at its place.
    pointers[0] = ptr;
    if (isOwnBlock()) {
      unsigned[freed] = 0;
      const isInside = typeof offset === "number" && (offset | 0) === offset && offset >= 0;
      if (isInside && offset <= unsigned[leftHalf]! - size && isFit) return (unsigned[baseHalf]! + offset) | 0;
    }
  }
  let at = -1;
  if (typeof ptr === "bigint" && typeof offset === "number" && offset >>> 0 === offset) {
    if (ptr !== lastPtrs[which] && ptr === lastPtrs[which ^ 1]) {
      which ^= 1;
      accesses = Math.min(accesses, 0);
    }
    const block = lastBlocks[which]!;
    if (ptr === lastPtrs[which] && isLive(block)) {
      at = lastBases[which]! + offset;
      // A program can take the memory away from a buffer: then `bytes` is empty.
      if (at > block.bytes.length - size) at = -1;
    }
  }
  if (at < 0) {
    checkPointer(ptr, call);
    if (!(Number.isSafeInteger(offset) && offset >= 0)) {
      throw invalidArgument("offset", "a non-negative safe integer", offset);
    }
    pointers[0] = ptr;
    const address = halves[1]! * 2 ** 32 + halves[0]!;
    const place = Math.imul(halves[0]!, spread) >>> (32 - knownBits);
    const block = blockReached(address, place) ?? reachAnew(call, ptr, offset + size);
    if (block === undefined) return placeByCall(call, ptr, offset, size, value, put);
    known[place] = block;
    if (ptr !== lastPtrs[which]) {
      which ^= 1;
      accesses = Math.min(accesses, 0);
    }
    lastBlocks[which] = block;
    lastPtrs[which] = ptr;
    lastBases[which] = address - block.start;
    at = lastBases[which]! + offset;
    if (at > block.bytes.length - size) throw boundsError(call, ptr, offset + size);
  }
  forgetReached();
  last.view = lastBlocks[which]!.view;
  if (accesses++ >= accessesUntilHand) bringToHand(ptr);
  if (isFit) return at;
  put!(last.view, at, value);
  return -1;
}

/** As placeSlow, of a block whose bytes can only be reached by a call. */
function placeByCall(call: string, ptr: bigint, offset: number, size: number, value: unknown, put?: Put): number {
  if (put === undefined) {
    forgetReached();
    read(call, ptr, offset, size);
    last.view = values;
    return 0;
  }
  put(values, writtenAt, value);
  write(call, ptr, offset, size);
  return -1;
}

/** Forgets the block at hand: a program has taken the memory away from its buffer. */
export function forgetReached(): void {
  closedWords[0] = -1;
}

/** Of the last block, which is live, and was reached by `ptr`. */
function bringToHand(ptr: bigint): void {
  accesses = accessesUntilHand - accessesUntilNextTry;
  const base = lastBases[which]!;
  blockAtHand = lastBlocks[which]!;
  const left = blockAtHand.bytes.length - base;
  if (left < leastLeft) return;
  signed[ptrWord] = ptr;
  unsigned[leftHalf] = left;
  unsigned[baseHalf] = base;
  pointers[0] = ptr;
  // First this, then the look: a thread that frees does it the other way round.
  Atomics.store(closedWords, 0, 0);
  unsigned[freed] = 0;
  if (isOwnBlock()) accesses = 0;
  else forgetReached();
}

/** The block that holds the address, if it was reached before and is still live. */
function blockReached(address: number, place: number): ReachedBlock | undefined {
  const lastBlock = lastBlocks[which]!;
  if (hasLive(lastBlock, address)) return lastBlock;
  const block = known[place]!;
  return hasLive(block, address) ? block : undefined;
}

/** Whether the address is in the block, and the block live. */
function hasLive(block: ReachedBlock, address: number): boolean {
  return address >= block.start && address < block.start + block.bytes.length && isLive(block);
}

/** Looks a block up; undefined where its bytes can only be reached by a call. */
function reachAnew(call: string, ptr: bigint, length: number): ReachedBlock | undefined {
  const place = placeOf(ptr);
  if (place === undefined || length > place.end - place.address) throw boundsError(call, ptr, length);
  if (!externalViews) return undefined;
  const words = watchedWords(ptr);
  const bytes = words === undefined ? undefined : bytesOfBlock(place);
  return bytes === undefined ? undefined : new ReachedBlock(place.start, bytes, words!);
}

/** All bytes of a block; undefined where the runtime has no buffer for them. */
function bytesOfBlock(place: Place): Uint8Array | undefined {
  const { start, end, stretch } = place;
  if (stretch !== 0) {
    const buffer = stretchBuffer(place);
    return buffer ? new Uint8Array(buffer, start - stretch, end - start) : undefined;
  }
  const memory = blockBuffer({ ...place, address: start }, end);
  return memory ? new Uint8Array(memory.buffer, start - memory.start, end - start) : undefined;
}

/** The words that say whether the block is live; undefined where there are none, or it is gone. */
function watchedWords(ptr: bigint): WatchedWords | undefined {
  pointers[0] = ptr;
  callWatch();
  if (numbers[0] === 0) return undefined;
  const windowAddresses = [numbers[0]!, numbers[4]!, numbers[8]!];
  const [kind, own, remote] = [notedWord(0), notedWord(4), notedWord(8)];
  const [held, policies] = [notedWord(12), notedWord(16)];
  for (const [n, word] of [kind, own, remote].entries()) {
    const words = windows.get(windowAddresses[n]!) ?? newWindow(ptr, n, windowAddresses[n]!);
    if (words === undefined) return undefined;
    word.words = words;
  }
  return [kind, own, remote, held, policies];
}

/** What the addon said of a word, but for its window. Integers all, as `base` is. */
function notedWord(from: number): WatchedWord {
  return {
    words: noWord.words,
    index: numbers[from + 1]! | 0,
    mask: numbers[from + 2]! | 0,
    value: numbers[from + 3]! | 0,
  };
}

function newWindow(ptr: bigint, n: number, address: number): Int32Array | undefined {
  pointers[0] = ptr;
  numbers[1] = n;
  const buffer = callWatchWindow();
  if (!buffer) return undefined;
  const words = new Int32Array(buffer);
  windows.set(address, words);
  return words;
}

/** Reads a value by a call, into word 0. */
function read(call: string, ptr: bigint, offset: number, size: number): void {
  pointers[0] = ptr;
  numbers[1] = offset;
  numbers[2] = size;
  if (callRead() === undefined) throw boundsError(call, ptr, offset + size);
}

/** Writes the value in word 3 by a call. */
function write(call: string, ptr: bigint, offset: number, size: number): void {
  pointers[0] = ptr;
  numbers[1] = offset;
  numbers[2] = size;
  if (callWrite() === undefined) throw boundsError(call, ptr, offset + size);
}
