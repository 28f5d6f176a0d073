// The addon as TypeScript sees it, and the mailbox through which its plain functions are called.
// Owns the types of the border; what the functions mean to users is lib/heap.ts and its neighbours.
// Thread rule: one copy for each thread, loaded when the package is.
//
// A plain function takes its parameters from words 0, 1, 2 of the mailbox, in the order that its comment names, and
// leaves its results there likewise: pointers through `pointers`, quantities through `numbers`. Modules keep functions and
// words in constants of their own: the compiler folds these, but not an import or a property.
import { loadAddon } from "./loader.cjs";

/** A caller's error with a pointer, as the addon numbers it; undefined where there was none. */
export type MisuseNumber = number | undefined;

/** Why a call on OS pages was refused, as the addon numbers it; undefined where it was done. */
export type RangeStatusNumber = number | undefined;

/** A misuse or an arena's refusal, as the addon numbers it; undefined where there was none. */
export type ArenaStatus = number | undefined;

/** A free-standing copy of the core's totals, all in bytes but the counts. */
export interface NativeTotals {
  reservedBytes: number;
  committedBytes: number;
  metadataBytes: number;
  liveBlocks: number;
  liveBytes: number;
  freeRunBytes: number;
  mappingBytes: number;
  arenas: number;
  ranges: number;
  rangeBytes: number;
  purgedBytes: number;
  purges: number;
  retakenBytes: number;
  purgePasses: number;
}

export interface NativeSnapshot {
  totals: NativeTotals;
  arenas: {
    id: number;
    state: number;
    pages: number;
    liveBlocks: number;
    liveBytes: number;
    host: number;
    name: string;
    limit: number;
  }[];
  pages: {
    address: bigint;
    isBucket: boolean;
    arena: number;
    sizeClass: number;
    blockBytes: number;
    pages: number;
    capacity: number;
    used: number;
    remote: number;
    bitmapWord: number;
  }[];
  runs: { address: bigint; pages: number; dirty: boolean }[];
  mappings: { address: bigint; bytes: number; arena: number }[];
  ranges: {
    address: bigint;
    bytes: number;
    guardBytes: number;
    locked: boolean;
    huge: boolean;
    part: number;
    parts: number;
  }[];
  parts: { address: bigint; bytes: number; protection: number }[];
  bitmapWords: BigUint64Array;
}

/** A block of a teaching heap, as lib/textbook.ts describes it to users. */
export interface NativeTextbookBlock {
  kind: "header" | "node";
  address: bigint;
  ptr: bigint;
  size: number;
  arena: number;
  next: bigint | undefined;
}

/** A page of a teaching heap, likewise. */
export interface NativeTextbookPage {
  address: bigint;
  blockSize: number;
  capacity: number;
  used: number;
  bitmap: BigUint64Array;
  next: bigint | undefined;
  prev: bigint | undefined;
}

/** The core's tables and the environment's arena, as ArrayBuffers, and where what lies in them: in bytes. */
export interface NativeTables {
  /**
   * The page headers, and the free bits of those pages that have no room for them in their header, as far as they are
   * committed now. Out: their pages, as a number. Undefined where the runtime refuses the buffers.
   */
  now(): [headers: ArrayBuffer, bitmaps: ArrayBuffer] | undefined;
  /** The same of the first pages, whether committed or not: only what is committed may be touched. */
  readonly near: readonly [headers: ArrayBuffer, bitmaps: ArrayBuffer];
  readonly arena: ArrayBuffer;
  /** One uint64: committed bytes of the region. */
  readonly committed: ArrayBuffer;
  readonly arenaNumber: number;
  /** A multiple of 4 GiB. */
  readonly regionStart: bigint;
  readonly classBytes: readonly number[];
  readonly pageBytes: number;
  readonly headerBytes: number;
  readonly bitmapBytes: number;
  /** A page of at most so many blocks has its free bits in its header. */
  readonly inlineBlocks: number;
  /** The kind of a bucket page's header. */
  readonly bucketKind: number;
  /** Offsets in a header; `capacity` is one word: uint16 capacity, uint8 size class, uint8 kind. */
  readonly reciprocal: number;
  readonly start: number;
  readonly blockBytes: number;
  readonly startLimit: number;
  readonly capacity: number;
  readonly scriptOwner: number;
  readonly countdown: number;
  readonly notifyAt: number;
  readonly hotOffset: number;
  readonly nextWord: number;
  readonly freeBits: number;
  /** Offsets in the arena. */
  readonly pageWord: number;
  readonly scriptClosed: number;
}

