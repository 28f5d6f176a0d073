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
