// Owns the text that a comparison ends with: the tables of each section, and the summary.
// Does not own the figures in them (sections.ts). Pure functions, no state.
import {
  formatMebibytes,
  formatNumber,
  formatPercent,
  formatRatio,
  formatTable,
  formatWhole,
  type Painted,
  paint,
  type TableEntry,
  wrapName,
} from "#figures/format.js";
import type { Metric, Row } from "./rows.js";
import { scriptVerdictsOf } from "./script-verdicts.js";
import {
  baselineNotes,
  type Cell,
  cellOf,
  headlinesOf,
  meanOf,
  type Section,
  sectionsOf,
  sortContenders,
} from "./sections.js";
import { comparandsOf, kReference, meansToReference, type Verdict, verdictsOf } from "./verdicts.js";

/** Ratios this close to 1 are neither better nor worse. */
const kNoDifference = 0.03;
const kHeaderWidth = 12;

interface FigureTable {
  metric: Metric;
  title: string;
  format: (value: number) => string;
}

const kFigureTables: readonly FigureTable[] = [
  { metric: "ns_per_op", title: "time per operation, ns", format: formatNumber },
  { metric: "peak_rss", title: "peak RSS, MiB", format: formatMebibytes },
  { metric: "rest_rss", title: "rest RSS after all is freed, MiB", format: formatMebibytes },
];

function ratioPiece(ratio: number): Painted {
  const text = formatRatio(ratio);
  if (ratio < 1 - kNoDifference) return { text, paint: "good" };
  return ratio > 1 + kNoDifference ? { text, paint: "bad" } : { text };
}

function headerRows(section: Section, extra: readonly string[]): TableEntry[][] {
  const names = [...section.contenders, ...extra].map((name) => wrapName(name, kHeaderWidth));
  const height = Math.max(...names.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) => [
    [{ text: line === height - 1 ? "workload" : "", paint: "dim" as const }],
    ...names.map((lines): TableEntry => [{ text: lines[line - (height - lines.length)] ?? "", paint: "dim" }]),
  ]);
}

function figureCell(cell: Cell | undefined, format: (value: number) => string): TableEntry {
  if (!cell) return [{ text: "–", paint: "dim" }];
  const value = { text: format(cell.median) };
  return cell.ratio === undefined ? [value] : [value, ratioPiece(cell.ratio)];
}

function worstSpread(cells: readonly (Cell | undefined)[]): string {
  if (cells.every((cell) => cell === undefined || cell.trials < 2)) return "–";
  return formatPercent(Math.max(...cells.map((cell) => cell?.relativeSpread ?? 0)));
}

function throughput(cell: Cell | undefined): string {
  return cell && cell.median > 0 ? formatNumber(1000 / cell.median) : "–";
}

function lockCount(cell: Cell | undefined): string {
  return cell ? formatNumber(cell.median) : "–";
}

function figureTable(rows: readonly Row[], section: Section, table: FigureTable, colours: boolean): string[] {
  const { metric, format } = table;
  const isTime = metric === "ns_per_op";
  const hasLocks = isTime && rows.some((row) => row.suite === section.suite && row.metric === "locks_per_million");
  const extra = ["±", ...(isTime ? ["pagerun Mop/s"] : []), ...(hasLocks ? ["pagerun locks/Mop"] : [])];
  const body = section.workloads.flatMap((workload) => {
    const cells = section.contenders.map((contender) => cellOf(rows, section, workload, contender, metric));
    if (cells.every((cell) => cell === undefined)) return [];
    const own = cells[section.contenders.indexOf("pagerun")];
    const tail: TableEntry[] = [[{ text: worstSpread(cells), paint: "dim" }]];
    if (isTime) tail.push([{ text: throughput(own) }]);
    if (hasLocks) tail.push([{ text: lockCount(cellOf(rows, section, workload, "pagerun", "locks_per_million")) }]);
    return [[[{ text: workload }], ...cells.map((cell) => figureCell(cell, format)), ...tail]];
  });
  if (body.length === 0) return [];
  const means = section.contenders.map((contender): TableEntry => {
    const mean = meanOf(rows, section, contender, metric);
    return mean === undefined ? [{ text: "–", paint: "dim" }] : [ratioPiece(mean.value)];
  });
  const mean: TableEntry[] = [[{ text: "geometric mean", paint: "bold" }], ...means];
  return ["", `  ${table.title}`, ...formatTable([...headerRows(section, extra), ...body, mean], colours).map(indent)];
}

function latencyTable(rows: readonly Row[], section: Section, colours: boolean): string[] {
  const metrics = ["p50_ns", "p99_ns", "p999_ns"] as const;
  const body = section.workloads.flatMap((workload) => {
    const cells = section.contenders.map((contender): TableEntry => {
      const figures = metrics.map((metric) => cellOf(rows, section, workload, contender, metric)?.median);
      if (figures.some((figure) => figure === undefined)) return [{ text: "–", paint: "dim" }];
      return [{ text: figures.map((figure) => formatWhole(figure as number)).join("/") }];
    });
    return cells.every((cell) => cell[0]?.text === "–") ? [] : [[[{ text: workload }], ...cells]];
  });
  if (body.length === 0) return [];
  const lines = formatTable([...headerRows(section, []), ...body], colours);
  return ["", "  latency of single operations, ns: p50/p99/p99.9", ...lines.map(indent)];
}

function indent(line: string): string {
  return `  ${line}`;
}

