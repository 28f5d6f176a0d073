// Owns the curves of the contention bench as SVG: which lines a panel has, axes, labels. Pure functions, no state.
// The drawing has its colours in it, for light and dark, so that the file can stand alone.
import { spreadLabels, tickStep } from "#figures/axis.js";
import { escapeText, pixels } from "#figures/markup.js";
import { type Choice, kChoices, keyOf, kLocks, type LockKind } from "./plan.js";
import type { ContentionRow } from "./rows.js";

export interface Line {
  name: string;
  /** Value at each place of the axis; undefined where it was not measured. */
  values: (number | undefined)[];
}

export interface Panel {
  title: string;
  /** Names of the places along the axis, and what they are. */
  places: string[];
  placesTitle: string;
  /** What the values are: Mop/s or a share of the time in percent. */
  unit: string;
  lines: Line[];
}

const kOperations = "million operations a second";
const kPercent = "% of the threads' time";
const kMillion = 1e6;

/** The figures that panels are drawn of. */
export class Figures {
  readonly threads: number[];
  readonly arenas: number[];
  readonly #rows: Map<string, ContentionRow>;

  constructor(rows: readonly ContentionRow[]) {
    const sorted = (values: number[]) => [...new Set(values)].sort((a, b) => a - b);
    this.threads = sorted(rows.map((row) => row.threads));
    this.arenas = sorted(rows.map((row) => row.arenas));
    this.#rows = new Map(rows.map((row) => [keyOf(row), row]));
  }

  at(threads: number, arenas: number, choice: Choice, lock: LockKind): ContentionRow["median"] | undefined {
    return this.#rows.get(keyOf({ threads, arenas, choice, lock }))?.median;
  }
}

function speed(figures: Figures, ...point: Parameters<Figures["at"]>): number | undefined {
  const value = figures.at(...point)?.operationsPerSecond;
  return value === undefined ? undefined : value / kMillion;
}

function waited(figures: Figures, ...point: Parameters<Figures["at"]>): number | undefined {
  const value = figures.at(...point)?.waitedShare;
  return value === undefined ? undefined : value * 100;
}

function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Throughput and waiting over the number of arenas, a line for each number of threads. */
export function arenaPanels(figures: Figures, choice: Choice, lock: LockKind): Panel[] {
  const axis = { places: figures.arenas.map(String), placesTitle: "arenas" };
  const lines = (value: typeof speed) =>
    figures.threads.map((threads) => ({
      name: countText(threads, "thread"),
      values: figures.arenas.map((arenas) => value(figures, threads, arenas, choice, lock)),
    }));
  const how = `${choice}, ${lock} lock`;
  return [
    { title: `How many arenas? Throughput (${how})`, ...axis, unit: kOperations, lines: lines(speed) },
    { title: `Time waited for locks (${how})`, ...axis, unit: kPercent, lines: lines(waited) },
  ];
}

/** Throughput over the number of arenas, a line for each rule of choice. */
export function choicePanel(figures: Figures, threads: number, lock: LockKind): Panel {
  return {
    title: `Which rule? Throughput of ${countText(threads, "thread")} (${lock} lock)`,
    places: figures.arenas.map(String),
    placesTitle: "arenas",
    unit: kOperations,
    lines: kChoices.map((choice) => ({
      name: choice,
      values: figures.arenas.map((arenas) => speed(figures, threads, arenas, choice, lock)),
    })),
  };
}

/** Throughput over the number of threads, a line for each lock. */
export function lockPanel(figures: Figures, arenas: number, choice: Choice): Panel {
  return {
    title: `Which lock? Throughput on ${countText(arenas, "arena")} (${choice})`,
    places: figures.threads.map(String),
    placesTitle: "threads",
    unit: kOperations,
    lines: kLocks.map((lock) => ({
      name: lock,
      values: figures.threads.map((threads) => speed(figures, threads, arenas, choice, lock)),
    })),
  };
}

const kWidth = 520;
const kHeight = 300;
const kLeft = 46;
const kRight = 112;
const kTop = 46;
const kBottom = 40;
const kLabelDistance = 14;

interface Frame {
  x(place: number): number;
  y(value: number): number;
}

function frameOf(panel: Panel, most: number): Frame {
  const across = kWidth - kLeft - kRight;
  const down = kHeight - kTop - kBottom;
  return {
    x: (place) => kLeft + (panel.places.length < 2 ? 0.5 : place / (panel.places.length - 1)) * across,
    y: (value) => kHeight - kBottom - (value / most) * down,
  };
}

