// The documents that the lesson's server gives out: one for each step. Owns the frame, the links and the little script.
// Every page is whole without the script, which only adds keys. Thread rule: none; functions of their arguments.
import { escapeText, pieceMarkup } from "./markup.js";
import type { Piece } from "./picture.js";

/** Enter or the arrow to the right goes on, b or the arrow to the left goes back, as in the terminal. */
export const script = `
addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("a, button, input, select, summary, pre, .scroll")) return;
  const goal = { ArrowRight: ".next", Enter: ".next", ArrowLeft: ".back", b: ".back" }[event.key];
  const link = goal && document.querySelector(".steps " + goal);
  if (!link) return;
  event.preventDefault();
  link.click();
});
if (location.hash === "#step") document.getElementById("step").focus();
`;

export interface PageLink {
  readonly title: string;
  readonly path: string;
}

export interface PageInput {
  readonly pages: readonly PageLink[];
  /** Index of the page that this is. */
  readonly current: number;
  readonly pieces: readonly Piece[];
  /** Markup above the pieces: what a reader can do there. */
  readonly tools: string;
}

function listOf({ pages, current }: PageInput): string {
  const items = pages.map(({ title, path }, index) => {
    const mark = index === current ? ` aria-current="page"` : "";
    return `<li><a href="${path}#step"${mark}>${escapeText(title)}</a></li>`;
  });
  return `<ol>${items.join("")}</ol>`;
}

function stepLinks({ pages, current }: PageInput): string {
  const link = (target: PageLink | undefined, kind: string, words: string) =>
    target === undefined ? "" : `<a class="${kind}" href="${target.path}#step">${words}</a>`;
  return [
    `<div class="steps">`,
    link(pages[current - 1], "back", "Back"),
    link(pages[current], "again", "Run this step again"),
    link(pages[current + 1], "next", "Next step"),
    `</div>`,
  ].join("");
}

export function renderPage(input: PageInput): string {
  const { pages, current, pieces, tools } = input;
  const title = escapeText(pages[current]?.title ?? "");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · pagerun lesson</title>
<link rel="stylesheet" href="/look.css">
<link rel="icon" href="data:,">
<script defer src="/keys.js"></script>
</head>
<body>
<a class="skip" href="#step">To the step</a>
<div class="frame">
<nav aria-label="Steps of the lesson">
<h1>How malloc works</h1>
${listOf(input)}
<p class="quiet">Enter or → goes on, b or ← goes back. Every picture is drawn from a heap that was made for it just now.</p>
</nav>
<main>
<p class="quiet">Step ${current + 1} of ${pages.length}</p>
<h2 id="step" tabindex="-1">${title}</h2>
${tools}
${pieces.map(pieceMarkup).join("\n")}
${stepLinks(input)}
</main>
</div>
</body>
</html>
`;
}
