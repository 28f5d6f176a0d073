// Owns what the C++ comparison is judged by: means against mimalloc, pagerun against the best and the leanest of its
// peers, and whether each aim is met. Does not own how that is shown. Pure functions over rows, no state.
//
// The comparison is over the workloads of the suite core and the traces replayed from C++. Every contender by preload
// but pagerun is a peer; the fast peers are all but libc. A peer that has no figure for a workload is left out there.

import { geometricMean } from "#figures/statistics.js";
import { kHardenedName, kTextbookNames, kUncheckedName } from "./options.js";
import type { Metric, Row } from "./rows.js";
import { comparable, isNativeRow } from "./sections.js";

export const kReference = "mimalloc";
const kOwn = "pagerun";
const kScaling = { few: "scaling-2", many: "scaling-64" } as const;
const kProducerConsumer = "producer-consumer";

/** pagerun against whichever peer did best at one workload. */
export interface Comparand {
  workload: string;
  peer: string;
  ratio: number;
}

export interface Verdict {
  /** What is judged, as a name for programs. */
  name: string;
  /** The same for readers. */
  title: string;
  value: number;
  limit: number;
  /** Whether the limit is the most or the least that the value may be. */
  bound: "most" | "least";
  isMet: boolean;
  /** Who or what the value is about: a peer, or a workload and its best peer. */
  detail: string;
  /** Workloads that it is over. */
  workloads: number;
}

/** Means of one contender over its workloads that the reference did as well. */
export interface MeanToReference {
  scope: "core" | "core and traces";
  contender: string;
  metric: Metric;
  value: number;
  workloads: number;
}

type Figures = Map<string, Map<string, number>>;

/** Medians of a metric by workload and contender. */
function figuresOf(rows: readonly Row[], metric: Metric): Figures {
  const figures: Figures = new Map();
  for (const row of rows) {
    if (row.metric !== metric) continue;
    const key = `${row.suite}\n${row.workload}`;
    const ofWorkload = figures.get(key) ?? new Map<string, number>();
    ofWorkload.set(row.contender, comparable(metric, row.median));
    figures.set(key, ofWorkload);
  }
  return figures;
}

function workloadName(key: string): string {
  return key.slice(key.indexOf("\n") + 1);
}

function peersOf(figures: Figures): string[] {
  const names = new Set([...figures.values()].flatMap((ofWorkload) => [...ofWorkload.keys()]));
  // The teaching allocators are steps on the way, and no peers.
  for (const name of [kOwn, kHardenedName, kUncheckedName, ...kTextbookNames]) names.delete(name);
  return [...names];
}

/** Ratios of one contender to another, over the workloads that both did. */
function ratiosBetween(figures: Figures, contender: string, base: string): number[] {
  return [...figures.values()].flatMap((ofWorkload) => {
    const [value, reference] = [ofWorkload.get(contender), ofWorkload.get(base)];
    return value === undefined || reference === undefined ? [] : [value / reference];
  });
}

/** For each workload of pagerun the one of `peers` that has the lowest figure. */
function againstBest(figures: Figures, peers: readonly string[]): Comparand[] {
  return [...figures].flatMap(([key, ofWorkload]) => {
    const own = ofWorkload.get(kOwn);
    const others = peers.filter((peer) => ofWorkload.has(peer));
    if (own === undefined || others.length === 0) return [];
    const peer = others.reduce((best, name) =>
      (ofWorkload.get(name) as number) < (ofWorkload.get(best) as number) ? name : best,
    );
    return [{ workload: workloadName(key), peer, ratio: own / (ofWorkload.get(peer) as number) }];
  });
}

/** Whether a value is within its limit. */
export function judge(verdict: Omit<Verdict, "isMet">): Verdict {
  const { bound, value, limit } = verdict;
  return { ...verdict, isMet: bound === "most" ? value <= limit : value >= limit };
}

/** pagerun's mean to one peer. */
function meanVerdict(name: string, title: string, figures: Figures, peer: string, limit: number): Verdict[] {
  const ratios = ratiosBetween(figures, kOwn, peer);
  const value = geometricMean(ratios);
  if (value === undefined) return [];
  return [judge({ name, title, value, limit, bound: "most", detail: peer, workloads: ratios.length })];
}

/** The peer against which pagerun's mean looks worst: the best single one. */
function bestSingle(figures: Figures, peers: readonly string[]): string | undefined {
  const means = peers.flatMap((peer) => {
    const value = geometricMean(ratiosBetween(figures, kOwn, peer));
    return value === undefined ? [] : [{ peer, value }];
  });
  return means.sort((a, b) => b.value - a.value)[0]?.peer;
}

function bestMeanVerdict(name: string, title: string, figures: Figures, peers: readonly string[], limit: number) {
  const peer = bestSingle(figures, peers);
  return peer === undefined ? [] : meanVerdict(name, title, figures, peer, limit);
}

