// Builds and runs the programs of this folder, which know nothing of the library: plain, or with it preloaded.
// Owns: where the results go and how a program that hangs is ended.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { root } from "../tools/steps.js";

/** The shipped build of the library. */
export const library = `${root}/build/Release/libpagerun.so`;

const source = `${root}/test/preload`;
const results = `${root}/build-test/preload`;

/** The last part of a path, without its ending. */
const stem = (path: string): string => path.replace(/^.*\//, "").replace(/\.\w+$/, "");

/**
 * Compiles `file` of this folder and returns the path of the result. No call of an allocator is left out or replaced by
 * the compiler. `name` tells results apart that are made of one file with different flags.
 */
export function compile(file: string, flags: readonly string[] = [], name = stem(file)): string {
  mkdirSync(results, { recursive: true });
  const isC = file.endsWith(".c");
  const isShared = flags.includes("-shared");
  const result = `${results}/${isShared ? `lib${name}.so` : name}`;
  const always = [isC ? "-std=gnu11" : "-std=c++17", "-O1", "-g", "-w", "-fno-builtin", "-pthread"];
  const position = isShared ? ["-fPIC"] : [];
  execFileSync(isC ? "gcc" : "g++", [...always, ...position, "-o", result, `${source}/${file}`, ...flags], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  return result;
}

export interface Run {
  env?: Record<string, string>;
  seconds?: number;
}

export interface Outcome {
  /** Standard output. */
  output: string;
  /** Standard error. */
  errors: string;
  /** "exit 0", "signal SIGABRT", or "no end". */
  end: string;
}

/** Runs a program without a preload of any kind. */
export function runPlain(program: string, args: readonly string[] = [], { env = {}, seconds = 60 }: Run = {}): Outcome {
  const { LD_PRELOAD: _, ...rest } = process.env;
  const { stdout, stderr, status, signal, error } = spawnSync(program, args, {
    env: { ...rest, ...env },
    encoding: "utf8",
    timeout: seconds * 1000,
    killSignal: "SIGKILL",
    maxBuffer: 64 << 20,
  });
  const isLate = (error as NodeJS.ErrnoException | undefined)?.code === "ETIMEDOUT";
  return {
    output: stdout ?? "",
    errors: stderr ?? "",
    end: isLate ? "no end" : signal !== null ? `signal ${signal}` : `exit ${status}`,
  };
}

/** Runs a program with the library preloaded. */
export function runPreloaded(
  program: string,
  args: readonly string[] = [],
  { env = {}, seconds = 60 }: Run = {},
): Outcome {
  return runPlain(program, args, { env: { LD_PRELOAD: library, ...env }, seconds });
}
