// Owns what a comparison consists of: for each suite its workloads, and for each workload its jobs, one a contender.
// Does not own the order of trials (schedule.ts) and measures nothing that counts.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { calibrateWork, lengthenWork, roundToPowerOfTwo } from "./calibrate.js";
import { type PreloadContender, preloadEnvironment } from "./contenders.js";
import { kAccessWorkloads } from "./js/access.js";
import { scriptFlags } from "./js/contenders.js";
import { kRemoteFree } from "./js/remote-free.js";
import { canDo, kScriptWorkloads } from "./js/workloads.js";
import { type ScriptName, UsageError } from "./options.js";
import type { Suite, TrialKind } from "./rows.js";
import { kScriptReplaySuffix } from "./sections.js";
import type { TraceFile } from "./traces.js";
import { type Job, runTrial } from "./trial.js";

/** A workload as it is told to the reader. */
export interface WorkloadInfo {
  suite: Suite;
  name: string;
  question: string;
}

export interface Plan {
  jobs: Job[];
  workloads: WorkloadInfo[];
}

/** Which workloads of those that there are were asked for. */
export class Selection {
  private readonly known = new Set<string>();

  constructor(private readonly names: readonly string[] | undefined) {}

  has(name: string): boolean {
    this.known.add(name);
    return this.names?.includes(name) ?? true;
  }

  /** Throws UsageError when a name that was asked for is none of those that has() was asked about. */
  check(): void {
    const unknown = this.names?.find((name) => !this.known.has(name));
    if (unknown === undefined) return;
    throw new UsageError(`Expected ${[...this.known].join(", ")} for --workload but received "${unknown}".`);
  }
}

/** What the C++ program is, and how long one of its trials should take on libc. */
export interface NativeBench {
  program: string;
  contenders: readonly PreloadContender[];
  wantedSeconds: number;
  /** Told before each calibration. */
  onCalibrate: (workload: string) => void;
}

interface NativeWorkload {
  name: string;
  question: string;
  threads: number;
  source: string;
  /** Calls that take glibc a third to one second, on a machine of today. */
  operations: number;
}

/** Events that a replay from JavaScript makes at least, by as many passes as that takes. */
const kScriptReplayEvents = 400_000;
/** Most steps of a latency trial: the 99.9th percentile needs no more. */
const kLatencySteps = 100_000;
/** Part of a workload's own number of operations where the search for the length of its trial starts. */
const kFirstShare = 1 / 8;
/** Part of libc's time that pagerun's trial takes at least: threads that come and go are else most of a short one. */
const kLeastShare = 1 / 3;
/** Part of the steps that a quick trial makes. */
const kQuickShare = 0.25;

/** What a C++ trial is told to do, and how often: `first` is a count to begin with. */
interface NativeTask {
  suite: Suite;
  workload: string;
  args: string[];
  countFlag: string;
  first: number;
}

/** The jobs of one C++ workload: time and latency on every contender, all with the same count. */
async function nativeJobs(bench: NativeBench, task: NativeTask): Promise<Job[]> {
  const { suite, workload, args, countFlag, first } = task;
  const { contenders, wantedSeconds } = bench;
  const [baseline] = contenders as [PreloadContender];
  const ours = contenders.find(({ name }) => name === "pagerun") ?? baseline;
  // A program that was recorded ran once: repeated in one process it would meet a heap that it never met.
  const isRepeated = (kind: TrialKind, count: number) => suite === "traces" && kind === "time" && count > 1;
  const job = (contender: PreloadContender, kind: TrialKind, count: number, seconds = wantedSeconds): Job => ({
    ...(isRepeated(kind, count) && { memoryArgs: args }),
    suite,
    workload,
    contender: contender.name,
    kind,
    program: bench.program,
    args: [...args, countFlag, String(count), ...(kind === "latency" ? ["--latency"] : [])],
    environment: preloadEnvironment(contender),
    ...(contender.mostSlowdown !== undefined && { mostSeconds: contender.mostSlowdown * seconds }),
  });
  bench.onCalibrate(workload);
  const timeOf = (contender: PreloadContender) => async (work: number) => {
    const report = await runTrial(job(contender, "time", work));
    return report.time ?? 0;
  };
  const fitting = await calibrateWork(wantedSeconds, first, timeOf(baseline));
  // Where ours fails, its trials will tell.
  const count = await lengthenWork(fitting, kLeastShare * wantedSeconds, timeOf(ours)).catch(() => fitting);
  const seconds = (wantedSeconds * count) / fitting;
  return (["time", "latency"] as const).flatMap((kind) =>
    contenders.map((contender) => job(contender, kind, kind === "time" ? count : Math.ceil(count / 2), seconds)),
  );
}