/** All tables: for each section the figures of every contender on every workload. */
export function formatTables(rows: readonly Row[], colours: boolean): string {
  const lines = sectionsOf(rows).flatMap((section) => [
    "",
    paint({ text: `${section.title}  (× is to ${section.baselineText})`, paint: "bold" }, colours),
    ...kFigureTables.flatMap((table) => figureTable(rows, section, table, colours)),
    ...latencyTable(rows, section, colours),
    ...baselineNotes(rows, section).map((note) => paint({ text: indent(note), paint: "dim" }, colours)),
  ]);
  return lines.join("\n");
}

/** The summary: geometric means of pagerun's ratios, one line a section. */
export function formatSummary(rows: readonly Row[], colours: boolean): string {
  const headlines = headlinesOf(rows);
  if (headlines.length === 0) return "";
  const width = Math.max(...headlines.map(({ title }) => title.length));
  const lines = headlines.map(({ title, figures, baselineText }) => {
    const parts = figures.map(({ label, ratio }) => {
      const { paint: style } = ratioPiece(ratio);
      const text = `${ratio.toFixed(2)} ×`;
      return `${label} ${paint(style ? { text, paint: style } : { text }, colours)} ${baselineText}`;
    });
    return `  ${`${title}:`.padEnd(width + 1)}  pagerun ${parts.join(", ")}`;
  });
  return [
    paint({ text: "summary (geometric means of the medians' ratios; below 1 is better)", paint: "bold" }, colours),
    ...lines,
  ].join("\n");
}

function meansTable(rows: readonly Row[], colours: boolean): string[] {
  const means = meansToReference(rows);
  if (means.length === 0) return [];
  const columns = (["core", "core and traces"] as const).flatMap((scope) =>
    (["time", "peak_rss"] as const).map((metric) => ({ scope, metric })),
  );
  const heads = columns.map(({ scope, metric }): TableEntry => {
    return [{ text: `${scope}: ${metric === "time" ? "time" : "peak RSS"}`, paint: "dim" }];
  });
  const contenders = sortContenders([...new Set(means.map(({ contender }) => contender))]);
  const body = contenders.map((contender) => [
    [{ text: contender }],
    ...columns.map(({ scope, metric }): TableEntry => {
      const mean = means.find((each) => each.scope === scope && each.metric === metric && each.contender === contender);
      return [mean ? ratioPiece(mean.value) : { text: "–", paint: "dim" }];
    }),
  ]);
  const table = formatTable([[[{ text: "contender", paint: "dim" }], ...heads], ...body], colours);
  return [paint({ text: `geometric means, × is to ${kReference}`, paint: "bold" }, colours), ...table.map(indent)];
}

/** Each workload's ratios of pagerun to whoever did best there, the worst first. */
function comparandTable(rows: readonly Row[], colours: boolean): string[] {
  const { time, memory } = comparandsOf(rows);
  if (time.length === 0) return [];
  const heads = ["workload", "time", "best peer", "peak RSS", "leanest fast peer"];
  const body = [...time]
    .sort((a, b) => b.ratio - a.ratio)
    .map(({ workload, peer, ratio }): TableEntry[] => {
      const peak = memory.find((comparand) => comparand.workload === workload);
      const tail: TableEntry[] = peak ? [[ratioPiece(peak.ratio)], [{ text: peak.peer }]] : [[], []];
      return [[{ text: workload }], [ratioPiece(ratio)], [{ text: peer }], ...tail];
    });
  const table = formatTable([heads.map((text): TableEntry => [{ text, paint: "dim" }]), ...body], colours);
  return [paint({ text: "pagerun to each workload's best", paint: "bold" }, colours), ...table.map(indent)];
}

/** A verdict as a line: whether it is met, what it is about, the figure and its limit. */
export function verdictLine(
  { title, value, limit, bound, isMet, detail, workloads }: Verdict,
  colours: boolean,
): string {
  const mark = paint({ text: isMet ? "met    " : "NOT MET", paint: isMet ? "good" : "bad" }, colours);
  const over = workloads === 1 ? "" : `, over ${workloads} workloads`;
  return `  ${mark}  ${title} (${detail}): ${value.toFixed(2)} ×, at ${bound} ${limit.toFixed(2)}${over}`;
}

function formatScriptVerdicts(rows: readonly Row[], colours: boolean): string {
  const verdicts = scriptVerdictsOf(rows);
  if (verdicts.length === 0) return "";
  const title = { text: "verdicts on pagerun, from JavaScript", paint: "bold" } as const;
  return [paint(title, colours), ...verdicts.map((verdict) => verdictLine(verdict, colours)), "", ""].join("\n");
}

/** What the comparisons are judged by; empty where there is nothing to judge. */
export function formatVerdicts(rows: readonly Row[], colours: boolean): string {
  return formatNativeVerdicts(rows, colours) + formatScriptVerdicts(rows, colours);
}

function formatNativeVerdicts(rows: readonly Row[], colours: boolean): string {
  const verdicts = verdictsOf(rows);
  if (verdicts.length === 0) return "";
  const title = { text: "verdicts on pagerun, from C++: suite core and the traces", paint: "bold" } as const;
  return [
    ...comparandTable(rows, colours),
    "",
    ...meansTable(rows, colours),
    "",
    paint(title, colours),
    ...verdicts.map((verdict) => verdictLine(verdict, colours)),
    "",
  ].join("\n");
}
