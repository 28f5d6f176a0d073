// Steps of the test commands: runs a program, shows what it prints, and adds up what passed and what failed.
// Owns the counts and the closing line. Does not know what the steps are (run.ts, sanitize.ts).
import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync } from "node:fs";

/** The project's root: npm starts its scripts there. */
export const root = process.cwd();

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface RunOptions {
  env?: Record<string, string>;
  /** After so many seconds the program and its children are ended. */
  deadlineSeconds?: number;
  /** Keeps the output to itself. */
  quiet?: boolean;
}

export interface Ended {
  /** The exit code; 128 when a signal or the deadline ended the program. */
  code: number;
  /** All that it printed. */
  output: string;
}

const sum: Counts = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];

/** Adds to the sum; `what` names the step when anything failed, `names` what failed in it. */
export function count(
  what: string,
  { passed = 0, failed = 0, skipped = 0 }: Partial<Counts>,
  names: readonly string[] = [],
): void {
  sum.passed += passed;
  sum.failed += failed;
  sum.skipped += skipped;
  if (failed > 0) failures.push([`${what}: ${failed} failed`, ...names].join("\n  "));
}

/** Process groups that were started and have not ended. */
const running = new Set<number>();

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It ended by itself meanwhile.
  }
}

/** Groups of their own do not hear the terminal's Ctrl-C: from here on it is handed on. */
export function handOnSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      for (const pid of running) endGroup(pid);
      process.exit(130);
    });
  }
}

/** Runs a program in the project's root and passes its output on. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { env = {}, deadlineSeconds = 1200, quiet = false } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own: when the deadline passes, its children end with it.
      detached: true,
    });
    const { pid } = child;
    if (pid !== undefined) running.add(pid);
    let output = "";
    const take = (stream: NodeJS.WriteStream) => (data: string) => {
      output += data;
      if (!quiet) stream.write(data);
    };
    child.stdout.setEncoding("utf8").on("data", take(process.stdout));
    child.stderr.setEncoding("utf8").on("data", take(process.stderr));
    const timer = setTimeout(() => {
      output += `\n${command}: ended after its deadline of ${deadlineSeconds} s\n`;
      if (pid !== undefined) endGroup(pid);
    }, deadlineSeconds * 1000);
    const end = (code: number): void => {
      clearTimeout(timer);
      if (pid !== undefined) running.delete(pid);
      resolve({ code, output });
    };
    child.on("error", (error) => {
      output += `${command}: ${error.message}\n`;
      end(127);
    });
    child.on("close", (code) => end(code ?? 128));
  });
}

/** One heading a step, so that a long log can be read. */
export function heading(text: string): void {
  console.log(`\n=== ${text}`);
}

/** A step that passes or fails as a whole: counts as one. Its output is shown when it fails. */
export async function check(what: string, command: string, args: readonly string[]): Promise<boolean> {
  heading(what);
  const started = Date.now();
  const { code, output } = await run(command, args, { quiet: true });
  if (code !== 0) console.log(output);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${code === 0 ? "passed" : `FAILED (exit ${code})`} in ${seconds} s`);
  count(what, code === 0 ? { passed: 1 } : { failed: 1 });
  return code === 0;
}

/** Prints what failed and the closing line, leaves the sum to .ci/run where that asks for it, and ends the process. */
export function finish(): never {
  console.log("");
  for (const failure of failures) console.log(`FAILED ${failure}`);
  if (sum.skipped > 0) console.log(`${sum.skipped} skipped`);
  const line = closingLine(sum);
  console.log(line);
  const file = process.env.PAGERUN_TEST_COUNTS;
  if (file) appendFileSync(file, [...failures.map((failure) => `FAILED ${failure}`), line, ""].join("\n"));
  process.exit(sum.failed > 0 || sum.passed === 0 ? 1 : 0);
}

export function closingLine({ passed, failed }: Counts): string {
  return `${passed} passed, ${failed} failed`;
}

/** The folder for what tests leave behind; inside the project and ignored by git. */
export function scratch(): string {
  const directory = `${root}/build-test`;
  mkdirSync(directory, { recursive: true });
  return directory;
}
