// Owns what the programs are judged by: pagerun's memory at rest, peak and wall time against the best of all other
// allocators, the probe against its floor, and the server against itself without purging. Pure functions, no state.
import type { Verdict } from "../verdicts.js";
import { kProbe, kProbeFloor, kServer, kWithoutPurge } from "./plan.js";

/** The rows of `pagerun bench`, as far as they are judged. */
export interface AppRow {
  workload: string;
  contender: string;
  metric: string;
  trials: number[];
  median: number;
}

const kOwn = "pagerun";
/** pagerun in other forms: they are no others. */
const kOwnForms: readonly string[] = [kOwn, "pagerun-hardened", kWithoutPurge];

/** The most that pagerun may take of what the best of the others does. Lower at rest means below 1, not at it. */
const kLimits = { rest: 1, peak_rss: 1.05, wall: 1.02 } as const;
const kFloorLimit = 1.1;
const kPurgeLimit = 1.01;
const kProbeMetric = "rest_rss_5s";

function rowOf(rows: readonly AppRow[], workload: string, contender: string, metric: string): AppRow | undefined {
  return rows.find((row) => row.workload === workload && row.contender === contender && row.metric === metric);
}

function judge(name: string, title: string, value: number, limit: number, detail: string, isBelow = false): Verdict {
  const isMet = isBelow ? value < limit : value <= limit;
  return { name, title, value, limit, bound: "most", isMet, detail, workloads: 1 };
}

function limitOf(metric: string): number | undefined {
  if (metric.startsWith("rest_rss_")) return kLimits.rest;
  return metric === "peak_rss" || metric === "wall" ? kLimits[metric] : undefined;
}

function titleOf(metric: string): string {
  const rest = /^rest_rss_(.+)s$/.exec(metric);
  if (rest) return `RSS ${rest[1]} s at rest`;
  return metric === "wall" ? "wall time" : "peak RSS";
}

/** One program and metric: pagerun's median to that of the best other allocator. */
function againstOthers(rows: readonly AppRow[], workload: string, metric: string): Verdict[] {
  const limit = limitOf(metric);
  const own = rowOf(rows, workload, kOwn, metric);
  const others = rows.filter(
    (row) => row.workload === workload && row.metric === metric && !kOwnForms.includes(row.contender),
  );
  const [best] = others.sort((a, b) => a.median - b.median);
  if (limit === undefined || own === undefined || best === undefined || !(best.median > 0)) return [];
  const title = `${workload}: ${titleOf(metric)}`;
  const isBelow = metric.startsWith("rest_rss_");
  return [judge(`${workload}-${metric}`, title, own.median / best.median, limit, `to ${best.contender}`, isBelow)];
}

/** The worst run of the probe to its floor: the same program with tiny Buffers on glibc, and the bytes that are kept. */
function againstFloor(rows: readonly AppRow[], keptBytes: number): Verdict[] {
  const own = rowOf(rows, kProbe, kOwn, kProbeMetric);
  const floor = rowOf(rows, kProbeFloor, "glibc", kProbeMetric);
  if (own === undefined || floor === undefined) return [];
  const value = Math.max(...own.trials) / (floor.median + keptBytes);
  const detail = `the worst of ${own.trials.length}, to the floor`;
  return [judge("probe-floor", "probe: RSS 5 s at rest", value, kFloorLimit, detail)];
}

/** What purging costs a busy server: its requests are always as many, so that time is the inverse of throughput. */
function againstItself(rows: readonly AppRow[]): Verdict[] {
  return ["wall", "cpu"].flatMap((metric) => {
    const own = rowOf(rows, kServer, kOwn, metric);
    const without = rowOf(rows, kServer, kWithoutPurge, metric);
    if (own === undefined || without === undefined) return [];
    const title = `server: ${metric === "wall" ? "time for all requests" : "CPU"}`;
    return [judge(`purge-${metric}`, title, own.median / without.median, kPurgeLimit, "to itself without purging")];
  });
}

/** Every aim that these rows can be judged by. `keptBytes` is what the probe keeps. */
export function appVerdictsOf(rows: readonly AppRow[], keptBytes: number): Verdict[] {
  const workloads = [...new Set(rows.map(({ workload }) => workload))].filter((name) => name !== kProbeFloor);
  const metrics = [...new Set(rows.map(({ metric }) => metric))];
  return [
    ...againstFloor(rows, keptBytes),
    ...workloads.flatMap((workload) => metrics.flatMap((metric) => againstOthers(rows, workload, metric))),
    ...againstItself(rows),
  ];
}
