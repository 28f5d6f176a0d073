// The fast paths of malloc, free and view in TypeScript: the core's own steps over its own tables, on this environment's
// arena. Owns nothing but the last pointers: every bit and count is the core's, who finds it as if it had changed it
// itself. What is rare (a full page, another arena's block, a large one, a misuse) is left to the core, with nothing
// changed.
//
// A pointer is taken apart and put together in word 0 of the mailbox. The region starts at a multiple of 4 GiB, so the
// lower half of a pointer into its first 4 GiB is the page's number and the place in the page; the upper is always the
// same. Other threads only ever touch a page's remote bits, startLimit and scriptOwner, and the runtime's own allocations
// never this arena: a step needs no order among its loads and stores.
// Functions here are few and long: V8 inlines so many bytes of code and no more.
// Thread rule: each thread has tables of its own arena; pages of other arenas are only read.
import { binding } from "./native/binding.js";

const { clz32, imul } = Math;

// Shifts and masks are written as numbers, because V8 counts code when it inlines, and a constant's name is code: a word
// is 4 bytes (>>> 2) of 32 bits (>>> 5), the core's has 8 bytes (<< 3) of 64 bits (>>> 6), sizes are looked up in units of
// 16 bytes (>>> 4); a header's word `capacity` has the page's kind in its upper 8 bits (>>> 24), then the class
// (>>> 16 & 0xff), then the number of blocks (& 0xffff).

/** Where there is nothing to look at: one page of one class, which has no free block. */
const emptyTables = {
  now: () => undefined,
  arena: new ArrayBuffer(64),
  committed: new ArrayBuffer(8),
  arenaNumber: 0,
  regionStart: 0n,
  classBytes: [32_768],
  pageBytes: 32_768,
  headerBytes: 64,
  bitmapBytes: 64,
  inlineBlocks: 256,
  bucketKind: 1,
  startLimit: 0,
  capacity: 0,
  scriptOwner: 0,
  countdown: 0,
  notifyAt: 0,
  hotOffset: 0,
  nextWord: 0,
  freeBits: 0,
  pageIndex: 0,
};

const tables = binding.tables ?? emptyTables;
const callTablesNow = tables.now;
const pointers = new BigUint64Array(binding.mailbox);
const numbers = new Float64Array(binding.mailbox);
const halves = new Int32Array(binding.mailbox);
const committed = new Uint32Array(tables.committed);

const headerWords = tables.headerBytes >> 2;
const bitmapWords = tables.bitmapBytes >> 2;
const startLimitAt = tables.startLimit >> 2;
const capacityAt = tables.capacity >> 2;
const ownerAt = tables.scriptOwner >> 2;
const countdownAt = tables.countdown >> 2;
const notifyAt = tables.notifyAt >> 2;
const hotAt = tables.hotOffset >> 2;
const nextWordAt = tables.nextWord >> 2;
const bitsAt = tables.freeBits >> 2;
const pageIndexAt = tables.pageIndex >> 2;
const { arenaNumber, bucketKind } = tables;

const pageShift = Math.log2(tables.pageBytes);
const pageMask = tables.pageBytes - 1;
const upperHalf = Number(BigInt.asIntN(32, tables.regionStart >> 32n));

/** malloc of more bytes is the core's: their bucket pages have two pages, or they are in none. */
const maxBytes = tables.pageBytes / 2;
const classBytes = Int32Array.from(tables.classBytes);
/** By bytes in units of 16, rounded up: the smallest class that large whose blocks lie at multiples of 16. */
const classOf = Uint8Array.from({ length: (maxBytes >> 4) + 1 }, (_, units) =>
  tables.classBytes.findIndex((bytes) => (bytes & 15) === 0 && bytes >= Math.max(units, 1) << 4),
);
/** The first class whose pages have their free bits in the header; those of smaller blocks have them in the bitmaps. */
const firstInlineClass = tables.classBytes.findIndex((bytes) => tables.pageBytes / bytes <= tables.inlineBlocks);

