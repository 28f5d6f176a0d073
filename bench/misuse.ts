// The command `npm run bench:misuse`: attacks on each allocator, the textbook's among them, as a table. Owns which
// allocators are compared and what an ending means; the cases are in bench/misuse/attack_cases.cc, each run in a process
// of its own. (`npm run misuse` has many more, and expectations: misuse-table.ts.)
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type PreloadContender, preloadEnvironment } from "./contenders.js";
import { isWriting } from "./write-option.js";

/** What came of a misuse, worst first. */
export const kEndings = {
  "foreign memory": "malloc hands out memory of the attacker's choice, which is no heap's",
  "two owners": "malloc hands out memory that somebody else holds",
  crash: "a signal ends the process at a place of no one's choice",
  hang: "malloc does not return",
  stopped: "the allocator notices and ends the process",
  unharmed: "the heap is as it was: every later block is its owner's alone",
} as const;
export type Ending = keyof typeof kEndings;

export interface MisuseCase {
  name: string;
  group: "attack" | "free" | "damage" | "property";
  title: string;
  /** Nothing need be noticed, as long as nothing came of it. */
  isHarmlessEnough: boolean;
}

export interface Outcome {
  ending: Ending;
  /** What the allocator said, without addresses; empty when it said nothing. */
  message: string;
}

/** Longest that a case may take that takes milliseconds when malloc returns. */
const kLimitMs = 5_000;

/** The allocators of the table, in its order. */
export function misuseContenders(release: string): PreloadContender[] {
  const library = join(release, "libtextbook.so");
  const textbook = (name: string, environment: Record<string, string>): PreloadContender => ({
    name,
    library,
    version: "",
    environment,
  });
  return [
    textbook("free list", { PAGERUN_TEXTBOOK: "free-list" }),
    textbook("arenas, id in the header", { PAGERUN_TEXTBOOK: "arenas", PAGERUN_TEXTBOOK_ORIGIN: "header" }),
    textbook("arenas, by address", { PAGERUN_TEXTBOOK: "arenas", PAGERUN_TEXTBOOK_ORIGIN: "address" }),
    textbook("bucket pages", { PAGERUN_TEXTBOOK: "bucket-pages" }),
    { name: "pagerun", library: join(release, "libpagerun.so"), version: "" },
    { name: "libc", library: undefined, version: "" },
  ];
}

/** Every case of the program. */
export function listCases(misuseProgram: string): MisuseCase[] {
  return JSON.parse(execFileSync(misuseProgram, ["--list"], { encoding: "utf8" })) as MisuseCase[];
}

/** Those of the table in docs/misuse.md. */
export function listMisuses(misuseProgram: string): MisuseCase[] {
  return listCases(misuseProgram).filter(({ group }) => group === "attack");
}

const kWords: Record<string, Ending> = {
  "foreign-memory": "foreign memory",
  "two-owners": "two owners",
  unharmed: "unharmed",
};

/** Runs one case on one allocator. Throws when the program itself did not do what it was told. */
export function runMisuse(misuseProgram: string, name: string, contender: PreloadContender): Outcome {
  const { status, signal, stdout, stderr } = spawnSync(misuseProgram, [name], {
    encoding: "utf8",
    env: preloadEnvironment(contender),
    timeout: kLimitMs,
    killSignal: "SIGKILL",
  });
  const message = stderr.split("\n")[0]?.replaceAll(/0x[0-9a-f]+/g, "0x…") ?? "";
  const ending = kWords[stdout];
  if (status === 0 && ending !== undefined) return { ending, message };
  if (signal === "SIGKILL") return { ending: "hang", message };
  if (signal === "SIGABRT") return { ending: "stopped", message };
  if (signal !== null) return { ending: "crash", message };
  throw new Error(`The case ${name} on ${contender.name} ended with ${status}: ${stderr}`);
}

/** The table in Markdown: a line a case, a column an allocator. */
export function formatMisuses(
  cases: readonly MisuseCase[],
  contenders: readonly PreloadContender[],
  outcome: (name: string, contender: PreloadContender) => Outcome,
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const body = cases.map(({ name, title }) =>
    line([title, ...contenders.map((contender) => outcome(name, contender).ending)]),
  );
  const head = ["what the program does", ...contenders.map(({ name }) => name)];
  return [line(head), line(head.map(() => "---")), ...body].join("\n");
}

const kStart = "<!-- the table of npm run bench:misuse -->";
const kEnd = "<!-- its end -->";

/** The table that a page holds. */
export function tableIn(page: string): string {
  return page.split(kStart)[1]?.split(kEnd)[0]?.trim() ?? "";
}

function withTable(page: string, table: string): string {
  const [before, rest] = page.split(kStart) as [string, string];
  return `${before}${kStart}\n\n${table}\n\n${kEnd}${rest.split(kEnd)[1]}`;
}

const kHelp = `usage: npm run bench:misuse [-- --write]

Misuses memory in the same ways on each allocator, every case in a process of its own, and prints what came of it.

  --write   puts the table into docs/misuse.md
`;

function main(args: readonly string[]): void {
  const isWritten = isWriting(args, kHelp);
  const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));
  const release = join(root, "build", "Release");
  const program = join(release, "pagerun_misuse");
  if (!existsSync(program)) throw new Error(`Expected ${program}. Run "npm run build" first.`);
  const table = formatMisuses(listMisuses(program), misuseContenders(release), (name, contender) =>
    runMisuse(program, name, contender),
  );
  const endings = Object.entries(kEndings).map(([ending, meaning]) => `  ${ending}: ${meaning}`);
  console.log(`${table}\n\n${endings.join("\n")}`);
  const page = join(root, "docs", "misuse.md");
  if (isWritten) writeFileSync(page, withTable(readFileSync(page, "utf8"), table));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
