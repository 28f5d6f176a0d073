// What the C++ comparison is judged by: who counts as a peer, who is the best of them, and when an aim is met.
import { describe, expect, test } from "vitest";
import type { Metric, Row } from "../bench/rows.js";
import { formatVerdicts } from "../bench/terminal.js";
import { comparandsOf, meansToReference, verdictRows, verdictsOf } from "../bench/verdicts.js";

const kMebibyte = 2 ** 20;

function row(suite: Row["suite"], workload: string, contender: string, metric: Metric, median: number): Row {
  return { suite, workload, contender, metric, unit: "", trials: [median], median };
}

/** Time in seconds and peak in MiB by contender. */
function rowsOf(suite: Row["suite"], workload: string, figures: Record<string, [number, number]>): Row[] {
  return Object.entries(figures).flatMap(([contender, [time, peak]]) => [
    row(suite, workload, contender, "time", time),
    row(suite, workload, contender, "ns_per_op", time),
    row(suite, workload, contender, "peak_rss", peak * kMebibyte),
  ]);
}

const rows: Row[] = [
  ...rowsOf("core", "a", { libc: [4, 1], pagerun: [2, 4], mimalloc: [4, 4], mine: [2, 8] }),
  ...rowsOf("core", "b", { libc: [1, 1], pagerun: [2, 4], mimalloc: [4, 2], mine: [4, 8] }),
  ...rowsOf("traces", "c", { libc: [9, 9], pagerun: [3, 4], mimalloc: [3, 4] }),
  ...rowsOf("traces", "c-ts", { pagerun: [90, 90], "napi-libc": [1, 1] }),
  ...rowsOf("js", "d", { pagerun: [90, 90], "napi-libc": [1, 1] }),
];

function verdict(of: readonly Row[], name: string) {
  return verdictsOf(of).find((found) => found.name === name);
}

describe("verdicts", () => {
  test("the mean to mimalloc is over the suite core and the traces from C++, and over nothing else", () => {
    const found = verdict(rows, "time-to-mimalloc");
    expect(found).toMatchObject({ workloads: 3, limit: 0.85, bound: "most", isMet: true });
    expect(found?.value).toBeCloseTo((0.5 * 0.5 * 1) ** (1 / 3));
  });

  test("the best single peer is the one that pagerun looks worst against, on the workloads that both did", () => {
    // To libc 0.5, 2 and 1/3; to mimalloc 0.5, 0.5 and 1; to mine 1 and 0.5, on two workloads.
    const found = verdict(rows, "time-to-best");
    expect(found).toMatchObject({ detail: "mine", workloads: 2, isMet: true });
    expect(found?.value).toBeCloseTo(0.5 ** 0.5);
  });

  test("the worst workload is named with its own best peer, libc among them", () => {
    expect(verdict(rows, "time-worst")).toMatchObject({ value: 2, detail: "b, to libc", isMet: false, workloads: 3 });
  });

  test("memory is judged by the fast peers, of which libc is none", () => {
    expect(verdict(rows, "memory-worst")).toMatchObject({ value: 2, detail: "b, to mimalloc", isMet: false });
    const mean = verdict(rows, "memory-to-leanest");
    expect(mean).toMatchObject({ detail: "mimalloc", isMet: false });
    expect(mean?.value).toBeCloseTo(2 ** (1 / 3));
  });

  test("the cost of the checks is the time to the build without them, which is no peer", () => {
    const unchecked = [
      ...rowsOf("core", "a", { pagerun: [2, 4], "pagerun-unchecked": [1, 1], mimalloc: [4, 4] }),
      ...rowsOf("core", "b", { pagerun: [2, 4], "pagerun-unchecked": [2, 4], mimalloc: [4, 4] }),
    ];
    const found = verdict(unchecked, "checks");
    expect(found).toMatchObject({
      detail: "pagerun-unchecked",
      limit: 1.03,
      bound: "most",
      isMet: false,
      workloads: 2,
    });
    expect(found?.value).toBeCloseTo(2 ** 0.5);
    expect(verdict(unchecked, "time-to-best")?.detail).toBe("mimalloc");
    expect(verdict(rows, "checks")).toBeUndefined();
  });

  test("a peer that failed a workload is left out there", () => {
    const { time } = comparandsOf(rows);
    expect(time).toEqual([
      { workload: "a", peer: "mine", ratio: 1 },
      { workload: "b", peer: "libc", ratio: 2 },
      { workload: "c", peer: "mimalloc", ratio: 1 },
    ]);
  });

  test.each([
    [10, 10, 1, true],
    [10, 10.4, 10 / 10.4, true],
    [10, 11, 10 / 11, false],
    [10, 5, 2, true],
  ])("%d ns on 2 threads and %d ns on 64 are a throughput of %d: met is %s", (few, many, value, isMet) => {
    const scaling = [
      ...rowsOf("core", "scaling-2", { libc: [99, 1], pagerun: [few, 1] }),
      ...rowsOf("core", "scaling-64", { libc: [1, 1], pagerun: [many, 1] }),
    ];
    const found = verdict(scaling, "scaling");
    expect(found?.value).toBeCloseTo(value);
    expect(found?.isMet).toBe(isMet);
  });

  test("producer and consumer is judged by its best peer", () => {
    const handed = rowsOf("core", "producer-consumer", {
      libc: [9, 1],
      pagerun: [3, 1],
      mimalloc: [2, 1],
      mine: [5, 1],
    });
    expect(verdict(handed, "producer-consumer")).toMatchObject({ value: 1.5, isMet: false });
    const faster = handed.map((each) => (each.contender === "mimalloc" ? { ...each, median: 3 } : each));
    expect(verdict(faster, "producer-consumer")).toMatchObject({ value: 1, isMet: true });
  });

  test("there are none without the suite core, without pagerun, or without a peer", () => {
    expect(verdictsOf(rows.filter(({ suite }) => suite !== "core"))).toEqual([]);
    expect(verdictsOf(rows.filter(({ contender }) => contender !== "pagerun"))).toEqual([]);
    expect(verdictsOf(rows.filter(({ contender }) => contender === "pagerun"))).toEqual([]);
    expect(formatVerdicts([], false)).toBe("");
  });

  test("a peak of nothing counts as one OS page, as it does in every other ratio", () => {
    const small = rowsOf("core", "a", { pagerun: [1, 1], mine: [1, 0] });
    expect(comparandsOf(small).memory[0]?.ratio).toBe(kMebibyte / 4096);
  });
});

