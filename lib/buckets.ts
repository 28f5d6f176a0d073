// The fast paths of malloc, free and view in TypeScript: the core's own steps over its own tables, on this environment's
// arena. Owns nothing but the last pointers: every bit and count is the core's, who finds it as if it had changed it
// itself. What is rare (a full page, another arena's block, a large one, a misuse) is left to the core, with nothing
// changed.
//
// A pointer is taken apart and put together in word 0 of the mailbox. The region starts at a multiple of 4 GiB, so the
// lower half of a pointer into its first 4 GiB is the page's number and the place in the page; the upper is always the
// same. Other threads only ever touch a page's remote bits, startLimit and scriptOwner, and the runtime's own allocations
// never this arena: a step needs no order among its loads and stores.
// Functions here are few and long: V8 inlines 920 bytes of code into a function and no more, and counts what it has
// inlined into those that it compiled by themselves before. Malloc and free fit in together, in any order.
// Thread rule: each thread has tables of its own arena; pages of other arenas are only read.
import { binding } from "./native/binding.js";

const { clz32, imul } = Math;

// Shifts and masks are written as numbers, because V8 counts code when it inlines, and a constant's name is code: a word
// is 4 bytes (>>> 2) of 32 bits (>>> 5), the core's has 8 bytes (<< 3) of 64 bits (>>> 6), sizes are looked up in units of
// 16 bytes (>>> 4); a header's word `capacity` has the page's kind in its upper 8 bits (>>> 24), the number of blocks in
// its lower 16 (& 0xffff). Most functions are constants: where a declared one is inlined, the engine still looks each time
// whether it is the same.
//
// Division by multiplication: the block at an offset is offset x factor >>> 16, with a factor that is a little more than
// 2 ** 16 / bytes, taken from the upper half of the reciprocal. For the start of a block that is exact; for other offsets
// it is that block or the next.

/** Where there is nothing to look at: one page of one class, which has no free block. */
const emptyTables = {
  now: () => undefined,
  near: [new ArrayBuffer(64), new ArrayBuffer(64)] as const,
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
  pageWord: 0,
  scriptClosed: 32,
  reciprocal: 0,
  start: 0,
  blockBytes: 0,
};

const tables = binding.tables ?? emptyTables;
const callTablesNow = tables.now;
const pointers = new BigUint64Array(binding.mailbox);
/** What is compared: to compare unsigned words takes one step more. Pointers have no upper bit. */
const signed = new BigInt64Array(binding.mailbox);
const halves = new Int32Array(binding.mailbox);
const committed = new Uint32Array(tables.committed);

/**
 * In word 0: all bits 1 when a block of this arena may have ended since this was 0, in the core or by another thread. Where
 * there are no tables it stays so. One for all copies of the package in this thread, as `freedHalf`.
 */
export const closed = new Int32Array(tables.arena, tables.scriptClosed);
closed[0] = -1;
/** Half of a word behind the mailbox: the same of blocks that were freed here. */
export const freedHalf = 44;

const headerWords = tables.headerBytes >> 2;
/** A page's header begins at a multiple of `headerWords`, and its free bits in the bitmaps so many times as far. */
const bitmapRatio = tables.bitmapBytes / tables.headerBytes;

/**
 * The header table and the bitmap table of the first pages. Each field of the headers is an array of its own, by the word
 * of the table at which a header begins. (They overlap, for they are one memory.) As all have one length, the compiler
 * checks the bounds of a header's fields once. An object literal and no class: what a constructor sets is no constant.
 */
const tablesOver = ([headers, bitmaps]: readonly [headers: ArrayBuffer, bitmaps: ArrayBuffer]) => {
  const words = (headers.byteLength >> 2) - headerWords + 1;
  const fieldOf = (offset: number): Int32Array => new Int32Array(headers, offset, words);
  return {
    pages: headers.byteLength / tables.headerBytes,
    reciprocals: fieldOf(tables.reciprocal),
    starts: fieldOf(tables.start),
    blockBytes: fieldOf(tables.blockBytes),
    startLimits: fieldOf(tables.startLimit),
    kinds: fieldOf(tables.capacity),
    owners: fieldOf(tables.scriptOwner),
    countdowns: fieldOf(tables.countdown),
    notifies: fieldOf(tables.notifyAt),
    hots: fieldOf(tables.hotOffset),
    nextWords: fieldOf(tables.nextWord),
    inlineBits: new Int32Array(headers, tables.freeBits),
    bitmaps: new Int32Array(bitmaps),
  };
};

type PageTables = Readonly<ReturnType<typeof tablesOver>>;

/**
 * Of the pages that most programs do with: made once, so that the compiler knows the address of each field wherever
 * these functions are inlined.
 */
const near: PageTables = tablesOver(tables.near);
const nearWords = near.pages * headerWords;
/** Of all pages that are committed, once they are more than those; made anew whenever they are. */
let far: PageTables = near;
let farPages = 0;
const { arenaNumber, bucketKind } = tables;