// Division by multiplication: for every offset in a page, offset x factor >>> shift is the block that it lies in. The
// product has 32 bits: the factor is a little more than 2 ** shift / bytes, and below 2 ** 17.
const shifts = Uint8Array.from(tables.classBytes, (bytes) => pageShift + Math.ceil(Math.log2(bytes)));
const factors = Int32Array.from(tables.classBytes, (bytes, c) => Math.floor(2 ** shifts[c]! / bytes) + 1);

/** Without tables all zero: every class's current page is page 0, which has no free block. */
const arena = new Int32Array(tables.arena);
/** The tables as far as they were committed when this thread looked last. */
const seen = { headers: new Int32Array(headerWords), bitmaps: new Int32Array(bitmapWords), pages: 0 };
/** Most bytes that are taken here. */
const limit = new Int32Array([maxBytes]);

let committedPages = 0;

/** Looks at the tables again when they have grown. To be called after every call that may give this arena a page. */
export function lookAgain(): void {
  const pages = (committed[1]! * 2 ** 32 + committed[0]!) / tables.pageBytes;
  if (pages !== committedPages) grow(pages);
}

/** Where the runtime refuses the longer views, the core serves everything from now on. */
function grow(pages: number): void {
  const now = callTablesNow();
  limit[0] = now === undefined ? -1 : maxBytes;
  if (now === undefined) return;
  committedPages = pages;
  seen.headers = new Int32Array(now[0]);
  seen.bitmaps = new Int32Array(now[1]);
  seen.pages = numbers[0]! | 0;
}

if (binding.tables !== undefined) lookAgain();

/** Makes a word with a free block the hot one of the class's current page, as page_find_word(). False: it is full. */
function findWord(sizeClass: number): boolean {
  const { headers, bitmaps } = seen;
  const page = arena[pageIndexAt + sizeClass]!;
  const header = page * headerWords;
  const capacity = headers[header + capacityAt]! & 0xffff;
  if (((headers[header + countdownAt]! + headers[header + notifyAt]!) | 0) === capacity) return false;
  const isInline = sizeClass >= firstInlineClass;
  const bits = isInline ? headers : bitmaps;
  const from = isInline ? header + bitsAt : page * bitmapWords;
  const words = ((capacity - 1) >> 6) + 1;
  let word = headers[header + nextWordAt]!;
  for (let looked = 0; looked < words; looked++) {
    if (word >= words) word = 0;
    const at = from + word * 2;
    word++;
    if ((bits[at]! | bits[at + 1]!) === 0) continue;
    headers[header + nextWordAt] = word;
    headers[header + hotAt] = (word - 1) << 3;
    return true;
  }
  return false;
}

function takeFound(size: number): bigint | undefined {
  return findWord(classOf[(size + 15) >>> 4]!) ? takeBlock(size) : undefined;
}

// A bigint is an object of JavaScript's, and to make one costs as much as the rest of malloc. An address that is given out
// again soon is the same bigint as before: the last ones, by a hash of their lower halves.
const recentLows = new Int32Array(1024);
const recentPtrs: bigint[] = new Array<bigint>(1024).fill(0n);

function newPtr(low: number, place: number): bigint {
  halves[0] = low;
  halves[1] = upperHalf;
  const ptr = pointers[0]!;
  recentLows[place] = low;
  recentPtrs[place] = ptr;
  return ptr;
}

/**
 * Takes a block of at least `size` bytes; its address. Undefined, and nothing is taken, where `size` is no small integer,
 * or the core has to find a page first.
 */
export function takeBlock(size: number | bigint): bigint | undefined {
  if (typeof size !== "number" || size >>> 0 !== size || size > limit[0]!) return undefined;
  const words = seen.headers;
  const sizeClass = classOf[(size + 15) >>> 4]!;
  const page = arena[pageIndexAt + sizeClass]!;
  const header = imul(page, headerWords);
  let bits = words;
  let from = (header + bitsAt) | 0;
  if (sizeClass < firstInlineClass) {
    bits = seen.bitmaps;
    from = imul(page, bitmapWords);
  }
  let at = (from + (words[(header + hotAt) | 0]! >>> 2)) | 0;
  let word = bits[at]!;
  if (word === 0) {
    at = (at + 1) | 0;
    word = bits[at]!;
    if (word === 0) return takeFound(size);
  }
  const bit = word & -word;
  bits[at] = word ^ bit;
  words[(header + countdownAt) | 0]!++;
  const block = ((at - from + 1) << 5) - 1 - clz32(bit);
  const low = ((page << pageShift) + imul(block, classBytes[sizeClass]!)) | 0;
  const place = imul(low, 0x9e3779b1) >>> 22;
  return recentLows[place] === low ? recentPtrs[place]! : newPtr(low, place);
}