export interface Binding {
  /** Undefined where the runtime allows no such buffers, or the addresses are not such as lib/buckets.ts reckons with. */
  readonly tables?: NativeTables;
  readonly mailbox: ArrayBuffer;
  /** Set by lib/reach.ts: what every copy of the package in this thread shares, as it shares the mailbox. */
  reached?: { view: DataView };
  readonly misuse: {
    readonly doubleFree: number;
    readonly interiorPointer: number;
    readonly foreignPointer: number;
    readonly overflow: number;
    readonly writeAfterFree: number;
  };
  readonly rangeStatus: Readonly<
    Record<"outOfMemory" | "lockLimit" | "outOfBounds" | "inUse" | "refused", RangeStatusNumber>
  >;
  readonly holdStatus: { readonly noBlock: number; readonly outOfMemory: number; readonly madeArena: number };
  /** True when the core of a preloaded libpagerun.so is used. */
  readonly isPreloaded: boolean;
  readonly hasExternalBuffers: boolean;
  /** Length of the ArrayBuffers that views are made over; such a stretch starts at a multiple of it. */
  readonly stretchBytes: number;

  /** In: bytes. Out: the block or 0. */
  malloc(): MisuseNumber;
  /** In: count, bytes of each. Out: the block or 0. */
  calloc(): MisuseNumber;
  /** In: alignment, bytes. Out: the block or 0. */
  alignedAlloc(): MisuseNumber;
  /** In: the block, bytes. Out: the block or 0. */
  realloc(): MisuseNumber;
  /** In: the block. */
  free(): MisuseNumber;
  /**
   * In: a pointer. Out, all as numbers: the first address of the live block that holds it (0: there is none, and nothing
   * more is said), its usable bytes, the pointer, and the first address of the stretch that has all of the block (0: none).
   */
  locate(): MisuseNumber;

  /** What the calls of arenas return beside misuses. */
  readonly arenaStatus: Readonly<Record<"overLimit" | "noMemory" | "otherArena" | "noArena", number>>;
  /** In: the limit in bytes, or infinity. Out: the handle, or 0. */
  arenaMake(name: string): void;
  /** In: a handle, bytes, alignment (0: zero bytes). Out: the block, the bytes in use before and behind. */
  arenaMalloc(): ArenaStatus;
  /** In: a handle, a block of it, bytes. Out: as above. */
  arenaRealloc(): ArenaStatus;
  /** In: a handle, a block of it. */
  arenaFree(): ArenaStatus;
  /**
   * In: a handle, a pointer. Out, as numbers: the first address of the block that holds it, its usable bytes, the
   * pointer, first address and bytes of the memory that an ArrayBuffer would be over, 1 when that is the block's alone.
   */
  arenaLocate(): ArenaStatus;
  /**
   * In: a handle, a pointer into a live block of it, first address and bytes of what the buffer shall cover of that
   * memory. Null where the runtime refuses it, or the block has gone.
   */
  arenaBuffer(): ArrayBuffer | null;
  /** In: a handle. Out: the bytes in use. */
  arenaUsed(): ArenaStatus;
  /** In: a handle. Both detach every ArrayBuffer of the arena. */
  arenaReset(): ArenaStatus;
  arenaDestroy(): ArenaStatus;
  /** In: a handle. The arena ends when it has no ArrayBuffer any more. */
  arenaDrop(): ArenaStatus;

  /**
   * In: a pointer into a live block of a region. The buffer covers the stretch that holds the pointer. Null where the
   * runtime refuses it, undefined where there is no such block.
   */
  stretchBuffer(): ArrayBuffer | null | undefined;
  /** In: a pointer into a live block, bytes that end in the same block. The buffer covers these. Null, undefined: as above. */
  blockBuffer(): ArrayBuffer | null | undefined;

