// The commands `npm run bench` and `npm run bench:record` from end to end, each as short as it can be. No figure is judged.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { kUnits, type Row } from "../bench/rows.js";

const directory = mkdtempSync(join(tmpdir(), "pagerun-test-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Far longer than any of these takes, also on a machine that is busy with other things. */
const kLimitMs = 180_000;

function run(script: "index" | "record", ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join("dist", "bench", `${script}.js`), ...args], {
    encoding: "utf8",
    timeout: kLimitMs,
  });
  return { status, stdout, stderr };
}

function compare(name: string, ...args: string[]) {
  const out = join(directory, name);
  const json = join(directory, `${name}.json`);
  const ended = run("index", "--quick", "--trials", "1", "--out", out, "--json", json, ...args);
  const rows: Row[] = existsSync(json) ? JSON.parse(readFileSync(json, "utf8")) : [];
  return { ...ended, out, rows };
}

/** A part of the suite core, a trace among it. */
const kShortWorkloads = ["bursts", "git-log", "producer-consumer", "scaling-2", "scaling-64"];
const kShort = ["--suite", "core", "--workload", kShortWorkloads.join(",")];

function names(rows: readonly Row[], key: "suite" | "contender" | "metric" | "workload"): string[] {
  return [...new Set(rows.map((row) => row[key]))].sort();
}

describe("npm run bench", { timeout: kLimitMs }, () => {
  test("of one suite and contender ends with a table, rows and a report", () => {
    const { status, stdout, stderr, rows, out } = compare("core", ...kShort, "--contenders", "pagerun");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    const figures = rows.filter(({ suite }) => suite === "core" || suite === "traces");
    expect(names(figures, "suite")).toEqual(["core", "traces"]);
    expect(names(figures, "contender")).toEqual(["libc", "pagerun"]);
    const metrics = ["ns_per_op", "p50_ns", "p999_ns", "p99_ns", "peak_rss", "rest_rss", "time"];
    expect(names(figures, "metric")).toEqual(["locks_per_million", ...metrics]);
    expect(names(figures, "workload")).toEqual(kShortWorkloads);
    for (const { unit, trials, median, metric } of figures) {
      expect(trials).toEqual([median]);
      expect(Number.isFinite(median) && median >= 0).toBe(true);
      expect(unit).toBe(kUnits[metric]);
    }
    expect(names(rows, "suite")).toEqual(["core", "traces", "verdicts"]);
    expect(stdout).toMatch(/(met|NOT MET) +time, worst workload, to its best peer/);
    expect(stdout).toContain("core, from C++");
    expect(stdout).not.toContain("from TypeScript");
    expect(stdout).toContain(join(out, "report.html"));
    expect(readFileSync(join(out, "report.html"), "utf8")).toContain("<svg");
    expect(JSON.parse(readFileSync(join(out, "results.json"), "utf8"))).toEqual(rows);
    expect(stderr).toContain("glibc");
  });

  test("runs JavaScript contenders on the workloads that they can do, and only there", () => {
    const workloads = "malloc-free-pair,malloc-view-free,realloc-growth,remote-free";
    const contenders = "pagerun,thi-malloc,uint8array";
    const { status, rows, stdout } = compare("js", "--suite=js", "--contenders", contenders, "--workload", workloads);
    expect(status).toBe(0);
    expect(names(rows, "contender")).toEqual(["napi-libc", "pagerun", "thi-malloc", "uint8array"]);
    const of = (workload: string) =>
      names(
        rows.filter((row) => row.workload === workload),
        "contender",
      );
    expect(of("malloc-free-pair")).toEqual(["napi-libc", "pagerun", "thi-malloc"]);
    expect(of("malloc-view-free")).toEqual(["pagerun", "thi-malloc", "uint8array"]);
    expect(of("realloc-growth")).toEqual(["napi-libc", "pagerun", "thi-malloc"]);
    expect(of("remote-free")).toEqual(["napi-libc", "pagerun"]);
    expect(stdout).toMatch(/js, malloc \+ free pair: +pagerun time [\d.]+ × libc through N-API/);
  });

  test("replays a trace that was recorded a moment ago, from C++ and from TypeScript", () => {
    const trace = join(directory, "mine.trace.br");
    const recorded = run("record", "--out", trace, "--max-events", "5000", "sort", "package-lock.json");
    expect(recorded.status).toBe(0);
    expect(recorded.stdout).toMatch(/\d+ calls on \d+ threads?: .*malloc/);
    expect(recorded.stdout).toContain("mine.trace.br");
    const { status, rows } = compare("traces", "--trace", trace, "--contenders=pagerun", "--workload=mine,mine-ts");
    expect(status).toBe(0);
    const of = (workload: string) =>
      names(
        rows.filter((row) => row.workload === workload),
        "contender",
      );
    expect(of("mine")).toEqual(["libc", "pagerun"]);
    expect(of("mine-ts")).toEqual(["napi-libc", "pagerun"]);
  });

  test("writes the rows alone to standard output when told to", () => {
    const out = join(directory, "alone");
    const ended = run(
      "index",
      ...[...kShort, "--contenders", "libc", "--quick", "--trials", "1"],
      "--json",
      "-",
      "--out",
      out,
    );
    expect(ended.status).toBe(0);
    expect(JSON.parse(ended.stdout).length).toBeGreaterThan(0);
    expect(ended.stderr).toContain("core, from C++");
  });

  test.each([
    [["--contenders", "malloc"], '"malloc"'],
    [["--suite", "all"], '"all"'],
    [["--workload", "nothing", "--suite", "js"], '"nothing"'],
    [["--workload", "gcc-ts", "--suite", "core"], '"gcc-ts"'],
    [["--trial-seconds", "0"], '"0"'],
    [["--so", "mine=/no/such/library.so"], "/no/such/library.so"],
    [["--trace", "/no/such.trace", "--suite", "traces"], "/no/such.trace"],
  ])("%j ends with code 2 and names what is wrong", (args, named) => {
    const { status, stderr, rows } = compare("wrong", ...args);
    expect(status).toBe(2);
    expect(stderr).toContain(named);
    expect(rows).toEqual([]);
  });

  test("a preload that does not take is an error, and not a run on libc", () => {
    const library = join(directory, "broken.so");
    writeFileSync(library, "not a library");
    const { status, stderr } = compare("broken", "--suite", "core", "--so", `broken=${library}`);
    expect(status).toBe(2);
    expect(stderr).toMatch(/malloc of broken comes from .*libc/);
  });

  test("--help tells every option", () => {
    const { status, stdout } = run("index", "--help");
    expect(status).toBe(0);
    for (const flag of [
      "suite",
      "contenders",
      "so",
      "trace",
      "trials",
      "max-seconds",
      "trial-seconds",
      "quick",
      "json",
      "out",
      "help",
    ]) {
      expect(stdout).toContain(`--${flag}`);
    }
  });
});

describe("npm run bench:record", { timeout: kLimitMs }, () => {
  test("without a command ends with code 2, and with one that is not there with 127", () => {
    expect(run("record").status).toBe(2);
    expect(run("record", "no-such-command-here").status).toBe(127);
    expect(run("record", "--help").stdout).toContain("--max-events");
  });
});
