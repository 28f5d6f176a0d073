// Leak warnings: says where a Block was allocated that was dropped without free(). Off by default: a stack costs more than
// the Block. Owns the stacks of the live Blocks. Thread rule: each thread has stacks, and the switch, of its own.
import { invalidArgument } from "./errors.js";
import { leakListener } from "./ledger.js";

/** By entry of the ledger; undefined while warnings are off. */
let stacks: Map<number, string> | undefined;

/** Remembers where the Block of an entry is made. */
export function watch(entry: number): void {
  if (stacks !== undefined) stacks.set(entry, callersStack());
}

/** The Block of an entry was freed. */
export function forget(entry: number): void {
  if (stacks !== undefined) stacks.delete(entry);
}

/** The stack without this package's own frames. A text: the frames themselves would keep alive what they refer to. */
function callersStack(): string {
  const { stack = "" } = new Error();
  const frames = String(stack).split("\n").slice(1);
  const ours = frames.findLastIndex((frame) => /\b(?:allocIn|alloc) \(/.test(frame));
  return frames.slice(ours + 1).join("\n");
}

function warn(entry: number, bytes: number): void {
  const stack = stacks?.get(entry);
  if (stack === undefined) return;
  stacks?.delete(entry);
  process.emitWarning(`A Block of ${bytes} bytes was dropped without free(); it was allocated at\n${stack}`, {
    type: "PagerunLeakWarning",
    code: "PAGERUN_LEAK",
  });
}

/**
 * Switches leak warnings on or off for the calling thread: for each Block that the collector frees because nobody did,
 * an event "warning" of `process` (which Node.js prints), named PagerunLeakWarning, with the stack of its allocation.
 * Blocks that are made while it is on are watched. The environment variable PAGERUN_LEAK_WARNINGS=1 switches it on from
 * the start.
 *
 * Cost: microseconds for each `alloc`, for its stack. Any thread, for itself.
 *
 * @throws PagerunError ERR_INVALID_ARGUMENT
 * @example
 * ```ts
 * import { alloc, setLeakWarnings } from "pagerun";
 *
 * setLeakWarnings(true);
 * process.on("warning", ({ name }) => console.assert(name === "PagerunLeakWarning"));
 * const kept = alloc(64);
 * kept.free();
 * setLeakWarnings(false);
 * ```
 */
export function setLeakWarnings(on: boolean): void {
  if (typeof on !== "boolean") throw invalidArgument("on", "a boolean", on);
  if (on) stacks ??= new Map();
  else stacks = undefined;
  leakListener.call = on ? warn : undefined;
}

if (process.env.PAGERUN_LEAK_WARNINGS === "1") setLeakWarnings(true);
