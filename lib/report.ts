// What the heap says about itself: totals, a snapshot, and whether every invariant holds. Reads only.
// Thread rule: any thread. The heap is the process's, so what other threads do meanwhile may show or not.
import { outOfMemory } from "./errors.js";
import { binding } from "./native/binding.js";

/** Figures of the whole heap. Bytes, but for the counts. */
export interface MemoryStats {
  /** Address space held; costs nothing by itself. */
  readonly reservedBytes: number;
  /** Of it, what is usable: pages of regions and the mappings of the largest blocks. */
  readonly committedBytes: number;
  /** Usable memory that holds the heap's own records, beside the blocks. */
  readonly metadataBytes: number;
  /** Number of blocks that are handed out and that no thread has freed. */
  readonly liveBlocks: number;
  /** Their usable bytes. */
  readonly liveBytes: number;
  /** In runs of pages that no block uses. */
  readonly freeRunBytes: number;
  /** In blocks with a mapping of their own. */
  readonly mappingBytes: number;
  /** Number of arenas; every thread that allocates has one, and they are used again. */
  readonly arenas: number;
  /** Number of mappings that `mapPages` has made and that are not unmapped. Not part of any figure above. */
  readonly ranges: number;
  /** Their bytes, guards not counted. */
  readonly rangeBytes: number;
  /** Given back to the system since the process began, address and all the rest kept. Pages and runs; not mappings. */
  readonly purgedBytes: number;
  /** System calls that this took. */
  readonly purges: number;
  /** Of `purgedBytes`, handed out again since: a page fault for every OS page (4,096 bytes) that is written to. */
  readonly retakenBytes: number;
  /** How often the background thread has looked round for memory to give back. */
  readonly purgePasses: number;
}

/**
 * Tells how much memory the heap holds and how much of it is in use.
 *
 * Cost: O(pages of 32 KiB), under the heap's lock. Any thread.
 *
 * @returns plain numbers, of one moment.
 * @example
 * ```ts
 * import { free, malloc, memoryStats } from "pagerun";
 *
 * const before = memoryStats().liveBytes;
 * const ptr = malloc(50_000_000);
 * console.assert(memoryStats().liveBytes > before);
 * free(ptr);
 * ```
 */
export function memoryStats(): MemoryStats {
  return binding.memoryTotals();
}

/** What `verify` found. */
export type Verdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** The invariant that does not hold, as an equation. */
      readonly invariant: string;
      /** Address of the page, run, arena or block where it does not. */
      readonly address: bigint;
    };

/**
 * Walks the whole heap and checks every invariant of it.
 *
 * Cost: O(pages), under the heap's lock. Any thread; what other threads are changing at the moment is left out.
 *
 * @returns `{ ok: true }`, or the first invariant that is broken and where.
 * @example
 * ```ts
 * import { verify } from "pagerun";
 *
 * const verdict = verify();
 * console.assert(verdict.ok, verdict);
 * ```
 */
export function verify(): Verdict {
  const broken = binding.verify();
  return broken === undefined ? { ok: true } : { ok: false, ...broken };
}

/** An arena: an independent set of pages, owned by one thread at a time. Every thread has one; programs make more. */
export interface ArenaSnapshot {
  readonly id: number;
  /** `idle`: kept for the next thread. `abandoned`: its thread ended with live blocks. */
  readonly state: "idle" | "active" | "abandoned";
  /** Number of its pages. */
  readonly pages: number;
  readonly liveBlocks: number;
  readonly liveBytes: number;
  /** What is told of an arena that the program made; undefined for the arenas of threads. */
  readonly made:
    | {
        /** As it was given to `new Arena`, cut to 47 bytes of UTF-8. */
        readonly name: string;
        /** In bytes; infinite when it has none. */
        readonly limit: number;
        /** Id of the arena of the thread that made it. */
        readonly host: number;
      }
    | undefined;
}

