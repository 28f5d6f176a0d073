// Owns one trial of a trace in JavaScript: node replay.js TRACE CONTENDER --passes N
// Asks the question: what does a program pay that allocates as this one did, with every call made from JavaScript?
// All events run on one thread, in the order of the recording. Requests for aligned memory are made as malloc, because
// libc's plain calls have no aligned one. The memory is not touched: libc's calls give no view of it. So its figures
// are times only; a resident set without content would say nothing.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { isScriptName, loadScriptContender, type ManualContender } from "./contenders.js";
import { kCalloc, kFree, kRealloc, readTrace, type Trace } from "./trace.js";

type Calls = Required<Pick<ManualContender<bigint>, "malloc" | "calloc" | "realloc" | "free">>;

/** Events before the clock starts, so that the code is compiled. */
const kWarmUpEvents = 200_000;

/** Replays the first `count` events; the pointers of blocks that are live then stay in `pointers`, all others are 0n. */
function replay(trace: Trace, count: number, { malloc, calloc, realloc, free }: Calls, pointers: bigint[]): void {
  const { operations, sizes, ids } = trace;
  for (let event = 0; event < count; event++) {
    const id = ids[event] as number;
    const size = sizes[event] as number;
    switch (operations[event]) {
      case kFree:
        free(pointers[id] as bigint);
        pointers[id] = 0n;
        break;
      case kRealloc:
        pointers[id] = realloc(pointers[id] as bigint, size);
        break;
      case kCalloc:
        pointers[id] = calloc(size);
        break;
      default:
        pointers[id] = malloc(size);
    }
  }
}

/** Seconds of one pass over the first `count` events. What the program left behind is freed after the clock has stopped. */
function timePass(trace: Trace, count: number, calls: Calls, pointers: bigint[]): number {
  const start = performance.now();
  replay(trace, count, calls, pointers);
  const seconds = (performance.now() - start) / 1000;
  for (const [id, pointer] of pointers.entries()) {
    if (pointer !== 0n) calls.free(pointer);
    pointers[id] = 0n;
  }
  return seconds;
}

const { values, positionals } = parseArgs({ options: { passes: { type: "string" } }, allowPositionals: true });
const [path = "", name = ""] = positionals;
if (!isScriptName(name)) throw new Error(`no contender ${name}`);
const trace = readTrace(readFileSync(path));
const calls = (await loadScriptContender(name)) as Calls & ManualContender<bigint>;
const passes = Number(values.passes ?? 1);
const pointers = new Array<bigint>(trace.blocks).fill(0n);

const events = trace.operations.length;
timePass(trace, Math.min(events, kWarmUpEvents), calls, pointers);
let time = 0;
for (let pass = 0; pass < passes; pass++) time += timePass(trace, events, calls, pointers);
const ops = passes * events;
process.stdout.write(
  `${JSON.stringify({ workload: trace.name, ops, time, ns_per_op: (time * 1e9) / ops, threads: 1 })}\n`,
);
