// Owns what the contention bench asks: the numbers of threads and arenas, the rules of choice, the kinds of locks.
// Does not run anything. Pure functions, no state.

export const kChoices = ["modulo", "random", "least-contended"] as const;
export type Choice = (typeof kChoices)[number];

/** In the order in which a thread that finds the lock held becomes less patient with the core. */
export const kLocks = ["mutex", "adaptive", "spin", "ticket"] as const;
export type LockKind = (typeof kLocks)[number];

/** One measurement that is repeated. */
export interface Point {
  threads: number;
  arenas: number;
  choice: Choice;
  lock: LockKind;
}

/** The notes' words for a number of arenas are in terms of these. */
const kArenasPerCore = [1, 2, 10];
const kArenasPerProcess = [1, 10];
const kLeastMostThreads = 16;

function sortedSet(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

/** Powers of two up to twice the hardware threads, 16 at least. */
export function threadCounts(cores: number): number[] {
  const most = Math.max(kLeastMostThreads, 2 * cores);
  const powers = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, power) => 2 ** power);
  return sortedSet(most <= kLeastMostThreads ? powers : [...powers, most]);
}

/** One; one, two and ten per hardware thread; ten; and twice the most of these, to see where it ends. */
export function arenaCounts(cores: number): number[] {
  const counts = [...kArenasPerProcess, ...kArenasPerCore.map((factor) => factor * cores)];
  return sortedSet(counts).filter((count) => count <= 256);
}

/** Every combination; those that are compared most, rules and locks, lie next to each other in time. */
export function planPoints(threads: readonly number[], arenas: readonly number[]): Point[] {
  return threads.flatMap((threadCount) =>
    arenas.flatMap((arenaCount) =>
      kChoices.flatMap((choice) => kLocks.map((lock) => ({ threads: threadCount, arenas: arenaCount, choice, lock }))),
    ),
  );
}

/** Every other round goes backwards: what else the machine does in a bad minute does not always meet the same points. */
export function pointOfTrial(points: readonly Point[], trial: number): Point {
  const round = Math.floor(trial / points.length);
  const place = trial % points.length;
  return points[round % 2 === 0 ? place : points.length - 1 - place]!;
}

export function keyOf({ threads, arenas, choice, lock }: Point): string {
  return [lock, choice, threads, arenas].join(" ");
}
