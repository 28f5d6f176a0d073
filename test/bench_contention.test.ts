// The contention bench: its options and points, what is read from a trial, the answers and curves, and a small real run.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { arenaPanels, choicePanel, drawPanel, Figures, lockPanel, panelsFile } from "../bench/contention/curves.js";
import { findingsOf, tablesOf } from "../bench/contention/findings.js";
import { asksForContention, parseContentionOptions } from "../bench/contention/options.js";
import {
  arenaCounts,
  kChoices,
  keyOf,
  kLocks,
  type Point,
  planPoints,
  pointOfTrial,
  threadCounts,
} from "../bench/contention/plan.js";
import { renderContention } from "../bench/contention/report.js";
import { type ContentionRow, findPoint, rowsOf, type Sample, sampleFrom } from "../bench/contention/rows.js";
import { UsageError } from "../bench/options.js";
import { spreadLabels, tickStep } from "../lib/figures/axis.js";
import { root } from "./tools/steps.js";

describe("the options", () => {
  test("the suite is asked for by name, and alone", () => {
    expect(asksForContention(["--suite", "contention"])).toBe(true);
    expect(asksForContention(["--suite=contention", "--quick"])).toBe(true);
    expect(asksForContention(["--suite", "core"])).toBe(false);
    expect(asksForContention([])).toBe(false);
    expect(() => asksForContention(["--suite", "core,contention"])).toThrow(UsageError);
  });

  test("numbers are sorted and each is there once", () => {
    const options = parseContentionOptions(["--threads", "8,1,2,2", "--arenas", "4", "--trials", "3"]);
    expect(options).toMatchObject({ threads: [1, 2, 8], arenas: [4], trials: 3, milliseconds: 60 });
    expect(parseContentionOptions(["--quick"])).toMatchObject({ trials: 1, milliseconds: 20, maxSeconds: 45 });
  });

  test.each([
    ["--threads", "0"],
    ["--arenas", "x"],
    ["--threads", "257"],
    ["--milliseconds", "20000"],
    ["--trials", "-1"],
    ["--what"],
  ])("%j is refused", (...args) => expect(() => parseContentionOptions(args)).toThrow(UsageError));
});

describe("the points", () => {
  test("the numbers of arenas are those that the notes ask for, on any machine", () => {
    expect(arenaCounts(2)).toEqual([1, 2, 4, 10, 20]);
    expect(arenaCounts(16)).toEqual([1, 10, 16, 32, 160]);
    expect(arenaCounts(64)).toEqual([1, 10, 64, 128]);
    expect(threadCounts(2)).toEqual([1, 2, 4, 8, 16]);
    expect(threadCounts(12)).toEqual([1, 2, 4, 8, 16, 24]);
  });

  test("every combination is a point once, and every other round goes backwards through all", () => {
    const points = planPoints([1, 2], [1, 4, 10]);
    expect(new Set(points.map(keyOf)).size).toBe(2 * 3 * kChoices.length * kLocks.length);
    expect(points).toHaveLength(2 * 3 * kChoices.length * kLocks.length);
    const rounds = Array.from({ length: 2 * points.length }, (_, trial) => pointOfTrial(points, trial));
    expect(rounds.slice(0, points.length)).toEqual(points);
    expect(rounds.slice(points.length)).toEqual([...points].reverse());
  });
});

describe("what a trial reports", () => {
  const line =
    '{"threads": 2, "seconds": 0.5, "operations": 1000, "takes": 2000, "waits": 500, "waited_seconds": 0.25}';

  test("is throughput, the share of the time waited, and the share of takes that were refused", () => {
    expect(sampleFrom(line)).toEqual({ operationsPerSecond: 2000, waitedShare: 0.25, refusedShare: 0.25 });
  });

  test.each([
    "",
    "{}",
    line.replace("1000", "0"),
    line.replace('"seconds": 0.5', '"seconds": 0'),
    line.replace("2000", '"x"'),
  ])("%j is no report", (output) => expect(() => sampleFrom(output)).toThrow());
});

/** A machine on which throughput is a plain function of the point, so that every answer is known beforehand. */
function sampleOf({ threads, arenas, choice, lock }: Point): Sample {
  const places = Math.min(arenas, 2);
  const rule = { modulo: 1, random: 0.5, "least-contended": 0.8 }[choice];
  const kind = { mutex: 0.9, adaptive: 1, spin: 0.7, ticket: 0.1 }[lock];
  const busy = Math.min(threads, places);
  return {
    operationsPerSecond: 1e6 * busy * rule * kind,
    waitedShare: 1 - busy / threads,
    refusedShare: threads > places ? 0.5 : 0,
  };
}

