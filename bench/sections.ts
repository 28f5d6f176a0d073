// Owns what is compared with what: the sections of a result, the baseline of a workload, ratios and geometric means.
// Does not own how they are shown. Pure functions over rows, no state.

import { geometricMean, ratio, spread } from "#figures/statistics.js";
import { kHardenedName, kPreloadNames, kScriptNames, kTextbookNames, kUncheckedName } from "./options.js";
import { findRow, type Metric, type Row, type Suite } from "./rows.js";

/** Suffix of a trace that is replayed from TypeScript: another workload than the same trace from C++. */
export const kScriptReplaySuffix = "-ts";

/** A part of the result that has its own contenders and its own baseline. */
export interface Section {
  id: string;
  suite: Suite;
  title: string;
  workloads: string[];
  contenders: string[];
  /** What ratios of this section are to, in words. */
  baselineText: string;
}

export interface Cell {
  median: number;
  trials: number;
  min: number;
  max: number;
  /** Half the range of the trials over the median. */
  relativeSpread: number;
  /** To the workload's baseline; undefined where it was not measured. */
  ratio: number | undefined;
}

interface SectionKind {
  id: string;
  suite: Suite;
  title: string;
  isScript: boolean;
  baselineText: string;
}

const kLibc = "libc";
const kNapi = "libc through N-API";
const kSectionKinds: readonly SectionKind[] = [
  { id: "traces", suite: "traces", title: "traces, from C++", isScript: false, baselineText: kLibc },
  { id: "traces-ts", suite: "traces", title: "traces, from TypeScript", isScript: true, baselineText: kNapi },
  { id: "core", suite: "core", title: "core, from C++", isScript: false, baselineText: kLibc },
  { id: "js", suite: "js", title: "js, from TypeScript", isScript: true, baselineText: kNapi },
];

const kSectionBaselines: Record<string, string> = { [kLibc]: "libc", [kNapi]: "napi-libc" };

/** Where the first of these did not run a workload, the next one is what its ratios are to. */
const kBaselines = ["libc", "napi-libc", "buffer-unsafe-slow", "koffi", "dataview"] as const;
const kOrder: readonly string[] = [
  ...new Set([
    "libc",
    ...kTextbookNames,
    ...kPreloadNames,
    kHardenedName,
    kUncheckedName,
    "napi-libc",
    ...kScriptNames,
  ]),
];
/** A resident set of nothing counts as one OS page: ratios and geometric means need positive figures. */
const kSmallestBytes = 4096;

function isOf(kind: SectionKind, row: Row): boolean {
  if (row.suite !== kind.suite) return false;
  return kind.suite !== "traces" || row.workload.endsWith(kScriptReplaySuffix) === kind.isScript;
}

/** Whether a row is of a C++ program: of the suite core, or of a trace that was not replayed from TypeScript. */
export function isNativeRow(row: Row): boolean {
  return kSectionKinds.some((kind) => !kind.isScript && isOf(kind, row));
}

/** Known contenders in their fixed order, baseline first, then others by first appearance. */
export function sortContenders(names: readonly string[]): string[] {
  const place = (name: string) => (kOrder.includes(name) ? kOrder.indexOf(name) : kOrder.length);
  return [...names].sort((a, b) => place(a) - place(b));
}

/** The sections that the rows fill, in their fixed order. */
export function sectionsOf(rows: readonly Row[]): Section[] {
  return kSectionKinds.flatMap((kind) => {
    const own = rows.filter((row) => isOf(kind, row));
    if (own.length === 0) return [];
    const workloads = [...new Set(own.map((row) => row.workload))];
    let contenders = sortContenders([...new Set(own.map((row) => row.contender))]);
    if (kind.isScript) contenders = ["napi-libc", ...contenders.filter((name) => name !== "napi-libc")];
    const { id, suite, title, baselineText } = kind;
    return [{ id, suite, title, workloads, contenders, baselineText }];
  });
}

