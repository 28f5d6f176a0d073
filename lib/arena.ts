// Arena: blocks that end together, under a limit. Owns an arena of the core from `new` to `destroy`, and which ArrayBuffers
// there are over it; that none outlives it, and what transfer() has taken away, is the addon's (native/node/arena_handles.h).
// Thread rule: an Arena belongs to the thread that made it and ends with it. Its blocks are blocks of the heap: any thread
// may view and free them.
import { type AllocOptions, allocIn } from "./alloc.js";
import { ArenaBuffers } from "./arena-buffers.js";
import { alignmentFrom, checkPointer, sizeFrom } from "./arguments.js";
import { type Block, plainAlignment } from "./block.js";
import { maxBufferBytes } from "./buffers.js";
import {
  arenaDestroyed,
  arenaLimit,
  externalViewsUnsupported,
  invalidArgument,
  otherArena,
  outOfBounds,
  outOfMemory,
  type PagerunError,
} from "./errors.js";
import { type BlockHome, endBlocks, endLife, Life } from "./ledger.js";
import { misuseError } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";

const { arenaMake, arenaMalloc, arenaRealloc, arenaFree, arenaLocate, arenaUsed } = binding;
const { arenaReset, arenaDestroy, arenaDrop, arenaStatus, misuse: misuseNumbers, adjustExternalMemory } = binding;
const { pointers, numbers } = mailbox;

/** The part of the limit that is the high water of `onPressure`. */
const highWaterShare = 0.8;
/** V8 is told of an arena's memory when so many bytes have come or gone. */
const tellBytes = 256 * 1024;
/** Instead of an alignment: all bytes are zero. */
const zeroed = 0;

/** Why `onPressure` is called. */
export interface ArenaPressure {
  /** Bytes that were asked for. */
  readonly needed: number;
  /** Bytes in use. */
  readonly used: number;
  /** Bytes that the arena may hand out. */
  readonly limit: number;
}

/** How an Arena is made. */
export interface ArenaOptions {
  /**
   * What `snapshot` calls it.
   * @defaultValue ""
   */
  readonly name?: string | undefined;
  /**
   * Bytes that its blocks may have together, as `usableSize` tells them (in the hardened profile with what lies behind the
   * bytes asked for): a non-negative safe integer, a bigint, or Infinity.
   * @defaultValue Infinity
   */
  readonly limit?: number | bigint | undefined;
  /**
   * The checks that are made of its blocks. "hardened" adds those of the hardened profile, whatever the process's own is:
   * a canary behind each block, cleared and delayed reuse, random places, guards round large blocks. In a process whose
   * profile is hardened all arenas are.
   * @defaultValue "fast"
   */
  readonly profile?: "fast" | "hardened" | undefined;
  /**
   * Called before a block is refused for the limit, and before one is given with which more than 80 % of the limit come into use. It
   * may free, `reset` and `destroy`; then the call is tried again, once. It is not called from within itself. What it throws
   * comes out of the call, which has done nothing then.
   */
  readonly onPressure?: ((arena: Arena, pressure: ArenaPressure) => void) | undefined;
}

/** What must be given back when an Arena has been collected; knows nothing of the Arena itself. */
interface Account {
  handle: number;
  /** That of its Blocks; undefined while there are none. */
  life: Life | undefined;
  toldBytes: number;
}

const collected = new FinalizationRegistry<Account>((account) => {
  if (account.life !== undefined) endLife(account.life);
  numbers[0] = account.handle;
  arenaDrop();
  tell(account, 0);
});

/** V8 learns how much memory an arena keeps. */
function tell(account: Account, bytes: number): void {
  if (bytes === account.toldBytes) return;
  numbers[0] = bytes - account.toldBytes;
  account.toldBytes = bytes;
  adjustExternalMemory();
}

/** Puts a handle and a pointer into the mailbox, the pointer checked as lib/heap.ts does. */
function post(handle: number, ptr: bigint, call: string): void {
  if (typeof ptr === "bigint") {
    pointers[1] = ptr;
    if (pointers[1] === ptr) {
      numbers[0] = handle;
      return;
    }
  }
  checkPointer(ptr, call);
}

function limitFrom(limit: unknown): number {
  return limit === undefined || limit === Number.POSITIVE_INFINITY
    ? Number.POSITIVE_INFINITY
    : sizeFrom(limit, "limit");
}

