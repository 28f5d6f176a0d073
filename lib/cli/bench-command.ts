// The subcommand `bench`: a command on each allocator in turn, and what came out, as a table, rows and a report.
// Owns the order of these steps and the exit code. Thread rule: called once, on the main thread.
import { accessSync, constants, mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { describeLoad, describeMachine, formatMachine } from "../figures/machine.js";
import type { Missing } from "../figures/peers.js";
import { formatClock, Progress } from "../figures/progress.js";
import { orderForRound } from "../figures/rounds.js";
import { type Contender, environmentOf, findContenders, kBaseline, kOwn, leftOutOf } from "./bench-contenders.js";
import { type Finding, findingsOf } from "./bench-findings.js";
import { type BenchOptions, BenchUsageError, kBenchHelp, parseBenchOptions } from "./bench-options.js";
import { renderPage } from "./bench-page.js";
import { type CommandRow, curvesText, type Metric, metricsFor, type Result, rowsOf } from "./bench-rows.js";
import { figuresTable, findingLines } from "./bench-table.js";
import { StartError, type Trial, TrialRun } from "./bench-trial.js";
import { ownLibrary } from "./own-library.js";

const kExitFailure = 1;
const kExitUsage = 2;
const kExitNotStarted = 127;
const kExitInterrupted = 130;

/** Everything that a run knows of itself. */
class Bench {
  readonly results: Result[] = [];
  readonly progress = new Progress();
  readonly startedAt = performance.now();
  readonly metrics: Metric[];
  isInterrupted = false;
  #running: TrialRun | undefined;

  constructor(
    readonly options: BenchOptions,
    readonly contenders: readonly Contender[],
    readonly missing: readonly Missing[],
  ) {
    this.metrics = metricsFor(options.rest);
  }

  get seconds(): number {
    return (performance.now() - this.startedAt) / 1000;
  }

  interrupt(): void {
    this.isInterrupted = true;
    this.#running?.interrupt();
  }

  #tell(contender: Contender, round: number, seconds: number, rssBytes: number, isAtRest: boolean): void {
    const { trials } = this.options;
    const total = trials * this.contenders.length;
    const state = `${Math.round(rssBytes / 2 ** 20)} MiB${isAtRest ? ", at rest" : ""}`;
    const text = `trial ${round + 1} of ${trials} on ${contender.name}, ${formatClock(seconds)}: ${state}`;
    this.progress.step({ done: this.results.length, total, elapsed: this.seconds, limit: undefined, text });
  }

  async #runOne(contender: Contender, round: number): Promise<Trial> {
    const { command, rest, seconds, limitSeconds, showOutput } = this.options;
    this.#tell(contender, round, 0, 0, false);
    this.#running = await TrialRun.start({
      ...{ command, rest, seconds, limitSeconds, showOutput, library: contender.library },
      environment: environmentOf(contender),
      onTick: (...state) => this.#tell(contender, round, ...state),
    });
    try {
      return await this.#running.finish();
    } finally {
      this.#running = undefined;
    }
  }

  /** All trials, or as many as there were before an interruption, or until the command fails where nothing is new. */
  async run(): Promise<void> {
    for (let round = 0; round < this.options.trials; round++) {
      for (const contender of orderForRound(this.contenders, round)) {
        const trial = await this.#runOne(contender, round);
        if (this.isInterrupted) return;
        this.results.push({ contender: contender.name, trial });
        if (trial.failure !== undefined) this.progress.note(`FAILED on ${contender.name}: ${trial.failure}`);
        if (trial.failure !== undefined && contender.name === kBaseline) return;
      }
    }
  }

  get failures(): Result[] {
    return this.results.filter(({ trial }) => trial.failure !== undefined);
  }
}

function describeSetting({ contenders, missing, options }: Bench): string[] {
  const busy = describeLoad();
  const leftOut = leftOutOf(process.env);
  return [
    ...(busy ? [busy] : []),
    formatMachine(describeMachine()),
    `${options.name}: ${countTrials(options.trials)} on each of`,
    ...contenders.map(({ name, version, library }) => `  ${name}  ${version}${library ? `  ${library}` : ""}`),
    ...missing.map(({ name, hint }) => `  ${name} is left out, it is not installed: ${hint}`),
    ...(leftOut.length > 0 ? [`  not passed on to the command: ${leftOut.join(", ")}`] : []),
  ];
}

/** What has to be said beside the figures. */
function notesOf(bench: Bench): string[] {
  const { results, options } = bench;
  const notes = bench.failures.map(({ contender, trial }) => `FAILED on ${contender}: ${trial.failure}`);
  const passed = results.filter(({ trial }) => trial.failure === undefined).map(({ trial }) => trial);
  if (bench.failures.some(({ contender }) => contender === kBaseline))
    notes.push(`The command fails on ${kBaseline} itself: there is nothing to compare with.`);
  if (passed.some(({ isCutShort }) => isCutShort))
    notes.push(
      "The command neither ended nor marked anything, and was ended when it had done nothing for a while: it has no wall time. --seconds sets a time of its own.",
    );
  if (passed.length > 0 && passed.every(({ restBytes }) => restBytes.every((bytes) => bytes === undefined)))
    notes.push(
      `No figure at rest: the command ends with its work. It can tell the end of its work by pagerun.mark("idle") and stay for ${options.rest.at(-1)} s.`,
    );
  else if (passed.length > 0 && passed.every(({ marks }) => marks.every(({ name }) => name !== "idle")))
    notes.push('Without a mark "idle", work counts as ended where the command last kept the processor busy.');
  if (bench.isInterrupted) notes.push("Interrupted: fewer trials than were asked for.");
  return notes;
}

