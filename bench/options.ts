// Owns the command line of `npm run bench`: flags, defaults, and the message for a wrong one.
// Does not look at the machine: whether a contender is installed is asked elsewhere. Pure functions, no state.
import { parseArgs } from "node:util";
import { kSuites, type Suite } from "./rows.js";

/** Contenders by preload: the whole process of a C++ trial runs on them. */
export const kPreloadNames = ["libc", "pagerun", "jemalloc", "mimalloc", "tcmalloc"] as const;
/** The teaching allocators, by preload as well: only where they are named, since a list grows slow with its length. */
export const kTextbookNames = ["free-list", "arenas", "bucket-pages"] as const;
/** The same library as pagerun, in another profile: only where it is named. */
export const kHardenedName = "pagerun-hardened";
/** pagerun in a build without checks (unchecked.ts). */
export const kUncheckedName = "pagerun-unchecked";
/** Contenders called from TypeScript. */
export const kScriptNames = [
  "pagerun",
  "napi-libc",
  "koffi",
  "buffer-unsafe",
  "buffer-unsafe-slow",
  "uint8array",
  "thi-malloc",
  "dataview",
  "node-ffi",
  "napi-external",
] as const;
export type ScriptName = (typeof kScriptNames)[number];

const kTrialSeconds = 0.06;
const kQuickTrialSeconds = 0.03;
/** Far from the limit at which a trial counts as hung, on the slowest of the contenders. */
const kMostTrialSeconds = 5;

export interface ExtraLibrary {
  name: string;
  path: string;
}

export interface Options {
  suites: Suite[];
  /** Names as given; undefined means all. */
  contenders: string[] | undefined;
  trials: number;
  /** No new trial round starts after this many seconds; undefined means no limit. */
  maxSeconds: number | undefined;
  quick: boolean;
  /** Seconds that one trial of a C++ workload takes on libc. */
  trialSeconds: number;
  /** Further copy of the rows: a path, or "-" for standard output. */
  json: string | undefined;
  /** Directory of report.html and results.json; undefined means bench/out. */
  out: string | undefined;
  traces: string[];
  /** Names as given; undefined means all. */
  workloads: string[] | undefined;
  libraries: ExtraLibrary[];
  /** The Node.js to run in; undefined means this one. */
  node: string | undefined;
  help: boolean;
}

/** Exit codes that all commands of the bench share. */
export const kExitFailure = 1;
export const kExitUsage = 2;
export const kExitInterrupted = 130;

/** A mistake of the caller: printed as one line, exit code kExitUsage. */
export class UsageError extends Error {
  override name = "UsageError";
}

export const kHelp = `Compares pagerun with other allocators on this machine: libc always, others where installed.

  npm run bench -- [options]

  --suite NAME        traces, core or js; repeat it or give a list (default: all three)
                        traces  recorded programs replayed, from C++ by preload and from TypeScript by the bindings
                        core    synthetic C++ workloads by preload, the traces from C++, and the verdicts on them
                        js      allocation from JavaScript, against other ways to get memory there
                        contention  threads on the textbook's arenas; runs alone, --suite contention --help tells its options
  --contenders A,B    only these; the baseline (libc, in JavaScript napi-libc) always runs
                        C++: ${kPreloadNames.join(", ")}
                        the teaching allocators, only when named: ${kTextbookNames.join(", ")}
                        pagerun's other profile, only when named: ${kHardenedName}
                        pagerun without checks, built for it, only when named: ${kUncheckedName}
                        JavaScript: ${kScriptNames.join(", ")}
  --workload A,B      only these workloads, as the table names them
  --so NAME=PATH      one more C++ contender, by preload; may be repeated
  --trace FILE        one more trace to replay (made by npm run bench:record); may be repeated
  --trials N          trials of each figure (default: 5, or 3 with --quick)
  --max-seconds N     start no further round of trials after N seconds
                        (default: 170, 45 with --quick, none where --trials is given without --quick)
  --trial-seconds S   how long a trial of a C++ workload is on libc (default: 0.06, or 0.03 with --quick);
                        longer where pagerun would take less than a third of it
  --quick             shorter trials, under a minute in all
  --json FILE         also write the rows to FILE; "-" is standard output, the table then goes to standard error
  --out DIR           where report.html and results.json go (default: bench/out)
  --node PATH         run in that Node.js (its version and all that it has: node:ffi needs 26)
  --help              this text

Exit code: 0, 1 when a trial of libc or pagerun failed, 2 for a wrong option or a missing library.`;

