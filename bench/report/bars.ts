// Owns the plot of ratios: for each workload one bar a contender, from 1 (the baseline) to its ratio, with its spread.
// Logarithmic, so that twice and half are equally far from 1. Pure functions, no state.
import { formatMebibytes, formatNumber, formatRatio } from "#figures/format.js";
import { colourClass, escapeText, pixels } from "#figures/markup.js";
import type { Metric, Row } from "../rows.js";
import { baselineOf, cellOf, meanOf, type Section } from "../sections.js";
import { type LogScale, logScale, logTicks, ratioRange } from "./scale.js";

const kWidth = 470;
const kLabelWidth = 132;
const kRightMargin = 14;
const kTopMargin = 22;
const kLane = 9;
const kBar = 7;
const kGap = 9;
const kTickDistance = 36;
const kMeanLane = 13;
const kMeanLabel = "geometric mean";
/** Longest figure behind the bar of a mean. */
const kFigureWidth = 142;

interface Bar {
  contender: string;
  ratio: number;
  low: number;
  high: number;
  tip: string;
}

interface BarGroup {
  label: string;
  bars: Bar[];
}

const kFormats: Partial<Record<Metric, (value: number) => string>> = {
  ns_per_op: (value) => `${formatNumber(value)} ns`,
  time: (value) => `${formatNumber(value)} s`,
  peak_rss: (value) => `${formatMebibytes(value)} MiB`,
  rest_rss: (value) => `${formatMebibytes(value)} MiB`,
};

function barOf(rows: readonly Row[], section: Section, workload: string, contender: string, metric: Metric): Bar[] {
  const cell = cellOf(rows, section, workload, contender, metric);
  if (cell?.ratio === undefined || contender === baselineOf(rows, section, workload)) return [];
  const format = kFormats[metric] ?? formatNumber;
  const range = `${format(cell.min)} to ${format(cell.max)} in ${cell.trials} trials`;
  const scale = cell.median > 0 ? cell.ratio / cell.median : 0;
  return [
    {
      contender,
      ratio: cell.ratio,
      low: cell.min * scale || cell.ratio,
      high: cell.max * scale || cell.ratio,
      tip: `${workload}, ${contender}: ${format(cell.median)}, ${formatRatio(cell.ratio)} (${range})`,
    },
  ];
}

/** The bars of a section, and last those of the geometric means. */
function groupsOf(rows: readonly Row[], section: Section, metric: Metric): BarGroup[] {
  const groups = section.workloads.map((workload) => ({
    label: workload,
    bars: section.contenders.flatMap((contender) => barOf(rows, section, workload, contender, metric)),
  }));
  const means = section.contenders.slice(1).flatMap((contender) => {
    const mean = meanOf(rows, section, contender, metric);
    if (mean === undefined) return [];
    const tip = `geometric mean of ${mean.workloads} workloads, ${contender}: ${formatRatio(mean.value)}`;
    return [{ contender, ratio: mean.value, low: mean.value, high: mean.value, tip }];
  });
  return [...groups, { label: kMeanLabel, bars: means }].filter((group) => group.bars.length > 0);
}

function drawBar(bar: Bar, scale: LogScale, top: number): string {
  const one = scale.place(1);
  const end = scale.place(bar.ratio);
  const left = Math.min(one, end);
  const middle = top + kBar / 2;
  const whisker = `M${pixels(scale.place(bar.low))} ${pixels(middle)}H${pixels(scale.place(bar.high))}`;
  return (
    `<g class="bar ${colourClass(bar.contender)}"><title>${escapeText(bar.tip)}</title>` +
    `<rect x="${pixels(left)}" y="${pixels(top)}" width="${pixels(Math.max(Math.abs(end - one), 1.5))}" height="${kBar}" rx="1"/>` +
    `<path class="whisker" d="${whisker}"/></g>`
  );
}

function drawGroup(group: BarGroup, scale: LogScale, top: number): string {
  const middle = top + (group.bars.length * kLane) / 2;
  const label = `<text x="${kLabelWidth - 8}" y="${pixels(middle + 3.5)}" text-anchor="end">${escapeText(group.label)}</text>`;
  return label + group.bars.map((bar, index) => drawBar(bar, scale, top + index * kLane)).join("");
}

/** The means: taller lanes, and each bar with its figure behind it. */
function drawMeans(group: BarGroup, scale: LogScale, top: number): string {
  const middle = top + (group.bars.length * kMeanLane) / 2;
  const line = `<path class="grid" d="M8 ${pixels(top - kGap)}H${kWidth - kRightMargin}"/>`;
  const label = `<text class="strong" x="${kLabelWidth - 8}" y="${pixels(middle + 3)}" text-anchor="end">${kMeanLabel}</text>`;
  const bars = group.bars.map((bar, index) => {
    const y = top + index * kMeanLane;
    const x = Math.max(scale.place(1), scale.place(bar.ratio)) + 6;
    const figure = `<text class="figure" x="${pixels(x)}" y="${pixels(y + kBar)}">${formatRatio(bar.ratio)} ${escapeText(bar.contender)}</text>`;
    return drawBar(bar, scale, y) + figure;
  });
  return line + label + bars.join("");
}

function drawAxis(scale: LogScale, height: number): string {
  return logTicks(scale, kTickDistance)
    .map((tick) => {
      const x = pixels(scale.place(tick));
      const line = `<path class="${tick === 1 ? "one" : "grid"}" d="M${x} ${kTopMargin - 4}V${height}"/>`;
      return `${line}<text class="tick" x="${x}" y="${kTopMargin - 9}" text-anchor="middle">${tick}×</text>`;
    })
    .join("");
}

/** The scale that shows all bars, and the figures behind those of the means. */
function scaleFor(groups: readonly BarGroup[]): LogScale {
  const range = ratioRange(groups.flatMap((group) => group.bars.flatMap((bar) => [bar.ratio, bar.low, bar.high])));
  const full = logScale(...range, kLabelWidth, kWidth - kRightMargin);
  const means = groups.find((group) => group.label === kMeanLabel)?.bars ?? [];
  const reach = Math.max(full.place(1), ...means.map((bar) => full.place(bar.ratio)));
  const excess = Math.max(0, reach + kFigureWidth - kWidth);
  return logScale(...range, kLabelWidth, kWidth - kRightMargin - excess);
}

/** The plot as an SVG element; empty when no contender has a ratio for the metric. */
export function drawBars(rows: readonly Row[], section: Section, metric: Metric, title: string): string {
  const groups = groupsOf(rows, section, metric);
  if (groups.length === 0) return "";
  const scale = scaleFor(groups);
  let top = kTopMargin + 4;
  const drawn = groups.map((group) => {
    if (group.label === kMeanLabel) {
      const means = drawMeans(group, scale, top + kGap);
      top += group.bars.length * kMeanLane + 2 * kGap;
      return means;
    }
    const text = drawGroup(group, scale, top);
    top += group.bars.length * kLane + kGap;
    return text;
  });
  return (
    `<figure><figcaption>${escapeText(title)}</figcaption>` +
    `<svg viewBox="0 0 ${kWidth} ${top}" role="img" aria-label="${escapeText(`${section.title}: ${title}`)}">` +
    `${drawAxis(scale, top - kGap + 3)}${drawn.join("")}</svg></figure>`
  );
}