/** pagerun, or the form of it that was asked for instead. */
function leadOf({ contenders }: Bench, rows: readonly CommandRow[]): string | undefined {
  const own = contenders.filter(({ isOwn }) => isOwn).map(({ name }) => name);
  return [kOwn, ...own].find((name) => own.includes(name) && rows.some(({ contender }) => contender === name));
}

function judge(bench: Bench, rows: readonly CommandRow[]): Finding[] {
  const lead = leadOf(bench, rows);
  const others = bench.contenders.filter(({ isOwn }) => !isOwn).map(({ name }) => name);
  return lead === undefined ? [] : findingsOf(rows, bench.metrics, lead, others);
}

function countTrials(count: number): string {
  return count === 1 ? "1 trial" : `${count} trials`;
}

function formatRows(rows: readonly CommandRow[]): string {
  return `[\n${rows.map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n]\n`;
}

function write(path: string, text: string): void {
  writeFileSync(resolve(path), text);
}

/** Makes the folders of all files that will be written; throws BenchUsageError now, and not behind a long run. */
function prepareFiles({ report, json, curves }: BenchOptions): void {
  for (const [flag, path] of Object.entries({ "--report": report, "--json": json, "--curves": curves })) {
    if (path === undefined || path === "-") continue;
    try {
      const folder = dirname(resolve(path));
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
    } catch (error) {
      throw new BenchUsageError(`Expected a file that can be written for ${flag}: ${(error as Error).message}`);
    }
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
      throw new BenchUsageError(`Expected a file for ${flag} but ${path} is a folder.`);
  }
}

/** What a run comes to. */
interface Outcome {
  rows: CommandRow[];
  findings: Finding[];
  notes: string[];
  /** Of the contender that has most. */
  trials: number;
}

function outcomeOf(bench: Bench): Outcome {
  const rows = rowsOf(bench.results, bench.options.name, bench.metrics);
  const trials = Math.max(0, ...rows.map((row) => row.trials.length));
  return { rows, findings: judge(bench, rows), notes: notesOf(bench), trials };
}

function outcomeLines(bench: Bench, { rows, findings, notes, trials }: Outcome, colours: boolean): string[] {
  const named = bench.contenders.map(({ name }) => name);
  const names = named.filter((name) => rows.some(({ contender }) => contender === name));
  const table = [
    "",
    ...figuresTable(rows, bench.metrics, names, kBaseline, colours),
    "",
    `medians of ${countTrials(trials)}; × is to ${kBaseline}; ± is half the range of the trials over their median`,
  ];
  return [...(names.length > 0 ? table : []), ...findingLines(findings, colours), ...notes];
}

/** Shows and writes what was measured, however much that is. What is shown comes first: a file may fail. */
function conclude(bench: Bench): void {
  const { options, results, contenders, metrics, missing } = bench;
  const outcome = outcomeOf(bench);
  const shown = options.json === "-" ? process.stderr : process.stdout;
  const lines = outcomeLines(bench, outcome, Boolean(shown.isTTY) && !process.env.NO_COLOR);
  shown.write(`${lines.join("\n")}\n`);
  if (options.json === "-") process.stdout.write(formatRows(outcome.rows));
  else if (options.json !== undefined) write(options.json, formatRows(outcome.rows));
  if (options.curves !== undefined) write(options.curves, curvesText(results, options.name));
  const known = { name: options.name, results, metrics, contenders, missing, baseline: kBaseline };
  write(options.report, renderPage({ ...known, ...outcome, machine: describeMachine(), date: new Date() }));
  shown.write(`report: ${resolve(options.report)}   ${formatClock(bench.seconds)} in all\n`);
}

async function compare(options: BenchOptions): Promise<number> {
  prepareFiles(options);
  const { found, missing } = findContenders(options, ownLibrary());
  const bench = new Bench(options, found, missing);
  for (const line of describeSetting(bench)) bench.progress.note(line);
  const interrupt = () => bench.interrupt();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
  try {
    await bench.run();
  } finally {
    bench.progress.end();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, interrupt);
  }
  conclude(bench);
  if (bench.isInterrupted) return kExitInterrupted;
  return bench.failures.length > 0 ? kExitFailure : 0;
}

/** Runs the subcommand; resolves to the exit code. */
export async function runBench(args: readonly string[]): Promise<number> {
  try {
    const options = parseBenchOptions(args);
    if (!options.help) return await compare(options);
    process.stdout.write(`${kBenchHelp}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`pagerun bench: ${(error as Error).message}\n`);
    if (error instanceof BenchUsageError) return kExitUsage;
    return error instanceof StartError ? kExitNotStarted : kExitFailure;
  }
}