describe("means to mimalloc", () => {
  test("are told for the suite core, and for core and traces together", () => {
    const means = meansToReference(rows).filter(({ metric, contender }) => metric === "time" && contender === "libc");
    expect(means.map(({ scope, workloads }) => [scope, workloads])).toEqual([
      ["core", 2],
      ["core and traces", 3],
    ]);
    expect(means[0]?.value).toBeCloseTo(0.5);
  });

  test("of mimalloc itself are 1, and there are none where it was not measured", () => {
    const own = meansToReference(rows).filter(({ contender }) => contender === "mimalloc");
    expect(own.map(({ value }) => value)).toEqual([1, 1, 1, 1]);
    expect(meansToReference(rows.filter(({ contender }) => contender !== "mimalloc"))).toEqual([]);
  });
});

describe("what is shown", () => {
  test("the terminal says met or not met, with the figure and the limit", () => {
    const text = formatVerdicts(rows, false);
    expect(text).toMatch(/^ {2}met +time, mean, to mimalloc \(mimalloc\): 0\.63 ×, at most 0\.85, over 3 workloads$/m);
    expect(text).toMatch(
      /^ {2}NOT MET +time, worst workload, to its best peer \(b, to libc\): 2\.00 ×, at most 1\.25/m,
    );
    expect(text).toMatch(/^ +b +2\.00× +libc +2\.00× +mimalloc$/m);
  });

  test("the JSON has verdicts and means as rows", () => {
    const shown = verdictRows(rows) as (Row & Record<string, unknown>)[];
    expect(shown.find(({ workload }) => workload === "time-worst")).toMatchObject({
      ...{ suite: "verdicts", contender: "pagerun", metric: "ratio", trials: [2], median: 2 },
      ...{ limit: 1.25, bound: "most", met: false, to: "b, to libc" },
    });
    expect(
      shown.filter(({ unit }) => unit === "x mimalloc").map(({ median }) => Number.isFinite(median)),
    ).not.toContain(false);
  });
});
