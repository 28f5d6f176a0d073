// Owns the run of one trial: a child process, its time limit, and the report on its last line.
// Does not own what to run or in which order. One trial runs at a time; each is a process of its own.
import { type ChildProcess, spawn } from "node:child_process";
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
/** The end of what a failed trial wrote to standard error that its message repeats. */
const kErrorTailCharacters = 400;

let running: ChildProcess | undefined;
let isEnded = false;

/** Ends the trial that runs now, if any, and lets no other start: for an interrupted comparison. */
export function endTrials(): void {
  isEnded = true;
  running?.kill("SIGKILL");
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null, errors: string): string {
  const tail = errors.trim().slice(-kErrorTailCharacters);
  const end = signal === null ? `exit code ${code}` : `signal ${signal}`;
  return tail === "" ? end : `${end}: ${tail}`;
}

/** Runs one trial. Rejects when it fails, takes longer than the limit, prints no report, or after endTrials(). */
export async function runTrial(job: Job): Promise<TrialReport> {
  const report = await runProcess(job, job.args);
  if (job.memoryArgs === undefined) return report;
  const { peak_rss = null, rest_rss = null } = await runProcess(job, job.memoryArgs);
  return { ...report, peak_rss, rest_rss };
}

function runProcess(job: Job, args: readonly string[]): Promise<TrialReport> {
  if (isEnded) return Promise.reject(new Error("no trial starts after an interruption"));
  const limitMs = job.mostSeconds === undefined ? kTrialLimitMs : job.mostSeconds * 1000;
  return new Promise((resolve, reject) => {
    const child = spawn(job.program, [...args], {
      env: job.environment,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: limitMs,
      killSignal: "SIGKILL",
    });
    running = child;
    const startedAt = performance.now();
    let output = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      running = undefined;
      const isOverdue = signal === "SIGKILL" && performance.now() - startedAt >= limitMs;
      if (isOverdue && job.mostSeconds !== undefined && !isEnded) {
        return reject(new TooSlowError(`a trial takes more than ${job.mostSeconds} s`));
      }
      if (code !== 0) return reject(new Error(describeEnd(code, signal, errors)));
      try {
        resolve(parseTrialReport(output));
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}
