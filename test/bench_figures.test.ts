// The bench's figures: statistics, rows, sections and their means, and the order of trials.
import { describe, expect, test } from "vitest";
import { calibrateWork, lengthenWork, roundToPowerOfTwo } from "../bench/calibrate.js";
import { parseTrialReport, type Row, rowsFromResults, type TrialResult } from "../bench/rows.js";
import { groupJobs } from "../bench/schedule.js";
import { baselineNotes, cellOf, headlinesOf, meanOf, sectionsOf } from "../bench/sections.js";
import type { Job } from "../bench/trial.js";
import { orderForRound } from "../lib/figures/rounds.js";
import { geometricMean, median, percentile, ratio, spread } from "../lib/figures/statistics.js";

function row(workload: string, contender: string, trials: number[], metric: Row["metric"] = "time"): Row {
  const suite = workload.startsWith("trace") ? "traces" : workload.startsWith("js") ? "js" : "core";
  return { suite, workload, contender, metric, unit: "s", trials, median: median(trials) };
}

describe("statistics", () => {
  test("the median is the middle value, or the mean of the two middle ones, in any order", () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(median([])).toBeNaN();
  });

  test("the median leaves its input as it was", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  test("the spread is the whole range, and half of it over the median", () => {
    expect(spread([9, 10, 12])).toEqual({ min: 9, max: 12, relative: 0.15 });
    expect(spread([0, 0]).relative).toBe(0);
  });

  test("a ratio needs two figures and a positive baseline", () => {
    expect(ratio(3, 2)).toBe(1.5);
    expect(ratio(3, 0)).toBeUndefined();
    expect(ratio(undefined, 2)).toBeUndefined();
    expect(ratio(Number.NaN, 2)).toBeUndefined();
  });

  test("the geometric mean of twice and half is 1", () => {
    expect(geometricMean([2, 0.5])).toBeCloseTo(1);
    expect(geometricMean([8, 1])).toBeCloseTo(Math.sqrt(8));
    expect(geometricMean([])).toBeUndefined();
    expect(geometricMean([1, 0])).toBeUndefined();
  });

  test("a percentile is a value that was measured", () => {
    const sorted = Float64Array.from({ length: 1000 }, (_, index) => index + 1);
    expect(percentile(sorted, 0.5)).toBe(500);
    expect(percentile(sorted, 0.999)).toBe(999);
    expect(percentile([7], 0.99)).toBe(7);
    expect(percentile([], 0.5)).toBeNaN();
  });
});

describe("rows", () => {
  const report = { workload: "w", ops: 10, time: 2, ns_per_op: 2e8, p50_ns: null, peak_rss: 4096, rest_rss: 0 };
  const result = (contender: string, time: number): TrialResult => ({
    suite: "core",
    workload: "w",
    contender,
    kind: "time",
    report: { ...report, time },
  });

  test("trials of one figure become one row with their median", () => {
    const rows = rowsFromResults([result("libc", 2), result("pagerun", 1), result("libc", 4), result("libc", 3)]);
    expect(rows.find((found) => found.contender === "libc" && found.metric === "time")).toEqual({
      suite: "core",
      workload: "w",
      contender: "libc",
      metric: "time",
      unit: "s",
      trials: [2, 4, 3],
      median: 3,
    });
    expect(rows.map((found) => found.metric)).toEqual(
      Array(2).fill(["time", "ns_per_op", "peak_rss", "rest_rss"]).flat(),
    );
  });

  test("a figure that was not measured has no row, and 0 is a figure", () => {
    const rows = rowsFromResults([result("libc", 2)]);
    expect(rows.some((found) => found.metric === "p50_ns")).toBe(false);
    expect(rows.find((found) => found.metric === "rest_rss")?.median).toBe(0);
  });

  test("a latency trial gives percentiles only: its time has clocks in it", () => {
    const latency = { ...result("libc", 2), kind: "latency" as const };
    latency.report = { ...report, p50_ns: 10, p99_ns: 20, p999_ns: 30 };
    expect(rowsFromResults([latency]).map(({ metric }) => metric)).toEqual(["p50_ns", "p99_ns", "p999_ns"]);
  });

  test("a trial's report is its last line, and anything else is refused", () => {
    expect(parseTrialReport(`noise\n${JSON.stringify(report)}\n`)).toMatchObject({ ops: 10, time: 2 });
    expect(() => parseTrialReport("")).toThrow(/not JSON/);
    expect(() => parseTrialReport("killed")).toThrow(/not JSON/);
    expect(() => parseTrialReport("null")).toThrow(/no time/);
    expect(() => parseTrialReport('{"ops":0,"time":1}')).toThrow(/no ops/);
  });
});

