// Owns the run of one trial: its time limit, and the report on the last line of its process.
// Does not own what to run or in which order. One trial runs at a time; each is a process of its own.
import type { ChildProcess } from "node:child_process";
import { describeEnd, runChild } from "./child.js";
import { parseTrialReport, type Suite, type TrialKind, type TrialReport } from "./rows.js";

/** One thing to run, as often as there are trials of it. */
export interface Job {
  suite: Suite;
  workload: string;
  contender: string;
  kind: TrialKind;
  program: string;
  args: string[];
  /** Arguments of a second process that measures the memory, where `args` repeats the work for the sake of the clock. */
  memoryArgs?: string[];
  environment: NodeJS.ProcessEnv;
  /** A trial that takes longer is ended, and its contender left out of the workload; undefined means the limit of all. */
  mostSeconds?: number;
}

/** Ended because it takes longer than its contender may: a finding, not a failure. */
export class TooSlowError extends Error {
  override name = "TooSlowError";
}

/** Longest a single trial may take before it counts as hung. */
const kTrialLimitMs = 120_000;

let running: ChildProcess | undefined;
let isEnded = false;

/** Ends the trial that runs now, if any, and lets no other start: for an interrupted comparison. */
export function endTrials(): void {
  isEnded = true;
  running?.kill("SIGKILL");
}

/** Runs one trial. Rejects when it fails, takes longer than the limit, prints no report, or after endTrials(). */
export async function runTrial(job: Job): Promise<TrialReport> {
  const report = await runProcess(job, job.args);
  if (job.memoryArgs === undefined) return report;
  const { peak_rss = null, rest_rss = null } = await runProcess(job, job.memoryArgs);
  return { ...report, peak_rss, rest_rss };
}

async function runProcess(job: Job, args: readonly string[]): Promise<TrialReport> {
  if (isEnded) throw new Error("no trial starts after an interruption");
  const end = await runChild(job.program, args, {
    environment: job.environment,
    limitMs: job.mostSeconds === undefined ? kTrialLimitMs : job.mostSeconds * 1000,
    onRunning(child) {
      running = child;
    },
  });
  if (end.isOverdue && job.mostSeconds !== undefined && !isEnded) {
    throw new TooSlowError(`a trial takes more than ${job.mostSeconds} s`);
  }
  if (end.code !== 0) throw new Error(describeEnd(end));
  return parseTrialReport(end.output);
}
