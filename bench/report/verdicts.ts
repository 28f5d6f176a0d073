// Owns the part of the report that judges the C++ comparison: verdicts, means to mimalloc, and each workload's best peer.
// Does not own the figures in it (../verdicts.ts). Pure functions, no state.
import { formatRatio } from "#figures/format.js";
import { escapeText } from "#figures/markup.js";
import type { Row } from "../rows.js";
import { scriptVerdictsOf } from "../script-verdicts.js";
import { sortContenders } from "../sections.js";
import { comparandsOf, kReference, meansToReference, type Verdict, verdictsOf } from "../verdicts.js";

function verdictRow({ title, value, limit, bound, isMet, detail }: Verdict): string {
  const mark = isMet ? `<td class="text good">met</td>` : `<td class="text bad">not met</td>`;
  return `<tr><td>${escapeText(title)}</td>${mark}<td>${value.toFixed(2)}×</td><td class="text">at ${bound} ${limit.toFixed(2)}</td><td class="text">${escapeText(detail)}</td></tr>`;
}

function meansTable(rows: readonly Row[]): string {
  const means = meansToReference(rows);
  if (means.length === 0) return "";
  const body = sortContenders([...new Set(means.map(({ contender }) => contender))]).map((contender) => {
    const figures = (["core", "core and traces"] as const).flatMap((scope) =>
      (["time", "peak_rss"] as const).map((metric) => {
        const mean = means.find((one) => one.scope === scope && one.metric === metric && one.contender === contender);
        return `<td>${mean ? formatRatio(mean.value) : "–"}</td>`;
      }),
    );
    return `<tr><td>${escapeText(contender)}</td>${figures.join("")}</tr>`;
  });
  return `<details><summary>Geometric means to ${kReference}</summary><table><thead><tr><th>contender</th><th>core: time</th><th>core: peak RSS</th><th>core and traces: time</th><th>core and traces: peak RSS</th></tr></thead><tbody>${body.join("")}</tbody></table></details>`;
}

function comparandTable(rows: readonly Row[]): string {
  const { time, memory } = comparandsOf(rows);
  const body = [...time]
    .sort((a, b) => b.ratio - a.ratio)
    .map(({ workload, peer, ratio }) => {
      const peak = memory.find((comparand) => comparand.workload === workload);
      const tail = peak ? `<td>${formatRatio(peak.ratio)}</td><td class="text">${escapeText(peak.peer)}</td>` : "";
      return `<tr><td>${escapeText(workload)}</td><td>${formatRatio(ratio)}</td><td class="text">${escapeText(peer)}</td>${tail}</tr>`;
    });
  return `<details><summary>pagerun to each workload's best</summary><table><thead><tr><th>workload</th><th>time</th><th class="text">best peer</th><th>peak RSS</th><th class="text">leanest fast peer</th></tr></thead><tbody>${body.join("")}</tbody></table></details>`;
}

function renderScriptVerdicts(rows: readonly Row[]): string {
  const verdicts = scriptVerdictsOf(rows);
  if (verdicts.length === 0) return "";
  return (
    `<section id="script-verdicts"><h2>verdicts on pagerun, from JavaScript</h2>` +
    `<div class="card" style="padding: 4px 16px 12px"><table><tbody>${verdicts.map(verdictRow).join("")}</tbody></table></div></section>`
  );
}

/** The sections, or nothing where nothing is judged. */
export function renderVerdicts(rows: readonly Row[]): string {
  return renderNativeVerdicts(rows) + renderScriptVerdicts(rows);
}

function renderNativeVerdicts(rows: readonly Row[]): string {
  const verdicts = verdictsOf(rows);
  if (verdicts.length === 0) return "";
  return (
    `<section id="verdicts"><h2>verdicts on pagerun, from C++</h2><p class="quiet">Over the suite core and the traces. Peers are all contenders by preload, the fast ones all but libc.</p>` +
    `<div class="card" style="padding: 4px 16px 12px"><table><tbody>${verdicts.map(verdictRow).join("")}</tbody></table></div>` +
    `${meansTable(rows)}${comparandTable(rows)}</section>`
  );
}
