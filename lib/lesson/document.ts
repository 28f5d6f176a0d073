// The lesson as a document, for readers without the package: docs/lesson.md is made of it. Owns its opening words.
// Thread rule: none.
import type { Step } from "./step.js";
import { pieceMarkdown } from "./terminal.js";

const opening = `# How malloc works

Made by \`npx pagerun lesson --markdown\`: every picture shows a heap that ran when this page was made, and every figure
was measured then. \`npx pagerun lesson\` runs the same steps in a terminal, \`npx pagerun lesson --browser\` as a page that
you can act on.
`;

export function lessonMarkdown(steps: readonly Step[]): string {
  const parts = steps.map(({ title, run }, index) => {
    const pieces = run().map(pieceMarkdown);
    return `## ${index + 1}. ${title}\n\n${pieces.join("\n")}`;
  });
  return [opening, ...parts].join("\n");
}
