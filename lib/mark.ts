// Marks: a program tells whoever measures it which part of its work begins. Owns the line that is written. Does not own
// what it is written to. Thread rule: any thread; a line is one write.
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { invalidArgument } from "./errors.js";

const kMostCharacters = 200;
/** Whoever listens has made the file. */
const kAppendOnly = constants.O_WRONLY | constants.O_APPEND;

function append(path: string, line: string): void {
  const file = openSync(path, kAppendOnly);
  try {
    writeSync(file, line);
  } finally {
    closeSync(file);
  }
}

/** Writes to whoever listens. The file comes first: what stands between may have closed the descriptor. */
function tell(line: string): void {
  const { PAGERUN_MARK_FILE: file = "", PAGERUN_MARK_FD: descriptor = "" } = process.env;
  if (file !== "") append(file, line);
  else if (/^\d{1,7}$/.test(descriptor)) writeSync(Number(descriptor), line);
}

/**
 * Tells a program that measures this one, such as `pagerun bench`, that a phase named `name` begins; `"idle"` says that
 * the work is done. Writes `name` and a newline to the file that the environment variable PAGERUN_MARK_FILE names, or else
 * to the descriptor in PAGERUN_MARK_FD. Without both, or when nobody listens any more, it does nothing.
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
  try {
    tell(`${name}\n`);
  } catch {
    // Whoever listened has gone, which is no fault of this program.
  }
}
