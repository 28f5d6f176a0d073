// Owns the report of the contention bench: which panels are shown, the tables, and the page around them. Pure functions.
import { formatNumber } from "#figures/format.js";
import { formatMachine, type Machine } from "#figures/machine.js";
import { escapeText } from "#figures/markup.js";
import { kScript, kStyle } from "#figures/style.js";
import { arenaPanels, choicePanel, Figures, kCurveStyle, lockPanel, type Panel, panelElement } from "./curves.js";
import { findingsOf, type TextTable, tablesOf } from "./findings.js";
import { kChoices, kLocks } from "./plan.js";
import type { ContentionRow } from "./rows.js";

export interface ContentionReport {
  rows: readonly ContentionRow[];
  machine: Machine;
  trials: number;
  milliseconds: number;
  date: Date;
}

/** The panels that answer the questions; every other combination is further down in the report. */
export function mainPanels(rows: readonly ContentionRow[], cores: number): Panel[] {
  const figures = new Figures(rows);
  const most = figures.threads.at(-1) ?? 1;
  const middle = figures.threads.find((threads) => threads >= 2 * cores) ?? most;
  return [
    ...arenaPanels(figures, "modulo", "adaptive"),
    choicePanel(figures, middle, "adaptive"),
    lockPanel(figures, figures.arenas[0] ?? 1, "modulo"),
  ];
}

function textTable({ title, rows }: TextTable): string {
  const [head = [], ...body] = rows.map((row) => row.map(escapeText));
  const titles = head.map((text) => `<th scope="col">${text}</th>`).join("");
  const lines = body.map((row) => `<tr>${row.map((text) => `<td>${text}</td>`).join("")}</tr>`).join("");
  return `<figure class="wide"><figcaption>${escapeText(title)}</figcaption><div class="scroll"><table><thead><tr>${titles}</tr></thead><tbody>${lines}</tbody></table></div></figure>`;
}

function allPanels(rows: readonly ContentionRow[]): string {
  const figures = new Figures(rows);
  const panels = kLocks.flatMap((lock) => kChoices.flatMap((choice) => arenaPanels(figures, choice, lock)));
  const drawn = panels.map((panel) => `<figure>${panelElement(panel)}</figure>`).join("");
  return `<details><summary>The same for every rule and lock</summary><div class="plots">${drawn}</div></details>`;
}

function allRows(rows: readonly ContentionRow[]): string {
  const body = rows.map((row) => {
    const { operationsPerSecond, waitedShare, refusedShare } = row.median;
    const figures = [
      formatNumber(operationsPerSecond),
      `±${(row.spread * 100).toFixed(0)}%`,
      `${(refusedShare * 100).toFixed(1)}%`,
      `${(waitedShare * 100).toFixed(1)}%`,
    ];
    return `<tr><td>${row.lock}</td><td class="text">${row.choice}</td><td>${row.threads}</td><td>${row.arenas}</td>${figures.map((text) => `<td>${text}</td>`).join("")}</tr>`;
  });
  const titles = ["lock", "rule", "threads", "arenas", "operations/s", "spread", "found it held", "time waited"];
  return `<details><summary>All figures</summary><div class="scroll"><table><thead><tr>${titles.map((title) => `<th>${title}</th>`).join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div></details>`;
}

export function renderContention({ rows, machine, trials, milliseconds, date }: ContentionReport): string {
  const panels = mainPanels(rows, machine.cores).map((panel) => `<figure>${panelElement(panel)}</figure>`);
  const when = date.toISOString().replace("T", " ").slice(0, 16);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pagerun: contention</title>
<style>${kStyle}${kCurveStyle}</style>
</head>
<body>
<main>
<header>
<div>
<h1>Threads on arenas</h1>
<p class="quiet">${escapeText(formatMachine(machine))} · ${when} UTC</p>
</div>
<button type="button">light / dark</button>
</header>
<p>Each thread keeps eight blocks of 16 to 128 bytes of the textbook's arenas, and replaces one of them again and again: an operation is one free and one malloc. Medians of at most ${trials} trials of ${milliseconds} ms, each a process of its own. Time waited is from the first refusal of a lock to having it.</p>
<div class="plots">${panels.join("")}</div>
${tablesOf(findingsOf(rows)).map(textTable).join("")}
${allPanels(rows)}
${allRows(rows)}
</main>
<script>${kScript}</script>
</body>
</html>
`;
}
