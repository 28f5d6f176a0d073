// The accessors of Blocks while the engine takes none of them to be refused, and at the first that is: each in a worker of
// its own, for only the first of a thread is such.
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { verifyAfterEach } from "../support/heap.js";

verifyAfterEach();

interface Answer {
  code: string;
  stolen: number;
  wrong: string[];
}

function ask(refusal: string): Promise<Answer> {
  const worker = new Worker(new URL("refusals.mjs", import.meta.url), { workerData: { refusal }, execArgv: [] });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

test.each([
  ["behindTheEnd", "ERR_OUT_OF_BOUNDS"],
  ["behindTheEndToWrite", "ERR_OUT_OF_BOUNDS"],
  ["negative", "ERR_INVALID_ARGUMENT"],
  ["fraction", "ERR_INVALID_ARGUMENT"],
  ["beyondAllIntegers", "ERR_INVALID_ARGUMENT"],
  ["noNumber", "ERR_INVALID_ARGUMENT"],
  ["noNumberToWrite", "ERR_INVALID_ARGUMENT"],
  ["noValue", "ERR_INVALID_ARGUMENT"],
  ["freed", "ERR_OUT_OF_BOUNDS"],
  ["freedByTheBaseClass", "ERR_OUT_OF_BOUNDS"],
  ["freedToWrite", "ERR_OUT_OF_BOUNDS"],
  ["shrunk", "ERR_OUT_OF_BOUNDS"],
  ["shrunkByTheBaseClass", "ERR_OUT_OF_BOUNDS"],
])("a first refused access is an error, and the others stay right: %s", async (refusal, code) => {
  expect(await ask(refusal)).toEqual({ code, stolen: 0, wrong: [] });
});
