// Owns the run of a comparison: rounds of trials within the limit of time, until all are made or it is interrupted.
// Does not own what is run (plan.ts) nor what becomes of the results. One comparison at a time.
import type { Progress } from "#figures/progress.js";
import { orderForRound } from "#figures/rounds.js";
import type { TrialKind, TrialResult } from "./rows.js";
import { type Group, groupJobs } from "./schedule.js";
import { endTrials, type Job, runTrial, TooSlowError } from "./trial.js";

export interface Limits {
  trials: number;
  /** Seconds since `startedAt` after which no further round starts; undefined means none. */
  maxSeconds: number | undefined;
  /** Rounds with latency trials: the first one, and each that is this many later. */
  latencyEvery: number;
  /** performance.now() of the start of the whole command. */
  startedAt: number;
}

/** The first round may take this much of the limit: a workload with one trial says more than one without. */
const kFirstRoundShare = 4 / 3;

export interface Failure {
  job: Job;
  message: string;
}

function isResultOf(job: Job, result: TrialResult): boolean {
  const { suite, workload, contender, kind } = result;
  return suite === job.suite && workload === job.workload && contender === job.contender && kind === job.kind;
}

export class Comparison {
  results: TrialResult[] = [];
  readonly failures: Failure[] = [];
  /** Contenders that are too slow for a workload. */
  readonly leftOut: Failure[] = [];
  /** One job of each workload for which there was no time, not even in the first round. */
  readonly skipped: Job[] = [];
  interrupted = false;

  private readonly groups: Group[];
  private readonly total: number;
  /** What the time trials of a round took, and its latency trials, when they were made last. */
  private readonly secondsOf = { time: 0, latency: 0 };
  private done = 0;

  constructor(
    jobs: readonly Job[],
    private readonly limits: Limits,
    private readonly progress: Progress,
  ) {
    this.groups = groupJobs(jobs);
    const latencies = jobs.filter((job) => job.kind === "latency").length;
    const latencyRounds = Math.ceil(limits.trials / limits.latencyEvery) || 1;
    this.total = (jobs.length - latencies) * limits.trials + latencies * latencyRounds;
  }

  /** Makes the trials. What is finished is in `results` at any moment, also when interrupt() ends it early. */
  async run(): Promise<void> {
    for (let round = 0; round < this.limits.trials && !this.interrupted; round++) {
      if (!this.hasTimeFor(this.secondsOf.time)) return;
      // Time trials first: when time is short, they are what the comparison is about.
      this.secondsOf.time = await this.runGroups("time", round);
      if (this.hasLatency(round) && this.hasTimeFor(this.secondsOf.latency)) {
        this.secondsOf.latency = await this.runGroups("latency", round);
      }
    }
  }

  /** Ends the trial that runs and starts no other. */
  interrupt(): void {
    this.interrupted = true;
    endTrials();
  }

  private elapsed(): number {
    return (performance.now() - this.limits.startedAt) / 1000;
  }

  private hasLatency(round: number): boolean {
    return round % this.limits.latencyEvery === 0;
  }

  /** Whether trials that took so long last time may start. Before the first of them they took no time. */
  private hasTimeFor(seconds: number): boolean {
    const { maxSeconds } = this.limits;
    return maxSeconds === undefined || seconds === 0 || this.elapsed() + seconds <= maxSeconds;
  }

  /** Even the first round ends: latency trials at the limit, time trials a third beyond it. */
  private isOverdue(group: Group): boolean {
    const { maxSeconds } = this.limits;
    if (maxSeconds === undefined) return false;
    return this.elapsed() > (group.kind === "latency" ? maxSeconds : maxSeconds * kFirstRoundShare);
  }

  /** Makes one trial of every job of a kind. Returns the seconds that it took. */
  private async runGroups(kind: TrialKind, round: number): Promise<number> {
    const start = performance.now();
    for (const group of this.groups.filter((candidate) => candidate.kind === kind)) {
      if (round === 0 && this.isOverdue(group)) {
        this.skipped.push(group.jobs[0] as Job);
        continue;
      }
      for (const job of orderForRound(group.jobs, round)) {
        if (!this.interrupted) await this.runJob(job, round);
      }
    }
    return (performance.now() - start) / 1000;
  }

  /** Whether a contender was too slow for the workload before, in a trial of either kind. */
  private isLeftOut({ suite, workload, contender }: Job): boolean {
    return this.leftOut.some(
      ({ job }) => job.suite === suite && job.workload === workload && job.contender === contender,
    );
  }

  private async runJob(job: Job, round: number): Promise<void> {
    const { suite, workload, contender, kind } = job;
    const what = kind === "time" ? "" : " latency";
    this.progress.step({
      done: this.done++,
      total: this.total,
      elapsed: this.elapsed(),
      limit: this.limits.maxSeconds,
      text: `${suite} · ${workload} · ${contender}${what} · trial ${round + 1} of ${this.limits.trials}`,
    });
    if (this.failures.some((failure) => failure.job === job)) return;
    if (this.isLeftOut(job)) return;
    try {
      this.results.push({ suite, workload, contender, kind, report: await runTrial(job) });
    } catch (error) {
      // A terminal interrupts parent and child at once: ours may be told a turn later.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.interrupted) return;
      const message = (error as Error).message;
      // What has failed once has no figure: a contender that answers wrongly is not to be admired for its speed.
      this.results = this.results.filter((result) => !isResultOf(job, result));
      if (error instanceof TooSlowError) {
        this.leftOut.push({ job, message });
        return this.progress.note(`left out: ${suite} · ${workload} · ${contender}: ${message}`);
      }
      this.failures.push({ job, message });
      this.progress.note(`FAILED ${suite} · ${workload} · ${contender}${what}: ${message}`);
    }
  }
}