const pageShift = Math.log2(tables.pageBytes);
const pageMask = tables.pageBytes - 1;
const upperHalf = Number(BigInt.asIntN(32, tables.regionStart >> 32n));

/** malloc of more bytes is the core's: their bucket pages have two pages, or they are in none. */
const maxBytes = tables.pageBytes / 2;
/** By bytes in units of 16, rounded up: the smallest class that large whose blocks lie at multiples of 16. */
const classOf = Int32Array.from({ length: (maxBytes >> 4) + 1 }, (_, units) =>
  tables.classBytes.findIndex((bytes) => (bytes & 15) === 0 && bytes >= Math.max(units, 1) << 4),
);
/** A page of more blocks has its free bits in the bitmaps; others have them in the header. */
const { inlineBlocks } = tables;
/** The first class whose pages have them in the header. */
const firstInlineClass = tables.classBytes.findIndex((bytes) => tables.pageBytes / bytes <= inlineBlocks);

/** Without tables all zero: every class's current page is page 0, which has no free block. */
const pageWords = new Int32Array(tables.arena, tables.pageWord);

/** In word 0: pages of `near` that are committed. (A short array is slower: the engine can move it.) */
const nearPages = new Int32Array(64);
/** Pages that were committed when this thread looked last. */
let committedPages = 0;

/** Looks at the tables again when they have grown. To be called after every call that may give this arena a page. */
export function lookAgain(): void {
  const pages = (committed[1]! * 2 ** 32 + committed[0]!) / tables.pageBytes;
  if (pages !== committedPages) grow(pages);
}

/** Where the runtime refuses the longer views, what lies behind the ones it had is left to the core. */
function grow(pages: number): void {
  committedPages = pages;
  nearPages[0] = Math.min(pages, near.pages);
  if (pages <= near.pages) return;
  const now = callTablesNow();
  if (now === undefined) return;
  far = tablesOver(now);
  farPages = far.pages;
}

lookAgain();

// A bigint is an object of JavaScript's, and to make one costs as much as the rest of malloc. An address that is given out
// again soon is the same bigint as before: the last ones, by a hash of page and block.
const recentLows = new Int32Array(1024);
const recentPtrs: bigint[] = Array.from({ length: 1024 }, () => 0n);

const newPtr = (low: number, place: number): bigint => {
  halves[0] = low;
  halves[1] = upperHalf;
  const ptr = pointers[0]!;
  recentLows[place] = low;
  recentPtrs[place] = ptr;
  return ptr;
};

/** Takes a block of a page, whose free bits are in `bits` from `from` on. Undefined: its hot word is used up. */
const takeFrom = (pages: PageTables, header: number, bits: Int32Array, from: number): bigint | undefined => {
  let at = from + (pages.hots[header]! >>> 2);
  let word = bits[at]!;
  if (word === 0) {
    at++;
    word = bits[at]!;
    if (word === 0) return undefined;
  }
  bits[at] = word & (word - 1);
  pages.countdowns[header]!++;
  const block = ((at - from) << 5) + 31 - clz32(word & -word);
  const low = (pages.starts[header]! + imul(block, pages.blockBytes[header]!)) | 0;
  const place = (header + block) & 1023;
  return recentLows[place] === low ? recentPtrs[place]! : newPtr(low, place);
};

/**
 * Takes a block of at least `size` bytes; its address. Undefined, and nothing is taken, where `size` is no small integer,
 * or takeBlockSlow has to look.
 */
export function takeBlock(size: number | bigint): bigint | undefined {
  if (typeof size !== "number" || size >>> 0 !== size || size > maxBytes) return undefined;
  const sizeClass = classOf[(size + 15) >>> 4]!;
  const header = pageWords[sizeClass]!;
  if (header >= nearWords) return undefined;
  const isTiny = sizeClass < firstInlineClass;
  return takeFrom(near, header, isTiny ? near.bitmaps : near.inlineBits, isTiny ? header * bitmapRatio : header);
}

/**
 * As takeBlock, of any page and any word of it: makes a word with a free block the hot one, as page_find_word(). Where the
 * core has to find a page first, what `byCore` gives. One long function on purpose, with the call of `byCore` in it: the
 * engine inlines the most frequent calls of the fewest bytes first, and all of this is frequent only in the beginning.
 */
