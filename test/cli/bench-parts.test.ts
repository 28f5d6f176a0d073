// The parts of `pagerun bench` alone: its options, what is known of a running command, rows, sentences, table and report.
import { realpathSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { environmentOf, leftOutOf } from "../../lib/cli/bench-contenders.js";
import { drawCurves } from "../../lib/cli/bench-curves.js";
import { findingOf } from "../../lib/cli/bench-findings.js";
import { BenchUsageError, parseBenchOptions } from "../../lib/cli/bench-options.js";
import { renderPage } from "../../lib/cli/bench-page.js";
import { type CommandRow, metricsFor, type Result, rowsOf, typicalTrial } from "../../lib/cli/bench-rows.js";
import { figuresTable } from "../../lib/cli/bench-table.js";
import type { Trial } from "../../lib/cli/bench-trial.js";
import { ProcessTree, processesByParent } from "../../lib/cli/process-tree.js";
import { Watch } from "../../lib/cli/watch.js";

const kMebibyte = 2 ** 20;

describe("the options", () => {
  test("the command begins behind the two hyphens, or at the first word that is no option", () => {
    expect(parseBenchOptions(["--", "node", "--trials", "9"]).command).toEqual(["node", "--trials", "9"]);
    expect(parseBenchOptions(["--trials", "2", "node", "-p", "1"])).toMatchObject({
      trials: 2,
      command: ["node", "-p", "1"],
      name: "node -p 1",
    });
    expect(parseBenchOptions(["node", "--", "x"]).command).toEqual(["node", "--", "x"]);
  });

  test("defaults are three trials and readings after 1, 5 and 15 s", () => {
    const options = parseBenchOptions(["--", "true"]);
    expect(options).toMatchObject({ trials: 3, rest: [1, 5, 15], seconds: undefined, contenders: undefined });
  });

  test("times at rest are sorted and each is there once", () => {
    expect(parseBenchOptions(["--rest", "2,0.5,2", "true"]).rest).toEqual([0.5, 2]);
  });

  test("a library and a variant are contenders that can be named", () => {
    const args = [
      "--so",
      "mine=/x.so",
      "--variant",
      "slow:PAGERUN_PURGE_DELAY=9,A=b=c",
      "--contenders",
      "mine,slow",
      "x",
    ];
    expect(parseBenchOptions(args)).toMatchObject({
      contenders: ["mine", "slow"],
      libraries: [{ name: "mine", path: "/x.so" }],
      variants: [{ name: "slow", environment: { PAGERUN_PURGE_DELAY: "9", A: "b=c" } }],
    });
  });

  test.each([
    [[]],
    [["--"]],
    [["--trials", "0", "x"]],
    [["--trials", "1e1", "x"]],
    [["--rest", "0", "x"]],
    [["--rest", "1,,2", "x"]],
    [["--rest", "1000", "x"]],
    [["--seconds", "-1", "x"]],
    [["--limit", "soon", "x"]],
    [["--contenders", "malloc", "x"]],
    [["--contenders", ",", "x"]],
    [["--so", "x.so", "x"]],
    [["--so", "pagerun=/x.so", "x"]],
    [["--so", "a=/x.so", "--so", "a=/y.so", "x"]],
    [["--variant", "a", "x"]],
    [["--variant", "a:B", "x"]],
    [["--nonsense", "x"]],
    [["--json"]],
  ])("%j is refused", (args) => expect(() => parseBenchOptions(args)).toThrow(BenchUsageError));
});

describe("the environment of a contender", () => {
  const environment = { PATH: "/bin", LD_PRELOAD: "/other.so", MALLOC_ARENA_MAX: "1", PAGERUN_PROFILE: "fast" };
  const peer = { name: "p", version: "", library: "/p.so", environment: { SETTING: "1" }, isOwn: false };

  test("has its preload and settings, and none of the caller's", () => {
    expect(environmentOf(peer, environment)).toEqual({ PATH: "/bin", LD_PRELOAD: "/p.so", SETTING: "1" });
    expect(environmentOf({ ...peer, library: undefined, environment: {}, isOwn: false }, environment)).toEqual({
      PATH: "/bin",
    });
  });

  test("is for pagerun what the launcher makes of it, texts beyond ASCII included", () => {
    const library = realpathSync(process.execPath);
    const own = { ...peer, library, isOwn: true, environment: { PAGERUN_PROFILE: "hardened" } };
    expect(environmentOf(own, { ...environment, NAME: "\u00e4\u20ac=b" })).toEqual({
      ...{ PATH: "/bin", NAME: "\u00e4\u20ac=b", LD_PRELOAD: library, PAGERUN_PROFILE: "hardened" },
      MALLOC_ARENA_MAX: expect.stringMatching(/^\d+$/),
    });
  });

  test("what is left out is named", () => {
    expect(leftOutOf(environment)).toEqual(["LD_PRELOAD", "MALLOC_ARENA_MAX", "PAGERUN_PROFILE"]);
  });
});

/** A watch that is fed a sample every 0.1 s: `busy` tells whether a core was used up to then. */
function watched(seconds: number, busy: (seconds: number) => boolean, rss: (seconds: number) => number): Watch {
  const watch = new Watch([1, 5]);
  let cpuSeconds = 0;
  for (let step = 0; step <= seconds * 10; step++) {
    if (busy(step / 10)) cpuSeconds += 0.1;
    watch.sample(step / 10, {
      rssBytes: rss(step / 10),
      largestBytes: rss(step / 10),
      cpuSeconds,
      waitedSeconds: 0,
      processes: 1,
    });
  }
  return watch;
}

describe("what is known of a running command", () => {
  const falling = (seconds: number) => (seconds < 3 ? 900 : seconds < 6 ? 500 : 100);

  test("without a mark, work ends where the processor was last kept busy", () => {
    const watch = watched(
      10,
      (seconds) => seconds < 2,
      () => 1,
    );
    expect(watch.workEnd).toBeGreaterThanOrEqual(1.9);
    expect(watch.workEnd).toBeLessThan(2.6);
    expect(watch.isRested).toBe(false);
  });

  test("a program that waits for its turn on a busy machine is at work", () => {
    const watch = new Watch([1]);
    for (let step = 0; step <= 200; step++)
      watch.sample(step / 10, { rssBytes: 1, largestBytes: 1, cpuSeconds: 0, waitedSeconds: step / 20, processes: 1 });
    expect(watch.busyUntil).toBe(20);
    expect(watch.isQuiet(20)).toBe(false);
  });

  test("a mark ends the work whatever the processor does, and only the first one counts", () => {
    const watch = new Watch([1, 5]);
    watch.mark("start", 0.5);
    watch.mark("idle", 2);
    watch.mark("idle", 4);
    for (let step = 0; step <= 80; step++)
      watch.sample(step / 10, {
        rssBytes: falling(step / 10),
        largestBytes: 0,
        cpuSeconds: step,
        waitedSeconds: 0,
        processes: 1,
      });
    expect(watch.workEnd).toBe(2);
    expect(watch.marks).toHaveLength(3);
    expect(watch.restBytes()).toEqual([500, 100]);
    expect(watch.isRested).toBe(true);
    expect(watch.untilNextRest(2.5)).toBeCloseTo(0.5);
    expect(watch.untilNextRest(8)).toBe(Number.POSITIVE_INFINITY);
  });

  test("a command that has ended holds nothing at rest", () => {
    const watch = watched(
      3.4,
      (seconds) => seconds < 2,
      () => 7,
    );
    expect(watch.restBytes()).toEqual([7, undefined]);
  });

  test("a peak is the largest sum of all, or of the largest single process", () => {
    const watch = new Watch([1]);
    watch.sample(1, { rssBytes: 50, largestBytes: 40, cpuSeconds: 0, waitedSeconds: 0, processes: 2 });
    watch.sample(2, { rssBytes: 20, largestBytes: 70, cpuSeconds: 0, waitedSeconds: 0, processes: 1 });
    expect(watch.peakBytes).toBe(70);
  });

  test("who neither marks nor works is quiet after the longest rest, and not before 15 s", () => {
    const watch = watched(
      20,
      (seconds) => seconds < 1,
      () => 1,
    );
    expect(watch.isQuiet(15)).toBe(false);
    expect(watch.isQuiet(18)).toBe(true);
    watch.mark("idle", 17);
    expect(watch.isQuiet(100)).toBe(false);
    expect(new Watch([60]).isQuiet(50)).toBe(false);
  });
});

const metrics = metricsFor([1, 5]);

function trial(change: Partial<Trial>): Trial {
  const samples = Array.from({ length: 40 }, (_, step) => ({
    seconds: step / 4,
    rssBytes: (step % 9) * 10 * kMebibyte,
  }));
  return {
    ...{ wallSeconds: 2, cpuSeconds: 1.5, faults: 1000, peakBytes: 80 * kMebibyte, samples, workEnd: 4 },
    ...{ restBytes: [60 * kMebibyte, undefined], marks: [{ name: "idle", seconds: 4 }] },
    ...{ isCutShort: false, failure: undefined, ...change },
  };
}

const results: Result[] = [
  { contender: "glibc", trial: trial({ wallSeconds: 2 }) },
  { contender: "glibc", trial: trial({ wallSeconds: 3, peakBytes: 90 * kMebibyte }) },
  { contender: "glibc", trial: trial({ wallSeconds: 2.5, peakBytes: 99 * kMebibyte }) },
  { contender: "pagerun", trial: trial({ wallSeconds: 1, restBytes: [20 * kMebibyte, 10 * kMebibyte] }) },
  { contender: "pagerun", trial: trial({ failure: "signal SIGSEGV", wallSeconds: 0.1 }) },
];
const rows = rowsOf(results, "a <command>", metrics);

function row(contender: string, trials: number[]): CommandRow {
  const median = trials[trials.length >> 1] as number;
  return { suite: "command", workload: "w", contender, metric: "wall", unit: "s", trials, median };
}

describe("the figures", () => {
  test("are medians of the trials that passed, and a metric without any has no row", () => {
    expect(rows.find((each) => each.contender === "glibc" && each.metric === "wall")).toMatchObject({
      suite: "command",
      workload: "a <command>",
      unit: "s",
      trials: [2, 3, 2.5],
      median: 2.5,
    });
    expect(rows.filter((each) => each.metric === "rest_rss_5s")).toHaveLength(1);
    expect(rows.find((each) => each.contender === "pagerun" && each.metric === "wall")?.trials).toEqual([1]);
  });

  test("the trial that is drawn in full is the one with the middle peak", () => {
    expect(typicalTrial(results, "glibc")?.peakBytes).toBe(90 * kMebibyte);
    expect(typicalTrial(results, "nobody")).toBeUndefined();
  });

  test("the table has a line a contender, ratios to the baseline, and a dash where there is no figure", () => {
    const lines = figuresTable(rows, metrics, ["glibc", "pagerun"], "glibc", false);
    expect(lines[0]).toContain("RSS 5 s at rest, MiB");
    expect(lines[1]).toMatch(/^glibc +2\.500 .*–/);
    expect(lines[2]).toMatch(/^pagerun +1\.000 0\.40×/);
    expect(lines[3]).toMatch(/^widest spread +±20%/);
  });
});

describe("the sentences", () => {
  const wall = metrics[0]!;

  test("who wins is said plainly, whoever that is", () => {
    const fast = [row("pagerun", [1, 1.1, 1.2]), row("glibc", [2, 2, 2]), row("jemalloc", [1.5, 1.5, 1.5])];
    expect(findingOf(fast, wall, "pagerun", ["glibc", "jemalloc"])).toMatchObject({
      result: "won",
      text: "wall: pagerun wins with 1.100 s; the next is jemalloc with 1.500 s (pagerun needs 0.73× of it)",
    });
    const slow = [row("pagerun", [3, 3, 3]), row("glibc", [2, 2, 2])];
    expect(findingOf(slow, wall, "pagerun", ["glibc"])).toMatchObject({
      result: "lost",
      text: "wall: glibc wins with 2.000 s; pagerun needs 3.000 s, 1.50× of it",
    });
  });

  test("nobody wins where the trials overlap, or the medians are as good as equal", () => {
    const overlapping = [row("pagerun", [1, 2, 3]), row("glibc", [2.5, 2.6, 4])];
    expect(findingOf(overlapping, wall, "pagerun", ["glibc"])?.result).toBe("open");
    const equal = [row("pagerun", [1.01, 1.01, 1.01]), row("glibc", [1, 1, 1])];
    expect(findingOf(equal, wall, "pagerun", ["glibc"])?.result).toBe("open");
  });

  test("what the measurement itself may be wrong by decides nothing, however few the trials", () => {
    const short = [row("pagerun", [0.001]), row("glibc", [0.02])];
    expect(findingOf(short, wall, "pagerun", ["glibc"])?.result).toBe("open");
    const longer = [row("pagerun", [0.4]), row("glibc", [0.5])];
    expect(findingOf(longer, wall, "pagerun", ["glibc"])?.result).toBe("won");
  });

  test("there is no sentence where one of the two has no figure", () => {
    expect(findingOf([row("glibc", [1])], wall, "pagerun", ["glibc"])).toBeUndefined();
    expect(findingOf([row("pagerun", [1])], wall, "pagerun", [])).toBeUndefined();
  });
});

describe("the report", () => {
  const machine = { processor: "<b>", cores: 2, memoryBytes: 2 ** 30, system: "s", kernel: "k", node: "n", v8: "v" };
  const contenders = [
    { name: "glibc", version: "2", library: undefined, environment: {}, isOwn: false },
    { name: "pagerun", version: "1", library: "/x/<lib>.so", environment: { A: "b" }, isOwn: true },
  ];
  const page = renderPage({
    ...{ name: "a <command>", rows, results, metrics, findings: [], contenders, baseline: "glibc", machine, trials: 3 },
    ...{
      missing: [{ name: "jemalloc", hint: "apt-get install it" }],
      notes: ["FAILED <on> pagerun"],
      date: new Date(0),
    },
  });

  test("escapes what it is given, loads nothing, and has the rows in it", () => {
    expect(page).not.toMatch(/<b>|<command>|<lib>|<on>/);
    expect(page).not.toMatch(/(src|href)=/);
    const data = /<script type="application\/json" id="rows">(.*?)<\/script>/.exec(page)?.[1];
    expect(JSON.parse(data!)).toEqual(rows);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("has a curve for each trial that passed, since the start and since the end of work", () => {
    expect(drawCurves(results, "start", "t").match(/<g class="curve/g)).toHaveLength(4);
    expect(drawCurves(results, "start", "t").match(/<circle class="mark/g)).toHaveLength(2);
    expect(drawCurves(results, "rest", "t").match(/<g class="curve/g)).toHaveLength(4);
    expect(drawCurves([], "start", "t")).toBe("");
  });

  test("a larger resident set is drawn higher, and later further to the right", () => {
    const samples = [0, 1, 2].map((seconds) => ({ seconds, rssBytes: seconds * 10 * kMebibyte }));
    const drawn = drawCurves([{ contender: "glibc", trial: trial({ samples, marks: [] }) }], "start", "t");
    const points = [.../d="M([\d. ]+L[\dL. ]+)"/.exec(drawn)![1]!.split("L")].map((point) =>
      point.split(" ").map(Number),
    );
    expect(points).toHaveLength(3);
    expect(points[1]![0]).toBeGreaterThan(points[0]![0]!);
    expect(points[1]![1]).toBeLessThan(points[0]![1]!);
    expect(points[0]![1]! - points[1]![1]!).toBeCloseTo(points[1]![1]! - points[2]![1]!, 0);
  });
});

describe("a tree of processes", () => {
  test("is found without the kernel's lists of children as well", () => {
    expect(processesByParent().get(process.ppid)).toContain(process.pid);
    expect(new ProcessTree(process.ppid).living()).toContain(process.pid);
  });

  test("that has ended gives no reading", () => {
    expect(new ProcessTree(2 ** 22 + 1).read()).toBeUndefined();
  });

  test("this one has a resident set, a larger peak and processor time", () => {
    const reading = new ProcessTree(process.pid).read()!;
    expect(reading.rssBytes).toBeGreaterThan(10 * kMebibyte);
    expect(reading.largestBytes).toBeGreaterThan(10 * kMebibyte);
    expect(reading.cpuSeconds).toBeGreaterThan(0);
    expect(reading.waitedSeconds).toBeGreaterThan(0);
    expect(reading.processes).toBeGreaterThanOrEqual(1);
  });
});
