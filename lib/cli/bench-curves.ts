// Owns the plots of resident sets over time: a curve a contender, from its typical trial, the others faint behind it.
// Pure functions, no state.
import { spreadLabels, tickStep } from "../figures/axis.js";
import { colourClass, escapeText, pixels } from "../figures/markup.js";
import { type Result, typicalTrial } from "./bench-rows.js";
import type { Trial } from "./bench-trial.js";
import type { Sample } from "./watch.js";

const kWidth = 860;
const kHeight = 340;
const kLeft = 54;
const kRight = 150;
const kTop = 16;
const kBottom = 34;
const kLabelDistance = 14;
const kMebibyte = 2 ** 20;

/** Points closer together than this cannot be told apart on the screen. */
const kLeastDistance = 0.7;

/** What is drawn of a trial: its samples on the plot's own clock. */
interface Curve {
  contender: string;
  samples: Sample[];
  isTypical: boolean;
}

interface Frame {
  from: number;
  seconds: number;
  bytes: number;
}

function x(frame: Frame, seconds: number): number {
  return kLeft + ((seconds - frame.from) / (frame.seconds - frame.from || 1)) * (kWidth - kLeft - kRight);
}

function y(frame: Frame, bytes: number): number {
  return kHeight - kBottom - (bytes / frame.bytes) * (kHeight - kTop - kBottom);
}

/** Samples since the start, or since the end of work, which is then 0. */
function samplesOf(trial: Trial, from: "start" | "rest"): Sample[] {
  if (from === "start") return trial.samples;
  const { workEnd } = trial;
  if (workEnd === undefined) return [];
  const shifted = trial.samples.map(({ seconds, rssBytes }) => ({ seconds: seconds - workEnd, rssBytes }));
  return shifted.filter(({ seconds }) => seconds >= 0);
}

function curvesOf(results: readonly Result[], from: "start" | "rest"): Curve[] {
  const curves = results
    .filter(({ trial }) => trial.failure === undefined)
    .map(({ contender, trial }) => ({
      contender,
      samples: samplesOf(trial, from),
      isTypical: trial === typicalTrial(results, contender),
    }))
    .filter(({ samples }) => samples.length > 1);
  return curves.sort((a, b) => Number(a.isTypical) - Number(b.isTypical));
}

function frameOf(curves: readonly Curve[]): Frame & { step: number } {
  const samples = curves.flatMap((curve) => curve.samples);
  const most = samples.reduce((largest, { rssBytes }) => Math.max(largest, rssBytes), kMebibyte);
  const seconds = samples.reduce((last, sample) => Math.max(last, sample.seconds), 0);
  const step = tickStep(most / kMebibyte) * kMebibyte;
  return { from: 0, seconds, bytes: Math.ceil(most / step) * step, step };
}

function drawAxes(frame: Frame & { step: number }): string {
  const levels = Array.from({ length: Math.round(frame.bytes / frame.step) + 1 }, (_, index) => index * frame.step);
  const lines = levels.map((bytes) => {
    const top = pixels(y(frame, bytes));
    return `<path class="grid" d="M${kLeft} ${top}H${kWidth - kRight}"/><text class="tick" x="${kLeft - 6}" y="${top}" dy="4" text-anchor="end">${bytes / kMebibyte}</text>`;
  });
  const step = tickStep(frame.seconds - frame.from || 1);
  const count = Math.floor((frame.seconds - frame.from) / step + 1e-6) + 1;
  const ticks = Array.from({ length: count }, (_, index) => {
    const seconds = frame.from + index * step;
    return `<text class="tick" x="${pixels(x(frame, seconds))}" y="${kHeight - kBottom + 17}" text-anchor="middle">${Number(seconds.toPrecision(3))} s</text>`;
  });
  return [...lines, ...ticks].join("");
}

