// Owns the options that stand before a command: which there are, and the settings that they stand for.
// Does not own what settings do (docs/environment.md). Thread rule: any.
import { resolve } from "node:path";

export class RunUsageError extends Error {}

export interface RunOptions {
  /** Environment variables that the options stand for. */
  settings: Record<string, string>;
  /** How many of the arguments are options: the command is behind them. */
  read: number;
}

interface Option {
  readonly variable: string;
  /** Its value in the environment. Throws RunUsageError. */
  valueOf(given: string): string;
}

function oneOf(option: string, ...allowed: string[]): Option["valueOf"] {
  return (given) => {
    if (allowed.includes(given)) return given;
    throw new RunUsageError(`Expected ${allowed.join(" or ")} for ${option} but received ${JSON.stringify(given)}.`);
  };
}

const kMaxPurgeDelayMs = 86_400_000;

function purgeDelay(given: string): string {
  if (given === "off" || (/^\d{1,9}$/.test(given) && Number(given) <= kMaxPurgeDelayMs)) return given;
  const range = `0 to ${kMaxPurgeDelayMs} milliseconds, or off,`;
  throw new RunUsageError(`Expected ${range} for --purge-delay but received ${JSON.stringify(given)}.`);
}

/** A child may have another working directory. */
function statsFile(given: string): string {
  if (given === "") throw new RunUsageError('Expected a path for --stats-file but received "".');
  return resolve(given);
}

const kValued: Readonly<Record<string, Option>> = {
  "--profile": { variable: "PAGERUN_PROFILE", valueOf: oneOf("--profile", "fast", "hardened") },
  "--on-misuse": { variable: "PAGERUN_ON_MISUSE", valueOf: oneOf("--on-misuse", "abort", "report") },
  "--purge-delay": { variable: "PAGERUN_PURGE_DELAY", valueOf: purgeDelay },
  "--stats-file": { variable: "PAGERUN_STATS_FILE", valueOf: statsFile },
};

export const kRunOptionsHelp = `  --profile fast|hardened   which checks (PAGERUN_PROFILE)
  --on-misuse abort|report  what follows a misuse of memory (PAGERUN_ON_MISUSE)
  --purge-delay MS|off      how long free memory stays before it is given back (PAGERUN_PURGE_DELAY)
  --report                  a summary on standard error when a process ends (PAGERUN_REPORT)
  --stats-file FILE         the same as JSON; %p in the name is the process (PAGERUN_STATS_FILE)
`;

/** Reads the options at the head of `args`, up to the first word that is none, or behind `--`. */
export function readRunOptions(args: readonly string[]): RunOptions {
  const settings: Record<string, string> = {};
  let read = 0;
  while (args[read]?.startsWith("-")) {
    const word = args[read++]!;
    if (word === "--") break;
    const [name, inWord] = splitOnce(word);
    if (name === "--report" && inWord === undefined) {
      settings.PAGERUN_REPORT = "1";
      continue;
    }
    if (!Object.hasOwn(kValued, name)) throw new RunUsageError(`There is no option ${word}.`);
    const value = inWord ?? args[read++];
    if (value === undefined) throw new RunUsageError(`Expected a value behind ${name}.`);
    settings[kValued[name]!.variable] = kValued[name]!.valueOf(value);
  }
  return { settings, read };
}

function splitOnce(word: string): [string, string | undefined] {
  const at = word.indexOf("=");
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}
