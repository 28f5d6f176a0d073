// The command `npm run bench:climb`: the climb from the first list to the production core as one picture, of the rows of
// a run of the bench. Owns the picture; measures nothing.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { formatRatio } from "#figures/format.js";
import { escapeText, pixels } from "#figures/markup.js";
import { geometricMean } from "#figures/statistics.js";
import { kTextbookNames } from "./options.js";
import { logScale, logTicks } from "./report/scale.js";
import type { Row } from "./rows.js";
import { isNativeRow } from "./sections.js";

const kBaseline = "libc";
export const kSteps = [...kTextbookNames, "pagerun"] as const;

const kTitles: Record<(typeof kSteps)[number], string> = {
  "free-list": "one free list",
  arenas: "many arenas",
  "bucket-pages": "bucket pages",
  pagerun: "pagerun",
};

export interface Step {
  name: (typeof kSteps)[number];
  /** Time to that of libc, by workload; those that it was too slow for are not in it. */
  ratios: Map<string, number>;
  /** Geometric mean over the workloads that all steps ended. */
  mean: number | undefined;
}

export interface Climb {
  steps: Step[];
  /** Workloads that libc ran. */
  workloads: number;
  /** Of them, those that all steps ended. */
  common: number;
}

/** What the rows say of each step. Throws when a step is not in them. */
export function climbOf(rows: readonly Row[]): Climb {
  const times = rows.filter((row) => row.metric === "time" && isNativeRow(row));
  const ofLibc = new Map(
    times.filter(({ contender }) => contender === kBaseline).map((row) => [`${row.suite} ${row.workload}`, row.median]),
  );
  const ratios = kSteps.map((name) => {
    const own = times.filter(({ contender }) => contender === name);
    if (own.length === 0) throw new Error(`Expected rows of ${name}; run the bench with --contenders libc,${kSteps}`);
    return new Map(
      own.flatMap(({ suite, workload, median }) => {
        const base = ofLibc.get(`${suite} ${workload}`);
        return base === undefined ? [] : [[workload, median / base] as const];
      }),
    );
  });
  const common = [...(ratios[0] as Map<string, number>).keys()].filter((name) => ratios.every((map) => map.has(name)));
  const steps = kSteps.map((name, index) => {
    const own = ratios[index] as Map<string, number>;
    return { name, ratios: own, mean: geometricMean(common.map((workload) => own.get(workload) as number)) };
  });
  return { steps, workloads: ofLibc.size, common: common.length };
}

const kWidth = 760;
const kLabelWidth = 128;
const kRight = 620;
const kLane = 62;
const kTop = 74;
const kDot = 3.6;
const kTickDistance = 44;
const kEdge = 30;

const kStyle = `
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.quiet { fill: #57606a; font-size: 12px }
.title { font-size: 15px; font-weight: 600 }
.name, .mean { font-weight: 600 }
.grid { stroke: #d0d7de; stroke-width: 1 }
.one { stroke: #57606a; stroke-width: 1.5 }
.dot { fill: #8250df; fill-opacity: .55 }
.own .dot { fill: #0a7d3c }
.mark { stroke: #1f2328; stroke-width: 3 }
.out { fill: none; stroke: #8250df; stroke-opacity: .7 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #9198a1 } .grid { stroke: #30363d } .one { stroke: #9198a1 }
  .dot { fill: #bc8cff } .own .dot { fill: #3fb950 } .mark { stroke: #e6edf3 } .out { stroke: #bc8cff }
}`;

/** Places dots that would lie on each other beside each other; the same rows give the same picture. */
function spread(index: number): number {
  return ((index * 7) % 11) - 5;
}

