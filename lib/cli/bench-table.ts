// Owns the text that `pagerun bench` ends with: the table of figures and the sentences below it. Pure functions, no state.
import { formatPercent, formatRatio, formatTable, type Painted, paint, type TableEntry } from "../figures/format.js";
import { ratio } from "../figures/statistics.js";
import type { Finding } from "./bench-findings.js";
import { type CommandRow, findRow, type Metric, widestSpread } from "./bench-rows.js";

/** Ratios this close to 1 are neither better nor worse. */
const kNoDifference = 0.03;

function ratioPiece(share: number): Painted {
  const text = formatRatio(share);
  if (share < 1 - kNoDifference) return { text, paint: "good" };
  return share > 1 + kNoDifference ? { text, paint: "bad" } : { text };
}

function entry(rows: readonly CommandRow[], metric: Metric, contender: string, baseline: string): TableEntry {
  const row = findRow(rows, contender, metric.name);
  if (row === undefined) return [{ text: "–", paint: "dim" }];
  const figure = { text: metric.format(row.median) };
  const share = ratio(row.median, findRow(rows, baseline, metric.name)?.median);
  return contender === baseline || share === undefined ? [figure] : [figure, ratioPiece(share)];
}

/** A row a contender, a column a metric; ratios are to the baseline, and the last row is the widest spread of each column. */
export function figuresTable(
  rows: readonly CommandRow[],
  metrics: readonly Metric[],
  contenders: readonly string[],
  baseline: string,
  colours: boolean,
): string[] {
  const shown = metrics.filter(({ name }) => rows.some((row) => row.metric === name));
  const head: TableEntry[] = ["allocator", ...shown.map(({ title }) => title)].map((text) => [{ text, paint: "dim" }]);
  const body = contenders.map((name): TableEntry[] => [
    [name === "pagerun" ? { text: name, paint: "bold" } : { text: name }],
    ...shown.map((metric) => entry(rows, metric, name, baseline)),
  ]);
  const spreads = shown.map(
    ({ name }): TableEntry => [{ text: `±${formatPercent(widestSpread(rows, name))}`, paint: "dim" }],
  );
  return formatTable([head, ...body, [[{ text: "widest spread", paint: "dim" }], ...spreads]], colours);
}

const kSigns = {
  won: { text: "+", paint: "good" },
  lost: { text: "-", paint: "bad" },
  open: { text: "=", paint: "dim" },
} as const;

export function findingLines(findings: readonly Finding[], colours: boolean): string[] {
  return findings.map(({ result, text }) => `  ${paint(kSigns[result], colours)} ${text}`);
}
