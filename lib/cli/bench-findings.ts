// Owns what `pagerun bench` says of its figures: a sentence a metric, who wins and by how much. Pure functions, no state.
import { formatRatio } from "../figures/format.js";
import { ratio } from "../figures/statistics.js";
import { type CommandRow, findRow, type Metric } from "./bench-rows.js";

/** Ratios this close to 1 are no difference that a user would notice. */
const kNoDifference = 0.02;

export interface Finding {
  metric: string;
  /** "open" where the trials do not tell the best two apart. */
  result: "won" | "lost" | "open";
  text: string;
}

const kUnitText: Record<CommandRow["unit"], string> = { s: " s", bytes: " MiB", faults: " faults" };

function figure(metric: Metric, value: number): string {
  return `${metric.format(value)}${kUnitText[metric.unit]}`;
}

function isOverlapping(a: CommandRow, b: CommandRow): boolean {
  return Math.min(...a.trials) <= Math.max(...b.trials) && Math.min(...b.trials) <= Math.max(...a.trials);
}

/** Medians apart, and more than the trials of one contender are from each other. A single trial says nothing of that. */
function isApart(a: CommandRow, b: CommandRow, share: number, { resolution }: Metric): boolean {
  if (Math.abs(share - 1) <= kNoDifference || Math.abs(a.median - b.median) <= resolution) return false;
  return Math.min(a.trials.length, b.trials.length) < 2 || !isOverlapping(a, b);
}

function best(rows: readonly CommandRow[]): CommandRow | undefined {
  return [...rows].sort((a, b) => a.median - b.median)[0];
}

/** How `own` stands against the best of the others in one metric; undefined where either has no figure. */
export function findingOf(
  rows: readonly CommandRow[],
  metric: Metric,
  own: string,
  others: readonly string[],
): Finding | undefined {
  const mine = findRow(rows, own, metric.name);
  const theirs = best(others.flatMap((name) => findRow(rows, name, metric.name) ?? []));
  if (mine === undefined || theirs === undefined) return undefined;
  const share = ratio(mine.median, theirs.median);
  const title = metric.title.replace(/, (s|MiB)$/, "");
  const [a, b] = [figure(metric, mine.median), figure(metric, theirs.median)];
  const say = (result: Finding["result"], text: string): Finding => ({
    metric: metric.name,
    result,
    text: `${title}: ${text}`,
  });
  const times = share === undefined ? "" : `, ${formatRatio(share)} of it`;
  if (share === undefined || !isApart(mine, theirs, share, metric))
    return say("open", `no clear winner; ${own} has ${a}, the best of the others, ${theirs.contender}, ${b}`);
  if (share < 1)
    return say(
      "won",
      `${own} wins with ${a}; the next is ${theirs.contender} with ${b} (${own} needs ${formatRatio(share)} of it)`,
    );
  return say("lost", `${theirs.contender} wins with ${b}; ${own} needs ${a}${times}`);
}

/** A finding for each metric that has figures. */
export function findingsOf(
  rows: readonly CommandRow[],
  metrics: readonly Metric[],
  own: string,
  others: readonly string[],
): Finding[] {
  return metrics.flatMap((metric) => findingOf(rows, metric, own, others) ?? []);
}
