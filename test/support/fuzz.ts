// How long random programs run, and from which seed: a few in npm test, for a while under npm run fuzz.

export interface Runs {
  numRuns: number;
  interruptAfterTimeLimit?: number;
  markInterruptAsFailure?: boolean;
}

/** The seed, which is printed under `name`, and what fast-check is told: `count` programs, or PAGERUN_FUZZ_SECONDS of them. */
export function fuzzRuns(name: string): { seed: number; runs: (count: number) => Runs } {
  const seed = Number(process.env.PAGERUN_TEST_SEED ?? Date.now() % 2 ** 31);
  const seconds = Number(process.env.PAGERUN_FUZZ_SECONDS ?? 0);
  console.log(`${name}: PAGERUN_TEST_SEED=${seed}`);
  const endless = { numRuns: 1e9, interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false };
  return { seed, runs: (count) => (seconds > 0 ? endless : { numRuns: count }) };
}