export function takeBlockSlow<Size extends number | bigint>(size: Size, byCore: (size: Size) => bigint): bigint {
  if (typeof size !== "number" || size >>> 0 !== size || size > maxBytes) return byCore(size);
  const sizeClass = classOf[(size + 15) >>> 4]!;
  const header = pageWords[sizeClass]!;
  if (header >= nearWords && header >= farPages * headerWords) return byCore(size);
  const pages = header < nearWords ? near : far;
  const isTiny = sizeClass < firstInlineClass;
  const bits = isTiny ? pages.bitmaps : pages.inlineBits;
  const from = isTiny ? header * bitmapRatio : header;
  const capacity = pages.kinds[header]! & 0xffff;
  if (((pages.countdowns[header]! + pages.notifies[header]!) | 0) === capacity) return byCore(size);
  const hot = pages.hots[header]! >>> 2;
  if ((bits[from + hot]! | bits[from + hot + 1]!) === 0) {
    const words = ((capacity - 1) >> 6) + 1;
    let word = pages.nextWords[header]!;
    let looked = 0;
    for (; looked < words; looked++) {
      if (word >= words) word = 0;
      const at = from + word * 2;
      word++;
      if ((bits[at]! | bits[at + 1]!) !== 0) break;
    }
    if (looked === words) return byCore(size);
    pages.nextWords[header] = word;
    pages.hots[header] = (word - 1) << 3;
  }
  return takeFrom(pages, header, bits, from) ?? byCore(size);
}

/**
 * Frees the block at `low`, the lower half of its address, in the page of that header. Setting the bit is written out for
 * either array: the compiler knows where each is, but not where one of both is.
 */
const giveTo = (pages: PageTables, header: number, low: number): boolean => {
  if (pages.owners[header] !== arenaNumber) return false;
  const capacity = pages.kinds[header]! & 0xffff;
  const offset = low & pageMask;
  const block = imul(offset, (pages.reciprocals[header]! >>> 16) + 1) >>> 16;
  if (imul(block, pages.blockBytes[header]!) !== offset || block >= capacity) return false;
  const countdown = pages.countdowns[header]!;
  if (countdown === 1) return false;
  const bit = 1 << block;
  if (capacity > inlineBlocks) {
    const at = header * bitmapRatio + (block >>> 5);
    const word = pages.bitmaps[at]!;
    if (word & bit) return false;
    pages.bitmaps[at] = word | bit;
  } else {
    const at = header + (block >>> 5);
    const word = pages.inlineBits[at]!;
    if (word & bit) return false;
    pages.inlineBits[at] = word | bit;
  }
  pages.countdowns[header] = countdown - 1;
  pages.hots[header] = (block >>> 6) << 3;
  halves[44] = -1;
  return true;
};

const giveFar = (page: number, low: number): boolean => page < farPages && giveTo(far, imul(page, headerWords), low);

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
  if (signed[0] !== ptr || halves[1] !== upperHalf) return false;
  return page < nearPages[0]! ? giveTo(near, page * headerWords, low) : giveFar(page, low);
}

const bytesToEndIn = (pages: PageTables, header: number, low: number): number => {
  const what = pages.kinds[header]!;
  if (what >>> 24 !== bucketKind || pages.startLimits[header] === 0) return -1;
  const capacity = what & 0xffff;
  const bytes = pages.blockBytes[header]!;
  const offset = low & pageMask;
  let block = imul(offset, (pages.reciprocals[header]! >>> 16) + 1) >>> 16;
  if (imul(block, bytes) > offset) block--;
  if (block >= capacity) return -1;
  const word = block >>> 5;
  const bits = capacity > inlineBlocks ? pages.bitmaps[header * bitmapRatio + word]! : pages.inlineBits[header + word]!;
  return (bits & (1 << block)) === 0 ? imul(block + 1, bytes) - offset : -1;
};

const bytesToEndFar = (page: number, low: number): number =>
  page < farPages ? bytesToEndIn(far, imul(page, headerWords), low) : -1;

/**
 * Bytes from `ptr`, which is in word 0 of the mailbox afterwards, to the end of the live block that holds it; less than
 * 0 where the core has to say. Any arena's block.
 */
export function bytesToEnd(ptr: bigint): number {
  if (typeof ptr !== "bigint") return -1;
  pointers[0] = ptr;
  const low = halves[0]!;
  const page = low >>> pageShift;
  if (signed[0] !== ptr || halves[1] !== upperHalf) return -1;
  return page < nearPages[0]! ? bytesToEndIn(near, imul(page, headerWords), low) : bytesToEndFar(page, low);
}

/**
 * Whether `closed` tells of it when the block that holds the pointer in word 0 of the mailbox ends. It does where the block
 * is live and this arena's, in a page into which no other thread has freed.
 */
export function isOwnBlock(): boolean {
  const page = halves[0]! >>> pageShift;
  if (halves[1] !== upperHalf || page >= committedPages) return false;
  const pages = page < nearPages[0]! ? near : far;
  const header = page * headerWords;
  return pages.owners[header] === arenaNumber && bytesToEndIn(pages, header, halves[0]!) >= 0;
}

/**
 * Usable bytes of the live block that `ptr` is the first byte of, `ptr` being in word 0 of the mailbox afterwards; less
 * than 0 where the core has to say. Any arena's block.
 */
export function bytesOfBlock(ptr: bigint): number {
  const bytes = bytesToEnd(ptr);
  if (bytes < 0) return bytes;
  const page = halves[0]! >>> pageShift;
  const { blockBytes } = page < nearPages[0]! ? near : far;
  return bytes === blockBytes[page * headerWords] ? bytes : -1;
}