function worstVerdict(name: string, title: string, comparands: readonly Comparand[], limit: number): Verdict[] {
  const [worst] = [...comparands].sort((a, b) => b.ratio - a.ratio);
  if (worst === undefined) return [];
  const detail = `${worst.workload}, to ${worst.peer}`;
  const workloads = comparands.length;
  return [judge({ name, title, value: worst.ratio, limit, bound: "most", detail, workloads })];
}

/** Operations a second of `many` over those of `few`: of the time per operation, as the trials need not be equally long. */
function scalingVerdict(rows: readonly Row[]): Verdict[] {
  const figures = figuresOf(rows, "ns_per_op");
  const few = figures.get(`core\n${kScaling.few}`)?.get(kOwn);
  const many = figures.get(`core\n${kScaling.many}`)?.get(kOwn);
  if (few === undefined || many === undefined) return [];
  const title = "throughput on 64 threads, to that on 2";
  const detail = `${kScaling.many}, to ${kScaling.few}`;
  const limit = 0.95;
  return [judge({ name: "scaling", title, value: few / many, limit, bound: "least", detail, workloads: 2 })];
}

/** The rows that are judged. */
export function nativeRows(rows: readonly Row[]): Row[] {
  return rows.filter(isNativeRow);
}

/** pagerun's time against each workload's best peer, and its peak RSS against the leanest fast one. */
export function comparandsOf(rows: readonly Row[]): { time: Comparand[]; memory: Comparand[] } {
  const native = nativeRows(rows);
  const [times, peaks] = [figuresOf(native, "time"), figuresOf(native, "peak_rss")];
  const isFast = (name: string) => name !== "libc";
  return { time: againstBest(times, peersOf(times)), memory: againstBest(peaks, peersOf(peaks).filter(isFast)) };
}

/** Every aim that can be judged by these rows. None without a workload of the suite core, without pagerun or a peer. */
export function verdictsOf(rows: readonly Row[]): Verdict[] {
  const native = nativeRows(rows);
  if (!native.some(({ suite }) => suite === "core")) return [];
  const [times, peaks] = [figuresOf(native, "time"), figuresOf(native, "peak_rss")];
  const fast = peersOf(peaks).filter((name) => name !== "libc");
  const { time, memory } = comparandsOf(rows);
  const handed = time.filter(({ workload }) => workload === kProducerConsumer);
  return [
    ...meanVerdict("time-to-mimalloc", "time, mean, to mimalloc", times, kReference, 0.85),
    ...bestMeanVerdict("time-to-best", "time, mean, to the best single peer", times, peersOf(times), 0.95),
    ...worstVerdict("time-worst", "time, worst workload, to its best peer", time, 1.25),
    ...bestMeanVerdict("memory-to-leanest", "peak RSS, mean, to the leanest fast peer", peaks, fast, 1),
    ...worstVerdict("memory-worst", "peak RSS, worst workload, to its leanest fast peer", memory, 1.5),
    ...scalingVerdict(native),
    ...meanVerdict("checks", "time, mean, to the same build without checks", times, kUncheckedName, 1.03),
    ...worstVerdict("producer-consumer", "time, producer and consumer, to the best peer", handed, 1),
  ];
}

/** Means of every contender to the reference, over the suite core and over core and traces. None without the reference. */
export function meansToReference(rows: readonly Row[]): MeanToReference[] {
  const native = nativeRows(rows);
  const core = native.filter(({ suite }) => suite === "core");
  if (core.length === 0) return [];
  const scopes = [["core", core] as const, ["core and traces", native] as const];
  return scopes.flatMap(([scope, own]) =>
    (["time", "peak_rss"] as const).flatMap((metric) => {
      const figures = figuresOf(own, metric);
      return [...peersOf(figures), kOwn].flatMap((contender) => {
        const ratios = ratiosBetween(figures, contender, kReference);
        const value = geometricMean(ratios);
        return value === undefined ? [] : [{ scope, contender, metric, value, workloads: ratios.length }];
      });
    }),
  );
}

/** Verdicts and means in the shape of rows, for the JSON: a program that reads rows can read them. */
export function verdictRows(rows: readonly Row[]): object[] {
  const means = meansToReference(rows).map(({ scope, contender, metric, value, workloads }) => ({
    ...{ suite: "means", workload: scope, contender, metric, unit: `x ${kReference}` },
    ...{ trials: [value], median: value, workloads },
  }));
  return [...means, ...asRows(verdictsOf(rows))];
}

/** Verdicts in the shape of rows. */
export function asRows(verdicts: readonly Verdict[]): object[] {
  return verdicts.map(({ name, value, limit, bound, isMet, detail, workloads }) => ({
    ...{ suite: "verdicts", workload: name, contender: kOwn, metric: "ratio", unit: "x" },
    ...{ trials: [value], median: value, limit, bound, met: isMet, to: detail, workloads },
  }));
}
