// The command `npm run bench:instructions`: instructions of single operations through the symbols of the library, as
// callgrind counts them, beside those in bench/instructions.txt. Owns that file's format and when a figure has changed.
// A count does not depend on what else the machine does: a change of the fast paths shows in review as a changed line.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { costsOfCalls } from "./callgrind.js";
import { isWriting } from "./write-option.js";

export interface Figures {
  /** Compiler and architecture that the figures are of. */
  build: string;
  /** Instructions by operation. */
  counts: Map<string, number>;
}

export interface Places {
  benchProgram: string;
  library: string;
}

interface Operation {
  operation: string;
  functions: string[];
  rounds: number;
}

/** Shares by which a count may differ: from a file of the same compiler, and of another one. */
export const kSameCompiler = 0.02;
export const kOtherCompiler = 0.25;

const kHelp = `usage: npm run bench:instructions [-- --write]

Counts the instructions of single operations with callgrind, and prints them beside those of bench/instructions.txt.
Ends with 1 when one differs by more than ${kSameCompiler * 100} % (${kOtherCompiler * 100} % where the file is of another compiler), and by one
instruction or more.

  --write   rewrites the file
`;

const kPreface = `# Instructions that one operation takes inside the functions of libpagerun.so, counted by callgrind.
# Written by: npm run bench:instructions -- --write
`;

/** Counts on this machine. Throws when valgrind is missing or the program does not end well. */
export function countInstructions({ benchProgram, library }: Places): Figures {
  const directory = mkdtempSync(join(tmpdir(), "pagerun-"));
  try {
    const file = join(directory, "callgrind.out");
    const options = ["--tool=callgrind", "--compress-strings=no", "--compress-pos=no", `--callgrind-out-file=${file}`];
    const { status, stdout, stderr, error } = spawnSync("valgrind", [...options, benchProgram, "instructions"], {
      env: { ...process.env, LD_PRELOAD: library },
      encoding: "utf8",
    });
    if (error) throw new Error("Expected valgrind in PATH (apt-get install valgrind).", { cause: error });
    if (status !== 0) throw new Error(`The count ended with ${status}:\n${stderr}`);
    return { build: buildOf(benchProgram), counts: countsOf(JSON.parse(stdout), readFileSync(file, "utf8")) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function buildOf(benchProgram: string): string {
  return `${execFileSync(benchProgram, ["compiler"], { encoding: "utf8" }).trim()}, ${process.arch}`;
}

/** Instructions a round of each operation, of what callgrind wrote. */
export function countsOf(operations: readonly Operation[], text: string): Map<string, number> {
  const costs = costsOfCalls(text);
  return new Map(
    operations.map(({ operation, functions, rounds }) => {
      const found = functions.map((name) => {
        const cost = costs.get(name);
        if (cost === undefined) throw new Error(`No calls from ${name} were counted.`);
        return cost;
      });
      return [operation, Math.round((found.reduce((sum, cost) => sum + cost, 0) / rounds) * 10) / 10];
    }),
  );
}

/** The file's text. */
export function formatFigures({ build, counts }: Figures): string {
  const width = Math.max(...[...counts.keys()].map((name) => name.length));
  const lines = [...counts].map(([name, count]) => `${name.padEnd(width)}  ${count.toFixed(1).padStart(8)}`);
  return `${kPreface}compiler: ${build}\n\n${lines.join("\n")}\n`;
}

export function parseFigures(text: string): Figures {
  const counts = [...text.matchAll(/^(?!#)(\S.*?) {2,}(\d+\.\d)$/gm)].map(
    ([, name, count]) => [name as string, Number(count)] as const,
  );
  return { build: /^compiler: (.*)$/m.exec(text)?.[1] ?? "", counts: new Map(counts) };
}

/** What a reader of a changed figure wants to know, a line an operation that changed; none when all is as it was. */
export function changes(expected: Figures, actual: Figures): string[] {
  const share = expected.build === actual.build ? kSameCompiler : kOtherCompiler;
  const names = new Set([...expected.counts.keys(), ...actual.counts.keys()]);
  return [...names].flatMap((name) => {
    const [before, now] = [expected.counts.get(name), actual.counts.get(name)];
    if (before === undefined || now === undefined)
      return [`${name}: only ${now === undefined ? "in the file" : "here"}`];
    const isSame = Math.abs(now - before) < Math.max(1, before * share);
    return isSame ? [] : [`${name}: ${before} in the file, ${now} here`];
  });
}

function print(expected: Figures, actual: Figures): void {
  console.log(`in the file: ${expected.build}\nhere:        ${actual.build}\n`);
  for (const [name, count] of actual.counts) {
    const before = expected.counts.get(name)?.toFixed(1) ?? "none";
    console.log(`${name.padEnd(44)} ${before.padStart(9)} ${count.toFixed(1).padStart(9)}`);
  }
}

function main(args: readonly string[]): number {
  const isWritten = isWriting(args, kHelp);
  const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));
  const file = join(root, "bench", "instructions.txt");
  const release = join(root, "build", "Release");
  const actual = countInstructions({
    benchProgram: join(release, "pagerun_bench"),
    library: join(release, "libpagerun.so"),
  });
  const expected = parseFigures(existsSync(file) ? readFileSync(file, "utf8") : "");
  print(expected, actual);
  if (isWritten) writeFileSync(file, formatFigures(actual));
  const changed = isWritten ? [] : changes(expected, actual);
  for (const line of changed) console.error(`changed: ${line}`);
  return changed.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(main(process.argv.slice(2)));