/** A page, or a short run of pages, that is divided into equal blocks; or one large block over a run of pages. */
export interface PageSnapshot {
  /** First address; of block 0. */
  readonly address: bigint;
  /** `bucket`: divided into blocks. `run`: one block. */
  readonly kind: "bucket" | "run";
  /** Id of the arena that owns it; undefined for runs that no Arena of the program owns. */
  readonly arena: number | undefined;
  /** Index of the block size; undefined for runs. */
  readonly sizeClass: number | undefined;
  readonly blockBytes: number;
  /** Length in pages of 32 KiB. */
  readonly pages: number;
  /** Number of blocks. */
  readonly capacity: number;
  /** Of these, handed out: the number of bits set in `bitmap`. */
  readonly used: number;
  /** Of these, freed by other threads and not yet taken back by the owner. */
  readonly remote: number;
  /** One bit a block, the lowest bit of word 0 first; 1 is handed out. */
  readonly bitmap: BigUint64Array;
}

/** A run of free pages. */
export interface RunSnapshot {
  readonly address: bigint;
  /** Length in pages of 32 KiB. */
  readonly pages: number;
  /** True when its content may still be in memory. */
  readonly dirty: boolean;
}

/** A block with a mapping of its own. */
export interface MappingSnapshot {
  readonly address: bigint;
  readonly bytes: number;
  /** Id of the arena of the program that owns it, if one does. */
  readonly arena: number | undefined;
}

/** OS pages that `mapPages` has mapped. */
export interface RangeSnapshot {
  readonly address: bigint;
  readonly bytes: number;
  /** Bytes of the guard on each side; 0 without. */
  readonly guardBytes: number;
  readonly locked: boolean;
  readonly huge: boolean;
  /** OS pages in a row with one protection, in address order; they tile the range. */
  readonly parts: readonly {
    readonly address: bigint;
    readonly bytes: number;
    readonly protection: "none" | "read" | "readWrite";
  }[];
}

/** A copy of the heap's records as plain data. */
export interface Snapshot {
  /** Computed from the records below. */
  readonly totals: MemoryStats;
  readonly arenas: readonly ArenaSnapshot[];
  readonly pages: readonly PageSnapshot[];
  readonly runs: readonly RunSnapshot[];
  readonly mappings: readonly MappingSnapshot[];
  readonly ranges: readonly RangeSnapshot[];
}

const protections = ["none", "read", "readWrite"] as const;
const arenaStates = ["idle", "active", "abandoned"] as const;

/**
 * Copies the records of the heap: arenas, pages with their used bitmaps, free runs, mappings, ranges, totals.
 *
 * Cost: O(pages), under the heap's lock, and a copy of everything. Any thread.
 *
 * @returns plain objects that stay as they are; addresses are bigint.
 * @throws PagerunError ERR_OUT_OF_MEMORY
 * @example
 * ```ts
 * import { free, malloc, snapshot } from "pagerun";
 *
 * const ptr = malloc(24);
 * const page = snapshot().pages.find(({ address, pages }) => ptr >= address && ptr < address + BigInt(pages * 32768));
 * console.assert(page?.kind === "bucket" && page.blockBytes >= 24);
 * free(ptr);
 * ```
 */
export function snapshot(): Snapshot {
  const native = binding.snapshot();
  if (native === undefined) throw outOfMemory("snapshot", 0);
  const { totals, arenas, pages, runs, mappings, ranges, parts, bitmapWords } = native;
  return {
    totals,
    arenas: arenas.map(({ state, host, name, limit, ...arena }) => ({
      ...arena,
      state: arenaStates[state]!,
      made: host === 0 ? undefined : { name, limit, host },
    })),
    pages: pages.map(({ isBucket, arena, sizeClass, bitmapWord, ...page }) => ({
      ...page,
      kind: isBucket ? "bucket" : "run",
      arena: arena === 0 ? undefined : arena,
      sizeClass: isBucket ? sizeClass : undefined,
      bitmap: bitmapWords.slice(bitmapWord, bitmapWord + Math.ceil(page.capacity / 64)),
    })),
    runs,
    mappings: mappings.map(({ arena, ...mapping }) => ({ ...mapping, arena: arena === 0 ? undefined : arena })),
    ranges: ranges.map(({ part, parts: count, ...range }) => ({
      ...range,
      parts: parts.slice(part, part + count).map((found) => ({ ...found, protection: protections[found.protection]! })),
    })),
  };
}
