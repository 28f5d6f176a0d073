// OS pages for a program's own structures: mapped, protected, advised and unmapped, outside the heap and with its checks.
// Owns nothing; the core has the table of what is mapped. Thread rule: any thread; a mapping is the process's.
import { getSystemErrorName } from "node:util";
import { checkPointer, sizeFrom } from "./arguments.js";
import {
  doubleFree,
  foreignPointer,
  interiorPointer,
  invalidArgument,
  lockLimit,
  outOfBounds,
  outOfMemory,
  pagesInUse,
  systemRefused,
} from "./errors.js";
import { placeOf, rangePlaceOf } from "./misuse.js";
import { binding, mailbox, type RangeStatusNumber } from "./native/binding.js";
import { endRangeBuffers, rangeViews } from "./range-buffers.js";
import { boundsError } from "./view.js";

const { osPageBytes, rangeStatus, misuse: misuseNumbers } = binding;
const { pointers, numbers } = mailbox;

/** What may be done with OS pages; each allows what the one before does. */
export type PageProtection = "none" | "read" | "readWrite";

const protections: readonly PageProtection[] = ["none", "read", "readWrite"];

/**
 * What a program says of its use of OS pages. `dontNeed` gives their content back at once, so that they read as zero
 * again; `free` does when the system is short of memory. `noDump` keeps them out of core dumps, `noFork` out of forked
 * children. These and the others change no content.
 */
export type PageAdvice =
  | "normal"
  | "random"
  | "sequential"
  | "willNeed"
  | "dontNeed"
  | "free"
  | "huge"
  | "noHuge"
  | "noDump"
  | "noFork";

const advices: readonly PageAdvice[] = [
  "normal",
  "random",
  "sequential",
  "willNeed",
  "dontNeed",
  "free",
  "huge",
  "noHuge",
  "noDump",
  "noFork",
];

/** How `mapPages` maps. */
export interface MapPagesOptions {
  /**
   * What may be done with the OS pages.
   * @defaultValue "readWrite"
   */
  readonly protection?: PageProtection | undefined;
  /**
   * Asks for huge OS pages (transparent ones, of 2 MiB): the mapping starts at a multiple of their size. It is a wish:
   * where the system has none, or none to spare, the mapping has OS pages of the usual size.
   * @defaultValue false
   */
  readonly huge?: boolean | undefined;
  /**
   * Keeps the OS pages in memory, never swapped out, and brings them in at once.
   * @defaultValue false
   */
  readonly locked?: boolean | undefined;
  /**
   * Puts an OS page without access before the first and behind the last, where native code that runs over is stopped.
   * @defaultValue false
   */
  readonly guard?: boolean | undefined;
}

/** The number of a word in its list. */
function indexOf(words: readonly string[], word: unknown, argument: string): number {
  const index = typeof word === "string" ? words.indexOf(word) : -1;
  if (index !== -1) return index;
  throw invalidArgument(argument, words.map((known) => JSON.stringify(known)).join(", "), word);
}

const expectedOptions = "an object or undefined";

/** An option that is true or false. Each is read once: a getter or a proxy may answer otherwise the second time. */
function flagFrom(value: unknown, argument: string): boolean {
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  throw invalidArgument(argument, "true or false", value);
}

/** The number of bytes as whole OS pages. */
function osPagesFrom(length: number | bigint): number {
  const bytes = sizeFrom(length, "length");
  if (bytes > 0) return Math.ceil(bytes / osPageBytes) * osPageBytes;
  throw invalidArgument("length", "at least 1 byte", length);
}

/**
 * Maps OS pages, all zero, for a program to lay its own structures on. They are no block: `free` and `realloc` do not
 * know them. `view`, `copyIn`, `copyOut` and the accessors do: within the mapping, and as its protection allows.
 *
 * Cost: some system calls, and a page fault at the first touch of each OS page. Any thread.
 *
 * @param length - bytes, more than 0; rounded up to whole OS pages of 4096 bytes, all of which may be used.
 * @param options - see MapPagesOptions.
 * @returns the first byte's address, a multiple of 4096.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY (with `locked` also where the system has not so much memory
 * to spare), ERR_LOCK_LIMIT
 * @example
 * ```ts
 * import { mapPages, unmapPages, view } from "pagerun";
 *
 * const base = mapPages(100_000, { guard: true });
 * view(base + 700n, 16).fill(7);
 * console.assert(view(base, 701)[700] === 7);
 * unmapPages(base);
 * ```
 */
