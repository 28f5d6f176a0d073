// Owns the command line of `npm run bench -- --suite contention`. Pure functions, no state.
import { parseArgs } from "node:util";
import { parsePositiveInteger, UsageError } from "../options.js";

export interface ContentionOptions {
  trials: number;
  maxSeconds: number;
  milliseconds: number;
  /** Undefined: as plan.ts has them for this machine. */
  threads: number[] | undefined;
  arenas: number[] | undefined;
  json: string | undefined;
  out: string | undefined;
  help: boolean;
}

const kMostCount = 256;
const kMostMilliseconds = 10_000;

export const kContentionHelp = `Threads on the arenas of the textbook allocator: how many, chosen how, with which lock?

  npm run bench -- --suite contention [options]

  --threads A,B       numbers of threads (default: powers of two up to twice the hardware threads, 16 at least)
  --arenas A,B        numbers of arenas (default: 1, 10, and 1, 2 and 10 for each hardware thread)
  --trials N          trials of each point (default: 5, or 1 with --quick)
  --milliseconds N    how long a trial is (default: 60, or 20 with --quick)
  --max-seconds N     start no further trial after N seconds (default: 165, or 45 with --quick)
  --quick             a look at it
  --json FILE         also write the rows to FILE; "-" is standard output, the tables then go to standard error
  --out DIR           where contention.html, contention.svg and contention.json go (default: bench/out)
  --help              this text

Every combination of a number of threads, a number of arenas, a rule of choice (modulo, random, least-contended) and a lock
(mutex, adaptive, spin, ticket) is a point; every trial of a point is a process of its own, and rounds go through all points.`;

/** True when the arguments ask for this bench. Throws UsageError when they ask for others beside it. */
export function asksForContention(args: readonly string[]): boolean {
  const suites = args
    .flatMap((arg, index) =>
      arg === "--suite" ? [args[index + 1] ?? ""] : arg.startsWith("--suite=") ? [arg.slice(8)] : [],
    )
    .flatMap((names) => names.split(","));
  if (!suites.includes("contention")) return false;
  if (suites.every((suite) => suite === "contention")) return true;
  throw new UsageError("The suite contention has options of its own and runs alone.");
}

function parseCounts(flag: string, given: string | undefined): number[] | undefined {
  if (given === undefined) return undefined;
  const counts = given.split(",").map((text) => parsePositiveInteger(flag, text.trim()));
  const wrong = counts.find((count) => count > kMostCount);
  if (wrong !== undefined) throw new UsageError(`Expected at most ${kMostCount} for ${flag} but received ${wrong}.`);
  return [...new Set(counts)].sort((a, b) => a - b);
}

function readFlags(args: readonly string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        suite: { ...text, multiple: true },
        threads: text,
        arenas: text,
        trials: text,
        milliseconds: text,
        "max-seconds": text,
        quick: flag,
        json: text,
        out: text,
        help: { ...flag, short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

export function parseContentionOptions(args: readonly string[]): ContentionOptions {
  const flags = readFlags(args);
  const whole = (flag: "trials" | "milliseconds" | "max-seconds", otherwise: number) =>
    flags[flag] === undefined ? otherwise : parsePositiveInteger(`--${flag}`, flags[flag]);
  const milliseconds = whole("milliseconds", flags.quick ? 20 : 60);
  if (milliseconds > kMostMilliseconds) {
    throw new UsageError(`Expected at most ${kMostMilliseconds} for --milliseconds but received ${milliseconds}.`);
  }
  return {
    trials: whole("trials", flags.quick ? 1 : 5),
    maxSeconds: whole("max-seconds", flags.quick ? 45 : 165),
    milliseconds,
    threads: parseCounts("--threads", flags.threads),
    arenas: parseCounts("--arenas", flags.arenas),
    json: flags.json,
    out: flags.out,
    help: flags.help,
  };
}