function drawStep(step: Step, climb: Climb, place: (ratio: number) => number, top: number): string {
  const middle = top + kLane / 2;
  const dots = [...step.ratios].map(([workload, ratio], index) => {
    const tip = `<title>${escapeText(workload)}: ${formatRatio(ratio)}</title>`;
    return `<circle class="dot" cx="${pixels(place(ratio))}" cy="${pixels(middle + spread(index) * 2)}" r="${kDot}">${tip}</circle>`;
  });
  const left = climb.workloads - step.ratios.size;
  const beyond = left === 0 ? "all ended" : `${left} of ${climb.workloads} not ended`;
  const out = left === 0 ? "" : `<circle class="out" cx="${kRight + 14}" cy="${pixels(middle)}" r="${kDot}"/>`;
  const mean = step.mean === undefined ? "" : pixels(place(step.mean));
  const mark =
    step.mean === undefined
      ? ""
      : `<path class="mark" d="M${mean} ${pixels(middle - 20)}V${pixels(middle + 20)}"/>` +
        `<text class="quiet" x="12" y="${pixels(middle + 14)}">mean ${formatRatio(step.mean)}</text>`;
  return (
    `<g${step.name === "pagerun" ? ' class="own"' : ""}>` +
    `<text class="name" x="12" y="${pixels(middle - 2)}">${escapeText(kTitles[step.name])}</text>` +
    `${dots.join("")}${mark}${out}<text class="quiet" x="${kRight + 24}" y="${pixels(middle + 4)}">${beyond}</text></g>`
  );
}

/** The picture as an SVG document, readable on light and on dark. */
export function drawClimb(climb: Climb): string {
  const all = climb.steps.flatMap(({ ratios }) => [...ratios.values()]);
  const scale = logScale(Math.min(0.5, ...all) / 1.1, Math.max(2, ...all) * 1.1, kLabelWidth, kRight);
  const bottom = kTop + climb.steps.length * kLane;
  const axis = logTicks(scale, kTickDistance).map((tick) => {
    const x = pixels(scale.place(tick));
    const line = `<path class="${tick === 1 ? "one" : "grid"}" d="M${x} ${kTop - 4}V${bottom}"/>`;
    return `${line}<text class="quiet" x="${x}" y="${kTop - 10}" text-anchor="middle">${tick}×</text>`;
  });
  const steps = climb.steps.map((step, index) => drawStep(step, climb, scale.place, kTop + index * kLane));
  const told = climb.steps.map(
    ({ name, mean }) => `${kTitles[name]} ${mean === undefined ? "none" : formatRatio(mean)}`,
  );
  const label = `Time to that of libc, geometric means of ${climb.common} workloads: ${told.join(", ")}`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${kWidth} ${bottom + kEdge}" role="img" aria-label="${escapeText(label)}">\n` +
    `<style>${kStyle}\n</style>\n` +
    `<text class="title" x="12" y="22">The climb: time of each workload, to that of libc (1×); less is better</text>\n` +
    `<text class="quiet" x="12" y="41">A dot is a workload, the bar the geometric mean over the ${climb.common} that all four ended.</text>\n` +
    `${[...axis, ...steps].join("\n")}\n` +
    `<text class="quiet" x="12" y="${bottom + 18}">Not ended: more than about 50 times libc's time. A list of n free blocks takes n steps for a malloc or a free.</text>\n` +
    "</svg>\n"
  );
}

const kHelp = `usage: npm run bench:climb -- ROWS [SVG]

Draws the steps from the first list to the production core, of the rows that this writes, into docs/climb.svg:

  npm run bench -- --suite core --contenders libc,${kSteps.join(",")} --json ROWS
`;

function main(args: readonly string[]): number {
  const [rows, svg = "docs/climb.svg"] = args;
  if (rows === undefined || args.length > 2 || rows.startsWith("-")) {
    const isHelp = rows === "--help";
    (isHelp ? process.stdout : process.stderr).write(kHelp);
    return isHelp ? 0 : 2;
  }
  const climb = climbOf(JSON.parse(readFileSync(rows, "utf8")) as Row[]);
  writeFileSync(svg, drawClimb(climb));
  for (const { name, mean, ratios } of climb.steps) {
    console.log(
      `${kTitles[name].padEnd(14)} ${formatRatio(mean ?? Number.NaN).padStart(6)}  ${ratios.size} of ${climb.workloads} workloads ended`,
    );
  }
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(main(process.argv.slice(2)));
