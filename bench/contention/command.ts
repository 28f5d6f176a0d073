// The suite `contention` of `npm run bench`: plans the points, runs a process for each trial, shows and writes the rest.
// Owns the order of these and the exit code. One trial runs at a time.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { formatTable } from "#figures/format.js";
import { describeLoad, describeMachine, formatMachine } from "#figures/machine.js";
import { formatClock, Progress } from "#figures/progress.js";
import { describeEnd, runChild } from "../child.js";
import { kExitFailure, kExitInterrupted, UsageError } from "../options.js";
import { panelsFile } from "./curves.js";
import { findingsOf, tablesOf } from "./findings.js";
import { type ContentionOptions, kContentionHelp, parseContentionOptions } from "./options.js";
import { arenaCounts, keyOf, type Point, planPoints, pointOfTrial, threadCounts } from "./plan.js";
import { mainPanels, renderContention } from "./report.js";
import { type ContentionRow, rowsOf, type Sample, sampleFrom } from "./rows.js";

const kTrialLimitMs = 60_000;

/** Runs trials until there are enough, the time is over, or stop() is called. */
class Contention {
  readonly samples = new Map<string, Sample[]>();
  readonly failures: string[] = [];
  #isStopped = false;

  constructor(
    readonly program: string,
    readonly points: readonly Point[],
    readonly options: ContentionOptions,
  ) {}

  stop(): void {
    this.#isStopped = true;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  async run(progress: Progress, startedAt: number): Promise<void> {
    const { trials, maxSeconds } = this.options;
    const total = trials * this.points.length;
    for (let done = 0; done < total && !this.#isStopped; done++) {
      const elapsed = (performance.now() - startedAt) / 1000;
      if (elapsed > maxSeconds) break;
      const point = pointOfTrial(this.points, done);
      progress.step({ done, total, elapsed, limit: maxSeconds, text: keyOf(point) });
      await this.#add(point);
    }
    progress.end();
  }

  /** One sample more; a trial that fails is told at the end, and the others go on. */
  async #add(point: Point): Promise<void> {
    const key = keyOf(point);
    try {
      const sample = await this.#trial(point);
      this.samples.set(key, [...(this.samples.get(key) ?? []), sample]);
    } catch (error) {
      if (!this.#isStopped) this.failures.push((error as Error).message);
    }
  }

  #trial({ threads, arenas, choice, lock }: Point): Promise<Sample> {
    const args = ["contend", "--threads", threads, "--arenas", arenas, "--choice", choice, "--lock", lock];
    return runOnce(this.program, [...args, "--milliseconds", this.options.milliseconds].map(String));
  }
}

async function runOnce(program: string, args: readonly string[]): Promise<Sample> {
  const end = await runChild(program, args, { limitMs: kTrialLimitMs });
  if (end.code !== 0) throw new Error(`pagerun_bench ${args.join(" ")}: ${describeEnd(end)}`);
  return sampleFrom(end.output);
}

function writeFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function formatTables(rows: readonly ContentionRow[]): string {
  const tables = tablesOf(findingsOf(rows)).map(({ title, rows: lines }) =>
    [
      title,
      ...formatTable(
        lines.map((line) => line.map((text) => [{ text }])),
        false,
      ),
    ].join("\n"),
  );
  return tables.join("\n\n");
}

/** Shows and writes what was measured, however much that is. */
function conclude(contention: Contention, out: string, startedAt: number): void {
  const { options, points, samples } = contention;
  const rows = rowsOf(points, samples);
  const machine = describeMachine();
  const json = `[\n${rows.map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n]\n`;
  const paths = {
    page: join(out, "contention.html"),
    curves: join(out, "contention.svg"),
    rows: join(out, "contention.json"),
  };
  const trials = Math.max(0, ...rows.map((row) => row.trials.length));
  writeFile(
    paths.page,
    renderContention({ rows, machine, trials, milliseconds: options.milliseconds, date: new Date() }),
  );
  writeFile(paths.curves, panelsFile(mainPanels(rows, machine.cores)));
  writeFile(paths.rows, json);
  const shown = options.json === "-" ? process.stderr : process.stdout;
  const seconds = (performance.now() - startedAt) / 1000;
  shown.write(`${formatTables(rows)}\n\nmedians of at most ${trials} trials of ${options.milliseconds} ms\n`);
  for (const failure of new Set(contention.failures)) shown.write(`FAILED ${failure}\n`);
  shown.write(
    `report: ${paths.page}   curves: ${paths.curves}   rows: ${paths.rows}   ${formatClock(seconds)} in all\n`,
  );
  if (options.json === "-") process.stdout.write(json);
  else if (options.json !== undefined) writeFile(resolve(options.json), json);
}

/** Runs the suite; resolves to the exit code. `build` is where the native programs are. */
export async function contentionCommand(args: readonly string[], root: string, build: string): Promise<number> {
  const options = parseContentionOptions(args);
  if (options.help) {
    process.stdout.write(`${kContentionHelp}\n`);
    return 0;
  }
  const program = join(build, "pagerun_bench");
  if (!existsSync(program)) throw new UsageError(`${program} is not there. Run "npm run build" first.`);
  const startedAt = performance.now();
  const cores = availableParallelism();
  const points = planPoints(options.threads ?? threadCounts(cores), options.arenas ?? arenaCounts(cores));
  const contention = new Contention(program, points, options);
  const progress = new Progress();
  for (const line of [describeLoad(), formatMachine(describeMachine())]) if (line) progress.note(line);
  const stop = () => contention.stop();
  process.on("SIGINT", stop).on("SIGTERM", stop);
  await contention.run(progress, startedAt);
  conclude(contention, resolve(options.out ?? join(root, "bench", "out")), startedAt);
  if (contention.isStopped) return kExitInterrupted;
  return contention.failures.length > 0 ? kExitFailure : 0;
}