function checkOptions({ name, profile, onPressure }: ArenaOptions): void {
  if (name !== undefined && typeof name !== "string") throw invalidArgument("name", "a string", name);
  if (profile !== undefined && profile !== "fast" && profile !== "hardened") {
    throw invalidArgument("profile", '"fast" or "hardened"', profile);
  }
  if (onPressure !== undefined && typeof onPressure !== "function") {
    throw invalidArgument("onPressure", "a function", onPressure);
  }
}

function newHandle(name: string, limit: number, profile: "fast" | "hardened" | undefined): number {
  numbers[0] = limit;
  numbers[1] = profile === "hardened" ? 1 : 0;
  arenaMake(name);
  const handle = numbers[0]!;
  if (handle === 0) throw outOfMemory("Arena", 0);
  return handle;
}

/** An Arena as the home of Blocks, which keep it alive. */
class ArenaHome implements BlockHome {
  life = new Life();
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  malloc(size: number): bigint {
    return this.#arena.malloc(size);
  }

  calloc(count: number, size: number): bigint {
    return this.#arena.calloc(count, size);
  }

  alignedAlloc(alignment: number, size: number): bigint {
    return this.#arena.alignedAlloc(alignment, size);
  }

  realloc(ptr: bigint, size: number): bigint {
    return this.#arena.realloc(ptr, size);
  }

  free(ptr: bigint): void {
    this.#arena.free(ptr);
  }
}

/**
 * Blocks that end together: made for a request or a job, under a limit, and given back at once.
 *
 * Its blocks are blocks of the heap like all others: `free`, `usableSize` and `view` take them, on any thread, and their misuse is found.
 * What ends with the arena are its blocks, the Blocks of `alloc`, and the views of `view`: they have length 0 then. A view made by the
 * global `view`, and a pointer, must not be used after it. The memory of a view whose ArrayBuffer was transferred away is given to nobody
 * as long as the other ArrayBuffer is there.
 *
 * An Arena that is dropped is destroyed by the collector, when its views and Blocks have been collected as well; pointers do not keep it.
 * Do not end an arena while an asynchronous call (fs, zlib, crypto) still works on its bytes, as you would not free them in C.
 *
 * Thread rule: it belongs to the thread that made it, and ends with that at the latest.
 *
 * @example
 * ```ts
 * import { Arena } from "pagerun";
 *
 * const arena = new Arena({ name: "request", limit: 1_000_000 });
 * const ptr = arena.calloc(100);
 * const bytes = arena.view(ptr, 100);
 * bytes[0] = 7;
 * console.assert(arena.used >= 100);
 * arena.destroy();
 * console.assert(bytes.length === 0);
 * ```
 */
export class Arena implements Disposable {
  /** What `snapshot` calls it. */
  readonly name: string;
  /** Bytes that its blocks may have together; Infinity when there is no limit. */
  readonly limit: number;
  readonly #account: Account;
  readonly #onPressure: ((arena: Arena, pressure: ArenaPressure) => void) | undefined;
  readonly #highWater: number;
  #isAboveHighWater = false;
  #isInCallback = false;
  #home: ArenaHome | undefined = undefined;
  readonly #buffers = new ArenaBuffers();