export function mapPages(length: number | bigint, options: MapPagesOptions = {}): bigint {
  const bytes = osPagesFrom(length);
  if (typeof options !== "object" || options === null) throw invalidArgument("options", expectedOptions, options);
  const { protection = "readWrite", huge, locked, guard } = options;
  const allowed = indexOf(protections, protection, "protection");
  const isLocked = flagFrom(locked, "locked");
  if (isLocked && allowed === 0) throw invalidArgument("locked", 'false with the protection "none"', locked);
  const wishes = (flagFrom(huge, "huge") ? 1 : 0) + (isLocked ? 2 : 0) + (flagFrom(guard, "guard") ? 4 : 0);
  numbers[0] = bytes;
  numbers[1] = allowed;
  numbers[2] = wishes;
  const status = binding.mapPages();
  if (status === undefined) return pointers[0]!;
  if (status !== rangeStatus.lockLimit) throw outOfMemory("mapPages", length);
  binding.lockLimit();
  throw lockLimit("mapPages", length, numbers[0]!);
}

/** The error for a pointer that is not the start of a mapping. */
function startError(ptr: bigint, misuse: number): Error {
  if (misuse === misuseNumbers.doubleFree) return doubleFree("unmapPages", ptr);
  const place = rangePlaceOf(ptr);
  if (place !== undefined) return interiorPointer("unmapPages", ptr, BigInt(place.start));
  return foreignPointer("unmapPages", ptr, "a mapping of mapPages");
}

/**
 * Unmaps what `mapPages` mapped, all of it; give content back by `advisePages(ptr, length, "dontNeed")` where only a part
 * shall go. This thread's views of it have length 0 afterwards. Where other threads or transferred ArrayBuffers still
 * have views, they show zeros, and the address is used for nothing else until these are gone.
 *
 * As for everything that ends views: not while an asynchronous call of the runtime (of zlib, say) works on one.
 *
 * Cost: a system call. Any thread.
 *
 * @param ptr - the address that `mapPages` returned.
 * @param length - bytes, as they were given to `mapPages`, for programs that want this checked.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_DOUBLE_FREE (unmapped already), ERR_INTERIOR_POINTER,
 * ERR_FOREIGN_POINTER
 * @example
 * ```ts
 * import { mapPages, unmapPages, view } from "pagerun";
 *
 * const base = mapPages(4096);
 * const bytes = view(base, 4096);
 * unmapPages(base);
 * console.assert(bytes.length === 0);
 * ```
 */
export function unmapPages(ptr: bigint, length?: number | bigint): void {
  checkPointer(ptr, "unmapPages");
  const place = rangePlaceOf(ptr);
  const bytes = length === undefined ? undefined : osPagesFrom(length);
  if (place !== undefined && place.start === place.address) {
    const mapped = place.end - place.start;
    if (bytes !== undefined && bytes !== mapped)
      throw invalidArgument("length", `the length of the whole mapping, ${mapped} bytes,`, length);
    endRangeBuffers(place.start);
  }
  pointers[0] = ptr;
  const misuse = binding.unmapPages();
  if (misuse !== undefined) throw startError(ptr, misuse);
}

/** OS pages of one mapping, from `ptr` on; else throws. */
function osPagesAt(call: string, ptr: bigint, length: number | bigint): { start: number; bytes: number } {
  checkPointer(ptr, call);
  const bytes = osPagesFrom(length);
  const place = rangePlaceOf(ptr);
  if (place === undefined) throw foreignPointer(call, ptr, "a mapping of mapPages");
  const isOsPage = place.address % osPageBytes === 0;
  if (!isOsPage) throw invalidArgument("ptr", `a multiple of ${osPageBytes}`, ptr);
  if (bytes > place.end - place.address) throw outOfBounds(call, ptr, bytes, place.end - place.address);
  return { start: place.start, bytes };
}

/** The error for what the core answered. */
function statusError(call: string, ptr: bigint, bytes: number, status: RangeStatusNumber): Error {
  if (status === rangeStatus.inUse) return pagesInUse(call, ptr, bytes);
  if (status === rangeStatus.outOfMemory) return outOfMemory(call, bytes);
  if (status === rangeStatus.refused) return systemRefused(call, ptr, bytes, getSystemErrorName(-numbers[0]!));
  return outOfBounds(call, ptr, bytes, undefined);
}

