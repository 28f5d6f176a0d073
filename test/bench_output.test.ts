// What the bench shows: numbers, tables, progress, and the report.
import { describe, expect, test } from "vitest";
import { renderReport } from "../bench/report/page.js";
import { logScale, logTicks, ratioRange } from "../bench/report/scale.js";
import type { Row } from "../bench/rows.js";
import { formatSummary, formatTables } from "../bench/terminal.js";
import { formatNumber, formatRatio, formatTable, formatWhole, wrapName } from "../lib/figures/format.js";
import { formatStep, remainingSeconds } from "../lib/figures/progress.js";

function row(
  suite: Row["suite"],
  workload: string,
  contender: string,
  metric: Row["metric"],
  ...trials: number[]
): Row {
  return { suite, workload, contender, metric, unit: "", trials, median: trials[0] as number };
}

const rows: Row[] = [
  row("traces", "git", "libc", "time", 0.2, 0.21),
  row("traces", "git", "libc", "ns_per_op", 80, 84),
  row("traces", "git", "libc", "peak_rss", 10 * 2 ** 20),
  row("traces", "git", "libc", "p50_ns", 10),
  row("traces", "git", "libc", "p99_ns", 90),
  row("traces", "git", "libc", "p999_ns", 1500),
  row("traces", "git", "pagerun", "time", 0.1, 0.1),
  row("traces", "git", "pagerun", "ns_per_op", 40, 40),
  row("traces", "git", "pagerun", "peak_rss", 10.5 * 2 ** 20),
  row("js", "malloc-free-pair", "napi-libc", "time", 0.1),
  row("js", "malloc-free-pair", "napi-libc", "ns_per_op", 100),
  row("js", "malloc-free-pair", "pagerun", "time", 0.06),
  row("js", "malloc-free-pair", "pagerun", "ns_per_op", 60),
];

describe("numbers", () => {
  test("have three digits and a suffix", () => {
    expect([0.123, 5, 9.996, 84.2, 999.4, 1234, 45e6].map(formatNumber)).toEqual([
      "0.12",
      "5.00",
      "10.0",
      "84.2",
      "999",
      "1.23k",
      "45.0M",
    ]);
    expect([9.6, 1500].map(formatWhole)).toEqual(["10", "1.50k"]);
    expect([0.714, 12.34, 250].map(formatRatio)).toEqual(["0.71×", "12.3×", "250×"]);
  });

  test("of a table stand below each other, whatever their colour", () => {
    const table = [
      [[{ text: "name" }], [{ text: "ns" }]],
      [[{ text: "a" }], [{ text: "12.5", paint: "good" as const }]],
    ];
    expect(formatTable(table, false)).toEqual(["name    ns", "a     12.5"]);
    expect(formatTable(table, true)[1]).toBe("a     \x1b[32m12.5\x1b[0m");
  });

  test("long names are split at their hyphens", () => {
    expect(wrapName("buffer-unsafe-slow", 12)).toEqual(["buffer-", "unsafe-slow"]);
    expect(wrapName("libc", 12)).toEqual(["libc"]);
  });
});

describe("tables", () => {
  test("show the figure, the ratio to the baseline, the spread and the throughput", () => {
    const text = formatTables(rows, false);
    expect(text).toMatch(/^ +git +80\.0 1\.00× +40\.0 0\.50× +2% +25\.0$/m);
    expect(text).toMatch(/^ +git +10\.0 1\.00× +10\.5 1\.05× +–$/m);
    expect(text).toContain("10/90/1.50k");
  });

  test("the summary says what pagerun comes to", () => {
    const text = formatSummary(rows, false);
    expect(text).toMatch(/traces, from C\+\+: +pagerun time 0\.50 × libc, peak RSS 1\.05 × libc$/m);
    expect(text).toMatch(/js, malloc \+ free pair: +pagerun time 0\.60 × libc through N-API$/m);
  });

  test("of nothing are empty", () => {
    expect(formatTables([], false)).toBe("");
    expect(formatSummary([], false)).toBe("");
  });
});

