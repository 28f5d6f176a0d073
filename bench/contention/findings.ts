// Owns the answers to the notes' questions, computed from the rows: how many arenas, which rule, which lock.
// Does not run or draw anything. Pure functions, no state.
import { geometricMean } from "#figures/statistics.js";
import { Figures } from "./curves.js";
import { type Choice, kChoices, kLocks, type LockKind } from "./plan.js";
import type { ContentionRow } from "./rows.js";

/** One number, rule or lock, and its throughput as a share of the best one's, over several points. */
export interface Share {
  name: string;
  share: number;
}

export interface Findings {
  /** Rule and lock that the shares of arenas are taken at. */
  choice: Choice;
  lock: LockKind;
  /** For each number of threads: what each number of arenas reaches of the best number's throughput. */
  arenas: { threads: number; shares: Share[] }[];
  /** Geometric means over all numbers of threads and arenas above one. */
  choices: Share[];
  locks: Share[];
  /** For each number of threads: the share of their time that they waited, by number of arenas. */
  waits: { threads: number; shares: Share[] }[];
  /** The same for each rule, with the most threads. */
  waitsOfRules: { choice: Choice; shares: Share[] }[];
  mostThreads: number;
}

const kChoice: Choice = "modulo";
const kLock: LockKind = "adaptive";

function sharesOf(names: readonly string[], values: readonly (number | undefined)[]): Share[] {
  const known = values.filter((value) => value !== undefined);
  const best = Math.max(...known);
  return names.flatMap((name, index) => {
    const value = values[index];
    return value === undefined ? [] : [{ name, share: value / best }];
  });
}

/** What each of `names` reaches of the best of them at each point, as a geometric mean over the points. */
function meanShares(names: readonly string[], points: readonly (readonly (number | undefined)[])[]): Share[] {
  return names.flatMap((name, index) => {
    const shares = points.flatMap((values) => sharesOf(names, values).filter((share) => share.name === name));
    const mean = geometricMean(shares.map(({ share }) => share));
    return mean === undefined ? [] : [{ name: names[index]!, share: mean }];
  });
}

/** The share of the threads' time that is waited, for each number of arenas. */
function waitsOf(figures: Figures, threads: number, choice: Choice): Share[] {
  return figures.arenas.flatMap((arenas) => {
    const point = figures.at(threads, arenas, choice, kLock);
    return point ? [{ name: String(arenas), share: point.waitedShare }] : [];
  });
}

export function findingsOf(rows: readonly ContentionRow[]): Findings {
  const figures = new Figures(rows);
  const speed = (...point: Parameters<Figures["at"]>) => figures.at(...point)?.operationsPerSecond;
  const several = { threads: figures.threads.filter((n) => n > 1), arenas: figures.arenas.filter((n) => n > 1) };
  const mostThreads = figures.threads.at(-1) ?? 1;
  const pairs = several.threads.flatMap((threads) => several.arenas.map((arenas) => ({ threads, arenas })));
  return {
    choice: kChoice,
    lock: kLock,
    arenas: figures.threads.map((threads) => ({
      threads,
      shares: sharesOf(
        figures.arenas.map(String),
        figures.arenas.map((arenas) => speed(threads, arenas, kChoice, kLock)),
      ),
    })),
    choices: meanShares(
      kChoices,
      pairs.map(({ threads, arenas }) => kChoices.map((choice) => speed(threads, arenas, choice, kLock))),
    ),
    locks: meanShares(
      kLocks,
      several.threads.map((threads) => kLocks.map((lock) => speed(threads, 1, kChoice, lock))),
    ),
    waits: figures.threads.map((threads) => ({ threads, shares: waitsOf(figures, threads, kChoice) })),
    waitsOfRules: kChoices.map((choice) => ({ choice, shares: waitsOf(figures, mostThreads, choice) })),
    mostThreads,
  };
}

/** The rows of a table with a heading row, of texts. */
export interface TextTable {
  title: string;
  rows: string[][];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)}%`;
}

function shareTable(title: string, what: string, shares: readonly Share[]): TextTable {
  const rows = shares.map(({ name, share }) => [name, percent(share)]);
  return { title, rows: [[what, "of the best"], ...rows] };
}

/** A row for each of `all`, a column for each number of arenas. */
function byArenas(
  title: string,
  corner: string,
  all: readonly { name: string; shares: readonly Share[] }[],
): TextTable {
  const arenas = all[0]?.shares.map(({ name }) => name) ?? [];
  const rows = all.map(({ name, shares }) => [
    name,
    ...arenas.map((count) => {
      const found = shares.find((share) => share.name === count);
      return found ? percent(found.share) : "–";
    }),
  ]);
  return { title, rows: [[`${corner} \\ arenas`, ...arenas], ...rows] };
}

export function tablesOf(findings: Findings): TextTable[] {
  const { choice, lock, mostThreads } = findings;
  const named = (all: Findings["arenas"]) => all.map(({ threads, shares }) => ({ name: String(threads), shares }));
  const how = `${choice}, ${lock} lock`;
  return [
    byArenas(`How many arenas? Throughput as a share of the best number's (${how})`, "threads", named(findings.arenas)),
    byArenas(`Time waited for locks, as a share of all threads' time (${how})`, "threads", named(findings.waits)),
    byArenas(
      `Which rule? Time waited with ${mostThreads} threads (${lock} lock)`,
      "rule",
      findings.waitsOfRules.map((rule) => ({ name: rule.choice, shares: rule.shares })),
    ),
    shareTable(
      `Which rule? Throughput, geometric mean over all points with several threads and arenas (${lock} lock)`,
      "rule",
      findings.choices,
    ),
    shareTable("Which lock? Geometric mean over all numbers of threads above one, one arena", "lock", findings.locks),
  ];
}