/** The contender that a workload's ratios are to; undefined when none of the baselines ran it. */
export function baselineOf(rows: readonly Row[], section: Section, workload: string): string | undefined {
  return kBaselines.find((name) =>
    rows.some((row) => row.suite === section.suite && row.workload === workload && row.contender === name),
  );
}

/** Which workloads have another baseline than the section, as sentences. */
export function baselineNotes(rows: readonly Row[], section: Section): string[] {
  const others = new Map<string, string[]>();
  for (const workload of section.workloads) {
    const baseline = baselineOf(rows, section, workload);
    if (baseline === undefined || baseline === kSectionBaselines[section.baselineText]) continue;
    others.set(baseline, [...(others.get(baseline) ?? []), workload]);
  }
  return [...others].map(
    ([baseline, workloads]) => `${workloads.join(", ")}: × is to ${baseline}, and not in the geometric mean`,
  );
}

/** A figure as it goes into a ratio. */
export function comparable(metric: Metric, value: number): number {
  return metric === "peak_rss" || metric === "rest_rss" ? Math.max(value, kSmallestBytes) : value;
}

/** One figure with its spread and its ratio; undefined when it was not measured. */
export function cellOf(
  rows: readonly Row[],
  section: Section,
  workload: string,
  contender: string,
  metric: Metric,
): Cell | undefined {
  const row = findRow(rows, section.suite, workload, contender, metric);
  if (!row) return undefined;
  const baseline = baselineOf(rows, section, workload);
  const base = baseline && findRow(rows, section.suite, workload, baseline, metric);
  const { min, max, relative } = spread(row.trials);
  return {
    median: row.median,
    trials: row.trials.length,
    min,
    max,
    relativeSpread: relative,
    ratio: base ? ratio(comparable(metric, row.median), comparable(metric, base.median)) : undefined,
  };
}

export interface Mean {
  value: number;
  /** Workloads that it is over: those that the contender and the section's own baseline both did. */
  workloads: number;
}

/** The geometric mean of a contender's ratios to the section's own baseline (libc, or libc through N-API). */
export function meanOf(rows: readonly Row[], section: Section, contender: string, metric: Metric): Mean | undefined {
  const own = kBaselines.slice(0, 2) as readonly string[];
  const ratios = section.workloads.flatMap((workload) => {
    if (!own.includes(baselineOf(rows, section, workload) ?? "")) return [];
    return cellOf(rows, section, workload, contender, metric)?.ratio ?? [];
  });
  const value = geometricMean(ratios);
  return value === undefined ? undefined : { value, workloads: ratios.length };
}

/** One sentence of the summary: what was compared, and the figures. */
export interface Headline {
  title: string;
  figures: { label: string; ratio: number }[];
  baselineText: string;
}

const kPair = "malloc-free-pair";

function sectionHeadline(rows: readonly Row[], section: Section): Headline | undefined {
  const metrics: [string, Metric][] = [
    ["time", "time"],
    ["peak RSS", "peak_rss"],
    ["rest RSS", "rest_rss"],
  ];
  // A process of Node is some 50 MB without any of the contenders: a mean of such figures would say little.
  const shown = section.id === "js" ? metrics.slice(0, 1) : metrics;
  const figures = shown.flatMap(([label, metric]) => {
    const mean = meanOf(rows, section, "pagerun", metric);
    return mean === undefined ? [] : [{ label, ratio: mean.value }];
  });
  if (figures.length === 0) return undefined;
  return { title: section.title, figures, baselineText: section.baselineText };
}

/** What pagerun comes to against libc, one headline a section, and one for the pair that a program makes most often. */
export function headlinesOf(rows: readonly Row[]): Headline[] {
  return sectionsOf(rows).flatMap((section) => {
    const headline = sectionHeadline(rows, section);
    const headlines = headline ? [headline] : [];
    if (section.id !== "js") return headlines;
    const pair = cellOf(rows, section, kPair, "pagerun", "time")?.ratio;
    if (pair === undefined || baselineOf(rows, section, kPair) !== "napi-libc") return headlines;
    const figures = [{ label: "time", ratio: pair }];
    return [{ title: "js, malloc + free pair", figures, baselineText: kNapi }, ...headlines];
  });
}
