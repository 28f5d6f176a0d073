// Owns the shape of a result of the contention bench, from the line that a trial prints to the row that trials become.
// Pure functions, no state.
import { median, spread } from "#figures/statistics.js";
import { keyOf, type Point } from "./plan.js";

export interface Sample {
  operationsPerSecond: number;
  /** Of the time of all threads, the share that they waited for locks. */
  waitedShare: number;
  /** Of the times that a lock was taken, the share in which it was held. */
  refusedShare: number;
}

export interface ContentionRow extends Point {
  suite: "contention";
  trials: Sample[];
  /** Medians, each of its own. */
  median: Sample;
  /** Half the range of the throughput over its median. */
  spread: number;
}

/** Reads what pagerun_bench prints; throws where it is no report. */
export function sampleFrom(output: string): Sample {
  const report = JSON.parse(output) as Record<string, unknown>;
  const numbers = ["seconds", "operations", "takes", "waits", "waited_seconds", "threads"].map((name) => {
    const value = report[name];
    if (typeof value !== "number" || !Number.isFinite(value)) throw new Error(`the report has no ${name}: ${output}`);
    return value;
  });
  const [seconds, operations, takes, waits, waited, threads] = numbers as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (!(seconds > 0) || !(operations > 0)) throw new Error(`nothing was measured: ${output}`);
  return {
    operationsPerSecond: operations / seconds,
    waitedShare: waited / (seconds * threads),
    refusedShare: takes === 0 ? 0 : waits / takes,
  };
}

function medianOf(samples: readonly Sample[]): Sample {
  const middle = (pick: (sample: Sample) => number) => median(samples.map(pick));
  return {
    operationsPerSecond: middle((sample) => sample.operationsPerSecond),
    waitedShare: middle((sample) => sample.waitedShare),
    refusedShare: middle((sample) => sample.refusedShare),
  };
}

/** Rows in the order of the points; a point without a sample has none. */
export function rowsOf(points: readonly Point[], samples: ReadonlyMap<string, Sample[]>): ContentionRow[] {
  return points.flatMap((point) => {
    const trials = samples.get(keyOf(point)) ?? [];
    if (trials.length === 0) return [];
    const { relative } = spread(trials.map((sample) => sample.operationsPerSecond));
    return [{ suite: "contention" as const, ...point, trials, median: medianOf(trials), spread: relative }];
  });
}

/** The row of a point, if it was measured. */
export function findPoint(rows: readonly ContentionRow[], point: Point): ContentionRow | undefined {
  const key = keyOf(point);
  return rows.find((row) => keyOf(row) === key);
}
