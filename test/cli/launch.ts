// Runs the command `pagerun` as a user's shell does. Owns the environment that it meets: nobody's preload, no settings.
import { type SpawnSyncOptions, spawnSync } from "node:child_process";
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { root } from "../tools/steps.js";

export const cli = join(root, "dist/cjs/cli.js");
export const library = realpathSync(join(root, "build/Release/libpagerun.so"));

/**
 * This process's environment without what has to do with allocators, and with `extra`. An outermost bash whose standard
 * input is a socket, as Node.js makes them, reads the user's ~/.bashrc: here it is not the outermost.
 */
export function plainEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const isOurs = (name: string) => /^(LD_PRELOAD|MALLOC_\w+|PAGERUN_\w+|NODE_OPTIONS)$/.test(name);
  const rest = Object.entries(process.env).filter(([name]) => !isOurs(name));
  return { ...(Object.fromEntries(rest) as Record<string, string>), SHLVL: "2", ...extra };
}

export interface Launched {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs `pagerun` with these arguments to its end. */
export function pagerun(args: readonly string[], options: SpawnSyncOptions & { file?: string } = {}): Launched {
  const { file = cli, env = plainEnvironment(), ...rest } = options;
  const all = { timeout: 60_000, ...rest, env, encoding: "utf8" as const };
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [file, ...args], all);
  return { status, signal, stdout, stderr };
}

/** Runs a line of shell on pagerun. */
export function pagerunShell(line: string, env?: Record<string, string>, options: readonly string[] = []): Launched {
  return pagerun([...options, "sh", "-c", line], env === undefined ? {} : { env: plainEnvironment(env) });
}