/**
 * Frees the block that `ptr` points to, which is in word 0 of the mailbox afterwards. False, and nothing has changed,
 * where that is the core's: another arena's block, a large one, the last of a page or the first of a full one, and
 * whatever is no live block.
 */
export function giveBlock(ptr: bigint): boolean {
  if (typeof ptr !== "bigint") return false;
  pointers[0] = ptr;
  const low = halves[0]!;
  const page = low >>> pageShift;
  if (pointers[0] !== ptr || halves[1] !== upperHalf || page >= seen.pages) return false;
  const words = seen.headers;
  const header = imul(page, headerWords);
  if (words[(header + ownerAt) | 0] !== arenaNumber) return false;
  const what = words[(header + capacityAt) | 0]!;
  const sizeClass = (what >>> 16) & 0xff;
  const offset = low & pageMask;
  const block = imul(offset, factors[sizeClass]!) >>> shifts[sizeClass]!;
  if (imul(block, classBytes[sizeClass]!) !== offset || block >= (what & 0xffff)) return false;
  const countdown = words[(header + countdownAt) | 0]!;
  if (countdown === 1) return false;
  let bits = words;
  let at = (header + bitsAt + (block >>> 5)) | 0;
  if (sizeClass < firstInlineClass) {
    bits = seen.bitmaps;
    at = (imul(page, bitmapWords) + (block >>> 5)) | 0;
  }
  const word = bits[at]!;
  const bit = 1 << block;
  if ((word & bit) !== 0) return false;
  bits[at] = word | bit;
  words[(header + countdownAt) | 0] = countdown - 1;
  words[(header + hotAt) | 0] = (block >>> 6) << 3;
  return true;
}

/**
 * Bytes from `ptr`, which is in word 0 of the mailbox afterwards, to the end of the live block that holds it; less than
 * 0 where the core has to say. Any arena's block.
 */
export function bytesToEnd(ptr: bigint): number {
  if (typeof ptr !== "bigint") return -1;
  pointers[0] = ptr;
  const low = halves[0]!;
  const page = low >>> pageShift;
  if (pointers[0] !== ptr || halves[1] !== upperHalf || page >= seen.pages) return -1;
  const words = seen.headers;
  const header = imul(page, headerWords);
  const what = words[header + capacityAt]!;
  if (what >>> 24 !== bucketKind || words[header + startLimitAt] === 0) return -1;
  const sizeClass = (what >>> 16) & 0xff;
  const offset = low & pageMask;
  const block = imul(offset, factors[sizeClass]!) >>> shifts[sizeClass]!;
  if (block >= (what & 0xffff)) return -1;
  let bits = words;
  let at = (header + bitsAt + (block >>> 5)) | 0;
  if (sizeClass < firstInlineClass) {
    bits = seen.bitmaps;
    at = (imul(page, bitmapWords) + (block >>> 5)) | 0;
  }
  return (bits[at]! & (1 << block)) === 0 ? imul(block + 1, classBytes[sizeClass]!) - offset : -1;
}

/**
 * Usable bytes of the live block that `ptr` is the first byte of, `ptr` being in word 0 of the mailbox afterwards; less
 * than 0 where the core has to say. Any arena's block.
 */
export function bytesOfBlock(ptr: bigint): number {
  const bytes = bytesToEnd(ptr);
  if (bytes < 0) return bytes;
  const header = (halves[0]! >>> pageShift) * headerWords;
  return bytes === classBytes[(seen.headers[header + capacityAt]! >>> 16) & 0xff] ? bytes : -1;
}
