#!/usr/bin/env node
// The command `pagerun`: finds the subcommand and hands the rest of the line to it. Owns the list of subcommands.
// Thread rule: the main thread of its process. A subcommand is loaded when it is asked for: each brings much that the
// others do not need.

interface Subcommand {
  readonly summary: string;
  /** Resolves to the exit code. */
  load(): Promise<(args: readonly string[]) => Promise<number>>;
}

const subcommands: Readonly<Record<string, Subcommand>> = {
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

function help(): string {
  const lines = Object.entries(subcommands).map(([name, { summary }]) => `  pagerun ${name.padEnd(10)} ${summary}`);
  return `usage: pagerun <subcommand> [options]\n\n${lines.join("\n")}\n\n"pagerun <subcommand> --help" tells the options.\n`;
}

async function main([name, ...rest]: readonly string[]): Promise<number> {
  if (name === "--help" || name === "-h") {
    process.stdout.write(help());
    return 0;
  }
  const subcommand = name !== undefined && Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (subcommand !== undefined) return (await subcommand.load())(rest);
  process.stderr.write(`${name === undefined ? "" : `pagerun: there is no subcommand "${name}"\n\n`}${help()}`);
  return usageExit;
}

// A reader that closes the pipe early, as head does, has seen what it wanted.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
