// Block: memory that is owned. Owns its block from alloc to free, and every view that it has given out: they end with it.
// What happens to dropped Blocks, and to those left when their thread ends, is lib/ledger.ts.
// Thread rule: a Block belongs to the thread that made it. Others may use its memory through `ptr`, and not free it.
import { isMainThread } from "node:worker_threads";
import { Accessors, openMemory, reach, shutMemory } from "./accessors.js";
import { sizeFrom } from "./arguments.js";
import { blockBuffer, maxBufferBytes, stretchBuffer } from "./buffers.js";
import { capabilities } from "./capabilities.js";
import {
  arenaLimit,
  doubleFree,
  externalViewsUnsupported,
  invalidArgument,
  outOfBounds,
  outOfMemory,
  PagerunError,
} from "./errors.js";
import { forget, watch } from "./leaks.js";
import { type BlockHome, enter, type Life, leave, move, noteBuffer, post, tell } from "./ledger.js";
import { type Place, placeOf } from "./misuse.js";
import { binding, mailbox } from "./native/binding.js";

const { makeBlockBytes, isAttached, endBlockBytes, copyBytes } = binding;
const { pointers, numbers } = mailbox;
const { externalViews } = capabilities;

/** malloc and realloc align to this much by themselves. */
export const plainAlignment = 16;

/** The size of a Block that is over. */
const over = -1;

/** ArrayBuffers of Blocks of other homes than the heap, which must not be collected before them. */
const homesOfBuffers = new WeakMap<ArrayBuffer, BlockHome>();

/** Programs do not make Blocks. */
export const makerKey = Symbol("maker");
let make: (home: BlockHome, ptr: bigint, size: number, alignment: number) => Block;

/** A size as a number that every function takes. */
export function memorySizeFrom(size: number | bigint, call: string): number {
  const bytes = sizeFrom(size, "size");
  if (Number.isSafeInteger(bytes)) return bytes;
  throw outOfMemory(call, size);
}

/** The same error as coming from the call that the program made. */
export function asFrom(call: string, size: number, error: unknown): unknown {
  if (!(error instanceof PagerunError)) return error;
  if (error.code === "ERR_OUT_OF_MEMORY") return outOfMemory(call, size);
  return error.code === "ERR_ARENA_LIMIT" ? arenaLimit(call, size, error.limit, error.used) : error;
}

/**
 * Memory that is owned: it is live until `free`, or until nothing refers to the Block and its bytes any more.
 *
 * After `free` every view that came from it has length 0, and every access is refused. `using block = alloc(4096)`
 * frees it at the end of the scope. Made by `alloc`; the class is exported for `instanceof`.
 *
 * The accessors (`getInt8` to `setFloat64`) read and write host order, which is little endian, at any offset in bytes;
 * values are taken as DataView takes them, and must be of the right type. They cost what those of DataView cost, and
 * need no ArrayBuffer of the Block but for those of megabytes; these, Blocks of arenas, and all Blocks of a thread once
 * an access was refused there, cost a nanosecond more. Their errors: ERR_OUT_OF_BOUNDS where not all bytes are in a live
 * block, ERR_INVALID_ARGUMENT, and ERR_EXTERNAL_VIEWS_UNSUPPORTED where the runtime has no ArrayBuffers over such
 * memory.
 *
 * Do not free or resize a Block, as you would not free memory in C, while an asynchronous call (fs, zlib, crypto) still
 * works on its bytes: Node.js 20 ends the process when an ArrayBuffer is detached under zlib.
 *
 * Thread rule: a Block belongs to its thread and ends with it at the latest. Send `ptr` to others, or a copy of the
 * bytes. Memory whose ArrayBuffer was transferred stays allocated when the thread ends, for another one may have it by
 * then; and a thread that is terminated in the middle of `alloc` can lose that one block.
 *
 * @example
 * ```ts
 * import { alloc, Block } from "pagerun";
 *
 * const block = alloc(16);
 * console.assert(block instanceof Block && block.ptr % 16n === 0n);
 * block.setInt32(4, -7);
 * console.assert(block.getInt32(4) === -7);
 * const { bytes } = block;
 * block.free();
 * console.assert(bytes.length === 0 && block.size === 0 && block.ptr === 0n);
 * ```
 */
export class Block extends Accessors implements Disposable {
  readonly #home: BlockHome;
  readonly #life: Life;
  readonly #entry: number;
  readonly #alignment: number;
  #ptr: bigint;
  #size: number;
  /** What `bytes` gave out, and the ArrayBuffer under it: kept beside it, as its properties can be made to lie. */
  #bytes: Uint8Array | undefined = undefined;
  #buffer: ArrayBuffer | undefined = undefined;

