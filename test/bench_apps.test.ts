// The bench's real programs: the options, what is judged, and the one program that needs no package, run through it.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseAppOptions } from "../bench/apps/options.js";
import { kApps, kProbe, kProbeFloor, kServer, kWithoutPurge } from "../bench/apps/plan.js";
import { type AppRow, appVerdictsOf } from "../bench/apps/verdicts.js";
import { UsageError } from "../bench/options.js";
import { root } from "./tools/steps.js";

const kLimitMs = 180_000;

describe("the options", () => {
  test("without any, every app runs five times", () => {
    expect(parseAppOptions([])).toMatchObject({ apps: kApps.map(({ name }) => name), trials: 5, rest: "1,5,15" });
  });

  test("--quick is one trial with a short rest, unless more is asked for", () => {
    expect(parseAppOptions(["--quick"])).toMatchObject({ trials: 1, rest: "1,5" });
    expect(parseAppOptions(["--quick", "--trials", "2", "--rest", "3"])).toMatchObject({ trials: 2, rest: "3" });
  });

  test("apps run in their own order, each once", () => {
    expect(parseAppOptions(["--apps", "server,probe,server"]).apps).toEqual(["probe", "server"]);
  });

  test.each([[["--apps", "nothing"]], [["--apps", ","]], [["--trials", "0"]], [["--what"]], [["word"]]])(
    "%j is refused",
    (args) => expect(() => parseAppOptions(args)).toThrow(UsageError),
  );
});

describe("the programs", () => {
  test("each app has its file", () => {
    for (const { script } of kApps) expect(existsSync(join(root, "bench/apps/programs", script[0]))).toBe(true);
  });

  test("every version is exact, and the lock file names no registry", () => {
    const folder = join(root, "bench/apps");
    const { dependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    for (const version of Object.values(dependencies)) expect(version).toMatch(/^(npm:[\w-]+@)?\d+\.\d+\.\d+$/);
    const lock = readFileSync(join(folder, "package-lock.json"), "utf8");
    expect(lock).not.toContain('"resolved"');
    expect(JSON.parse(lock).packages[""].dependencies).toEqual(dependencies);
  });
});

function row(workload: string, contender: string, metric: string, ...trials: number[]): AppRow {
  return { workload, contender, metric, trials, median: trials[trials.length >> 1] as number };
}

describe("the verdicts", () => {
  const judge = (rows: readonly AppRow[], kept = 0) =>
    appVerdictsOf(rows, kept).map(({ name, value, isMet }) => [name, Number(value.toFixed(3)), isMet]);

  test("the probe is judged by its worst run, to the floor and what is kept", () => {
    const floor = row(kProbeFloor, "glibc", "rest_rss_5s", 60);
    const name = "probe-floor";
    expect(judge([row(kProbe, "pagerun", "rest_rss_5s", 70, 71, 77), floor], 10)).toEqual([[name, 1.1, true]]);
    expect(judge([row(kProbe, "pagerun", "rest_rss_5s", 70, 78, 71), floor], 10)).toEqual([[name, 1.114, false]]);
  });

  test("memory at rest has to be below the best of all others, at any time", () => {
    const others = [row("a", "glibc", "rest_rss_1s", 100), row("a", "jemalloc", "rest_rss_1s", 80)];
    expect(judge([...others, row("a", "pagerun", "rest_rss_1s", 80)])).toEqual([["a-rest_rss_1s", 1, false]]);
    expect(judge([...others, row("a", "pagerun", "rest_rss_1s", 76)])).toEqual([["a-rest_rss_1s", 0.95, true]]);
  });

  test("peak and wall may be a little above the best of the others; forms of pagerun are no others", () => {
    const own = [row("a", "pagerun", "peak_rss", 105), row("a", "pagerun", "wall", 103)];
    const others = [row("a", "tcmalloc", "peak_rss", 100), row("a", "tcmalloc", "wall", 100)];
    const forms = [row("a", "pagerun-hardened", "peak_rss", 1), row("a", kWithoutPurge, "wall", 1)];
    expect(judge([...own, ...others, ...forms])).toEqual([
      ["a-peak_rss", 1.05, true],
      ["a-wall", 1.03, false],
    ]);
  });

  test("the server is judged against itself without purging", () => {
    const rows = [row(kServer, "pagerun", "wall", 10.2), row(kServer, kWithoutPurge, "wall", 10)];
    expect(judge(rows)).toEqual([["purge-wall", 1.02, false]]);
  });

  test("what was not measured is not judged", () => {
    expect(judge([])).toEqual([]);
    expect(judge([row("a", "pagerun", "wall", 1), row("a", "glibc", "cpu", 1)])).toEqual([]);
  });
});

describe("npm run bench:apps", { timeout: kLimitMs }, () => {
  const out = mkdtempSync(join(tmpdir(), "pagerun-apps-"));
  afterAll(() => rmSync(out, { recursive: true, force: true }));
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, "dist/bench/apps/index.js"), ...args], {
      encoding: "utf8",
      timeout: kLimitMs,
    });

  test("runs the probe and its floor, judges them, and writes rows and reports", () => {
    const args = ["--quick", "--apps", "probe,probe-floor", "--contenders", "pagerun", "--rest", "0.3", "--out", out];
    const { status, stdout, stderr } = run(...args);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    const rows: AppRow[] = JSON.parse(readFileSync(join(out, "results.json"), "utf8"));
    const peak = (workload: string, contender: string) =>
      rows.find((each) => each.workload === workload && each.contender === contender && each.metric === "peak_rss");
    expect(peak("probe", "glibc")?.median).toBeGreaterThan(390e6);
    expect(peak("probe", "pagerun")?.median).toBeGreaterThan(390e6);
    expect(peak("probe-floor", "glibc")?.median).toBeLessThan(200e6);
    expect(peak("probe-floor", "pagerun")).toBeUndefined();
    expect(stdout).toMatch(/(met|NOT MET) +probe: peak RSS \(to glibc\)/);
    for (const file of ["probe.html", "probe-floor.html"]) expect(existsSync(join(out, file))).toBe(true);
  });

  test("--help tells of every app, and a wrong option ends with 2", () => {
    const { status, stdout } = run("--help");
    expect(status).toBe(0);
    for (const { name } of kApps) expect(stdout).toContain(name);
    expect(run("--apps", "nothing")).toMatchObject({ status: 2, stderr: expect.stringContaining('"nothing"') });
    const wrongNode = run("--quick", "--apps", "probe", "--node", "/no/such/node", "--out", out);
    expect(wrongNode).toMatchObject({ status: 2, stderr: expect.stringContaining("/no/such/node") });
  });
});
