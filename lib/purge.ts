// Memory that goes back to the system: at the program's word, or sooner under a budget.
// Owns the check of the arguments. Thread rule: any thread; the memory is the whole process's.
import { sizeFrom } from "./arguments.js";
import { invalidArgument } from "./errors.js";
import { binding } from "./native/binding.js";

const numbers = new Float64Array(binding.mailbox);

/** What `purge` gives back. */
export interface PurgeOptions {
  /**
   * True: everything that is free. False: what was free and left alone since the last call, or since the background thread
   * looked round last.
   *
   * @defaultValue false
   */
  readonly force?: boolean;
}

function forceFrom(options: PurgeOptions): boolean {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object", options);
  const { force = false } = options;
  if (typeof force !== "boolean") throw invalidArgument("force", "a boolean", force);
  return force;
}

/**
 * Gives the memory of free blocks back to the system: free pages, and the OS pages inside partly used pages that lie
 * wholly within free blocks. Addresses stay usable, and live blocks keep their bytes. Pages that other threads take
 * blocks from at this moment are left alone.
 *
 * A background thread does the same when memory has rested; this is for the moment when a program knows that it will rest.
 *
 * Cost: O(pages of 32 KiB), and a system call for each row of OS pages. Memory that is used again costs a page fault for
 * each OS page. Any thread; other threads go on meanwhile.
 *
 * @returns the bytes given back; they may not all have been in memory.
 * @throws PagerunError ERR_INVALID_ARGUMENT
 * @example
 * ```ts
 * import { free, malloc, memoryStats, purge } from "pagerun";
 *
 * const blocks = Array.from({ length: 1000 }, () => malloc(5000));
 * blocks.forEach(free);
 * const before = memoryStats().purgedBytes;
 * const bytes = purge({ force: true });
 * console.assert(memoryStats().purgedBytes >= before + bytes);
 * ```
 */
export function purge(options: PurgeOptions = {}): number {
  numbers[0] = forceFrom(options) ? 1 : 0;
  binding.purge();
  return numbers[0]!;
}

/**
 * Sets how much resident memory the whole process should have at most. No request is refused for it: when less than an
 * eighth of the budget is left, free memory is given back at once, instead of after a delay. The environment variable
 * `PAGERUN_RSS_TARGET` sets it from the start.
 *
 * Cost: a wake-up of the background thread. Any thread; the last call counts.
 *
 * @param bytes - resident bytes; 0 for no budget.
 * @throws PagerunError ERR_INVALID_ARGUMENT
 * @example
 * ```ts
 * import { free, malloc, setBudget } from "pagerun";
 *
 * setBudget(512 * 2 ** 20);
 * const ptr = malloc(2 ** 20);
 * console.assert(ptr !== 0n);
 * free(ptr);
 * setBudget(0);
 * ```
 */
export function setBudget(bytes: number | bigint): void {
  numbers[0] = sizeFrom(bytes, "bytes");
  binding.setBudget();
}
