// One word for one thing: names that the house does not use, words that no finished file holds, and file lengths.
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { identifiersOf, wordsOf } from "./code-text.js";
import { codeFiles, documents, exists, filesBelow, read } from "./tree.js";

/** Read from native/README.md, where a reader finds them too. */
const forbiddenNames = (/^Not used in names: (.+)\.$/m.exec(read("native/README.md"))?.[1] ?? "").split(", ");

/** Names of others that hold such a word, with the reason. */
const allowedNames = new Map<string, string>([]);

/** Built from halves, so that this file passes its own check. */
const unfinishedWords = ["TO" + "DO", "FIX" + "ME", "X" + "XX", "place" + "holder"];

function forbiddenIn(file: string, text: string): string[] {
  const words = new Set(forbiddenNames.flatMap((word) => [word, `${word}s`]));
  return identifiersOf(text)
    .filter(({ name }) => !allowedNames.has(name) && wordsOf(name).some((word) => words.has(word)))
    .map(({ line, name }) => `${file}:${line}: ${name}`);
}

describe("words", () => {
  test("no name in native/ and lib/ uses a synonym that the house has given up", () => {
    expect(forbiddenNames).toContain("chunk");
    expect(forbiddenNames).toHaveLength(8);
    const files = [...filesBelow("native", /\.(cc|h)$/), ...filesBelow("lib", /\.ts$/)];
    expect(files.flatMap((file) => forbiddenIn(file, read(file)))).toEqual([]);
  });

  test("the rule finds such a word inside a name, and leaves comments and strings alone", () => {
    expect(forbiddenIn("a.cc", "int free_slots_ = 0;\n")).toEqual(["a.cc:1: free_slots_"]);
    expect(forbiddenIn("a.ts", "\nclass BufferPool {}\n")).toEqual(["a.ts:2: BufferPool"]);
    expect(forbiddenIn("a.ts", 'const a = "a pool"; // a pool\n')).toEqual([]);
    expect(forbiddenIn("a.ts", "const spandrel = spanning;\n")).toEqual([]);
  });

  test("nothing is marked as unfinished", () => {
    const words = new RegExp(`\\b(${unfinishedWords.join("|")})\\b`, "i");
    const marked = [...codeFiles(), ...documents()].filter((file) => words.test(read(file)));
    expect(marked).toEqual([]);
  });

  test("no file of native/ or lib/ is longer than 500 lines", () => {
    const files = [...filesBelow("native", /\.(cc|h)$/), ...filesBelow("lib", /\.ts$/)];
    const long = files
      .map((file) => `${file}: ${read(file).split("\n").length - 1}`)
      .filter((line) => {
        return Number(line.split(": ")[1]) > 500;
      });
    expect(long).toEqual([]);
  });

  test("every file of code opens with a comment that says what it is, or with its header, which does", () => {
    const files = codeFiles().filter((file) => /\.(cc|h|ts|mjs)$/.test(file));
    expect(files.filter((file) => !opensWithComment(file, read(file)))).toEqual([]);
  });
});

function opensWithComment(file: string, text: string): boolean {
  if (/^(#!.*\n)?(\/\/|\/\*)/.test(text)) return true;
  const header = file.replace(/\.cc$/, ".h");
  const isOwnHeader = text.startsWith(`#include "${basename(header)}"\n`);
  return isOwnHeader && header !== file && exists(header) && opensWithComment(header, read(header));
}
