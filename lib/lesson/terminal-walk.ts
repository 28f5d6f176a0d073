// The lesson in a terminal: step by step where somebody reads along, all at once where nobody does.
// Owns the keys. Thread rule: one walk at a time, on the thread that reads standard input.
import { createInterface } from "node:readline";
import type { Step } from "./step.js";
import { colourPaint, noPaint, type Paint, pieceLines } from "./terminal.js";

const widestText = 100;
const leastText = 40;

export interface Screen {
  readonly columns: number;
  readonly hasColours: boolean;
  write(text: string): unknown;
}

/** The text of a step, heading included. */
export function renderStep(steps: readonly Step[], index: number, screen: Screen): string {
  const step = steps[index]!;
  const paint: Paint = screen.hasColours ? colourPaint : noPaint;
  const width = Math.max(leastText, Math.min(widestText, screen.columns - 1));
  const heading = `${index + 1}/${steps.length}  ${step.title}`;
  const lines = step.run().flatMap((piece) => pieceLines(piece, paint, width));
  return [heading, "=".repeat(heading.length), "", ...lines].join("\n");
}

/** Every step, one below the other. */
export function printAll(steps: readonly Step[], screen: Screen): void {
  for (const index of steps.keys()) screen.write(`${renderStep(steps, index, screen)}\n`);
}

const keysLine = "[Enter] next   [b] back   [r] again   [q] end > ";

/** The step that an answer leads to; undefined is the end. */
export function stepAfter(current: number, answer: string, count: number): number | undefined {
  const key = answer.trim().toLowerCase();
  if (key.startsWith("q")) return undefined;
  if (key.startsWith("b")) return Math.max(0, current - 1);
  if (key.startsWith("r")) return current;
  if (key !== "") return /^\d+$/.test(key) && Number(key) >= 1 && Number(key) <= count ? Number(key) - 1 : current;
  return current + 1 < count ? current + 1 : undefined;
}

/** Shows one step after the other, each after a line of `input`; the end of the input is the end of the walk. */
export async function walk(steps: readonly Step[], screen: Screen, input: NodeJS.ReadableStream): Promise<void> {
  const lines = createInterface({ input, terminal: false });
  let current: number | undefined = 0;
  screen.write(`${renderStep(steps, current, screen)}\n${keysLine}`);
  for await (const line of lines) {
    current = stepAfter(current, line, steps.length);
    if (current === undefined) break;
    screen.write(`\n${renderStep(steps, current, screen)}\n${keysLine}`);
  }
  lines.close();
  screen.write("\n");
}