  /** Out: the number of a new ledger of Blocks. */
  addLedger(): void;
  /** In: a ledger, entries. Room for that many, four words each; undefined where there is no memory. */
  growLedger(): ArrayBuffer | undefined;
  /**
   * In: a ledger, an entry of it whose Block has no ArrayBuffer yet, 1 in a thread that others outlive (else 0). One over its bytes; null where the runtime refuses it,
   * undefined where the block is not live.
   */
  makeBlockBytes(): ArrayBuffer | null | undefined;
  /** In: a ledger, an entry. Detaches its ArrayBuffer. Out: 1 when the caller is to free the block, 0 when that is done later. */
  endBlockBytes(buffer: ArrayBuffer): void;
  /** Out: 1 when the ArrayBuffer has memory, else 0. */
  isAttached(buffer: ArrayBuffer): void;
  /** In: a ledger, an entry. Leaves its ArrayBuffer, needed in a thread that others outlive, to whoever holds it. Out: as above. */
  dropBlockBytes(buffer: ArrayBuffer | undefined): void;
  /** In: the number of a home. Detaches the ArrayBuffers of its Blocks; the blocks whose memory can still be reached. */
  endHome(): bigint[] | undefined;
  /** In: a pointer into a live block that is new, bytes that end in it, which become zero. Out: 1 when they are. */
  clearBytes(): void;
  /** In: pointers into two live blocks, from and to; bytes that end in both. Out: 1 when they are copied. */
  copyBytes(): void;
  /** In: bytes of memory that V8 shall know of, negative for fewer. */
  adjustExternalMemory(): void;

  /** In: a pointer into a live block. Undefined when it ends before the bytes do: nothing was copied. Out: their number. */
  copyIn(bytes: Uint8Array): true | undefined;
  copyOut(bytes: Uint8Array): true | undefined;

  /** The kernel's unit, in bytes. */
  readonly osPageBytes: number;
  /** In: bytes, protection (none, read, readWrite), wishes (1 huge, 2 locked, 4 guards). Out: the first address. */
  mapPages(): RangeStatusNumber;
  /** In: the first address. */
  unmapPages(): MisuseNumber;
  /** In: an OS page, bytes of whole OS pages, protection. */
  protectPages(): RangeStatusNumber;
  /** In: an OS page, bytes of whole OS pages, advice. Out: the kernel's error where it refused. */
  advisePages(): RangeStatusNumber;
  /** In: an OS page. Argument: a byte for each from there on. Out: the kernel's error, or 0. */
  residentPages(resident: Uint8Array): void;
  /** In: a pointer. Out, as numbers: the first address of the range that holds it (0: none), its bytes, the pointer, views. */
  locateRange(): void;
  /** Out: bytes that the process may lock. */
  lockLimit(): void;
  /**
   * In: a pointer into a range, bytes from there on, the most bytes that a buffer may have. Out: first address and length
   * of what the buffer covers. Null where the runtime refuses it, undefined where not all may be read and written.
   */
  rangeBuffer(): ArrayBuffer | null | undefined;
  /** Detaches what rangeBuffer made. Undefined when somebody else has. */
  endRangeBuffer(buffer: ArrayBuffer): true | undefined;
  /** The same for memory that is not checked: any address but 0. Undefined for that one. */
  uncheckedCopyIn(bytes: Uint8Array): true | undefined;
  uncheckedCopyOut(bytes: Uint8Array): true | undefined;

  /**
   * In: a pointer. Out, for each of the words that say whether its block is live: first address of the window that the
   * word is in, its index there, mask, value. The first address is 0 where no words say it: for the largest blocks.
   */
  watch(): void;
  /** In: a pointer, n. The buffer covers the window of the n-th of these words. Null, undefined: as above. */
  watchWindow(): ArrayBuffer | null | undefined;
  /** In: a pointer, an offset, bytes (at most 8). Out: the bytes. Undefined when they are not in the pointer's block. */
  read(): true | undefined;
  /** In: a pointer, an offset, bytes (at most 8), and in word 3 the bytes themselves. Undefined: as above. */
  write(): true | undefined;
  uncheckedRead(): true | undefined;
  uncheckedWrite(): true | undefined;

