// Owns the report: one HTML page that needs nothing else, from the rows and what is known about the run.
// Does not own the plots on it (bars.ts, latencies.ts). Pure functions, no state.

import { formatMebibytes, formatNumber, formatRatio, formatWhole } from "#figures/format.js";
import { formatMachine, type Machine } from "#figures/machine.js";
import { escapeText, legend } from "#figures/markup.js";
import type { Missing } from "#figures/peers.js";
import { kScript, kStyle } from "#figures/style.js";
import type { WorkloadInfo } from "../plan.js";
import type { Metric, Row } from "../rows.js";
import { baselineNotes, cellOf, type Headline, headlinesOf, type Section, sectionsOf } from "../sections.js";
import { drawBars } from "./bars.js";
import { drawLatencies } from "./latencies.js";
import { renderVerdicts } from "./verdicts.js";

/** A contender that has no figure for a workload, and why. */
interface Finding {
  suite: string;
  workload: string;
  contender: string;
  message: string;
}

export interface ReportInput {
  rows: readonly Row[];
  workloads: readonly WorkloadInfo[];
  machine: Machine;
  contenders: readonly { name: string; version: string; how: string }[];
  missing: readonly Missing[];
  failures: readonly Finding[];
  /** Contenders that were too slow for a workload. */
  leftOut: readonly Finding[];
  trials: number;
  date: Date;
}

/** Ratios this close to 1 are neither better nor worse. */
const kNoDifference = 0.03;

function ratioClass(ratio: number): string {
  if (ratio < 1 - kNoDifference) return "good";
  return ratio > 1 + kNoDifference ? "bad" : "";
}

function tile({ title, figures, baselineText }: Headline): string {
  const items = figures
    .map(({ label, ratio }) => `<div><dt>${label}</dt><dd class="${ratioClass(ratio)}">${ratio.toFixed(2)}×</dd></div>`)
    .join("");
  return `<div class="tile"><h3>${escapeText(title)}</h3><dl>${items}</dl><small>pagerun to ${escapeText(baselineText)}</small></div>`;
}

const kColumns: readonly { metric: Metric; title: string; format: (value: number) => string }[] = [
  { metric: "time", title: "time of a trial, s", format: (value) => value.toFixed(3) },
  { metric: "ns_per_op", title: "ns/op", format: formatNumber },
  { metric: "p50_ns", title: "p50, ns", format: formatWhole },
  { metric: "p99_ns", title: "p99, ns", format: formatWhole },
  { metric: "p999_ns", title: "p99.9, ns", format: formatWhole },
  { metric: "peak_rss", title: "peak RSS, MiB", format: formatMebibytes },
  { metric: "rest_rss", title: "rest RSS, MiB", format: formatMebibytes },
  { metric: "locks_per_million", title: "locks a million operations", format: formatNumber },
];

function tableRow(rows: readonly Row[], section: Section, workload: string, contender: string): string {
  const time = cellOf(rows, section, workload, contender, "time");
  if (!time) return "";
  const speed = cellOf(rows, section, workload, contender, "ns_per_op")?.median;
  const figures = kColumns.map(({ metric, format }) => {
    const cell = cellOf(rows, section, workload, contender, metric);
    if (!cell) return "<td>–</td><td></td>";
    const ratio = cell.ratio === undefined ? "" : formatRatio(cell.ratio);
    const tip = `${format(cell.min)} to ${format(cell.max)} in ${cell.trials} trials`;
    return `<td title="${tip}">${format(cell.median)}</td><td class="${ratioClass(cell.ratio ?? 1)}">${ratio}</td>`;
  });
  const spread = `±${Math.round(time.relativeSpread * 100)}%`;
  const throughput = speed ? formatNumber(1000 / speed) : "–";
  return `<tr><td>${escapeText(workload)}</td><td class="text">${escapeText(contender)}</td>${figures.join("")}<td>${throughput}</td><td>${spread}</td></tr>`;
}

function figuresTable(rows: readonly Row[], section: Section): string {
  const titles = kColumns.map(({ title }) => `<th>${title}</th><th>×</th>`).join("");
  const body = section.workloads.flatMap((workload) =>
    section.contenders.map((contender) => tableRow(rows, section, workload, contender)),
  );
  return `<details><summary>All figures of ${escapeText(section.title)}</summary><div class="scroll"><table><thead><tr><th>workload</th><th class="text">contender</th>${titles}<th>throughput, Mop/s</th><th>spread of time</th></tr></thead><tbody>${body.join("")}</tbody></table></div></details>`;
}

