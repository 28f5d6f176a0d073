// The command `npm run bench`: reads the options, plans, runs, and shows and writes what came out.
// Owns the order of these steps and the exit code. Everything that it does is in the files beside it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describeLoad, describeMachine, formatMachine } from "#figures/machine.js";
import type { Missing } from "#figures/peers.js";
import { formatClock, Progress } from "#figures/progress.js";
import { Comparison } from "./comparison.js";
import { findPreloadContenders, type PreloadContender, provePreload } from "./contenders.js";
import { contentionCommand } from "./contention/command.js";
import { asksForContention } from "./contention/options.js";
import { installHint, scriptVersion } from "./js/contenders.js";
import {
  isWanted,
  kExitFailure,
  kExitInterrupted,
  kExitUsage,
  kHelp,
  kScriptNames,
  type Options,
  parseOptions,
  type ScriptName,
  UsageError,
} from "./options.js";
import { isTraceWanted, type NativeBench, type Plan, planCore, planScripts, planTraces, Selection } from "./plan.js";
import { renderReport } from "./report/page.js";
import { type Row, rowsFromResults } from "./rows.js";
import { scriptVerdictsOf } from "./script-verdicts.js";
import { formatSummary, formatTables, formatVerdicts } from "./terminal.js";
import { listTraces, TraceDirectory, traceName } from "./traces.js";
import { endTrials, type Job } from "./trial.js";
import { buildUnchecked } from "./unchecked.js";
import { asRows, verdictRows } from "./verdicts.js";

const kRoot = resolve(fileURLToPath(new URL("../..", import.meta.url)));
const kBuild = join(kRoot, "build", "Release");

/** Set for the bench that --node has started. */
const kChosenNode = "PAGERUN_BENCH_IN_NODE";

/** Every other round has latency trials; in a quick comparison only the first one. */
const kLatencyEvery = 2;

/** A failure of these is ours. That another allocator fails a workload is a finding, and told as one. */
const kOwn: readonly string[] = ["libc", "napi-libc", "pagerun"];

interface Setting {
  options: Options;
  startedAt: number;
  progress: Progress;
  preloads: PreloadContender[];
  scripts: ScriptName[];
  missing: Missing[];
}

function requireBuilt(): void {
  const files = ["pagerun.node", "libpagerun.so", "libtextbook.so", "pagerun_bench"].map((file) => join(kBuild, file));
  const absent = files.filter((file) => !existsSync(file));
  if (absent.length > 0) throw new UsageError(`${absent.join(", ")} is not there. Run "npm run build" first.`);
}

/** A source that was changed after the build: its effect is not in what is about to be measured. */
function findStaleSource(): string | undefined {
  const built = statSync(join(kBuild, "pagerun_bench")).mtimeMs;
  const folders = ["native", "bench/native"];
  return folders
    .flatMap((folder) =>
      readdirSync(join(kRoot, folder), { recursive: true, encoding: "utf8" }).map((file) => join(folder, file)),
    )
    .find((file) => /\.(cc|h)$/.test(file) && statSync(join(kRoot, file)).mtimeMs > built);
}

function findScripts(options: Options, missing: Missing[]): ScriptName[] {
  return kScriptNames.filter((name) => {
    if (!isWanted(options, name)) return false;
    if (scriptVersion(name) !== undefined) return true;
    missing.push({ name, hint: installHint(name) });
    return false;
  });
}

function prepare(options: Options, startedAt: number): Setting {
  requireBuilt();
  const { version } = JSON.parse(readFileSync(join(kRoot, "package.json"), "utf8")) as { version: string };
  const { found, missing } = findPreloadContenders(options, {
    library: join(kBuild, "libpagerun.so"),
    version,
    unchecked: () => buildUnchecked(kRoot),
  });
  const scripts = findScripts(options, missing);
  return { options, startedAt, progress: new Progress(), preloads: found, scripts, missing };
}

/** Throws UsageError when none of the contenders that were named is here: only baselines would be left. */
function requireContender({ options, preloads, scripts }: Setting): void {
  const here = new Set<string>([...preloads.map(({ name }) => name), ...scripts]);
  if (options.contenders?.every((name) => !here.has(name))) {
    throw new UsageError(`Expected a contender that is installed for --contenders: ${options.contenders.join(", ")}.`);
  }
}