describe("sections", () => {
  const rows = [
    row("trace-a", "libc", [2]),
    row("trace-a", "pagerun", [1]),
    row("trace-b", "libc", [1]),
    row("trace-b", "pagerun", [2]),
    row("trace-a-ts", "pagerun", [3]),
    row("trace-a-ts", "napi-libc", [4]),
    row("js-view", "pagerun", [1]),
    row("js-view", "buffer-unsafe-slow", [4]),
    row("js-pair", "pagerun", [3]),
    row("js-pair", "napi-libc", [4]),
  ];

  test("a trace from TypeScript is another section than the same trace from C++", () => {
    expect(sectionsOf(rows).map(({ id, workloads, contenders }) => ({ id, workloads, contenders }))).toEqual([
      { id: "traces", workloads: ["trace-a", "trace-b"], contenders: ["libc", "pagerun"] },
      { id: "traces-ts", workloads: ["trace-a-ts"], contenders: ["napi-libc", "pagerun"] },
      { id: "js", workloads: ["js-view", "js-pair"], contenders: ["napi-libc", "pagerun", "buffer-unsafe-slow"] },
    ]);
  });

  test("a mean is over the ratios of the medians", () => {
    const [traces, traceScripts] = sectionsOf(rows);
    expect(meanOf(rows, traces!, "pagerun", "time")).toEqual({ value: expect.closeTo(1), workloads: 2 });
    expect(meanOf(rows, traceScripts!, "pagerun", "time")?.value).toBeCloseTo(0.75);
    expect(meanOf(rows, traces!, "mimalloc", "time")).toBeUndefined();
  });

  test("a workload that the section's baseline cannot do is compared with another one, and is in no mean", () => {
    const js = sectionsOf(rows)[2]!;
    expect(cellOf(rows, js, "js-view", "pagerun", "time")?.ratio).toBe(0.25);
    expect(meanOf(rows, js, "pagerun", "time")).toEqual({ value: expect.closeTo(0.75), workloads: 1 });
    expect(baselineNotes(rows, js)).toEqual(["js-view: × is to buffer-unsafe-slow, and not in the geometric mean"]);
  });

  test("a resident set of nothing counts as one OS page", () => {
    const memory = [row("w", "libc", [0], "rest_rss"), row("w", "pagerun", [8192], "rest_rss")];
    expect(cellOf(memory, sectionsOf(memory)[0]!, "w", "pagerun", "rest_rss")?.ratio).toBe(2);
  });

  test("the summary names each section's means, and no figure that was not measured", () => {
    expect(headlinesOf(rows).map(({ title, figures }) => [title, figures.map(({ label }) => label)])).toEqual([
      ["traces, from C++", ["time"]],
      ["traces, from TypeScript", ["time"]],
      ["js, from TypeScript", ["time"]],
    ]);
    expect(headlinesOf([row("w", "libc", [1])])).toEqual([]);
  });
});

describe("the order of trials", () => {
  const job = (workload: string, contender: string, kind: Job["kind"] = "time"): Job => ({
    suite: "core",
    workload,
    contender,
    kind,
    program: "p",
    args: [],
    environment: {},
  });
  const names = ["libc", "pagerun", "jemalloc", "mimalloc"];
  const jobs = names.map((name) => job("w", name));

  test("the contenders of one workload and kind stay together", () => {
    const mixed = [job("a", "libc"), job("b", "libc"), job("a", "libc", "latency"), job("a", "pagerun")];
    expect(groupJobs(mixed).map((group) => group.jobs.length)).toEqual([2, 1, 1]);
  });

  test("every round has every contender once", () => {
    for (let round = 0; round < 9; round++) {
      const order = orderForRound(jobs, round).map(({ contender }) => contender);
      expect(order.toSorted()).toEqual(names.toSorted());
    }
  });

  test("over the rounds each contender is first once, and none always runs behind the same one", () => {
    const rounds = names.map((_, round) => orderForRound(jobs, round).map(({ contender }) => contender));
    const before = (name: string) => rounds.map((order) => order[order.indexOf(name) - 1]);
    expect(rounds.map(([first]) => first).toSorted()).toEqual(names.toSorted());
    for (const name of names) expect(new Set(before(name)).size).toBeGreaterThan(1);
  });
});

describe("calibration", () => {
  test("finds the power of two that takes about the wanted time", async () => {
    const perRound = 0.000_13;
    const found = await calibrateWork(0.1, 1, async (work) => work * perRound);
    expect(found * perRound).toBeGreaterThan(0.05);
    expect(found * perRound).toBeLessThan(0.2);
    expect(Number.isInteger(Math.log2(found))).toBe(true);
  });

  test("does the work once where once is longer than wanted", async () => {
    expect(await calibrateWork(0.1, 1, async () => 3)).toBe(1);
  });

  test("goes below its start where that is too long", async () => {
    expect(await calibrateWork(0.1, 1024, async (work) => work * 0.01)).toBe(8);
    expect(roundToPowerOfTwo(0.3)).toBe(1);
  });

  test("makes a trial longer where it would be over too soon, and never shorter", async () => {
    expect(await lengthenWork(16, 0.02, async (work) => work * 0.001)).toBe(32);
    expect(await lengthenWork(16, 0.02, async () => 0.02)).toBe(16);
    expect(await lengthenWork(16, 0.02, async () => 3)).toBe(16);
  });

  test("makes a trial no more than 64 times as long, whatever was measured", async () => {
    expect(await lengthenWork(16, 0.02, async () => 0)).toBe(1024);
  });
});
