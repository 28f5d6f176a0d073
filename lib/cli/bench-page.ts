// Owns the report of `pagerun bench`: one HTML page that needs nothing else. Does not own its plots. Pure functions, no state.
import { formatRatio } from "../figures/format.js";
import { formatMachine, type Machine } from "../figures/machine.js";
import { colourClass, escapeText, legend } from "../figures/markup.js";
import type { Missing } from "../figures/peers.js";
import { ratio, spread } from "../figures/statistics.js";
import { kScript, kStyle } from "../figures/style.js";
import type { Contender } from "./bench-contenders.js";
import { drawCurves, kCurveStyle } from "./bench-curves.js";
import type { Finding } from "./bench-findings.js";
import { type CommandRow, findRow, type Metric, type Result } from "./bench-rows.js";

export interface PageInput {
  name: string;
  rows: readonly CommandRow[];
  results: readonly Result[];
  metrics: readonly Metric[];
  findings: readonly Finding[];
  contenders: readonly Contender[];
  missing: readonly Missing[];
  /** What has to be known of the run: failures, what was left out. */
  notes: readonly string[];
  baseline: string;
  machine: Machine;
  trials: number;
  date: Date;
}

const kNoDifference = 0.03;

function ratioClass(share: number): string {
  if (share < 1 - kNoDifference) return "good";
  return share > 1 + kNoDifference ? "bad" : "";
}

function figure(input: PageInput, contender: string, metric: Metric): string {
  const row = findRow(input.rows, contender, metric.name);
  if (row === undefined) return "<td>–</td><td></td>";
  const { min, max } = spread(row.trials);
  const share = ratio(row.median, findRow(input.rows, input.baseline, metric.name)?.median);
  const tip = `${metric.format(min)} to ${metric.format(max)} in ${row.trials.length} trials`;
  return `<td title="${tip}">${metric.format(row.median)}</td><td class="${ratioClass(share ?? 1)}">${share === undefined ? "" : formatRatio(share)}</td>`;
}

function figuresTable(input: PageInput): string {
  const shown = input.metrics.filter(({ name }) => input.rows.some((row) => row.metric === name));
  const titles = shown.map(({ title }) => `<th>${escapeText(title)}</th><th>×</th>`).join("");
  const body = input.contenders.map(
    ({ name }) =>
      `<tr><td class="${colourClass(name)}">${escapeText(name)}</td>${shown.map((metric) => figure(input, name, metric)).join("")}</tr>`,
  );
  return `<div class="card scroll"><table><thead><tr><th>allocator</th>${titles}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

const kClasses = { won: "good", lost: "bad", open: "quiet" } as const;

function findingsList(findings: readonly Finding[]): string {
  return `<ul>${findings.map(({ result, text }) => `<li class="${kClasses[result]}">${escapeText(text)}</li>`).join("")}</ul>`;
}

function settingOf({ environment, library }: Contender): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return [...variables, ...(library === undefined ? [] : [`LD_PRELOAD=${library}`])].join(" ");
}

function contendersTable({ contenders, missing }: PageInput): string {
  const rows = contenders.map(
    (contender) =>
      `<tr><td>${escapeText(contender.name)}</td><td class="text">${escapeText(contender.version)}</td><td class="text">${escapeText(settingOf(contender))}</td></tr>`,
  );
  const absent = missing.map(
    ({ name, hint }) =>
      `<tr><td>${escapeText(name)}</td><td class="text" colspan="2">not installed: ${escapeText(hint)}</td></tr>`,
  );
  return `<div class="card scroll"><table><thead><tr><th>allocator</th><th class="text">version</th><th class="text">environment</th></tr></thead><tbody>${rows.join("")}${absent.join("")}</tbody></table></div>`;
}

/** The whole page. */
export function renderPage(input: PageInput): string {
  const when = input.date.toISOString().replace("T", " ").slice(0, 16);
  const title = escapeText(`${input.name}, compared`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${kStyle}${kCurveStyle}.card { padding: 4px 16px 12px; } li { margin: 2px 0; }</style>
</head>
<body>
<main>
<header>
<div>
<h1>${title}</h1>
<p class="quiet">${escapeText(formatMachine(input.machine))} · ${when} UTC</p>
</div>
<button type="button">light / dark</button>
</header>
${input.notes.map((note) => `<p>${escapeText(note)}</p>`).join("\n")}
${findingsList(input.findings)}
<div class="plots curves">
${legend(input.contenders.map(({ name }) => name))}
${drawCurves(input.results, "start", "resident set of all processes over time, MiB; the dots are the command's marks")}
${drawCurves(input.results, "rest", "resident set after the end of work, MiB")}
</div>
<h2>Figures</h2>
<p class="quiet">Medians of ${input.trials} ${input.trials === 1 ? "trial" : "trials"}; × is to ${escapeText(input.baseline)}. A figure's tip tells its range.</p>
${figuresTable(input)}
<h2>How this was measured</h2>
<p>Every trial is the whole command anew, and the allocators take turns in an order that changes from round to round. The resident set is that of all processes of the command together, read every 50 ms, so that what they share counts for each; the peak is at least the largest that the kernel has seen of any single process. The curve in full is the trial whose peak is the middle one, the others are faint. Wall is the time until the command's mark "idle", or else its end. CPU and page faults are those of the whole trial, the rest included.</p>
${contendersTable(input)}
</main>
<script type="application/json" id="rows">${JSON.stringify(input.rows).replaceAll("<", "\\u003c")}</script>
<script>${kScript}</script>
</body>
</html>
`;
}
