// What the programs of these tests share. Owns nothing. Run with --expose-gc where the collector is called.
import { setImmediate as turn } from "node:timers/promises";

/** Lets the collector and the finalizers come round, several times: what one round frees may hold more. */
export async function collect() {
  for (let i = 0; i < 8; i++) {
    globalThis.gc();
    await turn();
  }
}

/** The code of the error that `call` throws; undefined when it throws none. */
export function codeOf(call) {
  try {
    call();
    return undefined;
  } catch (error) {
    return error.code;
  }
}