function questionsTable(section: Section, workloads: readonly WorkloadInfo[]): string {
  const rows = section.workloads.map((name) => {
    const question = workloads.find((info) => info.suite === section.suite && info.name === name)?.question ?? "";
    return `<tr><td>${escapeText(name)}</td><td class="wrap">${escapeText(question)}</td></tr>`;
  });
  return `<details><summary>What each workload asks</summary><table><tbody>${rows.join("")}</tbody></table></details>`;
}

function renderSection(input: ReportInput, section: Section): string {
  const { rows } = input;
  const plots = [
    drawBars(rows, section, "ns_per_op", "time per operation"),
    drawBars(rows, section, "peak_rss", section.id === "js" ? "peak RSS, whole process" : "peak RSS"),
    drawBars(
      rows,
      section,
      "rest_rss",
      section.id === "js" ? "rest RSS, whole process" : "rest RSS, after all is freed",
    ),
  ];
  const notes = baselineNotes(rows, section).map((note) => `<p class="quiet">${escapeText(note)}.</p>`);
  return (
    `<section id="${section.id}"><h2>${escapeText(section.title)}</h2>` +
    `<p class="quiet">Ratios to ${escapeText(section.baselineText)}, which is the line at 1. Bars to the left are better; the thin line is the range of the trials.</p>` +
    `${notes.join("")}${legend(section.contenders)}<div class="plots">${plots.join("")}</div>${drawLatencies(rows, section)}` +
    `${figuresTable(rows, section)}${questionsTable(section, input.workloads)}</section>`
  );
}

function renderRun(input: ReportInput): string {
  const contenders = input.contenders.map(
    ({ name, version, how }) =>
      `<tr><td>${escapeText(name)}</td><td class="text">${escapeText(version)}</td><td class="text">${how}</td></tr>`,
  );
  const missing = input.missing.map(
    ({ name, hint }) =>
      `<tr><td>${escapeText(name)}</td><td class="text" colspan="2">not installed: ${escapeText(hint)}</td></tr>`,
  );
  const failures = input.failures.map(
    ({ suite, workload, contender, message }) =>
      `<p class="bad">Failed: ${escapeText(`${suite}, ${workload}, ${contender}: ${message}`)}</p>`,
  );
  const leftOut = input.leftOut.map(
    ({ suite, workload, contender, message }) =>
      `<p>Left out: ${escapeText(`${suite}, ${workload}, ${contender}: ${message}`)}</p>`,
  );
  return (
    `<h2>How this was measured</h2>${failures.join("")}${leftOut.join("")}` +
    `<p>Every trial is a process of its own, and the contenders of a workload take turns in an order that changes from round to round. A figure is the median of ${input.trials} trials. C++ programs get their allocator by LD_PRELOAD, and each preload was proved to have taken before anything was measured. RSS from C++ is the anonymous memory of the process without the tables of the bench; from TypeScript it is the whole process, of which Node itself is some 50 MiB. Latencies come from trials of their own, because a clock around every operation would spoil the time.</p>` +
    `<div class="card" style="padding: 4px 16px 12px"><table><thead><tr><th>contender</th><th class="text">version</th><th class="text"></th></tr></thead><tbody>${contenders.join("")}${missing.join("")}</tbody></table></div>`
  );
}

/** The whole page. */
export function renderReport(input: ReportInput): string {
  const sections = sectionsOf(input.rows);
  const tiles = headlinesOf(input.rows).map(tile);
  const when = input.date.toISOString().replace("T", " ").slice(0, 16);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pagerun: comparison of allocators</title>
<style>${kStyle}</style>
</head>
<body>
<main>
<header>
<div>
<h1>pagerun, compared</h1>
<p class="quiet">${escapeText(formatMachine(input.machine))} · ${when} UTC</p>
</div>
<button type="button">light / dark</button>
</header>
<p>What does a program pay for its memory, in time and in bytes? Figures below 1 are better than the baseline; means are geometric.</p>
<div class="tiles">${tiles.join("")}</div>
${renderVerdicts(input.rows)}
${sections.map((section) => renderSection(input, section)).join("\n")}
${renderRun(input)}
</main>
<script type="application/json" id="rows">${JSON.stringify(input.rows).replaceAll("<", "\\u003c")}</script>
<script>${kScript}</script>
</body>
</html>
`;
}
