// Owns the file through which a command marks moments: it gets a descriptor of it, and its path for processes that do not
// inherit the descriptor, as Node.js leaves none to its children. Thread rule: one thread.
import { closeSync, type FSWatcher, openSync, readSync, rmSync, watch } from "node:fs";
import { join } from "node:path";
import { makeWorkFolder } from "./work-folder.js";

const kReadBytes = 4096;

export class MarkFile {
  readonly #folder = makeWorkFolder("marks");
  readonly path = join(this.#folder, "marks");
  /** Open for appending: this is what the command inherits. */
  readonly descriptor = openSync(this.path, "a");
  readonly #reading = openSync(this.path, "r");
  readonly #watcher: FSWatcher;
  #rest = "";

  /** Called soon after a line was written, and maybe without one; `take` then has it. */
  onChange = () => {};

  constructor() {
    this.#watcher = watch(this.path, { persistent: false }, () => this.onChange());
    // A system without watches left: the next look at the command finds the line.
    this.#watcher.on("error", () => {});
  }

  /** The lines that were written since the last call. */
  take(): string[] {
    const bytes = Buffer.alloc(kReadBytes);
    for (let read = readSync(this.#reading, bytes); read > 0; read = readSync(this.#reading, bytes))
      this.#rest += bytes.toString("utf8", 0, read);
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.map((line) => line.trim());
  }

  close(): void {
    this.#watcher.close();
    closeSync(this.descriptor);
    closeSync(this.#reading);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
