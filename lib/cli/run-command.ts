// The subcommand `run`: a program on the preload library, in this process's place. Owns what is said when that fails.
// Does not own the program's environment (program-environment.ts). Thread rule: the main thread of its process.
import { getSystemErrorMap } from "node:util";
import type { Binding } from "../native/binding.js";
import { loadAddon } from "../native/loader.cjs";
import { ownLibraryPath } from "./own-library.js";
import { environmentOn, lastArguments, startedWith } from "./program-environment.js";
import { kRunOptionsHelp, RunUsageError, readRunOptions } from "./run-options.js";

/** As env(1), nohup(1) and others that run a program: their own failure, a program that cannot run, none of that name. */
const kExit = { own: 125, notExecutable: 126, notFound: 127 };

const kHelp = `usage: pagerun [options] [--] <command> [arguments]
       pagerun run [options] [--] <command> [arguments]

Runs the command, and what it starts, with memory of pagerun.

${kRunOptionsHelp}`;

/** Both as lists of texts with one character for each byte. Returns only when it failed: the kernel's error. */
function execute(args: readonly string[], environment: readonly string[]): number {
  // Our copy of the core is not to say what the program's is going to say.
  for (const name of Object.keys(process.env)) {
    if (name.startsWith("PAGERUN_") && name !== "PAGERUN_NODE_PATH") delete process.env[name];
  }
  const { executeProgram } = loadAddon() as Pick<Binding, "executeProgram">;
  const texts = (list: readonly string[]) => Buffer.from(list.map((text) => `${text}\0`).join(""), "latin1");
  return executeProgram(texts(args), texts(environment));
}

function sayFailure(command: string, error: number): number {
  const [code, message] = getSystemErrorMap().get(-error) ?? [`error ${error}`, "the system refused it"];
  const isMissing = code === "ENOENT" || code === "ENOTDIR";
  process.stderr.write(`pagerun: ${command} cannot be run: ${isMissing ? "not found" : message} (${code})\n`);
  return isMissing ? kExit.notFound : kExit.notExecutable;
}

/** Does not return when the program was started. */
function runProgram(args: readonly string[]): number {
  const { settings, read } = readRunOptions(args);
  const count = args.length - read;
  if (count === 0) throw new RunUsageError("Expected a command.");
  const environment = environmentOn(ownLibraryPath(), startedWith(), settings);
  return sayFailure(args[read]!, execute(lastArguments(count), environment));
}

/** Runs the command that `args` end in, in this process's place; the exit code when that was not possible. */
export async function runCommand(args: readonly string[]): Promise<number> {
  if (args[0] === "--help" || args[0] === "-h") {
    process.stdout.write(kHelp);
    return 0;
  }
  try {
    return runProgram(args);
  } catch (error) {
    const hint = error instanceof RunUsageError ? ' "pagerun --help" tells how to use it.' : "";
    process.stderr.write(`pagerun: ${error instanceof Error ? error.message : String(error)}${hint}\n`);
    return kExit.own;
  }
}
