#!/usr/bin/env node
// The command `pagerun`: a program on the preload library, unless its first word is a subcommand. Owns the list of
// subcommands. Thread rule: the main thread of its process. A subcommand is loaded when it is asked for: each brings much
// that the others do not need, and a program that is only to be started shall not wait.
//
// The package has this file as CommonJS for its command: that is loaded without a turn of the event loop, in which Node.js
// would read what a parent that forked it has sent to the program.
import { runCommand } from "./cli/run-command.js";

interface Subcommand {
  readonly summary: string;
  /** Resolves to the exit code. */
  load(): Promise<(args: readonly string[]) => Promise<number>>;
}

const subcommands: Readonly<Record<string, Subcommand>> = {
  run: {
    summary: "the same, for a command that has the name of a subcommand",
    load: async () => runCommand,
  },
  path: {
    summary: "where the library is, for LD_PRELOAD in a container file or a unit file",
    load: async () => (await import("./cli/path-command.js")).pathCommand,
  },
  verify: {
    summary: "whether a command really runs on pagerun, and why not",
    load: async () => (await import("./cli/verify-command.js")).verifyCommand,
  },
  bench: {
    summary: "a command of yours on pagerun and on other allocators, compared",
    load: async () => (await import("./cli/bench-command.js")).runBench,
  },
  lesson: {
    summary: "how malloc works, step by step, in the terminal or the browser",
    load: async () => (await import("./lesson/command.js")).lessonCommand,
  },
};

const usageExit = 2;

async function help(): Promise<string> {
  const { kRunOptionsHelp } = await import("./cli/run-options.js");
  const lines = Object.entries(subcommands).map(([name, { summary }]) => `  pagerun ${name.padEnd(8)} ${summary}`);
  return `usage: pagerun [options] <command> [arguments]
       pagerun <subcommand> [options]

Runs a command, and what it starts, with memory of pagerun:

${kRunOptionsHelp}
Subcommands; "pagerun <subcommand> --help" tells their options:

${lines.join("\n")}
  pagerun help     this
  pagerun --version
`;
}

async function version(): Promise<string> {
  return `${(await import("./cli/own-library.js")).ownVersion()}\n`;
}

const kAnswers: Readonly<Record<string, () => Promise<string>>> = {
  help,
  "--help": help,
  "-h": help,
  "--version": version,
  "-v": version,
};

// A reader that closes the pipe early, as head does, has seen what it wanted.
function allowEarlyEnd(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

async function main(args: readonly string[]): Promise<number> {
  const [first] = args;
  if (first === undefined) {
    process.stderr.write(await help());
    return usageExit;
  }
  const subcommand = Object.hasOwn(subcommands, first) ? subcommands[first] : undefined;
  // The streams are the program's: whoever only looks at them here has changed them.
  if (subcommand === subcommands.run) return runCommand(args.slice(1));
  if (subcommand === undefined && !Object.hasOwn(kAnswers, first)) return runCommand(args);
  allowEarlyEnd();
  if (subcommand !== undefined) return (await subcommand.load())(args.slice(1));
  process.stdout.write(await kAnswers[first]!());
  return 0;
}

void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
