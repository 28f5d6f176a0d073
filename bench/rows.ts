// Owns the shape of a result: what one trial reports, and the rows that trials become (the JSON file is these rows).
// Does not run anything. Pure functions, no state.
import { median } from "#figures/statistics.js";

export const kSuites = ["traces", "core", "js"] as const;
export type Suite = (typeof kSuites)[number];

/** `time` is the seconds of one whole trial's measured part; `rest_rss` is taken after everything has been freed. */
export const kUnits = {
  time: "s",
  ns_per_op: "ns",
  p50_ns: "ns",
  p99_ns: "ns",
  p999_ns: "ns",
  peak_rss: "bytes",
  rest_rss: "bytes",
  locks_per_million: "per million operations",
} as const;
export type Metric = keyof typeof kUnits;

export interface Row {
  suite: Suite;
  workload: string;
  contender: string;
  metric: Metric;
  unit: string;
  trials: number[];
  median: number;
}

/** What a trial's process prints as its last line. A metric that it does not measure is null or absent. */
export type TrialReport = { workload: string; ops: number; threads?: number } & Partial<Record<Metric, number | null>>;

/** Time trials and latency trials are processes apart: a clock call around every operation would spoil the time. */
export type TrialKind = "time" | "latency";

const kMetricsOf: Record<TrialKind, readonly Metric[]> = {
  time: ["time", "ns_per_op", "peak_rss", "rest_rss", "locks_per_million"],
  latency: ["p50_ns", "p99_ns", "p999_ns"],
};

export interface TrialResult {
  suite: Suite;
  workload: string;
  contender: string;
  kind: TrialKind;
  report: TrialReport;
}

/** Reads the report from a trial's standard output: its last line that is not empty. Throws when that is no report. */
export function parseTrialReport(output: string): TrialReport {
  const line = output.trimEnd().split("\n").at(-1) ?? "";
  let report: unknown;
  try {
    report = JSON.parse(line);
  } catch {
    throw new Error(`the trial's last line is not JSON: ${JSON.stringify(line.slice(0, 200))}`);
  }
  const { time, ops } = (report ?? {}) as Record<string, unknown>;
  if (typeof time !== "number" || !(time > 0) || typeof ops !== "number" || !(ops > 0)) {
    throw new Error(`the trial's report has no time or no ops: ${line.slice(0, 200)}`);
  }
  return report as TrialReport;
}

/** One row for each suite, workload, contender and metric that was measured, in the order of the first trial of each. */
export function rowsFromResults(results: readonly TrialResult[]): Row[] {
  const rows = new Map<string, Row>();
  for (const { suite, workload, contender, kind, report } of results) {
    for (const metric of kMetricsOf[kind]) {
      const value = report[metric];
      if (typeof value !== "number" || !Number.isFinite(value)) continue;
      const key = [suite, workload, contender, metric].join("\n");
      const row = rows.get(key) ?? { suite, workload, contender, metric, unit: kUnits[metric], trials: [], median: 0 };
      row.trials.push(value);
      rows.set(key, row);
    }
  }
  return [...rows.values()].map((row) => ({ ...row, median: median(row.trials) }));
}

/** The row of one figure, if it was measured. */
export function findRow(
  rows: readonly Row[],
  suite: Suite,
  workload: string,
  contender: string,
  metric: Metric,
): Row | undefined {
  return rows.find(
    (row) => row.suite === suite && row.workload === workload && row.contender === contender && row.metric === metric,
  );
}
