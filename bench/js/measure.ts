// Owns the clock and the memory figures of a trial in JavaScript.
// Does not own what is measured. One measurement runs at a time, on the main thread.
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { percentile } from "#figures/statistics.js";
import type { Step } from "./workloads.js";

/** Part of the steps that run before the clock does, so that the memory is warm. */
const kWarmUpShare = 0.2;
/** So long at least: the engine compiles on another thread, and what it compiles is not to be found in the figure. */
const kWarmUpMs = 100;

function warmUp(step: Step, steps: number): void {
  const batch = Math.ceil(steps * kWarmUpShare);
  const start = performance.now();
  let index = 0;
  do {
    for (const end = index + batch; index < end; index++) step(index);
  } while (performance.now() - start < kWarmUpMs);
}

/** Seconds that `steps` steps take, after a warm-up. */
export function measureTime(step: Step, steps: number): number {
  warmUp(step, steps);
  const start = performance.now();
  for (let index = 0; index < steps; index++) step(index);
  return (performance.now() - start) / 1000;
}

export interface Latencies {
  time: number;
  p50_ns: number;
  p99_ns: number;
  p999_ns: number;
}

/**
 * Percentiles of single steps, after a warm-up. Each step stands between two calls of the monotonic clock
 * (performance.now, which reads what process.hrtime reads); the clock's own cost stays in.
 */
export function measureLatencies(step: Step, steps: number): Latencies {
  warmUp(step, steps);
  const latencies = new Float64Array(steps);
  const start = performance.now();
  for (let index = 0; index < steps; index++) {
    const before = performance.now();
    step(index);
    latencies[index] = performance.now() - before;
  }
  const time = (performance.now() - start) / 1000;
  latencies.sort();
  const at = (fraction: number) => Math.round(percentile(latencies, fraction) * 1e6);
  return { time, p50_ns: at(0.5), p99_ns: at(0.99), p999_ns: at(0.999) };
}

/**
 * A figure of this process in bytes: VmHWM is the peak of the resident set, VmRSS what it is now. (getrusage also has
 * a peak, but it starts from the size of the process that spawned this one.)
 */
export function readResidentBytes(field: "VmHWM" | "VmRSS"): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync("/proc/self/status", "utf8"));
  return Number(match?.[1]) * 1024;
}

/**
 * The resident set after garbage collection, when the caller has dropped all it had. The collector's switch is thrown
 * only now, so that the measured part ran as a program without it does.
 */
export async function measureRest(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let turn = 0; turn < 3; turn++) {
    collect();
    // Finalizers run when the event loop turns.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return readResidentBytes("VmRSS");
}
