// SecureArena: memory for keys and other secrets. Owns one range of OS pages from `new` to `destroy`, and which parts of it
// are handed out. Thread rule: a SecureArena belongs to the thread that made it; its memory is the process's.
import { checkPointer, sizeFrom } from "./arguments.js";
import {
  arenaDestroyed,
  arenaLimit,
  foreignPointer,
  interiorPointer,
  invalidArgument,
  protectedPages,
} from "./errors.js";
import { fill } from "./moves.js";
import { binding } from "./native/binding.js";
import { advisePages, mapPages, protectPages, unmapPages } from "./pages.js";
import { view } from "./view.js";

const { osPageBytes } = binding;
const alignment = 16;

/** How a SecureArena is made. */
export interface SecureArenaOptions {
  /**
   * Bytes that its blocks may have together: at least 1, rounded up to whole OS pages of 4096 bytes, all of which are locked
   * from the start. Each block takes a multiple of 16 of them.
   * @defaultValue 4096
   */
  readonly limit?: number | bigint | undefined;
}

/** What lies between two addresses, in bytes from the start. */
interface Part {
  readonly from: number;
  readonly to: number;
}

/** What is left of arenas that were dropped without `destroy`: the system clears what it gets back. */
const dropped = new FinalizationRegistry<{ base: bigint }>(({ base }) => unmapPages(base));

function limitFrom(options: SecureArenaOptions): number {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object", options);
  const { limit = osPageBytes } = options;
  const bytes = sizeFrom(limit, "limit");
  if (bytes === 0) throw invalidArgument("limit", "at least 1 byte", limit);
  return Math.ceil(bytes / osPageBytes) * osPageBytes;
}

function mapSecure(bytes: number): bigint {
  const base = mapPages(bytes, { locked: true, guard: true });
  try {
    advisePages(base, bytes, "noDump");
    advisePages(base, bytes, "noFork");
  } catch (error) {
    unmapPages(base);
    throw error;
  }
  return base;
}

/**
 * An arena for keys and other secrets. Its memory is locked (never swapped out), left out of core dumps and of forked
 * children, has an OS page without access before and behind it, and is cleared when a block is freed and when the arena ends.
 * `seal` makes all of it read-only.
 *
 * Its blocks are no blocks of the heap: `free` and `realloc` do not know them. `view`, `copyIn`, `copyOut` and the accessors do.
 * Strings and typed arrays of JavaScript that a secret was in before are not cleared by it.
 *
 * @example
 * ```ts
 * import { copyOut, SecureArena } from "pagerun";
 *
 * const arena = new SecureArena({ limit: 4096 });
 * const key = arena.malloc(32);
 * arena.view(key, 32).fill(7);
 * arena.seal();
 * console.assert(copyOut(key, 32)[31] === 7);
 * arena.destroy();
 * ```
 */
export class SecureArena implements Disposable {
  /** Bytes that its blocks may have together. */
  readonly limit: number;
  readonly #base: bigint;
  /** In address order; none touches another. */
  #parts: Part[] = [];
  #isSealed = false;
  #isDestroyed = false;