  /**
   * Cost: about a microsecond, and no memory until the first block.
   *
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY
   */
  constructor(options: ArenaOptions = {}) {
    if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object", options);
    const { name = "", limit, profile, onPressure } = options;
    checkOptions({ name, profile, onPressure });
    this.name = name;
    this.limit = limitFrom(limit);
    this.#onPressure = onPressure;
    this.#highWater = onPressure === undefined ? Number.POSITIVE_INFINITY : this.limit * highWaterShare;
    this.#account = { handle: newHandle(name, this.limit, profile), life: undefined, toldBytes: 0 };
    collected.register(this, this.#account, this.#account);
  }

  /** Bytes of its live blocks, as for `limit`; 0 when it is destroyed. Frees by other threads may not be seen yet. */
  get used(): number {
    numbers[0] = this.#account.handle;
    return arenaUsed() === undefined ? numbers[0]! : 0;
  }

  get isDestroyed(): boolean {
    return this.#account.handle === 0;
  }

  /**
   * As `malloc`, from the arena.
   *
   * @param size - bytes, as for `malloc`.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_ARENA_LIMIT, ERR_OUT_OF_MEMORY, ERR_ARENA_DESTROYED
   */
  malloc(size: number | bigint): bigint {
    return this.#take("malloc", size, sizeFrom(size, "size"), plainAlignment);
  }

  /**
   * As `calloc`, from the arena.
   *
   * @defaultValue size: 1
   * @throws PagerunError as `malloc`
   */
  calloc(count: number | bigint, size: number | bigint = 1): bigint {
    const bytes = sizeFrom(count, "count") * sizeFrom(size, "size");
    return this.#take("calloc", bytes, bytes, zeroed);
  }

  /**
   * As `alignedAlloc`, from the arena.
   *
   * @throws PagerunError as `malloc`
   */
  alignedAlloc(alignment: number | bigint, size: number | bigint): bigint {
    const wanted = alignmentFrom(alignment);
    return this.#take("alignedAlloc", size, sizeFrom(size, "size"), wanted);
  }

  /**
   * As `realloc`: the block stays in the arena, and what counts for the limit is its new size alone. (The global `realloc` takes a
   * block that must move, or that must grow beyond the page, out of the arena.)
   *
   * @throws PagerunError as `malloc` and `free`; the block is as it was
   */
  realloc(ptr: bigint, size: number | bigint): bigint {
    const bytes = sizeFrom(size, "size");
    post(this.#account.handle, ptr, "realloc");
    if (ptr === 0n) return this.#take("realloc", size, bytes, plainAlignment);
    if (bytes === 0) {
      this.#release("realloc", ptr);
      return 0n;
    }
    this.#announceGrowth(ptr, bytes);
    let status = this.#resize(ptr, bytes);
    if (status === arenaStatus.overLimit && this.#press(bytes)) status = this.#resize(ptr, bytes);
    if (status === undefined) return this.#granted();
    throw this.#refusal("realloc", ptr, size, status);
  }

  /**
   * As `free`, of a block of this arena.
   *
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_DOUBLE_FREE, ERR_INTERIOR_POINTER, ERR_FOREIGN_POINTER, ERR_OTHER_ARENA,
   * ERR_ARENA_DESTROYED
   */
  free(ptr: bigint): void {
    post(this.#account.handle, ptr, "free");
    if (ptr !== 0n) this.#release("free", ptr);
  }

  /**
   * As `alloc`: a Block in the arena, which is over when the arena ends, if not before.
   *
   * @throws PagerunError as `malloc`
   */
  alloc(size: number | bigint, options?: AllocOptions): Block {
    if (this.isDestroyed) throw arenaDestroyed("alloc");
    if (this.#home === undefined) this.#openHome();
    return allocIn(this.#home!, size, options);
  }

  /**
   * As `view`, of a block of this arena; the view has length 0 when the arena ends.
   *
   * Cost: O(1); the first view of an arena, and of each of its larger blocks, takes microseconds.
   *
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER, ERR_OTHER_ARENA, ERR_ARENA_DESTROYED,
   * ERR_EXTERNAL_VIEWS_UNSUPPORTED
   */
  view(ptr: bigint, length: number | bigint): Uint8Array {
    const bytes = sizeFrom(length, "length");
    post(this.#account.handle, ptr, "view");
    const status = arenaLocate();
    if (status !== undefined) throw this.#viewRefusal(ptr, bytes, status);
    const address = numbers[2]!;
    const available = numbers[0]! + numbers[1]! - address;
    if (bytes > available) throw outOfBounds("view", ptr, bytes, available < 0 ? undefined : available);
    if (bytes > maxBufferBytes) {
      throw invalidArgument(
        "length",
        `at most ${maxBufferBytes} bytes, the longest typed array of this runtime,`,
        bytes,
      );
    }
    const buffers = this.#buffers;
    const buffer = buffers.find(this.#account.handle, ptr, bytes);
    if (buffer === undefined) throw externalViewsUnsupported("view", ptr, bytes);
    return new Uint8Array(buffer, address - buffers.start, bytes);
  }

  /**
   * Frees every block at once, and ends every view and Block of the arena, which is as new then.
   *
   * Cost: O(pages of 32 KiB), whatever the number of blocks; waits for frees by other threads that are under way.
   *
   * @throws PagerunError ERR_ARENA_DESTROYED
   */
  reset(): void {
    if (this.isDestroyed) throw arenaDestroyed("reset");
    this.#endViews();
    numbers[0] = this.#account.handle;
    arenaReset();
    tell(this.#account, 0);
  }

  /** As `reset`, and the end of the arena. Nothing happens to one that is destroyed. Cost: as `reset`. */
  destroy(): void {
    if (this.isDestroyed) return;
    this.#endViews();
    collected.unregister(this.#account);
    numbers[0] = this.#account.handle;
    this.#account.handle = 0;
    arenaDestroy();
    tell(this.#account, 0);
  }

  /** Destroys the arena: what `using` calls. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  #take(call: string, size: number | bigint, bytes: number, alignment: number): bigint {
    let status = this.#attempt(bytes, alignment);
    if (status === undefined && numbers[2]! <= this.#highWater) return this.#granted();
    if (this.#isPressed(status, bytes)) {
      status = this.#attempt(bytes, alignment);
      if (status === undefined) this.#isAboveHighWater = numbers[2]! > this.#highWater;
    }
    if (status === undefined) return this.#granted();
    throw this.#refusal(call, 0n, size, status);
  }

  #attempt(bytes: number, alignment: number): number | undefined {
    numbers[0] = this.#account.handle;
    numbers[1] = bytes;
    numbers[2] = alignment;
    const status = arenaMalloc();
    if (status === undefined && numbers[1]! <= this.#highWater) this.#isAboveHighWater = false;
    return status;
  }

  #resize(ptr: bigint, bytes: number): number | undefined {
    numbers[0] = this.#account.handle;
    pointers[1] = ptr;
    numbers[2] = bytes;
    return arenaRealloc();
  }

  /** Takes the new block out of the mailbox. */
  #granted(): bigint {
    const ptr = pointers[0]!;
    this.#note(numbers[2]!);
    return ptr;
  }

  /** What V8 counts by itself, and what the Blocks have told it of, is not told again. */
  #note(used: number): void {
    const account = this.#account;
    const bytes = Math.max(0, used - this.#buffers.keptBytes - (account.life?.keptBytes ?? 0));
    if (bytes > account.toldBytes + tellBytes || bytes < account.toldBytes - tellBytes) tell(account, bytes);
  }

  #release(call: string, ptr: bigint): void {
    const status = arenaFree();
    if (status !== undefined) throw this.#refusal(call, ptr, 0, status);
  }

  /** After an attempt: calls `onPressure` if it is time to. True when the block is not there, and may be asked for again. */
  #isPressed(status: number | undefined, bytes: number): boolean {
    if (status === arenaStatus.overLimit) return this.#press(bytes);
    if (status !== undefined || this.#isAboveHighWater || this.#isInCallback) return false;
    // The block that passes the high water is given back for the time of the call, which may end all blocks.
    const ptr = pointers[0]!;
    numbers[0] = this.#account.handle;
    pointers[1] = ptr;
    arenaFree();
    this.#press(bytes);
    return true;
  }

  /** Calls `onPressure`; false where there is none, or it is what has called. */
  #press(needed: number): boolean {
    if (this.#onPressure === undefined || this.#isInCallback) return false;
    this.#isInCallback = true;
    try {
      this.#onPressure.call(undefined, this, { needed, used: this.used, limit: this.limit });
    } finally {
      this.#isInCallback = false;
    }
    return true;
  }

  /** A block that grows past the high water cannot be given back: `onPressure` is called before. */
  #announceGrowth(ptr: bigint, bytes: number): void {
    if (this.#highWater === Number.POSITIVE_INFINITY || arenaLocate() !== undefined) return;
    const grown = bytes - numbers[1]!;
    const { used } = this;
    if (used <= this.#highWater) this.#isAboveHighWater = false;
    if (used + grown <= this.#highWater || used + grown > this.limit || this.#isAboveHighWater) return;
    if (this.#press(bytes)) this.#isAboveHighWater = true;
    post(this.#account.handle, ptr, "realloc");
  }

  #refusal(call: string, ptr: bigint, size: number | bigint, status: number): PagerunError {
    switch (status) {
      case arenaStatus.overLimit:
        return arenaLimit(call, size, this.limit, this.used);
      case arenaStatus.noMemory:
        return outOfMemory(call, size);
      case arenaStatus.otherArena:
        return otherArena(call, ptr);
      case arenaStatus.noArena:
        return arenaDestroyed(call);
      default:
        // A call without a pointer has found the block by itself.
        return misuseError(call, ptr === 0n ? pointers[0]! : ptr, status);
    }
  }

  #viewRefusal(ptr: bigint, bytes: number, status: number): PagerunError {
    const isNoBlock = status === misuseNumbers.doubleFree || status === misuseNumbers.interiorPointer;
    return isNoBlock ? outOfBounds("view", ptr, bytes, undefined) : this.#refusal("view", ptr, bytes, status);
  }

  #openHome(): void {
    this.#home = new ArenaHome(this);
    this.#account.life = this.#home.life;
  }

  /** The addon ends the views of the arena itself. */
  #endViews(): void {
    this.#buffers.clear();
    this.#isAboveHighWater = false;
    if (this.#home === undefined) return;
    endBlocks(this.#home);
    this.#account.life = this.#home.life;
  }
}
