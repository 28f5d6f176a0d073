// Owns the answers to the notes' questions, computed from the rows: how many arenas, which rule, which lock.
// Does not run or draw anything. Pure functions, no state.
import { geometricMean } from "../statistics.js";
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
  /** Time waited for one arena's lock, by number of threads. */
  waits: { threads: number; waitedShare: number; refusedShare: number }[];
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

export function findingsOf(rows: readonly ContentionRow[]): Findings {
  const figures = new Figures(rows);
  const speed = (...point: Parameters<Figures["at"]>) => figures.at(...point)?.operationsPerSecond;
  const several = { threads: figures.threads.filter((n) => n > 1), arenas: figures.arenas.filter((n) => n > 1) };
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
    waits: figures.threads.flatMap((threads) => {
      const one = figures.at(threads, 1, kChoice, kLock);
      return one ? [{ threads, waitedShare: one.waitedShare, refusedShare: one.refusedShare }] : [];
    }),
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

export function tablesOf(findings: Findings): TextTable[] {
  const arenas = findings.arenas[0]?.shares.map(({ name }) => name) ?? [];
  const counts = findings.arenas.map(({ threads, shares }) => [
    String(threads),
    ...arenas.map((name) => {
      const found = shares.find((share) => share.name === name);
      return found ? percent(found.share) : "–";
    }),
  ]);
  const waits = findings.waits.map((wait) => [
    String(wait.threads),
    percent(wait.refusedShare),
    percent(wait.waitedShare),
  ]);
  return [
    {
      title: `How many arenas? Throughput as a share of the best number's (${findings.choice}, ${findings.lock} lock)`,
      rows: [["threads \\ arenas", ...arenas], ...counts],
    },
    {
      title: `One arena: how often its lock was held by another thread, and the share of all threads' time waited for it (${findings.lock})`,
      rows: [["threads", "found it held", "time waited"], ...waits],
    },
    shareTable(
      `Which rule? Geometric mean over all points with several threads and arenas (${findings.lock} lock)`,
      "rule",
      findings.choices,
    ),
    shareTable("Which lock? Geometric mean over all numbers of threads above one, one arena", "lock", findings.locks),
  ];
}