  /** @internal */
  protected constructor(key: symbol, home: BlockHome, ptr: bigint, size: number, alignment: number) {
    if (key !== makerKey) throw new TypeError("Blocks are made by alloc");
    super();
    this.#home = home;
    this.#life = home.life;
    this.#alignment = alignment;
    this.#ptr = ptr;
    this.#size = size;
    this.#entry = enter(this, home, ptr, size);
    watch(this.#entry);
  }

  static {
    make = (home, ptr, size, alignment) => new Block(makerKey, home, ptr, size, alignment);
  }

  /** The block's address, for C and for `view`; 0n when the Block is over. `resize` may change it. */
  get ptr(): bigint {
    return this.#isLive() ? this.#ptr : 0n;
  }

  /** Bytes; 0 when the Block is over. */
  get size(): number {
    return this.#isLive() ? this.#size : 0;
  }

  /**
   * All bytes, as the memory itself. The same array each time, over an ArrayBuffer of the Block's own, until the Block
   * is freed or resized: then it has length 0, like every other view of that ArrayBuffer.
   *
   * Holding it keeps the memory, also when the Block is dropped. Who transfers the ArrayBuffer away takes the bytes
   * along: this array has length 0 from then on, and the memory is freed when the Block is over and the other
   * ArrayBuffer is gone.
   *
   * Cost: microseconds when asked for the first time, which is what an external ArrayBuffer costs; then nothing.
   *
   * @throws PagerunError ERR_EXTERNAL_VIEWS_UNSUPPORTED, ERR_INVALID_ARGUMENT (a Block longer than any typed array)
   */
  get bytes(): Uint8Array {
    return this.#bytes ?? this.#makeBytes();
  }

  /** All bytes as a Buffer over the same memory as `bytes`: for functions that want one. Same life, cost and errors. */
  buffer(): Buffer {
    const { bytes } = this;
    return bytes.byteLength === 0 ? Buffer.alloc(0) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /**
   * Resizes the block as `realloc` does: in place where that can be, content kept up to the smaller of both sizes, and
   * what is new not defined. The alignment stays. Every view that came from the Block has length 0 afterwards, moved or
   * not: ask for `bytes` anew.
   *
   * Cost: as `realloc`; O(bytes) for Blocks made with `align`.
   *
   * @param size - bytes, as for `alloc`; 0 is a size.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY (the Block and its views are as they were), ERR_DOUBLE_FREE
   */
  resize(size: number | bigint): void {
    const bytes = memorySizeFrom(size, "resize");
    if (!this.#isLive()) throw doubleFree("resize", this.#ptr);
    try {
      this.#moveTo(bytes);
    } catch (error) {
      throw asFrom("resize", bytes, error);
    }
  }

  /**
   * Frees the block and ends every view that came from it.
   *
   * Cost: O(1); as much again as an ArrayBuffer's end costs where `bytes` was asked for.
   *
   * @throws PagerunError ERR_DOUBLE_FREE
   */
  free(): void {
    if (!this.#isLive()) throw doubleFree("free", this.#ptr);
    const isMine = this.#endBytes();
    shutMemory(this);
    this.#size = over;
    leave(this.#entry);
    forget(this.#entry);
    if (isMine) this.#home.free(this.#ptr);
  }

  /** Frees the block, if that has not been done: what `using` calls. */
  [Symbol.dispose](): void {
    if (this.#isLive()) this.free();
  }

  #isLive(): boolean {
    return this.#size !== over && !this.#life.isOver;
  }

  /** @internal */
  override [reach](call: string, offset: number, bytes: number): DataView {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw invalidArgument("offset", "a non-negative safe integer", offset);
    }
    if (!this.#isLive()) throw outOfBounds(call, this.#ptr, bytes, undefined);
    if (offset + bytes > this.#size) {
      throw outOfBounds(call, this.#ptr + BigInt(offset), bytes, Math.max(0, this.#size - offset));
    }
    return this.#open(call, offset, bytes);
  }

  /** The ArrayBuffer of `bytes` where there is one, for then V8 counts no other; else that of the stretch. */
  #open(call: string, offset: number, bytes: number): DataView {
    const place = placeOf(this.#ptr);
    if (place === undefined || place.end - place.address < this.#size) {
      throw outOfBounds(call, this.#ptr, bytes, undefined);
    }
    if (this.#hasMemory()) return this.#openOver(this.#buffer!, 0);
    if (!externalViews) throw externalViewsUnsupported(call, this.#ptr, bytes);
    if (place.stretch !== 0) {
      const buffer = stretchBuffer(place) ?? this.#refuse(call, bytes);
      return this.#openOver(buffer, place.address - place.stretch);
    }
    const isFirst = this.#buffer === undefined && this.#size <= maxBufferBytes;
    return isFirst ? this.#openOver(this.#makeBuffer(call), 0) : this.#openPart(call, place, offset, bytes);
  }

  #openOver(buffer: ArrayBuffer, start: number): DataView {
    const memory = new DataView(buffer, start, this.#size);
    openMemory(this, memory, 0, this.#life);
    return memory;
  }

  /** As much of the block as one ArrayBuffer has, which others have as well. */
  #openPart(call: string, place: Place, offset: number, bytes: number): DataView {
    const at = { ...place, address: place.address + offset };
    const { buffer, start } = blockBuffer(at, at.address + bytes) ?? this.#refuse(call, bytes);
    const memory = new DataView(buffer);
    openMemory(this, memory, start - place.address, undefined);
    return memory;
  }

  #refuse(call: string, bytes: number): never {
    throw externalViewsUnsupported(call, this.#ptr, bytes);
  }

  #makeBytes(): Uint8Array {
    const isEmpty = !this.#isLive() || this.#size === 0;
    this.#bytes = isEmpty ? new Uint8Array(0) : new Uint8Array(this.#buffer ?? this.#makeBuffer("bytes"));
    return this.#bytes;
  }

  #makeBuffer(call: string): ArrayBuffer {
    const size = this.#size;
    if (size > maxBufferBytes) {
      throw invalidArgument("size", `at most ${maxBufferBytes} bytes, the longest typed array of this runtime,`, size);
    }
    post(this.#entry);
    numbers[2] = isMainThread ? 0 : 1;
    const buffer = externalViews ? makeBlockBytes() : null;
    if (buffer === null) this.#refuse(call, size);
    if (buffer === undefined) throw outOfBounds(call, this.#ptr, size, undefined);
    noteBuffer(this.#entry, buffer);
    tell(this.#life, -size);
    if (this.#life.number !== 0) homesOfBuffers.set(buffer, this.#home);
    this.#buffer = buffer;
    return buffer;
  }

  /** True when there is an ArrayBuffer for `bytes` and it has not been transferred. */
  #hasMemory(): boolean {
    if (this.#buffer === undefined) return false;
    isAttached(this.#buffer);
    return numbers[0] === 1;
  }

  /** Ends what `bytes` gave out. True when nobody else can reach the memory, so that it can be freed at once. */
  #endBytes(): boolean {
    if (this.#buffer === undefined) {
      tell(this.#life, -this.#size);
      return true;
    }
    post(this.#entry);
    endBlockBytes(this.#buffer);
    noteBuffer(this.#entry, undefined);
    this.#buffer = undefined;
    return numbers[0] === 1;
  }

  /** True where realloc may take the memory: not from an ArrayBuffer to which it was transferred. */
  #canRealloc(): boolean {
    return this.#alignment <= plainAlignment && (this.#buffer === undefined || this.#hasMemory());
  }

  #moveTo(size: number): void {
    const from = this.#ptr;
    const isRealloc = this.#canRealloc();
    const to = isRealloc ? this.#home.realloc(from, Math.max(size, 1)) : this.#copyTo(size);
    // The Block has its new place, and nothing fails from here on.
    const isMine = this.#endBytes();
    shutMemory(this);
    this.#bytes = undefined;
    this.#ptr = to;
    this.#size = size;
    move(this.#entry, to, size);
    tell(this.#life, size);
    if (isMine && !isRealloc) this.#home.free(from);
  }

  #copyTo(size: number): bigint {
    const to = this.#home.alignedAlloc(this.#alignment, size);
    numbers[2] = Math.min(size, this.#size);
    pointers[0] = this.#ptr;
    pointers[1] = to;
    copyBytes();
    if (numbers[0] === 1) return to;
    this.#home.free(to);
    throw doubleFree("resize", this.#ptr);
  }
}

/** A Block of a block that has just been allocated in `home`. Throws where there is no room for the Block. */
export function makeBlock(home: BlockHome, ptr: bigint, size: number, alignment: number): Block {
  return make(home, ptr, size, alignment);
}