function describeSetting(setting: Setting): string[] {
  const { preloads, scripts, missing } = setting;
  const versions = preloads.map(
    ({ name, version, library }) => `  ${name}  ${version}${library ? `  ${library}` : ""}`,
  );
  const scriptVersions = scripts.map((name) => `  ${name}  ${scriptVersion(name)}`);
  const stale = findStaleSource();
  const busy = describeLoad();
  return [
    ...(stale ? [`WARNING: ${stale} is newer than the build; npm run build takes it in`] : []),
    ...(busy ? [busy] : []),
    formatMachine(describeMachine()),
    "contenders by preload:",
    ...versions,
    ...(setting.options.suites.some((suite) => suite !== "core")
      ? ["contenders in TypeScript:", ...scriptVersions]
      : []),
    ...missing.map(({ name, hint }) => `  ${name} is left out, it is not installed: ${hint}`),
  ];
}

function tracePaths(options: Options): string[] {
  const paths = [...listTraces(join(kRoot, "bench", "traces")), ...options.traces];
  if (paths.length === 0 && options.suites.includes("traces")) {
    throw new UsageError("There is no trace in bench/traces; give one with --trace.");
  }
  return paths;
}

async function planAll(setting: Setting, traces: TraceDirectory): Promise<Plan> {
  const { options, preloads, scripts, progress, startedAt } = setting;
  const bench: NativeBench = {
    program: join(kBuild, "pagerun_bench"),
    contenders: preloads,
    wantedSeconds: options.trialSeconds,
    onCalibrate: (workload) =>
      progress.step({
        done: 0,
        total: 1,
        elapsed: (performance.now() - startedAt) / 1000,
        limit: undefined,
        text: `finding out how much of ${workload} fits into a trial`,
      }),
  };
  for (const contender of preloads) provePreload(bench.program, contender);
  const selection = new Selection(options.workloads);
  const plans: Plan[] = [];
  const isFromScripts = options.suites.includes("traces");
  // The suite core has the traces in it, replayed from C++: what it asks of an allocator, they ask in earnest.
  if (isFromScripts || options.suites.includes("core")) {
    const replayers = isFromScripts ? scripts : undefined;
    const wanted = tracePaths(options).filter((path) => isTraceWanted(traceName(path), replayers, selection));
    plans.push(await planTraces(bench, traces.open(wanted), replayers, selection));
  }
  if (options.suites.includes("core")) plans.push(await planCore(bench, selection));
  if (options.suites.includes("js")) plans.push(planScripts(scripts, options.quick, selection));
  selection.check();
  return { jobs: plans.flatMap(({ jobs }) => jobs), workloads: plans.flatMap(({ workloads }) => workloads) };
}

function writeFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function formatRows(rows: readonly Row[]): string {
  return `[\n${[...rows, ...verdictRows(rows), ...asRows(scriptVerdictsOf(rows))].map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n]\n`;
}

function describeSkipped(skipped: readonly Job[]): string[] {
  const times = skipped.filter(({ kind }) => kind === "time").map(({ suite, workload }) => `${suite} · ${workload}`);
  const latencies = skipped.length - times.length;
  const parts = latencies > 0 ? [...times, `the latencies of ${latencies} workloads`] : times;
  return parts.length > 0 ? [`no time was left for ${parts.join(", ")}; --max-seconds gives more`] : [];
}

