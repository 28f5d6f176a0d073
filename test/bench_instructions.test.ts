// The instructions that single operations take are those of bench/instructions.txt; and how that is found out.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { costsOfCalls } from "../bench/callgrind.js";
import {
  changes,
  countInstructions,
  countsOf,
  type Figures,
  formatFigures,
  kOtherCompiler,
  kSameCompiler,
  parseFigures,
} from "../bench/instructions.js";
import { root } from "./tools/steps.js";
import { ensure } from "./tools/system-tools.js";

const kBuild = "g++ 12.2.0, x64";
const figuresOf = (counts: Record<string, number>, build = kBuild): Figures => ({
  build,
  counts: new Map(Object.entries(counts)),
});

describe("the counts of callgrind", () => {
  const text = [
    "fn=counted_a",
    "0 15",
    "cob=/lib/x.so",
    "cfn=malloc",
    "calls=1 0 ",
    "0 20",
    "0 7996",
    "cfn=free",
    "calls=1999 0 ",
    "0 300",
    "",
    "fn=other",
    "0 7",
    "fn=counted_a",
    "calls=2 0",
    "0 80",
  ].join("\n");

  test("are those of the calls from a function, without its own", () => {
    expect([...costsOfCalls(text)]).toEqual([["counted_a", 400]]);
  });

  test("are divided by the rounds, and a function that was never called is an error", () => {
    expect([...countsOf([{ operation: "a", functions: ["counted_a"], rounds: 16 }], text)]).toEqual([["a", 25]]);
    expect(() => countsOf([{ operation: "b", functions: ["counted_b"], rounds: 1 }], text)).toThrow("counted_b");
  });
});

describe("the file of figures", () => {
  test("is read as it was written", () => {
    const figures = figuresOf({ "malloc(24) + free": 50, "free, by another thread": 123.4 });
    expect(parseFigures(formatFigures(figures))).toEqual(figures);
  });

  test.each([
    { what: "the same", now: 50, build: kBuild, changed: 0 },
    { what: "less than an instruction", now: 50.9, build: kBuild, changed: 0 },
    {
      what: "an instruction more, which is above the tolerance",
      now: 50 * (1 + kSameCompiler),
      build: kBuild,
      changed: 1,
    },
    { what: "an instruction less", now: 49, build: kBuild, changed: 1 },
    { what: "more, of another compiler", now: 60, build: "g++ 15.1.0, x64", changed: 0 },
    { what: "far more, of another compiler", now: 50 * (1 + kOtherCompiler), build: "g++ 15.1.0, x64", changed: 1 },
  ])("$what", ({ now, build, changed }) => {
    expect(changes(figuresOf({ a: 50 }), figuresOf({ a: now }, build))).toHaveLength(changed);
  });

  test("an operation that is new or gone is a change", () => {
    expect(changes(figuresOf({ a: 1 }), figuresOf({ b: 1 }))).toEqual(["a: only in the file", "b: only here"]);
  });
});

describe("the library as it ships", () => {
  const expected = parseFigures(readFileSync(`${root}/bench/instructions.txt`, "utf8"));
  let actual: Figures;

  beforeAll(() => {
    if (ensure(["valgrind"]).length > 0) throw new Error("valgrind is missing");
    const release = `${root}/build/Release`;
    actual = countInstructions({ benchProgram: `${release}/pagerun_bench`, library: `${release}/libpagerun.so` });
  });

  test("takes the instructions that the file says", () => {
    expect(actual.counts.size).toBeGreaterThanOrEqual(10);
    expect(changes(expected, actual)).toEqual([]);
  });

  test("takes at most 50 instructions for malloc(24) and free together", () => {
    expect(expected.counts.get("malloc(24) + free")).toBeLessThanOrEqual(50);
    if (actual.build === expected.build) expect(actual.counts.get("malloc(24) + free")).toBeLessThanOrEqual(50);
  });
});
