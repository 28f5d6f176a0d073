// The command `npm run misuse`: every misuse and every property on pagerun in both profiles, on libc and on whatever
// library is given. Owns what an ending means there, what is expected of pagerun, and the table; the cases are in
// bench/misuse/, each run in a process of its own.
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type PreloadContender, preloadEnvironment, provePreload } from "./contenders.js";
import { listCases, type MisuseCase } from "./misuse.js";
import { UsageError } from "./options.js";

/** What comes of a case. */
export const kTableEndings = {
  caught: "the allocator notices and ends the process, or has put the memory out of reach",
  unnoticed: "nothing is said, and nothing came of it",
  corrupted: "nothing is said; malloc hands out what somebody holds or what is no heap's, or a secret is read",
  crashed: "a signal ends the process at a place of no one's choice",
  hung: "the process does not end",
  passed: "the property holds",
  failed: "the property does not hold",
  "n/a": "the allocator has no such call",
} as const;
export type TableEnding = keyof typeof kTableEndings;

export interface TableOutcome {
  ending: TableEnding;
  /** The first line on standard error, without addresses. */
  message: string;
}

export interface TableContender extends PreloadContender {
  profile?: "fast" | "hardened";
}

export interface Row {
  misuse: MisuseCase;
  outcomes: Record<string, TableOutcome>;
}

/** Longest that a case may take; the slowest take a second or two. */
const kLimitMs = 30_000;

const kWords: Record<string, TableEnding> = {
  unharmed: "unnoticed",
  "two-owners": "corrupted",
  "foreign-memory": "corrupted",
  leaked: "corrupted",
  passed: "passed",
  failed: "failed",
  "n/a": "n/a",
};

const kFaultMark = "fault expected ";
const kFaults = ["SIGSEGV", "SIGBUS"];

function endingOf(stdout: string, status: number | null, signal: NodeJS.Signals | null): TableEnding | undefined {
  const isFaultExpected = stdout.startsWith(kFaultMark);
  const word = kWords[isFaultExpected ? stdout.slice(kFaultMark.length) : stdout];
  if (status === 0) return word;
  if (signal === "SIGKILL") return "hung";
  if (signal === "SIGABRT") return "caught";
  if (signal === null) return undefined;
  return isFaultExpected && kFaults.includes(signal) ? "caught" : "crashed";
}

/** Runs one case on one allocator. Throws when the program itself did not do what it was told. */
export function runCase(program: string, misuse: MisuseCase, contender: TableContender): TableOutcome {
  const { status, signal, stdout, stderr } = spawnSync(program, [misuse.name], {
    encoding: "utf8",
    env: preloadEnvironment(contender),
    timeout: kLimitMs,
    killSignal: "SIGKILL",
  });
  const message = stderr.split("\n")[0]?.replaceAll(/0x[0-9a-f]+/g, "0x…") ?? "";
  const ending = endingOf(stdout, status, signal);
  if (ending === undefined) {
    throw new Error(`The case ${misuse.name} on ${contender.name} ended with ${status}, "${stdout}": ${stderr}`);
  }
  const isProperty = misuse.group === "property";
  if (isProperty && (ending === "caught" || ending === "crashed")) return { ending: "failed", message };
  return { ending, message };
}

/** To every allocator this is the free of a live block. */
const kUndecidable = "double-free-after-reuse";

/** What is expected of pagerun; undefined where nothing is. */
export function expectedOf(
  { name, group, isHarmlessEnough }: MisuseCase,
  profile: TableContender["profile"],
): readonly TableEnding[] | undefined {
  if (profile === undefined || name === kUndecidable) return undefined;
  if (group === "property") return ["passed"];
  if (group === "free") return ["caught"];
  if (group === "attack") return ["caught", "unnoticed"];
  if (profile === "hardened") return isHarmlessEnough ? ["caught", "unnoticed"] : ["caught"];
  return name.startsWith("overwrite-freed") ? ["unnoticed"] : undefined;
}

/** A line for each expectation that is broken. */
export function brokenExpectations(rows: readonly Row[], contenders: readonly TableContender[]): string[] {
  return rows.flatMap(({ misuse, outcomes }) =>
    contenders.flatMap(({ name, profile }) => {
      const expected = expectedOf(misuse, profile);
      const outcome = outcomes[name];
      if (expected === undefined || outcome === undefined || expected.includes(outcome.ending)) return [];
      const said = outcome.message === "" ? "" : ` (${outcome.message})`;
      return [`${misuse.name} on ${name}: expected ${expected.join(" or ")}, but it ${verbOf(outcome.ending)}${said}`];
    }),
  );
}

function verbOf(ending: TableEnding): string {
  const verbs: Partial<Record<TableEnding, string>> = { caught: "was caught", unnoticed: "went unnoticed" };
  return verbs[ending] ?? (ending === "corrupted" ? "was corrupted" : ending);
}

const kGroupTitles: Record<MisuseCase["group"], string> = {
  free: "wrong pointers and sizes",
  attack: "attacks, and a look at who owns what",
  damage: "writes and reads where there is no block",
  property: "what malloc owes its callers",
};

