// Owns how much work one trial of a C++ workload does: as much as takes libc the wanted time on this machine, or more
// where another contender would be done too soon. Does not own the trials that count. Every contender then does the
// same work.

/** Work grows by no more than this from one try to the next: one short try says little about a long one. */
const kLargestStep = 64;
/** A try this close to the wanted time ends the search. */
const kCloseEnough = 0.5;
const kMostTries = 12;

/** The power of two next to `count`, at least 1: two calibrations then mostly agree. */
export function roundToPowerOfTwo(count: number): number {
  return 2 ** Math.max(0, Math.round(Math.log2(count)));
}

/**
 * How much work, a power of two, takes about `wanted` seconds. `measure` does that much and says how many seconds it
 * took; it starts with `first`.
 */
export async function calibrateWork(
  wanted: number,
  first: number,
  measure: (work: number) => Promise<number>,
): Promise<number> {
  let work = first;
  for (let tries = 0; tries < kMostTries; tries++) {
    const factor = wanted / Math.max(await measure(work), 1e-9);
    if (factor <= 1 / kCloseEnough) return roundToPowerOfTwo(Math.max(1, work * factor));
    work = roundToPowerOfTwo(work * Math.min(factor, kLargestStep));
  }
  return work;
}

/**
 * `work`, or the least multiple of it by a power of two that takes no less than `least` seconds, if another measure
 * finds that the work is done sooner.
 */
export async function lengthenWork(
  work: number,
  least: number,
  measure: (work: number) => Promise<number>,
): Promise<number> {
  const factor = least / Math.max(await measure(work), least / kLargestStep);
  return factor <= 1 ? work : work * 2 ** Math.ceil(Math.log2(factor));
}
