// Owns the command line of `npm run bench:record`: its own flags come first, then the command that is recorded.
// Pure functions, no state.
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { parsePositiveInteger, UsageError } from "./options.js";

export interface RecordOptions {
  command: string[];
  name: string;
  /** The trace file to write. */
  out: string;
  /** Events to keep; undefined means all. */
  maxEvents: number | undefined;
  help: boolean;
}

export const kRecordHelp = `Records what a program asks of malloc, as a trace that npm run bench can replay.

  npm run bench:record -- [options] command [arguments]

  --name NAME         name of the trace (default: the command's)
  --out FILE          where it goes (default: bench/traces/local/NAME.trace.br)
  --max-events N      keep the first N calls only (default: all)
  --help              this text

Of a command that starts other programs the process with the most calls is kept. Set-user-id programs and programs that
are linked statically cannot be recorded: the loader does not preload into them.
Exit code: 0, 1 when nothing was recorded, 2 for a wrong option, 127 when the command cannot be started.`;

const kFlags = {
  name: { type: "string" },
  out: { type: "string" },
  "max-events": { type: "string" },
  help: { type: "boolean", default: false, short: "h" },
} as const;

/** How many of the arguments are flags of ours: all before the first that is neither a flag nor a flag's value. */
function countOwn(args: readonly string[]): number {
  for (let index = 0; index < args.length; index++) {
    const argument = args[index] as string;
    if (argument === "--" || !argument.startsWith("-")) return index;
    const takesValue = Object.entries(kFlags).some(
      ([name, flag]) => flag.type === "string" && argument === `--${name}`,
    );
    if (takesValue) index++;
  }
  return args.length;
}

function readFlags(args: string[]) {
  try {
    return parseArgs({ args, options: kFlags }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Reads the arguments. Throws UsageError for a wrong flag, or when there is no command. */
export function parseRecordOptions(args: readonly string[], localTraces: string): RecordOptions {
  const own = countOwn(args);
  const flags = readFlags(args.slice(0, own));
  const command = args.slice(args[own] === "--" ? own + 1 : own);
  if (command.length === 0 && !flags.help) {
    throw new UsageError("Expected a command to record, as in: npm run bench:record -- git log");
  }
  const name = flags.name ?? basename(command[0] ?? "").replaceAll(/[^A-Za-z0-9._-]/g, "-");
  if (!/^[A-Za-z0-9._-]+$/.test(name) && !flags.help) {
    throw new UsageError(`Expected letters, digits, ".", "_" and "-" for --name but received "${name}".`);
  }
  const limit = flags["max-events"];
  return {
    command,
    name,
    out: flags.out ?? join(localTraces, `${name}.trace.br`),
    maxEvents: limit === undefined ? undefined : parsePositiveInteger("--max-events", limit),
    help: flags.help,
  };
}
