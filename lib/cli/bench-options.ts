// Owns the command line of `pagerun bench`: flags, defaults, and the message for a wrong one.
// Does not look at the machine. Pure functions, no state.
import { parseArgs } from "node:util";

/** Those that run unless others are named; peers where they are installed. */
export const kContenderNames = [
  "glibc",
  "glibc-tuned",
  "pagerun",
  "pagerun-hardened",
  "jemalloc",
  "mimalloc",
  "tcmalloc",
] as const;

const kTrials = 3;
const kRestSeconds = [1, 5, 15];
const kMostRestSeconds = 600;
const kLimitSeconds = 600;
const kReport = "pagerun-bench.html";

export interface NamedLibrary {
  name: string;
  path: string;
}

/** pagerun once more, with variables of its own. */
export interface Variant {
  name: string;
  environment: Record<string, string>;
}

export interface BenchOptions {
  command: string[];
  /** Names as given; undefined means all. */
  contenders: string[] | undefined;
  libraries: NamedLibrary[];
  variants: Variant[];
  trials: number;
  /** Seconds after the end of work at which the resident set is read, ascending. */
  rest: number[];
  /** Seconds after which the command is ended, and that is its end; undefined lets it end itself. */
  seconds: number | undefined;
  /** Seconds after which a trial has failed. */
  limitSeconds: number;
  /** What the rows call the command. */
  name: string;
  /** Where the rows go: a path, or "-" for standard output. */
  json: string | undefined;
  /** Where the samples of every trial go; undefined writes none. */
  curves: string | undefined;
  report: string;
  showOutput: boolean;
  help: boolean;
}

/** A mistake of the caller: printed as one line, exit code 2. */
export class BenchUsageError extends Error {
  override name = "BenchUsageError";
}

export const kBenchHelp = `pagerun bench: a command of yours on pagerun and on other allocators, compared

  pagerun bench [options] -- <command ...>

  --trials N             trials of each allocator, which take turns (default: ${kTrials})
  --rest A,B             seconds after the end of work at which memory is read (default: ${kRestSeconds.join(",")})
  --contenders A,B       only these; glibc always runs
                           ${kContenderNames.join(", ")}
  --so NAME=PATH         one more allocator, by preload; may be repeated
  --variant NAME:VAR=VALUE[,VAR=VALUE]
                         pagerun once more, with these variables; may be repeated
  --seconds N            end the command after N seconds, for one that does not end itself
  --limit N              a trial that takes longer than N seconds has failed (default: ${kLimitSeconds})
  --name TEXT            what the rows and the report call the command
  --json FILE            write the rows to FILE; "-" is standard output, the table then goes to standard error
  --curves FILE          write memory over time, of every trial, to FILE as JSON
  --report FILE          where the report with the curves goes (default: ${kReport})
  --show-output          pass what the command writes on to standard error (default: only when it fails)
  --help                 this text

The command tells the end of its work by pagerun.mark("idle"), by a line "idle" on the descriptor whose number is in
PAGERUN_MARK_FD (in a shell: echo idle >&$PAGERUN_MARK_FD), or by that line in the file whose path is in
PAGERUN_MARK_FILE. It stays for the readings at rest and is then ended by SIGTERM. A command that marks nothing ends its
work where it last kept the processor busy.

Exit code: 0; 1 when a trial failed; 2 for a wrong option; 127 when the command cannot be started; 130 after Control-C.`;

function splitList(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function parseCount(flag: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= 1) return value;
  throw new BenchUsageError(`Expected a whole number of at least 1 for ${flag} but received "${text}".`);
}

function parseSeconds(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && value <= most) return value;
  throw new BenchUsageError(
    `Expected seconds above 0 and of at most ${most} for ${flag} but received ${JSON.stringify(text)}.`,
  );
}

function parseRest(text: string): number[] {
  const values = text.split(",").map((part) => parseSeconds("--rest", part, kMostRestSeconds));
  return [...new Set(values)].sort((a, b) => a - b);
}

const kNewName = /^[A-Za-z0-9._-]+$/;