function drawAxes(panel: Panel, frame: Frame, most: number, step: number): string {
  const levels = Array.from({ length: Math.round(most / step) + 1 }, (_, index) => index * step);
  const grid = levels.map((level) => {
    const y = pixels(frame.y(level));
    const text = String(Number(level.toPrecision(3)));
    return `<path class="grid" d="M${kLeft} ${y}H${kWidth - kRight}"/><text class="tick" x="${kLeft - 6}" y="${y}" dy="4" text-anchor="end">${text}</text>`;
  });
  const places = panel.places.map(
    (name, place) =>
      `<text class="tick" x="${pixels(frame.x(place))}" y="${kHeight - kBottom + 17}" text-anchor="middle">${escapeText(name)}</text>`,
  );
  const middle = (kLeft + kWidth - kRight) / 2;
  const titles = [
    `<text class="title" x="8" y="17">${escapeText(panel.title)}</text>`,
    `<text class="tick" x="8" y="34">${escapeText(panel.unit)}</text>`,
    `<text class="tick" x="${middle}" y="${kHeight - 6}" text-anchor="middle">${escapeText(panel.placesTitle)}</text>`,
  ];
  return [...titles, ...grid, ...places].join("");
}

function drawLine(line: Line, index: number, frame: Frame): string {
  const points = line.values.flatMap((value, place) =>
    value === undefined ? [] : [`${pixels(frame.x(place))},${pixels(frame.y(value))}`],
  );
  const dots = points.map((point) => {
    const [x, y] = point.split(",");
    return `<circle cx="${x}" cy="${y}" r="3"/>`;
  });
  return `<g class="line l${index}"><polyline points="${points.join(" ")}"/>${dots.join("")}</g>`;
}

function drawLabels(panel: Panel, frame: Frame): string {
  const ends = panel.lines.map(({ values }) => values.findLast((value) => value !== undefined) ?? 0);
  const places = spreadLabels(
    ends.map((value) => frame.y(value)),
    kLabelDistance,
    kHeight - kBottom,
  );
  return panel.lines
    .map(
      ({ name }, index) =>
        `<text class="name l${index}" x="${kWidth - kRight + 10}" y="${pixels(places[index] ?? 0)}" dy="4">${escapeText(name)}</text>`,
    )
    .join("");
}

function describe(panel: Panel): string {
  const lines = panel.lines.map(({ name, values }) => {
    const figures = values.map(
      (value, place) => `${panel.places[place]}: ${value === undefined ? "-" : value.toFixed(1)}`,
    );
    return `${name}: ${figures.join(", ")}`;
  });
  return `${panel.title}, ${panel.unit} by ${panel.placesTitle}. ${lines.join("; ")}.`;
}

/** One panel, without the element around it. */
export function drawPanel(panel: Panel): string {
  const values = panel.lines.flatMap((line) => line.values.filter((value) => value !== undefined));
  const largest = Math.max(...values, Number.MIN_VALUE);
  const step = tickStep(largest);
  const most = Math.ceil(largest / step) * step;
  const frame = frameOf(panel, most);
  const lines = panel.lines.map((line, index) => drawLine(line, index, frame));
  return drawAxes(panel, frame, most, step) + lines.join("") + drawLabels(panel, frame);
}

const kLight = ["#1f5fd6", "#b85c00", "#0a7a4b", "#a02c8c", "#5a6270", "#b3192f"];
const kDark = ["#7fb0ff", "#f0a24a", "#58c795", "#e58bd4", "#a5acb6", "#ff8a8f"];

function inkRules(colours: readonly string[]): string {
  return colours.map((colour, index) => `.l${index} { --ink: ${colour}; }`).join(" ");
}

export const kCurveStyle = `
.curves { --text: #1c1e21; --quiet: #575c64; --rule: #dcdde1; }
${inkRules(kLight)}
@media (prefers-color-scheme: dark) { .curves { --text: #e6e8eb; --quiet: #a5acb6; --rule: #363b43; } ${inkRules(kDark)} }
.curves text { font: 12px system-ui, sans-serif; fill: var(--text); }
.curves text.title { font-size: 13.5px; font-weight: 650; }
.curves text.tick { font-size: 11px; fill: var(--quiet); }
.curves text.name { fill: var(--ink); font-weight: 600; }
.curves .grid { stroke: var(--rule); fill: none; }
.curves .line polyline { fill: none; stroke: var(--ink); stroke-width: 2; }
.curves .line circle { fill: var(--ink); }
`;

/** A panel as an element of a page. */
export function panelElement(panel: Panel): string {
  return `<svg class="curves" viewBox="0 0 ${kWidth} ${kHeight}" role="img" aria-label="${escapeText(describe(panel))}">${drawPanel(panel)}</svg>`;
}

/** Panels beside and below each other, two a row, as a file of its own. */
export function panelsFile(panels: readonly Panel[]): string {
  const columns = 2;
  const gap = 16;
  const rows = Math.ceil(panels.length / columns);
  const [width, height] = [columns * kWidth + gap, rows * (kHeight + gap)];
  const body = panels.map((panel, index) => {
    const [x, y] = [(index % columns) * (kWidth + gap), Math.floor(index / columns) * (kHeight + gap)];
    return `<g transform="translate(${x} ${y})">${drawPanel(panel)}</g>`;
  });
  const label = escapeText(panels.map(describe).join(" "));
  return `<svg xmlns="http://www.w3.org/2000/svg" class="curves" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">\n<style>${kCurveStyle}svg { background: #ffffff; }\n@media (prefers-color-scheme: dark) { svg { background: #131518; } }</style>\n${body.join("\n")}\n</svg>\n`;
}