/** A whole number of at least 1, or a UsageError that names the flag. */
export function parsePositiveInteger(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new UsageError(`Expected a whole number of at least 1 for ${flag} but received "${text}".`);
  }
  return value;
}

function parseTrialSeconds(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= kMostTrialSeconds)) {
    throw new UsageError(
      `Expected seconds of at most ${kMostTrialSeconds} for --trial-seconds but received "${text}".`,
    );
  }
  return value;
}

function splitNames(flag: string, given: readonly string[]): string[] {
  const names = given
    .flatMap((text) => text.split(","))
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (given.length > 0 && names.length === 0) throw new UsageError(`Expected a name for ${flag} but received none.`);
  return [...new Set(names)];
}

function parseLibrary(text: string): ExtraLibrary {
  const split = text.indexOf("=");
  const name = text.slice(0, Math.max(split, 0));
  const path = text.slice(split + 1);
  if (!/^[A-Za-z0-9._-]+$/.test(name) || path === "") {
    throw new UsageError(`Expected NAME=PATH for --so but received "${text}".`);
  }
  const known: readonly string[] = [
    ...kPreloadNames,
    ...kTextbookNames,
    kHardenedName,
    kUncheckedName,
    ...kScriptNames,
  ];
  if (known.includes(name)) throw new UsageError(`Expected a new name for --so but "${name}" is a contender already.`);
  return { name, path };
}

function parseSuites(given: readonly string[]): Suite[] {
  const names = splitNames("--suite", given);
  for (const name of names) {
    if (!(kSuites as readonly string[]).includes(name)) {
      throw new UsageError(`Expected ${kSuites.join(", ")} for --suite but received "${name}".`);
    }
  }
  return kSuites.filter((suite) => names.length === 0 || names.includes(suite));
}

function parseContenders(given: readonly string[], libraries: readonly ExtraLibrary[]): string[] | undefined {
  if (given.length === 0) return undefined;
  const names = splitNames("--contenders", given);
  const known = new Set<string>([
    ...kPreloadNames,
    ...kTextbookNames,
    kHardenedName,
    kUncheckedName,
    ...kScriptNames,
    ...libraries.map((library) => library.name),
  ]);
  for (const name of names) {
    if (!known.has(name)) {
      throw new UsageError(`Expected ${[...known].join(", ")} for --contenders but received "${name}".`);
    }
  }
  return names;
}

function readFlags(args: readonly string[]) {
  const text = { type: "string" } as const;
  const list = { type: "string", multiple: true, default: [] as string[] } as const;
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        suite: list,
        contenders: list,
        workload: list,
        so: list,
        trace: list,
        trials: text,
        "max-seconds": text,
        "trial-seconds": text,
        quick: flag,
        json: text,
        out: text,
        node: text,
        help: { ...flag, short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function defaultLimit(quick: boolean, trialsGiven: boolean): number | undefined {
  if (quick) return 45;
  return trialsGiven ? undefined : 170;
}

/** Reads the arguments after the script's name. Throws UsageError for anything that is not as `kHelp` says. */
export function parseOptions(args: readonly string[]): Options {
  const flags = readFlags(args);
  const libraries = flags.so.map(parseLibrary);
  const twice = libraries.find((library, index) => libraries.findIndex(({ name }) => name === library.name) !== index);
  if (twice) throw new UsageError(`Expected different names for --so but received "${twice.name}" twice.`);
  const { quick } = flags;
  const limit = flags["max-seconds"];
  return {
    suites: parseSuites(flags.suite),
    contenders: parseContenders(flags.contenders, libraries),
    trials: flags.trials === undefined ? (quick ? 3 : 5) : parsePositiveInteger("--trials", flags.trials),
    node: flags.node,
    maxSeconds:
      limit === undefined
        ? defaultLimit(quick, flags.trials !== undefined)
        : parsePositiveInteger("--max-seconds", limit),
    quick,
    trialSeconds:
      flags["trial-seconds"] === undefined
        ? quick
          ? kQuickTrialSeconds
          : kTrialSeconds
        : parseTrialSeconds(flags["trial-seconds"]),
    json: flags.json,
    out: flags.out,
    traces: flags.trace,
    workloads: flags.workload.length === 0 ? undefined : splitNames("--workload", flags.workload),
    libraries,
    help: flags.help,
  };
}

/** Whether a contender of this name was asked for; "libc" and "napi-libc" are baselines and always wanted. */
export function isWanted(options: Options, name: string): boolean {
  if (name === "libc" || name === "napi-libc") return true;
  if (options.contenders === undefined) return !(kTextbookNames as readonly string[]).includes(name);
  return options.contenders.includes(name) || options.libraries.some((library) => library.name === name);
}