/**
 * Changes what may be done with OS pages of one mapping. A protection that allows less than reading and writing ends
 * this thread's views of the mapping (their length is 0); `view` gives new ones where both are allowed, and `copyOut`
 * and the accessors read what may be read.
 *
 * As for everything that ends views: not while an asynchronous call of the runtime (of zlib, say) works on one.
 *
 * Cost: a system call. Any thread.
 *
 * @param ptr - an OS page of a mapping: a multiple of 4096.
 * @param length - bytes, more than 0; rounded up to whole OS pages.
 * @param protection - what may be done from now on.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_FOREIGN_POINTER (no mapping of `mapPages`), ERR_OUT_OF_BOUNDS (not all in
 * one), ERR_PAGES_IN_USE (other threads or transferred ArrayBuffers have views of it), ERR_OUT_OF_MEMORY (the system has
 * no room for further parts)
 * @example
 * ```ts
 * import { copyIn, copyOut, mapPages, protectPages, unmapPages } from "pagerun";
 *
 * const base = mapPages(8192);
 * copyIn(base, Uint8Array.of(1, 2, 3));
 * protectPages(base, 4096, "read");
 * console.assert(copyOut(base, 3).join() === "1,2,3");
 * try {
 *   copyIn(base, Uint8Array.of(4));
 * } catch (error) {
 *   console.assert(error.code === "ERR_PROTECTED_PAGES");
 * }
 * unmapPages(base);
 * ```
 */
export function protectPages(ptr: bigint, length: number | bigint, protection: PageProtection): void {
  const allowed = indexOf(protections, protection, "protection");
  const { start, bytes } = osPagesAt("protectPages", ptr, length);
  if (protection !== "readWrite") {
    if (numbers[3]! > rangeViews(start)) throw pagesInUse("protectPages", ptr, bytes);
    endRangeBuffers(start);
  }
  pointers[0] = ptr;
  numbers[1] = bytes;
  numbers[2] = allowed;
  const status = binding.protectPages();
  if (status !== undefined) throw statusError("protectPages", ptr, bytes, status);
}

/**
 * Tells the system how OS pages of one mapping are going to be used (madvise).
 *
 * Cost: a system call. Any thread.
 *
 * @param ptr - an OS page of a mapping: a multiple of 4096.
 * @param length - bytes, more than 0; rounded up to whole OS pages.
 * @param advice - see PageAdvice.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_FOREIGN_POINTER (no mapping of `mapPages`), ERR_OUT_OF_BOUNDS (not all in
 * one), ERR_SYSTEM_REFUSED (the kernel does not know the advice, or the OS pages are locked)
 * @example
 * ```ts
 * import { advisePages, mapPages, unmapPages, view } from "pagerun";
 *
 * const base = mapPages(1_000_000);
 * view(base, 1_000_000).fill(1);
 * advisePages(base, 4096, "dontNeed");
 * console.assert(view(base, 4097).join("").endsWith("01"));
 * unmapPages(base);
 * ```
 */
export function advisePages(ptr: bigint, length: number | bigint, advice: PageAdvice): void {
  const number = indexOf(advices, advice, "advice");
  const { bytes } = osPagesAt("advisePages", ptr, length);
  pointers[0] = ptr;
  numbers[1] = bytes;
  numbers[2] = number;
  const status = binding.advisePages();
  if (status !== undefined) throw statusError("advisePages", ptr, bytes, status);
}

/** A Uint8Array with a byte for each OS page. */
function bytePerOsPage(count: number): Uint8Array {
  try {
    return new Uint8Array(count);
  } catch {
    throw outOfMemory("residentPages", count);
  }
}

/**
 * Tells which OS pages are in memory (mincore): those that were touched and are neither given back nor swapped out.
 *
 * Cost: a system call, O(OS pages). Any thread.
 *
 * @param ptr - an address in a mapping of `mapPages`, or in a live block.
 * @param length - bytes from there on; every OS page that has one of them is told of.
 * @returns a byte for each OS page, in address order: 1 in memory, 0 not.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER, ERR_SYSTEM_REFUSED,
 * ERR_OUT_OF_MEMORY
 * @example
 * ```ts
 * import { mapPages, residentPages, unmapPages, view } from "pagerun";
 *
 * const base = mapPages(3 * 4096);
 * view(base, 3 * 4096)[5000] = 1;
 * console.assert(residentPages(base, 3 * 4096).join() === "0,1,0");
 * unmapPages(base);
 * ```
 */
export function residentPages(ptr: bigint, length: number | bigint): Uint8Array {
  checkPointer(ptr, "residentPages");
  const bytes = sizeFrom(length, "length");
  const place = placeOf(ptr);
  if (place === undefined || bytes > place.end - place.address) throw boundsError("residentPages", ptr, bytes);
  const first = place.address - (place.address % osPageBytes);
  const resident = bytePerOsPage(bytes === 0 ? 0 : Math.ceil((place.address + bytes - first) / osPageBytes));
  pointers[0] = BigInt(first);
  binding.residentPages(resident);
  const error = numbers[0]!;
  if (error !== 0) throw systemRefused("residentPages", ptr, bytes, getSystemErrorName(-error));
  return resident;
}