/** The synthetic C++ workloads, as the program lists them. */
export async function planCore(bench: NativeBench, selection: Selection): Promise<Plan> {
  const all = JSON.parse(execFileSync(bench.program, ["list"], { encoding: "utf8" })) as NativeWorkload[];
  const listed = all.filter(({ name }) => selection.has(name));
  const jobs: Job[] = [];
  for (const { name, operations } of listed) {
    const first = roundToPowerOfTwo(operations * kFirstShare);
    const task = { workload: name, args: ["run", name], countFlag: "--ops", first };
    jobs.push(...(await nativeJobs(bench, { suite: "core", ...task })));
  }
  const workloads = listed.map(({ name, question, source }) => ({
    suite: "core" as const,
    name,
    question: source === "this project" ? question : `${question} (${source})`,
  }));
  return { jobs, workloads };
}

function scriptFile(name: string): string {
  return fileURLToPath(new URL(`js/${name}`, import.meta.url));
}

function scriptEnvironment(): NodeJS.ProcessEnv {
  const { LD_PRELOAD: _, NODE_OPTIONS: __, ...rest } = process.env;
  return rest;
}

function scriptReplayJob(trace: TraceFile, contender: ScriptName, passes: number): Job {
  return {
    suite: "traces",
    workload: trace.name + kScriptReplaySuffix,
    contender,
    kind: "time",
    program: process.execPath,
    args: [scriptFile("replay.js"), trace.path, contender, "--passes", String(passes)],
    environment: scriptEnvironment(),
  };
}

function readTraceInfo(program: string, trace: TraceFile): { command: string; events: number } {
  return JSON.parse(execFileSync(program, ["info", trace.path], { encoding: "utf8" }));
}

/** Contenders that replay from TypeScript; undefined where the traces are replayed from C++ only. */
type Replayers = readonly ScriptName[] | undefined;

/** Whether a trace of this name is replayed at all, from C++ or from TypeScript. */
export function isTraceWanted(name: string, scripts: Replayers, selection: Selection): boolean {
  // Both are asked about, so that both are known.
  const isNative = selection.has(name);
  const isScript = scripts !== undefined && selection.has(name + kScriptReplaySuffix);
  return isNative || isScript;
}

/** The traces: each from C++ on every contender by preload, and from TypeScript on those of `scripts` that can. */
export async function planTraces(
  bench: NativeBench,
  traces: readonly TraceFile[],
  scripts: Replayers,
  selection: Selection,
): Promise<Plan> {
  const plan: Plan = { jobs: [], workloads: [] };
  const replayers = scripts?.filter((name) => name === "pagerun" || name === "napi-libc");
  for (const trace of traces) {
    const { command, events } = readTraceInfo(bench.program, trace);
    if (selection.has(trace.name)) {
      const question = `What does the memory of "${command}" cost, replayed from C++ and touched?`;
      plan.workloads.push({ suite: "traces", name: trace.name, question });
      const task = { workload: trace.name, args: ["replay", trace.path], countFlag: "--passes", first: 1 };
      plan.jobs.push(...(await nativeJobs(bench, { suite: "traces", ...task })));
    }
    if (replayers !== undefined && selection.has(trace.name + kScriptReplaySuffix)) {
      const question = "The same calls made from TypeScript, on one thread; the memory is not touched.";
      plan.workloads.push({ suite: "traces", name: trace.name + kScriptReplaySuffix, question });
      const passes = Math.max(1, Math.ceil(kScriptReplayEvents / events));
      plan.jobs.push(...replayers.map((contender) => scriptReplayJob(trace, contender, passes)));
    }
  }
  return plan;
}

function scriptJob(workload: string, contender: ScriptName, kind: TrialKind, steps: number): Job {
  const latency = kind === "latency" ? ["--latency"] : [];
  return {
    suite: "js",
    workload,
    contender,
    kind,
    program: process.execPath,
    args: [
      ...scriptFlags(contender),
      scriptFile("trial.js"),
      workload,
      contender,
      "--steps",
      String(steps),
      ...latency,
    ],
    environment: scriptEnvironment(),
  };
}

/** The js suite: every workload with every contender that can do it. */
export function planScripts(names: readonly ScriptName[], quick: boolean, selection: Selection): Plan {
  const plan: Plan = { jobs: [], workloads: [] };
  const workloads = [...kScriptWorkloads, ...kAccessWorkloads, kRemoteFree].filter(({ name }) => selection.has(name));
  for (const { name, question, needs, steps, hasLatency } of workloads) {
    plan.workloads.push({ suite: "js", name, question });
    const able = names.filter((contender) => canDo(needs, contender));
    const count = Math.ceil(steps * (quick ? kQuickShare : 1));
    plan.jobs.push(...able.map((contender) => scriptJob(name, contender, "time", count)));
    if (!hasLatency) continue;
    plan.jobs.push(...able.map((contender) => scriptJob(name, contender, "latency", Math.min(count, kLatencySteps))));
  }
  return plan;
}
