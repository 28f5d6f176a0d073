// How the programs of this folder end their work: everything dropped and collected, the mark, and then they stay.
import { appendFileSync, writeSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects all garbage, with the finalizers of what was found, as often as may be needed for memory of others. */
async function collect() {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc");
  for (let round = 0; round < 3; round++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Writes a mark where somebody waits for it. The package's own `mark` would bring the addon into every allocator's figures. */
export function mark(name) {
  const { PAGERUN_MARK_FD: descriptor, PAGERUN_MARK_FILE: file } = process.env;
  if (file !== undefined) appendFileSync(file, `${name}\n`);
  else if (descriptor !== undefined) writeSync(Number(descriptor), `${name}\n`);
}

/** The end of work. Whoever started the program with a descriptor for marks ends it when the readings are taken. */
export async function rest() {
  await collect();
  mark("idle");
  if (process.env.PAGERUN_MARK_FD === undefined) process.exit();
  setInterval(() => {}, 2 ** 30);
}