describe("progress", () => {
  const step = { done: 25, total: 100, elapsed: 30, limit: 100, text: "core · aligned" };

  test("tells the share, the clock and what is left, within the limit", () => {
    expect(formatStep(step)).toBe("[ 30 %] 0:30, about 1:10 left  core · aligned");
    expect(formatStep({ ...step, limit: undefined })).toBe("[ 25 %] 0:30, about 1:30 left  core · aligned");
  });

  test("tells no estimate before there is a pace", () => {
    expect(remainingSeconds(0, 10, 3, 100)).toBeUndefined();
  });
});

describe("scales", () => {
  test("twice and half are equally far from 1", () => {
    const { place } = logScale(0.25, 4, 0, 400);
    expect(place(1)).toBeCloseTo(200);
    expect(place(2) - place(1)).toBeCloseTo(place(1) - place(0.5));
    expect(place(100)).toBe(400);
  });

  test("an axis holds all ratios and 1, and its ticks keep their distance", () => {
    const [from, to] = ratioRange([1.4, 30]);
    expect(from).toBeLessThan(1);
    expect(to).toBeGreaterThan(30);
    const scale = logScale(from, to, 0, 300);
    const ticks = logTicks(scale, 36);
    expect(ticks).toContain(1);
    for (const [index, tick] of ticks.slice(1).entries()) {
      expect(scale.place(tick) - scale.place(ticks[index] as number)).toBeGreaterThanOrEqual(36);
    }
  });
});

describe("the report", () => {
  const page = renderReport({
    rows,
    workloads: [{ suite: "traces", name: "git", question: 'What does "git <log>" cost?' }],
    machine: { processor: "P", cores: 2, memoryBytes: 2 ** 34, system: "Linux", kernel: "6", node: "v20", v8: "11" },
    contenders: [{ name: "libc", version: "glibc 2.36", how: "by preload" }],
    missing: [{ name: "jemalloc", hint: "apt-get install libjemalloc2" }],
    failures: [{ suite: "core", workload: "aligned", contender: "mimalloc", message: "<misaligned>" }],
    leftOut: [{ suite: "core", workload: "bursts", contender: "free-list", message: "a trial takes more than 3 s" }],
    trials: 2,
    date: new Date(0),
  });

  test("needs nothing from anywhere else", () => {
    expect(page).not.toMatch(/(?:src|href)\s*=|url\(|@import|https?:/);
    expect(page).toContain("<svg");
    expect(page).toContain("prefers-color-scheme: dark");
  });

  test("escapes what it quotes", () => {
    expect(page).toContain("What does &quot;git &lt;log&gt;&quot; cost?");
    expect(page).toContain("&lt;misaligned&gt;");
    expect(page).toContain("Left out: core, bursts, free-list: a trial takes more than 3 s");
  });

  test("holds the rows themselves", () => {
    const json = /<script type="application\/json" id="rows">(.*?)<\/script>/s.exec(page)?.[1];
    expect(JSON.parse(json ?? "")).toEqual(rows);
  });

  test("says what is not installed, and has a bar for each ratio and one for each mean", () => {
    expect(page).toContain("apt-get install libjemalloc2");
    const bars = [...page.matchAll(/<title>([^<]*)<\/title><rect/g)].map((match) => match[1]);
    expect(bars).toContainEqual(expect.stringMatching(/^git, pagerun: 40\.0 ns, 0\.50×/));
    expect(bars).toContainEqual("geometric mean of 1 workloads, pagerun: 0.50×");
  });

  test("of nothing is still a page", () => {
    const input = {
      rows: [],
      workloads: [],
      contenders: [],
      missing: [],
      failures: [],
      leftOut: [],
      trials: 0,
      date: new Date(0),
    };
    const machine = { processor: "P", cores: 1, memoryBytes: 0, system: "", kernel: "", node: "", v8: "" };
    expect(renderReport({ ...input, machine })).toContain("</html>");
  });
});