/** The path through the samples, without those that would fall on the same place. */
function pathOf(samples: readonly Sample[], frame: Frame): string {
  const points: [number, number][] = [];
  for (const { seconds, rssBytes } of samples) {
    const [across, down] = [x(frame, seconds), y(frame, rssBytes)];
    const [lastAcross, lastDown] = points.at(-1) ?? [Number.NEGATIVE_INFINITY, 0];
    if (across - lastAcross >= kLeastDistance || Math.abs(down - lastDown) >= kLeastDistance)
      points.push([across, down]);
  }
  return `M${points.map(([across, down]) => `${pixels(across)} ${pixels(down)}`).join("L")}`;
}

function drawCurve({ contender, samples, isTypical }: Curve, frame: Frame): string {
  const tip = `${contender}: ${Math.round((samples.at(-1)?.rssBytes ?? 0) / kMebibyte)} MiB at the end`;
  return `<g class="curve ${colourClass(contender)}${isTypical ? "" : " faint"}"><title>${escapeText(tip)}</title><path d="${pathOf(samples, frame)}"/></g>`;
}

function drawLabels(curves: readonly Curve[], frame: Frame): string {
  const typical = curves.filter(({ isTypical }) => isTypical);
  const ends = typical.map(({ samples }) => y(frame, samples.at(-1)?.rssBytes ?? 0));
  const places = spreadLabels(ends, kLabelDistance, kHeight - kBottom);
  return typical
    .map(
      ({ contender }, index) =>
        `<text class="name ${colourClass(contender)}" x="${kWidth - kRight + 10}" y="${pixels(places[index] ?? 0)}" dy="4">${escapeText(contender)}</text>`,
    )
    .join("");
}

/** Dots where the work of the typical trials ended, and the names that the command gave to such moments. */
function drawMarks(results: readonly Result[], curves: readonly Curve[], frame: Frame): string {
  const typical = [...new Set(curves.map(({ contender }) => contender))];
  return typical
    .flatMap((contender) =>
      (typicalTrial(results, contender)?.marks ?? []).map(({ name, seconds }) => {
        const sample = typicalTrial(results, contender)?.samples.find((each) => each.seconds >= seconds);
        const tip = escapeText(`${contender}: ${name} after ${seconds.toFixed(2)} s`);
        return `<circle class="mark ${colourClass(contender)}" cx="${pixels(x(frame, seconds))}" cy="${pixels(y(frame, sample?.rssBytes ?? 0))}" r="4"><title>${tip}</title></circle>`;
      }),
    )
    .join("");
}

/** One plot as an element of a page; empty where there is nothing to draw. */
export function drawCurves(results: readonly Result[], from: "start" | "rest", title: string): string {
  const curves = curvesOf(results, from);
  if (curves.length === 0) return "";
  const frame = frameOf(curves);
  const marks = from === "start" ? drawMarks(results, curves, frame) : "";
  const drawn = curves.map((curve) => drawCurve(curve, frame)).join("");
  return (
    `<figure class="wide"><figcaption>${escapeText(title)}</figcaption>` +
    `<svg viewBox="0 0 ${kWidth} ${kHeight}" role="img" aria-label="${escapeText(title)}">` +
    `${drawAxes(frame)}${drawn}${marks}${drawLabels(curves, frame)}</svg></figure>`
  );
}

export const kCurveStyle = `
.plots.curves { display: block; }
figure.wide { max-width: 1000px; }
/* Where the plots are not seen whole, their names are not either. */
@media (min-width: 641px) { .curves .legend { display: none; } }
.curve path { fill: none; stroke: var(--ink); stroke-width: 1.8; stroke-linejoin: round; }
.curve.faint path { opacity: 0.25; stroke-width: 1; }
.curve.k-pagerun:not(.faint) path { stroke-width: 2.6; }
svg text.name { fill: var(--ink); font-weight: 600; }
circle.mark { fill: var(--ink); stroke: var(--card); stroke-width: 1.5; }
`;
