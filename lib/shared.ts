// SharedArrayBuffers over memory itself: the same bytes for several threads, with Atomics. Owns nothing; the addon holds
// the memory while any thread has such a buffer. Thread rule: any thread.
import { checkPointer, sizeFrom } from "./arguments.js";
import { capabilities } from "./capabilities.js";
import { invalidArgument, outOfMemory, sharedViewsUnsupported } from "./errors.js";
import { placeOf } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";
import { boundsError } from "./view.js";

const { holdStatus, sharedBuffer: callSharedBuffer } = binding;
const { pointers, numbers } = mailbox;

/** What Atomics need of an address: the longest element that they work on. */
const atomicBytes = 8;

/**
 * Gives a SharedArrayBuffer over the memory itself, which other threads can have by `postMessage` and wait on with
 * Atomics. `capabilities.sharedViews` says whether the runtime can make one (late Node.js 22, 24 and 26 can).
 *
 * Nobody can take a SharedArrayBuffer away from the threads that have it, so it holds the block: `free` is taken at its
 * word, and the pointer is no live block any more, but the memory stays what it is, and is given out again only when the
 * last SharedArrayBuffer over it has been collected, on whatever thread. A mapping of `mapPages` that is unmapped keeps
 * its address likewise, and cannot be protected meanwhile.
 *
 * Cost: microseconds, and a look-up at frees of blocks in the same page meanwhile. Any thread.
 *
 * @param ptr - an address in a live block, or in a mapping; a multiple of 8, as Atomics need it.
 * @param length - bytes from there on, a non-negative safe integer or a bigint.
 * @throws PagerunError ERR_INVALID_ARGUMENT (also for the block of an arena that can end), ERR_OUT_OF_BOUNDS,
 * ERR_FOREIGN_POINTER, ERR_PROTECTED_PAGES, ERR_OUT_OF_MEMORY, ERR_SHARED_VIEWS_UNSUPPORTED
 * @example
 * ```ts
 * import { calloc, capabilities, free, shared } from "pagerun";
 *
 * const ptr = calloc(16);
 * if (capabilities.sharedViews) {
 *   const counters = new Int32Array(shared(ptr, 16));
 *   Atomics.add(counters, 1, 5);
 *   console.assert(Atomics.load(counters, 1) === 5);
 * }
 * free(ptr);
 * ```
 */
export function shared(ptr: bigint, length: number | bigint): SharedArrayBuffer {
  checkPointer(ptr, "shared");
  const bytes = sizeFrom(length, "length");
  const place = placeOf(ptr);
  if (place === undefined || bytes > place.end - place.address) throw boundsError("shared", ptr, bytes);
  if (ptr % BigInt(atomicBytes) !== 0n) throw invalidArgument("ptr", `a multiple of ${atomicBytes}`, ptr);
  if (!capabilities.sharedViews) throw sharedViewsUnsupported("shared", ptr, bytes);
  if (bytes === 0) return new SharedArrayBuffer(0);
  pointers[0] = ptr;
  numbers[1] = bytes;
  const buffer = callSharedBuffer();
  if (buffer === null) throw sharedViewsUnsupported("shared", ptr, bytes);
  if (typeof buffer !== "number") return buffer;
  if (buffer === holdStatus.madeArena)
    throw invalidArgument("ptr", "memory that does not end with an Arena, which no SharedArrayBuffer can", ptr);
  throw buffer === holdStatus.outOfMemory ? outOfMemory("shared", bytes) : boundsError("shared", ptr, bytes);
}
