// alloc: how a Block comes by its block. Owns the heap as a home of Blocks; what a Block is, is lib/block.ts.
// Thread rule: any thread.
import { alignmentFrom } from "./arguments.js";
import { asFrom, type Block, makeBlock, memorySizeFrom, plainAlignment } from "./block.js";
import { invalidArgument } from "./errors.js";
import { alignedAlloc, calloc, free, malloc, realloc } from "./heap.js";
import { makeHeapBlock } from "./heap-block.js";
import { type BlockHome, Life, setHeap } from "./ledger.js";
import { binding, mailbox } from "./native/binding.js";

const { clearBytes } = binding;
const { pointers, numbers } = mailbox;

/** From this size on, memory is often aligned to OS pages and zero as it comes. */
const freshBytes = 64 * 1024;

/** The heap itself, as a home. */
const heap: BlockHome = { life: new Life(), malloc, calloc, alignedAlloc, realloc, free };
setHeap(heap);

/** How `alloc` allocates. */
export interface AllocOptions {
  /**
   * True: all bytes are zero. False: their content is not defined, which costs less.
   * @defaultValue true
   */
  readonly zero?: boolean | undefined;
  /**
   * The address is a multiple of this power of two. Below 16 the smallest blocks are possible, as with `alignedAlloc`.
   * @defaultValue 16
   */
  readonly align?: number | bigint | undefined;
}

/** A Block in `home`: what `alloc` and the method of an arena do. */
export function allocIn(home: BlockHome, size: number | bigint, options?: AllocOptions): Block {
  const bytes = memorySizeFrom(size, "alloc");
  try {
    if (options === undefined) return blockOf(home, home.calloc(1, bytes), bytes);
    return allocWith(home, bytes, options);
  } catch (error) {
    throw asFrom("alloc", bytes, error);
  }
}

function allocWith(home: BlockHome, bytes: number, options: AllocOptions): Block {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object", options);
  const { zero = true, align } = options;
  if (typeof zero !== "boolean") throw invalidArgument("zero", "a boolean", zero);
  if (align === undefined) return blockOf(home, zero ? home.calloc(1, bytes) : home.malloc(bytes), bytes);
  const alignment = alignmentFrom(align, "align");
  const ptr = zero ? alignedZeros(home, alignment, bytes) : home.alignedAlloc(alignment, bytes);
  return blockOf(home, ptr, bytes, alignment);
}

/** A Block of a block that has just been allocated, and is freed when there is no room for the Block. */
function blockOf(home: BlockHome, ptr: bigint, bytes: number, alignment = plainAlignment): Block {
  try {
    return home === heap ? makeHeapBlock(home, ptr, bytes, alignment) : makeBlock(home, ptr, bytes, alignment);
  } catch (error) {
    home.free(ptr);
    throw error;
  }
}

/** Large memory is fresh from the system more often than not, and then it is neither written nor in memory yet. */
function alignedZeros(home: BlockHome, alignment: number, bytes: number): bigint {
  if (bytes >= freshBytes) {
    const ptr = home.calloc(1, bytes);
    if (ptr % BigInt(alignment) === 0n) return ptr;
    home.free(ptr);
  }
  const ptr = home.alignedAlloc(alignment, bytes);
  pointers[0] = ptr;
  numbers[1] = bytes;
  clearBytes();
  return ptr;
}

/**
 * Allocates memory that is owned: a Block, which is freed by `free()`, at the end of its scope by `using`, or by the
 * collector when it was dropped.
 *
 * Cost: as `calloc` or `malloc`, and little more. The memory counts as external memory of JavaScript, so that the
 * collector knows of it.
 *
 * @param size - bytes: a non-negative safe integer, or a bigint below 2n ** 64n. 0 gives a block as well.
 * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY
 * @example
 * ```ts
 * import { alloc } from "pagerun";
 *
 * const block = alloc(4096, { align: 4096 });
 * block.bytes.set([1, 2, 3]);
 * console.assert(block.getUint8(1) === 2 && block.ptr % 4096n === 0n);
 * block.free();
 * ```
 */
export function alloc(size: number | bigint, options?: AllocOptions): Block {
  return allocIn(heap, size, options);
}
