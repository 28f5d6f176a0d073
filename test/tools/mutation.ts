// The seeded faults of test/mutations: how a fault is written down, read and applied. Owns the format; runs nothing.
//
//   # name
//   what the fault is, in a sentence
//   in native/core/page.h
//   under ThreadSanitizer                        only where no other build can see it
//   killed by page_test: words of a sentence; model_test
//   -lines of the file as they are
//   +lines that take their place
//
// Spaces at the ends of lines do not count, so that a new indentation leaves a fault as it is. A fault may change
// several places of one file, one behind the other.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Killer {
  /** A program of test/native. */
  program: string;
  /** Words of the sentences of the tests that are run; empty: all of the program. */
  filter: string;
}

export interface Change {
  from: readonly string[];
  to: readonly string[];
}

export interface Mutation {
  name: string;
  says: string;
  file: string;
  underThreadSanitizer: boolean;
  killers: readonly Killer[];
  changes: readonly Change[];
}

const folder = "test/mutations";

function killersOf(text: string): Killer[] {
  return text.split(";").map((part) => {
    const [program = "", filter = ""] = part.split(":");
    return { program: program.trim(), filter: filter.trim() };
  });
}

function changesOf(lines: readonly string[]): Change[] {
  const changes: { from: string[]; to: string[] }[] = [];
  let previous = "+";
  for (const line of lines) {
    const mark = line[0] ?? "";
    if (mark === "-" && previous === "+") changes.push({ from: [], to: [] });
    changes.at(-1)?.[mark === "-" ? "from" : "to"].push(line.slice(1));
    previous = mark;
  }
  return changes;
}

function mutationOf(text: string): Mutation {
  const [name = "", says = "", ...rest] = text.trim().split("\n");
  const after = (start: string) => rest.find((line) => line.startsWith(start))?.slice(start.length) ?? "";
  return {
    name,
    says,
    file: after("in "),
    underThreadSanitizer: rest.includes("under ThreadSanitizer"),
    killers: killersOf(after("killed by ")),
    changes: changesOf(rest.filter((line) => /^[-+]/.test(line))),
  };
}

/** Every fault, by file and then as it is written. */
export function readMutations(root: string): Mutation[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".txt"))
    .sort()
    .flatMap((name) => `\n${readFileSync(join(root, folder, name), "utf8")}`.split("\n# ").slice(1))
    .map(mutationOf);
}

/** Indexes of the lines at which `wanted` begins. */
function placesOf(wanted: readonly string[], lines: readonly string[]): number[] {
  return lines.map((_, at) => at).filter((at) => wanted.every((want, i) => lines[at + i]?.trim() === want.trim()));
}

/** The text with the fault in it; throws when a place of it is not there exactly once. */
export function applied({ name, file, changes }: Mutation, text: string): string {
  const lines = text.split("\n");
  for (const { from, to } of changes) {
    const places = placesOf(from, lines);
    if (places.length !== 1) throw new Error(`${name}: ${places.length} places in ${file} read\n${from.join("\n")}`);
    lines.splice(places[0] as number, from.length, ...to);
  }
  return lines.join("\n");
}
