// Owns the order of trials: rounds, and within a round the contenders of one workload next to each other.
// Does not run anything. Pure functions, no state.
import type { TrialKind } from "./rows.js";
import type { Job } from "./trial.js";

/** All contenders of one workload: they run one after the other, so that what the machine does meanwhile hits all. */
export interface Group {
  kind: TrialKind;
  jobs: Job[];
}

/** The jobs by suite, workload and kind, in order of first appearance. */
export function groupJobs(jobs: readonly Job[]): Group[] {
  const groups = new Map<string, Group>();
  for (const job of jobs) {
    const key = [job.suite, job.workload, job.kind].join("\n");
    const group = groups.get(key) ?? { kind: job.kind, jobs: [] };
    group.jobs.push(job);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/**
 * The group's jobs in the order of one round: each round starts with the next contender, and every other round goes
 * backwards, so that none always runs first or always behind the same other one.
 */
export function orderForRound(jobs: readonly Job[], round: number): Job[] {
  const step = round % 2 === 0 ? 1 : -1;
  return jobs.map((_, index) => jobs.at((round + step * index) % jobs.length) as Job);
}
