// Runs a job twice, as it is and with libpagerun.so preloaded, and compares what it prints and how it ends.
// Owns the proof that the second run was on pagerun: a witness (test/programs/witness.cc) is preloaded behind the
// library and writes a line for every process of the job. What the jobs are, the program files know.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
export const folder = join(root, "build-test/programs");
export const library = join(root, "build/Release/libpagerun.so");
export const witness = join(folder, "libwitness.so");

export interface Job {
  /** Name of its folders; one of its own in the project. */
  name: string;
  command: string;
  args?: readonly string[];
  env?: Record<string, string>;
  /** Address space that each of its processes may have. */
  limitBytes?: number;
}

export interface Outcome {
  status: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** What one process of a preloaded job left behind. */
export interface Witnessed {
  program: string;
  pid: number;
  event: "start" | "end";
  /** At the start, whether malloc is pagerun's; at the end, `whole` or the first broken invariant of the heap. */
  detail: string;
  liveBlocks: number;
}

/** The program file of a job, below `test/programs/jobs/`. */
export function jobFile(name: string): string {
  return join(root, "test/programs/jobs", name);
}

/** A new, empty folder for one run of a job. */
export function freshFolder(name: string, run: "plain" | "preloaded"): string {
  const path = join(folder, "jobs", name, run);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  return path;
}

/** Environment without anything preloaded, the same in every language and place. */
export function plainEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { LD_PRELOAD: _, NODE_OPTIONS: _options, VITEST: _vitest, ...inherited } = process.env;
  return { ...inherited, LC_ALL: "C.UTF-8", TZ: "UTC", ...extra };
}

/** The file of a job's witness lines, empty, and the environment that makes its processes write there. */
export function preloadedEnvironment(lines: string, extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  mkdirSync(dirname(lines), { recursive: true });
  writeFileSync(lines, "");
  return { ...plainEnvironment(extra), LD_PRELOAD: `${library}:${witness}`, PAGERUN_TEST_WITNESS: lines };
}

export function witnessedIn(lines: string): Witnessed[] {
  return readFileSync(lines, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [pid, program, event, detail, liveBlocks] = line.split("\t");
      return { pid: Number(pid), program, event, detail, liveBlocks: Number(liveBlocks) } as Witnessed;
    });
}

/** Runs a command to its end. */
export function execute(
  { command, args = [], limitBytes }: Pick<Job, "command" | "args" | "limitBytes">,
  options: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<Outcome> {
  const limited = ["-c", `ulimit -v ${Math.floor((limitBytes ?? 0) / 1024)}; exec "$@"`, "sh", command, ...args];
  return new Promise((resolve, reject) => {
    const stdio = ["ignore", "pipe", "pipe"] as const;
    const child =
      limitBytes === undefined
        ? spawn(command, args, { ...options, stdio: [...stdio] })
        : spawn("sh", limited, { ...options, stdio: [...stdio] });
    const outcome: Outcome = { status: null, signal: null, stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      outcome.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      outcome.stderr += text;
    });
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ ...outcome, status, signal }));
  });
}

/** Expects that every process was on pagerun, that the heap was whole where it ended, and that these were among them. */
export function expectOnPagerun(lines: readonly Witnessed[], programs: readonly string[]): void {
  expect([...new Set(lines.map(({ program }) => program))]).toEqual(expect.arrayContaining([...programs]));
  const wrong = lines.filter(({ event, detail }) => detail !== (event === "start" ? "served" : "whole"));
  expect(wrong).toEqual([]);
  expect(lines.some(({ event }) => event === "start")).toBe(true);
}

/** Runs the job without and with the library and expects one result; returns the preloaded run and its witness. */
export async function compare(job: Job, programs: readonly string[]): Promise<Outcome & { lines: Witnessed[] }> {
  const plain = await execute(job, { cwd: freshFolder(job.name, "plain"), env: plainEnvironment(job.env) });
  expect(plain, `${job.name} without the library`).toMatchObject({ status: 0, signal: null });
  const preloaded = await runPreloaded(job);
  expect(preloaded.outcome, `${job.name} with the library`).toEqual(plain);
  expectOnPagerun(preloaded.lines, programs);
  return { ...preloaded.outcome, lines: preloaded.lines };
}

/** Runs the job with the library alone. */
export async function runPreloaded(job: Job): Promise<{ outcome: Outcome; lines: Witnessed[] }> {
  const cwd = freshFolder(job.name, "preloaded");
  const file = join(folder, "jobs", job.name, "witness");
  const outcome = await execute(job, { cwd, env: preloadedEnvironment(file, job.env) });
  return { outcome, lines: witnessedIn(file) };
}
