// Owns the run of one child process whose output is kept: its time limit, and what it wrote.
// Does not own what to run or what its end means.
import { type ChildProcess, spawn } from "node:child_process";

export interface ChildEnd {
  output: string;
  errors: string;
  code: number | null;
  signal: NodeJS.Signals | null;
  /** True when it was ended because it took longer than its limit. */
  isOverdue: boolean;
}

export interface ChildOptions {
  environment?: NodeJS.ProcessEnv;
  limitMs: number;
  /** Told of the process while it runs, and of undefined when it has ended. */
  onRunning?: (child: ChildProcess | undefined) => void;
}

/** The end of what a child wrote to standard error that a message repeats. */
const kErrorTailCharacters = 400;

/** Runs a program to its end, which may be any; rejects when it cannot be started. */
export function runChild(program: string, args: readonly string[], options: ChildOptions): Promise<ChildEnd> {
  const { environment, limitMs, onRunning } = options;
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(program, [...args], {
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: limitMs,
      killSignal: "SIGKILL",
    });
    onRunning?.(child);
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
      onRunning?.(undefined);
      const isOverdue = signal === "SIGKILL" && performance.now() - startedAt >= limitMs;
      resolve({ output, errors, code, signal, isOverdue });
    });
  });
}

/** How a child ended, and the last of what it said of that. */
export function describeEnd({ code, signal, errors }: ChildEnd): string {
  const tail = errors.trim().slice(-kErrorTailCharacters);
  const end = signal === null ? `exit code ${code}` : `signal ${signal}`;
  return tail === "" ? end : `${end}: ${tail}`;
}
