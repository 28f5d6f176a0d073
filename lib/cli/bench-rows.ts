// Owns the figures of `pagerun bench`: which metrics a trial gives, and the rows that trials become (the JSON is these rows).
// Pure functions, no state.
import { formatMebibytes, formatNumber } from "../figures/format.js";
import { median, spread } from "../figures/statistics.js";
import type { Trial } from "./bench-trial.js";

export interface CommandRow {
  suite: "command";
  workload: string;
  contender: string;
  metric: string;
  unit: "s" | "bytes" | "faults";
  trials: number[];
  median: number;
}

export interface Metric {
  name: string;
  title: string;
  unit: CommandRow["unit"];
  format: (value: number) => string;
  /** Differences up to this are of the measurement: of its own turns, and of the kernel's ticks. */
  resolution: number;
  of: (trial: Trial) => number | undefined;
}

/** A trial with the contender that it ran on. */
export interface Result {
  contender: string;
  trial: Trial;
}

function formatSeconds(value: number): string {
  return value.toFixed(value >= 99.95 ? 1 : value >= 9.995 ? 2 : 3);
}

const kSeconds = { unit: "s", format: formatSeconds, resolution: 0.02 } as const;
const kBytes = { unit: "bytes", format: formatMebibytes, resolution: 0 } as const;
const kFaults = { unit: "faults", format: formatNumber, resolution: 0 } as const;

/** All metrics where memory at rest is read so many seconds after the end of work. */
export function metricsFor(rest: readonly number[]): Metric[] {
  return [
    { name: "wall", title: "wall, s", ...kSeconds, of: (trial) => trial.wallSeconds },
    { name: "cpu", title: "CPU, s", ...kSeconds, of: (trial) => trial.cpuSeconds },
    { name: "peak_rss", title: "peak RSS, MiB", ...kBytes, of: (trial) => trial.peakBytes || undefined },
    ...rest.map((seconds, index) => ({
      name: `rest_rss_${seconds}s`,
      title: `RSS ${seconds} s at rest, MiB`,
      ...kBytes,
      of: (trial: Trial) => trial.restBytes[index],
    })),
    { name: "faults", title: "page faults", ...kFaults, of: (trial) => trial.faults },
  ];
}

/** A row for each contender and metric that has figures, in the order of the contenders' first trials. */
export function rowsOf(results: readonly Result[], workload: string, metrics: readonly Metric[]): CommandRow[] {
  const contenders = [...new Set(results.map(({ contender }) => contender))];
  return contenders.flatMap((contender) => {
    const own = results.filter((result) => result.contender === contender && result.trial.failure === undefined);
    return metrics.flatMap(({ name, unit, of }): CommandRow[] => {
      const trials = own.flatMap(({ trial }) => of(trial) ?? []);
      if (trials.length === 0) return [];
      return [{ suite: "command", workload, contender, metric: name, unit, trials, median: median(trials) }];
    });
  });
}

export function findRow(rows: readonly CommandRow[], contender: string, metric: string): CommandRow | undefined {
  return rows.find((row) => row.contender === contender && row.metric === metric);
}

/** The widest of the contenders' spreads, as a share of the median. */
export function widestSpread(rows: readonly CommandRow[], metric: string): number {
  const own = rows.filter((row) => row.metric === metric);
  return Math.max(0, ...own.map(({ trials }) => spread(trials).relative));
}

/** The trial of a contender whose peak is the middle one: the one that is drawn in full. */
export function typicalTrial(results: readonly Result[], contender: string): Trial | undefined {
  const own = results.filter((result) => result.contender === contender && result.trial.failure === undefined);
  const sorted = own.map(({ trial }) => trial).sort((a, b) => a.peakBytes - b.peakBytes);
  return sorted[(sorted.length - 1) >> 1];
}

/** Memory over time of every trial, for a program that draws it: samples are pairs of seconds and bytes. */
export function curvesText(results: readonly Result[], workload: string): string {
  const curves = results.map(({ contender, trial }) => {
    const { marks, workEnd, failure } = trial;
    const samples = trial.samples.map(({ seconds, rssBytes }) => [Number(seconds.toFixed(3)), rssBytes]);
    return `  ${JSON.stringify({ workload, contender, failure, workEnd, marks, samples })}`;
  });
  return `[\n${curves.join(",\n")}\n]\n`;
}