  /** In: to, from, bytes. Undefined when either is not all in a live block; nothing was done then. */
  moveBytes(): true | undefined;
  /** In: a pointer, a byte, bytes. Undefined: as above. */
  fillBytes(): true | undefined;
  /** In: two pointers, bytes. Out: -1, 0 or 1. Undefined: as above. */
  compareBytes(): true | undefined;
  /** In: an address, bytes. Null where the runtime refuses it. */
  uncheckedBuffer(): ArrayBuffer | null;
  uncheckedMoveBytes(): true | undefined;
  uncheckedFillBytes(): true | undefined;
  uncheckedCompareBytes(): true | undefined;
  /** In: a pointer. Out: the bytes before the first that is zero. Undefined for address 0. */
  uncheckedStringBytes(): true | undefined;
  /** Out: the address of the bytes. */
  rawPointer(bytes: Uint8Array): void;

  readonly hasSharedBuffers: boolean;
  /**
   * In: a pointer, bytes (not 0). Returns a SharedArrayBuffer over these, null where the runtime refuses it, or the number
   * of the reason why the memory is not held.
   */
  sharedBuffer(): SharedArrayBuffer | null | number;

  /** Undefined when every invariant holds. */
  verify(): { invariant: string; address: bigint } | undefined;
  memoryTotals(): NativeTotals;
  /** In: 1 for all, 0 for what has rested. Out: bytes given back. */
  purge(): void;
  /** In: bytes; 0 for none. */
  setBudget(): void;
  snapshot(): NativeSnapshot | undefined;

  /** In: kind, fit, field bytes, arenas, choice, origin, all as numbers. Out: the heap's number, 0 when refused. */
  textbookCreate(): void;
  /**
   * In, here and in all that follow, first: the heap's number. They return undefined, or the number of what was refused.
   * Out: header bytes, node bytes, kind, fit, field bytes, arenas, choice, origin.
   */
  textbookShare(): number | undefined;
  textbookDrop(): void;
  textbookDestroy(): number | undefined;
  /** In: bytes. Out: the block or 0. */
  textbookMalloc(): number | undefined;
  /** In: count, bytes of each. Out: the block or 0. */
  textbookCalloc(): number | undefined;
  /** In: the block, bytes. Out: the block or 0. */
  textbookRealloc(): number | undefined;
  /** In: the block. */
  textbookFree(): number | undefined;
  /** In: a pointer. Out: the first byte of the block that holds it, or 0. */
  textbookLocate(): number | undefined;
  /** In: an address, bytes: whether all of them are the heap's memory. */
  textbookHas(): number | undefined;
  /** In: an address. */
  textbookCopyIn(bytes: Uint8Array): number | undefined;
  textbookCopyOut(bytes: Uint8Array): number | undefined;
  textbookCheck(): { invariant: string; address: bigint } | number | undefined;
  textbookBlocks(): NativeTextbookBlock[] | { invariant: string; address: bigint } | number;
  textbookPages(): NativeTextbookPage[] | { invariant: string; address: bigint } | number;

  /** In the order of lib/contention.ts. Undefined when nothing could be measured. */
  measureContention(
    threads: number,
    arenas: number,
    choice: number,
    lock: number,
    milliseconds: number,
  ): { seconds: number; operations: number; takes: number; waits: number; waitedSeconds: number } | undefined;

  failSystemCall(n: number): void;
  systemCalls(): number;

  libcMalloc(size: number): bigint;
  libcCalloc(count: number, size: number): bigint;
  libcRealloc(ptr: bigint, size: number): bigint;
  libcFree(ptr: bigint): void;

  /**
   * Puts a program in this process's place, found as a shell finds it. Both Buffers hold texts that each end with a zero.
   * Returns only when that failed: the kernel's error.
   */
  executeProgram(args: Buffer, environment: Buffer): number;
}

export const binding = loadAddon() as Binding;

/** The words of the mailbox. Little endian, as every machine that this runs on. */
export const mailbox = {
  pointers: new BigUint64Array(binding.mailbox),
  numbers: new Float64Array(binding.mailbox),
  /** Each word in two halves: 0 and 1 are word 0. */
  halves: new Uint32Array(binding.mailbox),
} as const;
