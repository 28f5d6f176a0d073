// The fast paths of malloc, free and view in TypeScript: the core's own steps over its own tables, on this environment's
// arena. Owns no state: every bit and count is the core's, who finds it as if it had changed it itself. What is rare (a
// full page, another arena's block, a large one, a misuse) is left to the core, with nothing changed.
//
// A pointer is taken apart and put together in word 0 of the mailbox. The region starts at a multiple of 4 GiB, so the
// lower half of a pointer into its first 4 GiB is the page's number and the place in the page; the upper is always the
// same. Other threads only ever touch a page's remote bits, startLimit and scriptOwner, and the runtime's own allocations
// never this arena: a step needs no order among its loads and stores.
// Functions here are few and long: V8 inlines so many bytes of code and no more.
// Thread rule: each thread has tables of its own arena; pages of other arenas are only read.
import { binding } from "./native/binding.js";

const wordShift = 2;
const bitsShift = 5;
/** The core's words have 64 bits, in 8 bytes. */
const coreBitsShift = 6;
const coreWordShift = 3;
const classShift = 16;
const kindShift = 24;
const capacityMask = 0xffff;
const classMask = 0xff;

/** Where there is nothing to look at: one page of one class, which has no free block. */
const emptyTables = {
  now: () => undefined,
  arena: new ArrayBuffer(64),
  committed: new ArrayBuffer(8),
  arenaNumber: 0,
  regionStart: 0n,
  classBytes: [32_768],
  startLimits: [0],
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
/** An arena without pages: every class's current page is page 0, which has no free block. */
const noArena = new Int32Array(tables.arena.byteLength >> wordShift);
const committed = new Uint32Array(tables.committed);

const headerWords = tables.headerBytes >> wordShift;
const bitmapWords = tables.bitmapBytes >> wordShift;
const startLimitAt = tables.startLimit >> wordShift;
const capacityAt = tables.capacity >> wordShift;
const ownerAt = tables.scriptOwner >> wordShift;
const countdownAt = tables.countdown >> wordShift;
const notifyAt = tables.notifyAt >> wordShift;
const hotAt = tables.hotOffset >> wordShift;
const nextWordAt = tables.nextWord >> wordShift;
const bitsAt = tables.freeBits >> wordShift;
const pageIndexAt = tables.pageIndex >> wordShift;
const { arenaNumber, bucketKind } = tables;

const pageShift = Math.log2(tables.pageBytes);
const pageMask = tables.pageBytes - 1;
const upperHalf = Number(BigInt.asIntN(32, tables.regionStart >> 32n));

const alignShift = 4;
const align = 1 << alignShift;
/** malloc of more bytes is the core's: their bucket pages have two pages, or they are in none. */
const maxBytes = tables.pageBytes / 2;
const classBytes = Int32Array.from(tables.classBytes);
/** By bytes in units of 16, rounded up: the smallest class that large whose blocks lie at multiples of 16. */
const classOf = Uint8Array.from({ length: (maxBytes >> alignShift) + 1 }, (_, units) =>
  tables.classBytes.findIndex((bytes) => bytes % align === 0 && bytes >= Math.max(units, 1) * align),
);
/** The first class whose pages have their free bits in the header; those of smaller blocks have them in the bitmaps. */
const firstInlineClass = tables.classBytes.findIndex((bytes) => tables.pageBytes / bytes <= tables.inlineBlocks);

// Division by multiplication, as in page.h: `reciprocal` is a little more than 1 / bytes, so that the fraction of
// offset x reciprocal is below `startLimit` for the starts of a page's blocks and for no other offset. Products are exact.
const reciprocals = Float64Array.from(tables.classBytes, (bytes) => (Math.floor(2 ** 32 / bytes) + 1) / 2 ** 32);
const startLimits = Float64Array.from(tables.startLimits, (limit) => limit / 2 ** 32);

let arena = noArena;
/** The tables as far as they were committed when this thread looked last. */
let headers = new Int32Array(headerWords);
let bitmaps = new Int32Array(bitmapWords);
let readablePages = 0;

let committedPages = 0;

/** Looks at the tables again when they have grown. To be called after every call that may give this arena a page. */
export function lookAgain(): void {
  const pages = (committed[1]! * 2 ** 32 + committed[0]!) / tables.pageBytes;
  if (pages !== committedPages) grow(pages);
}

/** Where the runtime refuses the longer views, the core serves everything from now on. */
function grow(pages: number): void {
  const now = callTablesNow();
  arena = now === undefined ? noArena : new Int32Array(tables.arena);
  if (now === undefined) return;
  committedPages = pages;
  headers = new Int32Array(now[0]);
  bitmaps = new Int32Array(now[1]);
  readablePages = numbers[0]!;
}

if (binding.tables !== undefined) lookAgain();

/** Makes a word with a free block the hot one of the class's current page, as page_find_word(). False: it is full. */
function findWord(sizeClass: number): boolean {
  const page = arena[pageIndexAt + sizeClass]!;
  const header = page * headerWords;
  const capacity = headers[header + capacityAt]! & capacityMask;
  if (((headers[header + countdownAt]! + headers[header + notifyAt]!) | 0) === capacity) return false;
  const isInline = sizeClass >= firstInlineClass;
  const bits = isInline ? headers : bitmaps;
  const from = isInline ? header + bitsAt : page * bitmapWords;
  const words = ((capacity - 1) >> coreBitsShift) + 1;
  let word = headers[header + nextWordAt]!;
  for (let looked = 0; looked < words; looked++) {
    if (word >= words) word = 0;
    const at = from + word * 2;
    word++;
    if ((bits[at]! | bits[at + 1]!) === 0) continue;
    headers[header + nextWordAt] = word;
    headers[header + hotAt] = (word - 1) << coreWordShift;
    return true;
  }
  return false;
}

function takeFound(size: number): boolean {
  return findWord(classOf[(size + align - 1) >>> alignShift]!) && takeBlock(size);
}

/**
 * Takes a block of at least `size` bytes; its address is in word 0 of the mailbox. False, and nothing is taken, where
 * `size` is no small integer, or the core has to find a page first.
 */
export function takeBlock(size: number | bigint): boolean {
  if (typeof size !== "number" || size >>> 0 !== size || size > maxBytes) return false;
  const sizeClass = classOf[(size + align - 1) >>> alignShift]!;
  const page = arena[pageIndexAt + sizeClass]!;
  const header = Math.imul(page, headerWords);
  let bits = headers;
  let from = (header + bitsAt) | 0;
  if (sizeClass < firstInlineClass) {
    bits = bitmaps;
    from = Math.imul(page, bitmapWords);
  }
  let at = (from + (headers[header + hotAt]! >>> wordShift)) | 0;
  let word = bits[at]!;
  if (word === 0) {
    at = (at + 1) | 0;
    word = bits[at]!;
    if (word === 0) return takeFound(size);
  }
  const bit = word & -word;
  bits[at] = word ^ bit;
  headers[header + countdownAt]!++;
  const block = ((at - from + 1) << bitsShift) - 1 - Math.clz32(bit);
  halves[0] = (page << pageShift) + Math.imul(block, classBytes[sizeClass]!);
  halves[1] = upperHalf;
  return true;
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
  if (pointers[0] !== ptr || halves[1] !== upperHalf || page >= readablePages) return false;
  const header = Math.imul(page, headerWords);
  if (headers[header + ownerAt] !== arenaNumber) return false;
  const sizeClass = (headers[header + capacityAt]! >>> classShift) & classMask;
  const quotient = (low & pageMask) * reciprocals[sizeClass]!;
  const block = quotient | 0;
  const countdown = headers[header + countdownAt]!;
  if (quotient - block >= startLimits[sizeClass]! || countdown === 1) return false;
  let bits = headers;
  let at = (header + bitsAt + (block >>> bitsShift)) | 0;
  if (sizeClass < firstInlineClass) {
    bits = bitmaps;
    at = (Math.imul(page, bitmapWords) + (block >>> bitsShift)) | 0;
  }
  const word = bits[at]!;
  const bit = 1 << block;
  if ((word & bit) !== 0) return false;
  bits[at] = word | bit;
  headers[header + countdownAt] = countdown - 1;
  headers[header + hotAt] = (block >>> coreBitsShift) << coreWordShift;
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
  if (pointers[0] !== ptr || halves[1] !== upperHalf || page >= readablePages) return -1;
  const header = Math.imul(page, headerWords);
  const what = headers[header + capacityAt]!;
  if (what >>> kindShift !== bucketKind || headers[header + startLimitAt] === 0) return -1;
  const sizeClass = (what >>> classShift) & classMask;
  const offset = low & pageMask;
  const block = (offset * reciprocals[sizeClass]!) | 0;
  if (block >= (what & capacityMask)) return -1;
  let bits = headers;
  let at = (header + bitsAt + (block >>> bitsShift)) | 0;
  if (sizeClass < firstInlineClass) {
    bits = bitmaps;
    at = (Math.imul(page, bitmapWords) + (block >>> bitsShift)) | 0;
  }
  return (bits[at]! & (1 << block)) === 0 ? Math.imul(block + 1, classBytes[sizeClass]!) - offset : -1;
}

/**
 * Usable bytes of the live block that `ptr` is the first byte of, `ptr` being in word 0 of the mailbox afterwards; less
 * than 0 where the core has to say. Any arena's block.
 */
export function bytesOfBlock(ptr: bigint): number {
  const bytes = bytesToEnd(ptr);
  if (bytes < 0) return bytes;
  const header = (halves[0]! >>> pageShift) * headerWords;
  return bytes === classBytes[(headers[header + capacityAt]! >>> classShift) & classMask] ? bytes : -1;
}
