// The block that was reached last, and how this thread knows without a call that it is still live: what single values
// are read and written through. Owns what is kept of blocks that were reached.
//
// A block is looked up once. After that the words of the header table that say whether it is live (`native/inspect/`)
// are read beside each access, and the access itself goes through a DataView. Blocks with mappings of their own have no
// such words, and some runtimes no buffers over our memory: there every access is a call of the addon.
// Thread rule: any thread, also for blocks of other threads; two threads that write the same bytes race, as in C.
import { checkPointer } from "./arguments.js";
import { nearTables, watchNear } from "./buckets.js";
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

type WatchedWords = readonly [WatchedWord, WatchedWord, WatchedWord, WatchedWord];

/** A block that was looked up. Its fields are flat and always the same: the fast path is mostly loads of them. */
class ReachedBlock {
  readonly start: number;
  /** How far behind its start the pointer is that the block was reached by. */
  base = 0;
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
  /** Of a word among `kindWords` that is 0 as long as nobody else keeps freed blocks of the page. */
  readonly heldIndex: number;

  constructor(start: number, bytes: Uint8Array, [kind, own, remote, held]: WatchedWords) {
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
  }
}

const noWord: WatchedWord = { words: new Int32Array(1), index: 0, mask: 0, value: 0 };
const noBlock = new ReachedBlock(0, new Uint8Array(0), [noWord, noWord, noWord, noWord]);

/** The block that was reached last, and the pointer that it was reached by. A field: the engine keeps those at hand. */
export const reached = { block: noBlock };
const last = reached;
const lastPtr = new BigInt64Array(16);

// Most blocks are in the first pages, whose tables are at addresses that the compiler knows: for these the words are
// looked at there. (Arrays as short as what they hold would be slower: the engine can move them.)
const { kinds, startLimits, inlineBits, bitmaps } = nearTables;
/** What `watchNear` notes of the last block: header, kind, word, bit. */
const watched = new Int32Array(64);
/** What no header has. */
const noKind = -1;
watched[1] = noKind;

const isFree = (word: number, bit: number): boolean => ((word < 0 ? bitmaps[~word]! : inlineBits[word]!) & bit) !== 0;

/** True when the last block is in the first pages, and live. */
const isNearAndLive = (): boolean => {
  const header = watched[0]!;
  return kinds[header] === watched[1] && startLimits[header] !== 0 && !isFree(watched[2]!, watched[3]!);
};

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
    block.kindWords[block.heldIndex] === 0
  );
}

/**
 * Where in `last` the value of `size` bytes at `ptr + offset` is; -1 where it takes a call to reach it. Throws when the
 * value is not in the live block that holds `ptr`.
 */
export function reach(call: string, ptr: bigint, offset: number, size: number): number {
  const { block } = last;
  if (
    typeof ptr === "bigint" &&
    ptr === lastPtr[0] &&
    typeof offset === "number" &&
    offset >>> 0 === offset &&
    (isNearAndLive() || isLive(block))
  ) {
    const at = block.base + offset;
    // A program can take the memory away from a buffer: then `bytes` is empty.
    if (at <= block.bytes.length - size) return at;
  }
  return reachSlow(call, ptr, offset, size);
}

function reachSlow(call: string, ptr: bigint, offset: number, size: number): number {
  checkPointer(ptr, call);
  if (!(Number.isSafeInteger(offset) && offset >= 0)) {
    throw invalidArgument("offset", "a non-negative safe integer", offset);
  }
  pointers[0] = ptr;
  const address = halves[1]! * 2 ** 32 + halves[0]!;
  const place = Math.imul(halves[0]!, spread) >>> (32 - knownBits);
  const block = blockReached(address, place) ?? reachAnew(call, ptr, offset + size);
  if (block === undefined) return -1;
  known[place] = block;
  last.block = block;
  lastPtr[0] = ptr;
  pointers[0] = ptr;
  if (!watchNear(watched)) watched[1] = noKind;
  // An integer, and never a double that looks like one: a field that was once a double stays a slow one.
  block.base = (address - block.start) | 0;
  if (block.base + offset <= block.bytes.length - size) return block.base + offset;
  throw boundsError(call, ptr, offset + size);
}

/** The block that holds the address, if it was reached before and is still live. */
function blockReached(address: number, place: number): ReachedBlock | undefined {
  if (hasLive(last.block, address)) return last.block;
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
  const [kind, own, remote, held] = [notedWord(0), notedWord(4), notedWord(8), notedWord(12)];
  for (const [n, word] of [kind, own, remote].entries()) {
    const words = windows.get(windowAddresses[n]!) ?? newWindow(ptr, n, windowAddresses[n]!);
    if (words === undefined) return undefined;
    word.words = words;
  }
  return [kind, own, remote, held];
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

/** Reads a value by a call; where it is then. */
export function read(call: string, ptr: bigint, offset: number, size: number): DataView {
  pointers[0] = ptr;
  numbers[1] = offset;
  numbers[2] = size;
  if (callRead() === undefined) throw boundsError(call, ptr, offset + size);
  return values;
}

/** Writes the value in word 3 by a call. */
export function write(call: string, ptr: bigint, offset: number, size: number): void {
  pointers[0] = ptr;
  numbers[1] = offset;
  numbers[2] = size;
  if (callWrite() === undefined) throw boundsError(call, ptr, offset + size);
}