/** Shows and writes what was measured, however much that is. */
function conclude(setting: Setting, comparison: Comparison, plan: Plan): void {
  const { options } = setting;
  const rows = rowsFromResults(comparison.results);
  const seconds = (performance.now() - setting.startedAt) / 1000;
  const out = resolve(options.out ?? join(kRoot, "bench", "out"));
  const shown = options.json === "-" ? process.stderr : process.stdout;
  const colours = Boolean(shown.isTTY) && !process.env.NO_COLOR;
  const trials = Math.max(0, ...rows.map((row) => row.trials.length));
  const ending = comparison.interrupted
    ? ", interrupted"
    : trials < options.trials
      ? ", as many as the time allowed"
      : "";
  const lines = [
    formatTables(rows, colours),
    "",
    `medians of ${trials} ${trials === 1 ? "trial" : "trials"}${ending}; ± is half the range of the trials over their median, the widest of the row`,
    "",
    formatVerdicts(rows, colours),
    formatSummary(rows, colours),
    "",
    ...describeSkipped(comparison.skipped),
    ...comparison.leftOut.map(
      ({ job, message }) => `left out: ${job.suite} · ${job.workload} · ${job.contender}: ${message}`,
    ),
    ...comparison.failures.map(
      ({ job, message }) => `FAILED ${job.suite} · ${job.workload} · ${job.contender}: ${message}`,
    ),
    `report: ${join(out, "report.html")}   rows: ${join(out, "results.json")}   ${formatClock(seconds)} in all`,
  ];
  shown.write(`${lines.join("\n")}\n`);
  writeFile(join(out, "results.json"), formatRows(rows));
  writeFile(
    join(out, "report.html"),
    renderReport({
      rows,
      workloads: plan.workloads,
      machine: describeMachine(),
      contenders: [
        ...setting.preloads.map(({ name, version }) => ({ name, version, how: "by preload" })),
        ...setting.scripts.map((name) => ({ name, version: scriptVersion(name) ?? "", how: "from TypeScript" })),
      ],
      missing: setting.missing,
      failures: comparison.failures.map(({ job, message }) => ({ ...job, message })),
      leftOut: comparison.leftOut.map(({ job, message }) => ({ ...job, message })),
      trials,
      date: new Date(),
    }),
  );
  if (options.json === "-") process.stdout.write(formatRows(rows));
  else if (options.json !== undefined) writeFile(resolve(options.json), formatRows(rows));
}

async function compare(options: Options, startedAt: number): Promise<number> {
  const setting = prepare(options, startedAt);
  requireContender(setting);
  for (const line of describeSetting(setting)) setting.progress.note(line);
  const traces = new TraceDirectory();
  let comparison: Comparison | undefined;
  let isEnding = false;
  const interrupt = () => {
    isEnding = true;
    if (comparison) comparison.interrupt();
    else endTrials();
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  try {
    const plan = await planAll(setting, traces);
    if (isEnding) throw new Error("interrupted while planning");
    const { trials, maxSeconds, quick } = options;
    const latencyEvery = quick ? Number.POSITIVE_INFINITY : kLatencyEvery;
    comparison = new Comparison(plan.jobs, { trials, maxSeconds, latencyEvery, startedAt }, setting.progress);
    await comparison.run();
    setting.progress.end();
    conclude(setting, comparison, plan);
    if (comparison.interrupted) return kExitInterrupted;
    return comparison.failures.some(({ job }) => kOwn.includes(job.contender)) ? kExitFailure : 0;
  } catch (error) {
    if (!isEnding) throw error;
    setting.progress.note("Interrupted before anything was measured.");
    return kExitInterrupted;
  } finally {
    setting.progress.end();
    traces.close();
  }
}

/** Runs this bench in another Node.js: its version is then that of everything in JavaScript. */
function runIn(node: string, args: readonly string[]): number {
  const [script = ""] = process.argv.slice(1);
  const env = { ...process.env, [kChosenNode]: "1" };
  const { status, error } = spawnSync(node, [script, ...args], { stdio: "inherit", env });
  if (error) throw new UsageError(`Expected a Node.js for --node but received "${node}": ${error.message}`);
  return status ?? kExitFailure;
}

async function main(): Promise<number> {
  const startedAt = performance.now();
  try {
    const args = process.argv.slice(2);
    if (asksForContention(args)) return await contentionCommand(args, kRoot, kBuild);
    const options = parseOptions(args);
    if (options.node !== undefined && !process.env[kChosenNode]) return runIn(options.node, args);
    if (!options.help) return await compare(options, startedAt);
    process.stdout.write(`${kHelp}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    return error instanceof UsageError ? kExitUsage : kExitFailure;
  }
}

process.exitCode = await main();
