// Owns the plot of latencies: for each workload a line a contender, from its median over p99 to p99.9.
// Logarithmic nanoseconds. Pure functions, no state.
import { formatWhole } from "#figures/format.js";
import { colourClass, escapeText, pixels } from "#figures/markup.js";
import type { Row } from "../rows.js";
import { cellOf, type Section } from "../sections.js";
import { type LogScale, logScale, logTicks } from "./scale.js";

const kWidth = 720;
const kLabelWidth = 132;
const kRightMargin = 20;
const kTopMargin = 22;
const kLane = 9;
const kGap = 10;
const kTickDistance = 46;

interface Line {
  workload: string;
  contender: string;
  p50: number;
  p99: number;
  p999: number;
}

function linesOf(rows: readonly Row[], section: Section): Line[] {
  return section.workloads.flatMap((workload) =>
    section.contenders.flatMap((contender) => {
      const [p50, p99, p999] = (["p50_ns", "p99_ns", "p999_ns"] as const).map(
        (metric) => cellOf(rows, section, workload, contender, metric)?.median,
      );
      if (p50 === undefined || p99 === undefined || p999 === undefined) return [];
      return [{ workload, contender, p50: Math.max(p50, 1), p99: Math.max(p99, 1), p999: Math.max(p999, 1) }];
    }),
  );
}

function drawLine(line: Line, scale: LogScale, y: number): string {
  const [a, b, c] = [line.p50, line.p99, line.p999].map((value) => pixels(scale.place(value)));
  const figures = `p50 ${formatWhole(line.p50)}, p99 ${formatWhole(line.p99)}, p99.9 ${formatWhole(line.p999)} ns`;
  return (
    `<g class="range ${colourClass(line.contender)}"><title>${escapeText(`${line.workload}, ${line.contender}: ${figures}`)}</title>` +
    `<path d="M${a} ${pixels(y)}H${c}"/><circle cx="${a}" cy="${pixels(y)}" r="3"/>` +
    `<path d="M${b} ${pixels(y - 3)}V${pixels(y + 3)}"/><circle class="hollow" cx="${c}" cy="${pixels(y)}" r="2.6"/></g>`
  );
}

function tickText(nanoseconds: number): string {
  if (nanoseconds >= 1e6) return `${nanoseconds / 1e6} ms`;
  return nanoseconds >= 1000 ? `${nanoseconds / 1000} µs` : `${nanoseconds} ns`;
}

function drawAxis(scale: LogScale, height: number): string {
  return logTicks(scale, kTickDistance)
    .map((tick) => {
      const x = pixels(scale.place(tick));
      const text = tickText(tick);
      return (
        `<path class="grid" d="M${x} ${kTopMargin - 4}V${height}"/>` +
        `<text class="tick" x="${x}" y="${kTopMargin - 9}" text-anchor="middle">${text}</text>`
      );
    })
    .join("");
}

/** The plot as an SVG element; empty when the section has no latency trials. */
export function drawLatencies(rows: readonly Row[], section: Section): string {
  const lines = linesOf(rows, section);
  if (lines.length === 0) return "";
  const values = lines.flatMap(({ p50, p999 }) => [p50, p999]);
  const scale = logScale(Math.min(...values) / 1.2, Math.max(...values) * 1.2, kLabelWidth, kWidth - kRightMargin);
  let top = kTopMargin + 6;
  const drawn = section.workloads.flatMap((workload) => {
    const own = lines.filter((line) => line.workload === workload);
    if (own.length === 0) return [];
    const middle = top + ((own.length - 1) * kLane) / 2;
    const label = `<text x="${kLabelWidth - 8}" y="${pixels(middle + 3.5)}" text-anchor="end">${escapeText(workload)}</text>`;
    const text = label + own.map((line, index) => drawLine(line, scale, top + index * kLane)).join("");
    top += own.length * kLane + kGap;
    return [text];
  });
  return (
    `<figure class="wide"><figcaption>latency of single operations: ● p50 ┃ p99 ○ p99.9</figcaption>` +
    `<svg viewBox="0 0 ${kWidth} ${top}" role="img" aria-label="${escapeText(`${section.title}: latency`)}">` +
    `${drawAxis(scale, top - kGap + 3)}${drawn.join("")}</svg></figure>`
  );
}