/** The table as text: a line a case, a column an allocator, and a line of sums for each group. */
export function formatTable(rows: readonly Row[], contenders: readonly TableContender[]): string {
  const heads = Object.values(kGroupTitles).map((title) => `${title} (${rows.length})`);
  const first = Math.max(...[...heads, ...rows.map(({ misuse }) => misuse.title)].map(({ length }) => length)) + 2;
  const widths = contenders.map(({ name }) => Math.max(name.length, 9) + 2);
  const line = (title: string, cells: readonly string[]) =>
    (title.padEnd(first) + cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("")).trimEnd();
  const lines: string[] = [];
  for (const [group, title] of Object.entries(kGroupTitles)) {
    const ofGroup = rows.filter(({ misuse }) => misuse.group === group);
    if (ofGroup.length === 0) continue;
    const names = contenders.map(({ name }) => name);
    lines.push(line(`${title} (${ofGroup.length})`, names));
    for (const { misuse, outcomes } of ofGroup) {
      lines.push(
        line(
          misuse.title,
          contenders.map(({ name }) => outcomes[name]?.ending ?? ""),
        ),
      );
    }
    const good = group === "property" ? "passed" : "caught";
    const sums = names.map((name) => ofGroup.filter(({ outcomes }) => outcomes[name]?.ending === good).length);
    lines.push(line(`${good}, of ${ofGroup.length}`, sums.map(String)), "");
  }
  return lines.join("\n");
}

/** pagerun in both profiles, libc, and the libraries given as name=path. */
export function tableContenders(release: string, libraries: readonly string[]): TableContender[] {
  const library = join(release, "libpagerun.so");
  const own = (name: string, profile: "fast" | "hardened"): TableContender => ({
    name,
    library,
    version: "",
    profile,
    environment: { PAGERUN_PROFILE: profile },
  });
  const given = libraries.map((text): TableContender => {
    const [, name, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (name === undefined || path === undefined) throw new UsageError(`Expected --so name=path but received ${text}.`);
    if (!existsSync(path)) throw new UsageError(`Expected a shared library for --so ${name} but ${path} is not there.`);
    return { name, library: resolve(path), version: "" };
  });
  const libc = { name: "libc", library: undefined, version: "" };
  return [own("pagerun", "fast"), own("hardened", "hardened"), libc, ...given];
}

const kHelp = `usage: npm run misuse [-- options]

Runs every misuse of memory, and every property that malloc has to have, on pagerun in both profiles, on libc and on the
libraries given, each case in a process of its own. Prints a table, and ends with 1 when an expectation of pagerun is broken.

  --so name=path        one more allocator, by preload; as often as you like
  --only a,b            only these cases, or groups: attack, free, damage, property
  --contenders a,b      only these: pagerun, hardened, libc, and the names of --so
  --json FILE           the outcomes as JSON as well
  --list                the cases, without running them
  --help
`;

function readOptions(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        so: { type: "string", multiple: true },
        only: { type: "string" },
        contenders: { type: "string" },
        json: { type: "string" },
        list: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Those that are named, in `wanted` as a list with commas; all when it is undefined. */
function pick<T>(all: readonly T[], wanted: string | undefined, namesOf: (one: T) => readonly string[]): T[] {
  if (wanted === undefined) return [...all];
  const names = wanted.split(",");
  for (const name of names) {
    if (!all.some((one) => namesOf(one).includes(name))) throw new UsageError(`Nothing here is named ${name}.`);
  }
  return all.filter((one) => namesOf(one).some((name) => names.includes(name)));
}

function runTable(program: string, cases: readonly MisuseCase[], contenders: readonly TableContender[]): Row[] {
  return cases.map((misuse, i) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${i + 1} of ${cases.length}: ${misuse.name}`);
    const outcomes = contenders.map((contender) => [contender.name, runCase(program, misuse, contender)] as const);
    return { misuse, outcomes: Object.fromEntries(outcomes) };
  });
}

function main(args: readonly string[]): number {
  const options = readOptions(args);
  if (options.help) {
    process.stdout.write(kHelp);
    return 0;
  }
  const release = resolve(fileURLToPath(new URL("../..", import.meta.url)), "build", "Release");
  const program = join(release, "pagerun_misuse");
  if (!existsSync(program)) throw new UsageError(`Expected ${program}. Run "npm run build" first.`);
  const cases = pick(listCases(program), options.only, ({ name, group }) => [name, group]);
  if (options.list) {
    for (const { name, group, title } of cases) console.log(`${group.padEnd(10)}${name.padEnd(32)}${title}`);
    return 0;
  }
  const contenders = pick(tableContenders(release, options.so ?? []), options.contenders, ({ name }) => [name]);
  for (const contender of contenders) provePreload(join(release, "pagerun_bench"), contender);
  const rows = runTable(program, cases, contenders);
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  console.log(formatTable(rows, contenders));
  for (const [ending, meaning] of Object.entries(kTableEndings)) console.log(`  ${ending}: ${meaning}`);
  const broken = brokenExpectations(rows, contenders);
  console.log(
    broken.length === 0 ? "\nEvery expectation of pagerun holds." : `\nBroken expectations:\n${broken.join("\n")}`,
  );
  if (options.json !== undefined) {
    const records = rows.map(({ misuse, outcomes }) => ({ ...misuse, outcomes }));
    writeFileSync(
      options.json,
      `${JSON.stringify({ contenders: contenders.map(({ name }) => name), cases: records, broken }, null, 2)}\n`,
    );
  }
  return broken.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}
