// The ArrayBuffers over the memory of one arena, which its views are made over. Owns which there are; that none outlives
// the arena is the addon's (native/node/arena_handles.h).
//
// Blocks of bucket pages share one for each extent of the arena, which is kept as long as that. A larger block has one of
// its own, held weakly: whoever frees the block, its memory is kept for as long as a view can reach it, and no longer.
// Thread rule: the arena's thread.
import { rangeFor } from "./buffers.js";
import { capabilities } from "./capabilities.js";
import { binding, mailbox } from "./native/binding.js";

const { arenaBuffer } = binding;
const { pointers, numbers } = mailbox;
const { externalViews } = capabilities;

/** So many buffers are remembered before those are looked for that have been collected. */
const leastSweep = 64;

/** An ArrayBuffer over the memory from address `start` to address `end` (not included). */
interface KnownBuffer {
  readonly start: number;
  readonly end: number;
  /** A WeakRef, or something that keeps the buffer: the same to whoever asks. */
  readonly reference: { deref(): ArrayBuffer | undefined };
}

const noBuffer = new ArrayBuffer(0);

export class ArenaBuffers {
  /** The first address of the buffer that was found last. */
  start = 0;
  /** Bytes of the buffers that are kept. */
  keptBytes = 0;
  /** By the first address of the memory that they are over. */
  readonly #known = new Map<number, KnownBuffer>();
  /** The buffer that was found last, if it is a kept one: the next view is likely to be there too. */
  #lastStart = 0;
  #last = noBuffer;
  #nextSweep = leastSweep;

  /**
   * An ArrayBuffer that has `bytes` from `ptr` on, which are in a live block: the mailbox says where, as arenaLocate has
   * left it. Undefined where the runtime refuses one.
   */
  find(handle: number, ptr: bigint, bytes: number): ArrayBuffer | undefined {
    // A program can take the memory away from a buffer, by transfer() for example.
    if (numbers[3] === this.#lastStart && this.#last.byteLength !== 0) {
      this.start = this.#lastStart;
      return this.#last;
    }
    return this.#findSlow(handle, ptr, bytes);
  }

  /** Forgets all. */
  clear(): void {
    this.#known.clear();
    this.keptBytes = 0;
    this.#last = noBuffer;
  }

  #findSlow(handle: number, ptr: bigint, bytes: number): ArrayBuffer | undefined {
    const address = numbers[2]!;
    const start = numbers[3]!;
    const isOwn = numbers[5] === 1;
    const known = this.#known.get(start);
    if (known !== undefined && known.start <= address && address + bytes <= known.end) {
      const buffer = known.reference.deref();
      if (buffer?.byteLength === known.end - known.start) return this.#found(known.start, buffer, isOwn);
    }
    if (!externalViews) return undefined;
    const range = rangeFor({ start, end: start + numbers[4]!, address }, address + bytes);
    numbers[0] = handle;
    pointers[1] = ptr;
    return this.#make(start, range, isOwn);
  }

  #make(memoryStart: number, { start, end }: { start: number; end: number }, isOwn: boolean): ArrayBuffer | undefined {
    pointers[2] = BigInt(start);
    numbers[3] = end - start;
    const buffer = arenaBuffer();
    if (buffer === null) return undefined;
    this.#sweep();
    this.#known.set(memoryStart, { start, end, reference: isOwn ? new WeakRef(buffer) : { deref: () => buffer } });
    if (!isOwn) this.keptBytes += end - start;
    return this.#found(start, buffer, isOwn);
  }

  #found(start: number, buffer: ArrayBuffer, isOwn: boolean): ArrayBuffer {
    this.start = start;
    if (!isOwn) {
      this.#lastStart = start;
      this.#last = buffer;
    }
    return buffer;
  }

  #sweep(): void {
    if (this.#known.size < this.#nextSweep) return;
    for (const [start, { reference }] of this.#known) {
      if (reference.deref() === undefined) this.#known.delete(start);
    }
    this.#nextSweep = Math.max(leastSweep, this.#known.size * 2);
  }
}
