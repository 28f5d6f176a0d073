// Marks: a program tells whoever measures it which part of its work begins. Owns the line that is written. Does not own
// the descriptor. Thread rule: any thread; a line is one write.
import { writeSync } from "node:fs";
import { invalidArgument } from "./errors.js";

const kMostCharacters = 200;

/** The descriptor of who listens; undefined where nobody does. */
function listener(): number | undefined {
  const named = process.env.PAGERUN_MARK_FD ?? "";
  return /^\d{1,7}$/.test(named) ? Number(named) : undefined;
}

/**
 * Tells a program that measures this one, such as `pagerun bench`, that a phase named `name` begins; `"idle"` says that
 * the work is done. Writes `name` and a newline to the descriptor that the environment variable PAGERUN_MARK_FD names.
 * Without the variable, or when nobody listens any more, it does nothing.
 *
 * Cost: one system call when somebody listens. Any thread.
 *
 * @param name - 1 to 200 characters, none of them a line break.
 * @throws PagerunError ERR_INVALID_ARGUMENT
 * @example
 * ```ts
 * import { mark } from "pagerun";
 *
 * mark("warm");
 * const sums = Array.from({ length: 1000 }, (_, i) => i * i);
 * console.assert(sums.length === 1000);
 * mark("idle");
 * ```
 */
export function mark(name: string): void {
  if (typeof name !== "string" || name === "" || name.length > kMostCharacters || /[\r\n\0]/.test(name)) {
    throw invalidArgument("name", `1 to ${kMostCharacters} characters without line breaks`, name);
  }
  const descriptor = listener();
  if (descriptor === undefined) return;
  try {
    writeSync(descriptor, `${name}\n`);
  } catch {
    // Whoever listened has gone, which is no fault of this program.
  }
}
