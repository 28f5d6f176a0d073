// Threads that get in each other's way on the textbook's arenas, measured: the lesson shows it, the bench asks it in full.
// Owns the names of the choices. Thread rule: any thread; the calling thread is busy until the measurement ends.
import { binding } from "./native/binding.js";

const choices = ["modulo", "random", "least-contended"] as const;
const locks = ["mutex", "adaptive", "spin", "ticket"] as const;

export interface ContentionPlan {
  readonly threads: number;
  readonly arenas: number;
  readonly choice: (typeof choices)[number];
  readonly lock: (typeof locks)[number];
  readonly milliseconds: number;
}

export interface Contention {
  readonly operationsPerSecond: number;
  /** Of the time of all threads, the share that they waited for locks: 0 to 1. */
  readonly waitedShare: number;
  /** Of the times that a lock was taken, the share in which it was held by another thread: 0 to 1. */
  readonly refusedShare: number;
}

/** Runs real threads for the time of the plan. Undefined where the system has no memory or threads for it. */
export function measureContention(plan: ContentionPlan): Contention | undefined {
  const { threads, arenas, choice, lock, milliseconds } = plan;
  const sums = binding.measureContention(threads, arenas, choices.indexOf(choice), locks.indexOf(lock), milliseconds);
  if (sums === undefined) return undefined;
  return {
    operationsPerSecond: sums.operations / sums.seconds,
    waitedShare: sums.waitedSeconds / (sums.seconds * threads),
    refusedShare: sums.takes === 0 ? 0 : sums.waits / sums.takes,
  };
}