  /**
   * Cost: some system calls; all memory is there at once.
   *
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY, ERR_LOCK_LIMIT (the process may not lock so much: nothing
   * is left mapped), ERR_SYSTEM_REFUSED
   */
  constructor(options: SecureArenaOptions = {}) {
    this.limit = limitFrom(options);
    this.#base = mapSecure(this.limit);
    dropped.register(this, { base: this.#base }, this);
  }

  /** Bytes in use, each block rounded up to a multiple of 16. */
  get used(): number {
    return this.#parts.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  get isSealed(): boolean {
    return this.#isSealed;
  }

  get isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  /**
   * All of its memory as one ArrayBuffer, which has length 0 from the next `seal` or `destroy` on.
   *
   * @throws PagerunError ERR_ARENA_DESTROYED, ERR_PROTECTED_PAGES (it is sealed), ERR_EXTERNAL_VIEWS_UNSUPPORTED
   */
  get buffer(): ArrayBuffer {
    this.#check("buffer", true);
    return view(this.#base, this.limit).buffer as ArrayBuffer;
  }

  /**
   * A block of `size` bytes, all zero.
   *
   * Cost: O(blocks).
   *
   * @param size - bytes, as for the global `malloc`; 0 takes 16.
   * @returns its address, a multiple of 16.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_ARENA_LIMIT, ERR_ARENA_DESTROYED, ERR_PROTECTED_PAGES (it is sealed)
   */
  malloc(size: number | bigint): bigint {
    const bytes = sizeFrom(size, "size");
    this.#check("malloc", true);
    const wanted = Math.max(alignment, Math.ceil(bytes / alignment) * alignment);
    let from = 0;
    const at = this.#parts.findIndex((part) => {
      if (part.from - from >= wanted) return true;
      from = part.to;
      return false;
    });
    if (at === -1 && this.limit - from < wanted) throw arenaLimit("malloc", size, this.limit, this.used);
    this.#parts.splice(at === -1 ? this.#parts.length : at, 0, { from, to: from + wanted });
    return this.#base + BigInt(from);
  }

  /**
   * Clears a block and gives it back. `free(0n)` does nothing.
   *
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_INTERIOR_POINTER, ERR_FOREIGN_POINTER (freed already, too),
   * ERR_ARENA_DESTROYED, ERR_PROTECTED_PAGES (it is sealed)
   */
  free(ptr: bigint): void {
    checkPointer(ptr, "free");
    this.#check("free", true);
    if (ptr === 0n) return;
    const offset = Number(ptr - this.#base);
    const index = this.#parts.findIndex(({ from, to }) => offset >= from && offset < to);
    const part = this.#parts[index];
    if (part === undefined) throw foreignPointer("free", ptr, "a live block of this arena");
    if (part.from !== offset) throw interiorPointer("free", ptr, this.#base + BigInt(part.from));
    fill(ptr, 0, part.to - part.from);
    this.#parts.splice(index, 1);
  }

  /**
   * A Uint8Array over bytes of the arena, which has length 0 from the next `seal` or `destroy` on.
   *
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER (not in this arena), ERR_ARENA_DESTROYED,
   * ERR_PROTECTED_PAGES (it is sealed), ERR_EXTERNAL_VIEWS_UNSUPPORTED
   */
  view(ptr: bigint, length: number | bigint): Uint8Array {
    checkPointer(ptr, "view");
    this.#check("view", true);
    const isHere = ptr >= this.#base && ptr < this.#base + BigInt(this.limit);
    if (!isHere) throw foreignPointer("view", ptr, "an address in this arena");
    return view(ptr, length);
  }

  /**
   * Makes all of it read-only, and ends this thread's views of it: who writes by native code is stopped by a fault.
   * `copyOut` and the getters still read.
   *
   * @throws PagerunError ERR_ARENA_DESTROYED, ERR_PAGES_IN_USE (other threads have views of it)
   */
  seal(): void {
    this.#check("seal", false);
    protectPages(this.#base, this.limit, "read");
    this.#isSealed = true;
  }

  /**
   * Makes it writable again.
   *
   * @throws PagerunError ERR_ARENA_DESTROYED, ERR_OUT_OF_MEMORY
   */
  unseal(): void {
    this.#check("unseal", false);
    protectPages(this.#base, this.limit, "readWrite");
    this.#isSealed = false;
  }

  /** Clears all of it and gives it back; every view has length 0. Nothing happens to one that is destroyed. */
  destroy(): void {
    if (this.#isDestroyed) return;
    if (this.#isSealed) this.unseal();
    fill(this.#base, 0, this.limit);
    dropped.unregister(this);
    unmapPages(this.#base);
    this.#isDestroyed = true;
    this.#parts = [];
  }

  /** Destroys the arena: what `using` calls. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  #check(call: string, writes: boolean): void {
    if (this.#isDestroyed) throw arenaDestroyed(call);
    if (writes && this.#isSealed) throw protectedPages(call, this.#base, this.limit);
  }
}
