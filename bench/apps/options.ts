// Owns the command line of `npm run bench:apps`. Pure functions, no state.
import { parseArgs } from "node:util";
import { parsePositiveInteger, UsageError } from "../options.js";
import { kApps } from "./plan.js";

const kTrials = 5;
const kRest = "1,5,15";
const kQuickRest = "1,5";

export interface AppOptions {
  apps: string[];
  trials: number;
  rest: string;
  quick: boolean;
  /** The Node.js that the programs run in; undefined means this one. */
  node: string | undefined;
  /** Directory of the rows and reports; undefined means bench/out/apps. */
  out: string | undefined;
  /** Passed on to `pagerun bench`. */
  contenders: string | undefined;
  libraries: string[];
  help: boolean;
}

export const kAppHelp = `Runs real programs on pagerun and on other allocators, and judges what came out.

  npm run bench:apps -- [options]

  --apps A,B         only these: ${kApps.map(({ name }) => name).join(", ")}
  --trials N         trials of each allocator (default: ${kTrials}, of the probe at least 10; 1 with --quick)
  --rest A,B         seconds after the end of work at which memory is read (default: ${kRest}; ${kQuickRest} with --quick)
  --quick            one trial each, also of the probe
  --node PATH        run the programs in that Node.js
  --contenders A,B   only these allocators; glibc always runs
  --so NAME=PATH     one more allocator, by preload; may be repeated
  --out DIR          where the rows and the reports go (default: bench/out/apps)
  --help             this text

The programs are in bench/apps/programs, and what they are made of is installed from bench/apps/package-lock.json when it
is first needed.

Exit code: 0, 1 when a trial failed or an app could not be installed, 2 for a wrong option, 130 after Control-C.`;

function readFlags(args: readonly string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const so = { type: "string", multiple: true, default: [] as string[] } as const;
  const own = { apps: text, trials: text, rest: text, node: text, out: text, contenders: text } as const;
  try {
    const options = { ...own, so, quick: flag, help: { ...flag, short: "h" } } as const;
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function parseApps(text: string | undefined): string[] {
  const known = kApps.map(({ name }) => name);
  if (text === undefined) return known;
  const names = text.split(",").filter((name) => name !== "");
  const unknown = names.find((name) => !known.includes(name));
  if (names.length > 0 && unknown === undefined) return known.filter((name) => names.includes(name));
  throw new UsageError(`Expected ${known.join(", ")} for --apps but received "${unknown ?? text}".`);
}

/** Reads the arguments. Throws UsageError for anything that is not as `kAppHelp` says. */
export function parseAppOptions(args: readonly string[]): AppOptions {
  const flags = readFlags(args);
  const trials = flags.quick ? 1 : kTrials;
  return {
    apps: parseApps(flags.apps),
    trials: flags.trials === undefined ? trials : parsePositiveInteger("--trials", flags.trials),
    rest: flags.rest ?? (flags.quick ? kQuickRest : kRest),
    quick: flags.quick,
    node: flags.node,
    out: flags.out,
    contenders: flags.contenders,
    libraries: flags.so,
    help: flags.help,
  };
}