function parseLibrary(text: string): NamedLibrary {
  const split = text.indexOf("=");
  const name = text.slice(0, Math.max(split, 0));
  const path = text.slice(split + 1);
  if (kNewName.test(name) && path !== "") return { name, path };
  throw new BenchUsageError(`Expected NAME=PATH for --so but received "${text}".`);
}

function parseVariant(text: string): Variant {
  const split = text.indexOf(":");
  const name = text.slice(0, Math.max(split, 0));
  const pairs = splitList(text.slice(split + 1)).map((pair) => /^([A-Za-z_]\w*)=(.*)$/.exec(pair));
  if (!kNewName.test(name) || pairs.length === 0 || pairs.some((pair) => pair === null))
    throw new BenchUsageError(`Expected NAME:VAR=VALUE for --variant but received "${text}".`);
  return { name, environment: Object.fromEntries(pairs.map((pair) => [pair?.[1], pair?.[2]])) };
}

function refuseTwice(flag: string, names: readonly string[]): void {
  const known = new Set<string>(kContenderNames);
  for (const name of names) {
    if (known.has(name)) throw new BenchUsageError(`Expected a new name for ${flag} but received "${name}".`);
    known.add(name);
  }
}

function parseContenders(given: readonly string[], added: readonly string[]): string[] | undefined {
  if (given.length === 0) return undefined;
  const names = given.flatMap(splitList);
  const known = [...kContenderNames, ...added];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined && names.length > 0) return [...new Set(names)];
  throw new BenchUsageError(`Expected ${known.join(", ")} for --contenders but received "${unknown ?? ""}".`);
}

const text = { type: "string" } as const;
const list = { type: "string", multiple: true, default: [] as string[] } as const;
const flag = { type: "boolean", default: false } as const;
const kFlags = {
  trials: text,
  rest: text,
  contenders: list,
  so: list,
  variant: list,
  seconds: text,
  limit: text,
  name: text,
  json: text,
  curves: text,
  report: text,
  "show-output": flag,
  help: { ...flag, short: "h" },
} as const;

/** The options and the command: it begins behind "--", or at the first word that is no option. */
function splitCommand(args: readonly string[]): { own: string[]; command: string[] } {
  const { tokens } = parseArgs({
    args: [...args],
    options: kFlags,
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const first = tokens.find(({ kind }) => kind !== "option");
  if (first === undefined) return { own: [...args], command: [] };
  const skipped = first.kind === "option-terminator" ? 1 : 0;
  return { own: args.slice(0, first.index), command: args.slice(first.index + skipped) };
}

function readFlags(own: string[]) {
  try {
    return parseArgs({ args: own, options: kFlags }).values;
  } catch (error) {
    throw new BenchUsageError((error as Error).message);
  }
}

/** Reads the arguments behind `bench`. Throws BenchUsageError for anything that is not as `kBenchHelp` says. */
export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const { own, command } = splitCommand(args);
  const flags = readFlags(own);
  const libraries = flags.so.map(parseLibrary);
  const variants = flags.variant.map(parseVariant);
  const added = [...libraries, ...variants].map(({ name }) => name);
  refuseTwice("--so or --variant", added);
  if (command.length === 0 && !flags.help)
    throw new BenchUsageError("Expected a command, as in: pagerun bench -- node app.js");
  return {
    command,
    contenders: parseContenders(flags.contenders, added),
    libraries,
    variants,
    trials: flags.trials === undefined ? kTrials : parseCount("--trials", flags.trials),
    rest: flags.rest === undefined ? kRestSeconds : parseRest(flags.rest),
    seconds: flags.seconds === undefined ? undefined : parseSeconds("--seconds", flags.seconds, Number.MAX_VALUE),
    limitSeconds: flags.limit === undefined ? kLimitSeconds : parseSeconds("--limit", flags.limit, 86_400),
    name: flags.name ?? command.join(" "),
    json: flags.json,
    curves: flags.curves,
    report: flags.report ?? kReport,
    showOutput: flags["show-output"],
    help: flags.help,
  };
}