const points = planPoints([1, 2, 4], [1, 2, 10]);
const rows: ContentionRow[] = rowsOf(points, new Map(points.map((point) => [keyOf(point), [sampleOf(point)]])));

describe("the rows", () => {
  test("a row is the medians of its samples, each figure of its own", () => {
    const point = points[0]!;
    const samples = [1, 2, 9].map((value) => ({ operationsPerSecond: value, waitedShare: 1 / value, refusedShare: 0 }));
    const [row] = rowsOf([point, points[1]!], new Map([[keyOf(point), samples]]));
    expect(row).toMatchObject({ ...point, median: { operationsPerSecond: 2, waitedShare: 0.5 }, spread: 2 });
    expect(rowsOf([point, points[1]!], new Map([[keyOf(point), samples]]))).toHaveLength(1);
  });

  test("a point is found again by its values", () => {
    for (const point of points) expect(findPoint(rows, point)?.median).toEqual(sampleOf(point));
  });
});

describe("the answers", () => {
  const findings = findingsOf(rows);

  test("how many arenas: each number's share of the best one, for each number of threads", () => {
    const shares = Object.fromEntries(
      findings.arenas.map(({ threads, shares: all }) => [threads, all.map(({ share }) => share)]),
    );
    expect(shares).toEqual({ 1: [1, 1, 1], 2: [0.5, 1, 1], 4: [0.5, 1, 1] });
  });

  test("which rule and which lock: means of the shares of the best", () => {
    const round = (all: { name: string; share: number }[]) =>
      Object.fromEntries(all.map(({ name, share }) => [name, Number(share.toFixed(6))]));
    expect(round(findings.choices)).toEqual({ modulo: 1, random: 0.5, "least-contended": 0.8 });
    expect(round(findings.locks)).toEqual({ mutex: 0.9, adaptive: 1, spin: 0.7, ticket: 0.1 });
  });

  test("how long is waited, by the number of arenas and by the rule", () => {
    expect(findings.waits.map(({ shares }) => shares.map(({ share }) => share))).toEqual([
      [0, 0, 0],
      [0.5, 0, 0],
      [0.75, 0.5, 0.5],
    ]);
    expect(findings.mostThreads).toBe(4);
    expect(findings.waitsOfRules.map(({ choice, shares }) => [choice, shares.length])).toEqual(
      kChoices.map((choice) => [choice, 3]),
    );
  });

  test("the tables have them all", () => {
    const [arenas, waits, rules, choices, locks] = tablesOf(findings);
    expect(arenas?.rows).toEqual([
      ["threads \\ arenas", "1", "2", "10"],
      ["1", "100%", "100%", "100%"],
      ["2", "50%", "100%", "100%"],
      ["4", "50%", "100%", "100%"],
    ]);
    expect(waits?.rows.at(-1)).toEqual(["4", "75%", "50%", "50%"]);
    expect(rules?.rows).toContainEqual(["random", "75%", "50%", "50%"]);
    expect(choices?.rows).toContainEqual(["random", "50%"]);
    expect(locks?.rows).toContainEqual(["ticket", "10%"]);
  });

  test("points that were not measured leave gaps and no wrong figure", () => {
    const few = rows.filter(({ threads, lock }) => threads < 4 && lock === "adaptive");
    const tables = tablesOf(findingsOf(few));
    expect(JSON.stringify(tables)).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe("the curves", () => {
  const figures = new Figures(rows);
  const panels = [
    ...arenaPanels(figures, "modulo", "adaptive"),
    choicePanel(figures, 4, "adaptive"),
    lockPanel(figures, 1, "modulo"),
  ];

  test("have a line for each number of threads, rule or lock, with a value at each place", () => {
    expect(panels.map(({ lines }) => lines.length)).toEqual([3, 3, 3, 4]);
    expect(panels[0]?.lines.map(({ values }) => values)).toEqual([
      [1, 1, 1],
      [1, 2, 2],
      [1, 2, 2],
    ]);
    expect(panels[1]?.lines[2]?.values).toEqual([75, 50, 50]);
  });

  test("a higher value is drawn higher, at the place of its axis", () => {
    const drawn = drawPanel({
      title: "t",
      places: ["1", "2"],
      placesTitle: "p",
      unit: "u",
      lines: [{ name: "n", values: [1, 4] }],
    });
    const [first, second] = (/points="([^"]+)"/.exec(drawn)?.[1] ?? "")
      .split(" ")
      .map((point) => point.split(",").map(Number));
    expect(first![0]).toBeLessThan(second![0]!);
    // The axis begins at 0: four times the value is four times as far from the bottom.
    const bottom = 260;
    expect((bottom - second![1]!) / (bottom - first![1]!)).toBeCloseTo(4, 1);
  });

  test("a value that is missing is left out of its line", () => {
    const drawn = drawPanel({
      title: "t",
      places: ["1", "2", "3"],
      placesTitle: "p",
      unit: "u",
      lines: [{ name: "n", values: [1, undefined, 3] }],
    });
    expect(drawn.match(/<circle/g)).toHaveLength(2);
    expect(drawn).not.toContain("NaN");
  });

  test("labels keep their order and a line of text between them, and stay above the bottom", () => {
    const places = spreadLabels([100, 101, 50, 260], 14, 260);
    const sorted = [...places].sort((a, b) => a - b);
    expect(sorted.every((place, i) => i === 0 || place - sorted[i - 1]! >= 14)).toBe(true);
    expect(Math.max(...places)).toBeLessThanOrEqual(260);
    expect(places[0]).toBeLessThan(places[1]!);
  });

  test("lines of the grid stand at round numbers", () => {
    expect([0.9, 3, 17, 100, 42e6].map(tickStep)).toEqual([0.25, 1, 5, 25, 2e7]);
  });

  test("a file of panels and the report name every line and escape what they are given", () => {
    const file = panelsFile(panels);
    expect(file).toMatch(/^<svg xmlns=/);
    for (const name of [...kLocks, ...kChoices, "4 threads"]) expect(file).toContain(name);
    const machine = { processor: "<b>", cores: 2, memoryBytes: 2 ** 30, system: "s", kernel: "k", node: "n", v8: "v" };
    const page = renderContention({ rows, machine, trials: 1, milliseconds: 60, date: new Date(0) });
    expect(page).not.toContain("<b>");
    expect(page.match(/<tr>/g)!.length).toBeGreaterThan(rows.length);
  });
});

describe("a real run", () => {
  const out = mkdtempSync(join(tmpdir(), "pagerun-contention-"));
  let result: ReturnType<typeof spawnSync>;

  beforeAll(() => {
    const args = [
      "--suite",
      "contention",
      "--threads",
      "1,3",
      "--arenas",
      "1,2",
      "--trials",
      "1",
      "--milliseconds",
      "4",
      "--out",
      out,
    ];
    result = spawnSync(process.execPath, [join(root, "dist/bench/index.js"), ...args], {
      encoding: "utf8",
      timeout: 60_000,
    });
  });

  afterAll(() => rmSync(out, { recursive: true, force: true }));

  test("measures every point with real threads and prints the answers", () => {
    expect(result.status, String(result.stderr)).toBe(0);
    for (const title of ["How many arenas?", "Which rule?", "Which lock?"]) expect(result.stdout).toContain(title);
    const measured: ContentionRow[] = JSON.parse(readFileSync(join(out, "contention.json"), "utf8"));
    expect(measured.map(keyOf)).toEqual(planPoints([1, 3], [1, 2]).map(keyOf));
    for (const { median, threads } of measured) {
      expect(median.operationsPerSecond).toBeGreaterThan(0);
      expect(median.waitedShare).toBeGreaterThanOrEqual(0);
      if (threads === 1) expect(median).toMatchObject({ waitedShare: 0, refusedShare: 0 });
    }
  });

  test("writes the report and the curves", () => {
    expect(readFileSync(join(out, "contention.html"), "utf8")).toContain("<svg");
    expect(readFileSync(join(out, "contention.svg"), "utf8")).toContain("<polyline");
  });
});

describe("the program's command", () => {
  const contend = (...args: string[]) =>
    spawnSync(join(root, "build/Release/pagerun_bench"), ["contend", ...args], { encoding: "utf8", timeout: 20_000 });

  test.each([
    ["--lock", "none"],
    ["--choice", "first"],
    ["--origin", "here"],
    ["--threads", "257"],
    ["--arenas", "1025"],
    ["--threads", "0"],
  ])("contend %s %s is refused", (...args) => {
    const { status, stderr } = contend(...args);
    expect(status).toBe(2);
    expect(stderr).toContain("pagerun_bench");
  });

  test("contend prints one line that says what it was asked and what it saw", () => {
    const args = [
      "--threads",
      "2",
      "--arenas",
      "3",
      "--choice",
      "random",
      "--lock",
      "spin",
      "--origin",
      "address",
      "--milliseconds",
      "5",
    ];
    const report = JSON.parse(contend(...args).stdout);
    expect(report).toMatchObject({ threads: 2, arenas: 3, choice: "random", lock: "spin", origin: "address" });
    expect(report.takes).toBeGreaterThan(2 * report.operations);
  });
});
