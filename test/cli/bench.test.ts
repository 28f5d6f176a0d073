// `pagerun bench` as a user types it, with commands that take a moment. No time is judged; memory only where it is far apart.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CommandRow } from "../../lib/cli/bench-rows.js";
import { root } from "../tools/steps.js";

const directory = mkdtempSync(join(tmpdir(), "pagerun-bench-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const cli = join(root, "dist/esm/cli.js");
const kLimitMs = 120_000;
const kMebibyte = 2 ** 20;
const env = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined };

let runs = 0;

/** One trial each on glibc and pagerun, unless told otherwise. */
function bench(options: readonly string[], command: readonly string[]) {
  const files = { json: join(directory, `${++runs}.json`), report: join(directory, `${runs}.html`) };
  const curves = join(directory, `${runs}.curves.json`);
  const short = [
    "--curves",
    curves,
    "--trials",
    "1",
    "--contenders",
    "pagerun",
    "--rest",
    "0.2",
    "--report",
    files.report,
  ];
  const args = [cli, "bench", ...short, "--json", files.json, ...options, "--", ...command];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env, timeout: kLimitMs });
  const rows: CommandRow[] = existsSync(files.json) ? JSON.parse(readFileSync(files.json, "utf8")) : [];
  const figure = (contender: string, metric: string) =>
    rows.find((row) => row.contender === contender && row.metric === metric)?.median;
  return { status, stdout, stderr, rows, figure, curves, ...files };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Holds 150 MiB, marks, drops to little, and stays. */
const marking = `
  const { writeSync } = require("node:fs");
  const mark = (name) => writeSync(Number(process.env.PAGERUN_MARK_FD), name + "\\n");
  let held = Buffer.alloc(150 * 2 ** 20, 1);
  mark("full");
  setTimeout(() => { held = undefined; gc(); mark("idle"); setInterval(() => {}, 1000); }, 150);
`;

describe(
  "a command that marks the end of its work",
  () => {
    let ended: ReturnType<typeof bench>;
    beforeAll(() => {
      const options = ["--rest", "0.2,0.5", "--trials", "2", "--variant", "again:PAGERUN_PURGE_DELAY=5"];
      ended = bench(
        [...options, "--contenders", "glibc,again", "--name", "<mine>"],
        [process.execPath, "--expose-gc", "-e", marking],
      );
    }, kLimitMs);

    test("is ended after the readings at rest, and that is no failure", () => {
      expect({ status: ended.status, stderr: ended.status === 0 ? "" : ended.stderr }).toEqual({
        status: 0,
        stderr: "",
      });
      expect(ended.stdout).not.toContain("FAILED");
    });

    test("gives every metric of each contender, a row each", () => {
      const metrics = ["wall", "cpu", "peak_rss", "rest_rss_0.2s", "rest_rss_0.5s", "faults"];
      for (const contender of ["glibc", "pagerun", "again"]) {
        const own = ended.rows.filter((row) => row.contender === contender);
        expect(own.map(({ metric }) => metric)).toEqual(metrics);
        for (const { suite, workload, trials } of own) {
          expect({ suite, workload, count: trials.length }).toEqual({ suite: "command", workload: "<mine>", count: 2 });
          expect(Math.min(...trials)).toBeGreaterThan(0);
        }
      }
    });

    test("has its peak in the one figure, and what was left in the other", () => {
      for (const contender of ["glibc", "pagerun"]) {
        expect(ended.figure(contender, "peak_rss")).toBeGreaterThan(170 * kMebibyte);
        expect(ended.figure(contender, "rest_rss_0.5s")).toBeLessThan(
          ended.figure(contender, "peak_rss")! - 100 * kMebibyte,
        );
      }
      expect(ended.figure("glibc", "wall")).toBeGreaterThan(0.15);
    });

    test("is told as a table, with a sentence a metric, and a report with curves and marks", () => {
      expect(ended.stdout).toMatch(/^allocator +wall, s/m);
      expect(ended.stdout).toMatch(/^pagerun +[\d.]+ [\d.]+×/m);
      expect(ended.stdout).toMatch(/^ {2}[-+=] (wall|peak RSS): /m);
      expect(ended.stdout).toContain(ended.report);
      const page = readFileSync(ended.report, "utf8");
      expect(page.match(/<g class="curve/g)!.length).toBeGreaterThanOrEqual(6);
      expect(page).toMatch(/glibc: full after [\d.]+ s/);
      expect(page).not.toContain("<mine>");
    });

    test("has its memory over time written where that is asked for", () => {
      const curves: { contender: string; marks: { name: string }[]; samples: [number, number][] }[] = JSON.parse(
        readFileSync(ended.curves, "utf8"),
      );
      expect(curves.map(({ contender }) => contender).sort()).toEqual([
        "again",
        "again",
        "glibc",
        "glibc",
        "pagerun",
        "pagerun",
      ]);
      for (const { marks, samples } of curves) {
        expect(marks.map(({ name }) => name)).toEqual(["full", "idle"]);
        expect(samples.every(([seconds], at) => at === 0 || seconds >= samples[at - 1]![0])).toBe(true);
        expect(Math.max(...samples.map(([, bytes]) => bytes))).toBeGreaterThan(150 * kMebibyte);
      }
    });

    test("progress and the allocators' versions go to standard error", () => {
      expect(ended.stderr).toMatch(/trial \d of 2 on (glibc|pagerun|again)/);
      expect(ended.stderr).toMatch(/pagerun {2}\d+\.\d+\.\d+ {2}\/.*libpagerun\.so/);
    });
  },
  kLimitMs,
);

describe(
  "a command of any kind",
  () => {
    test("a shell marks with echo, its children count, and those that it leaves behind are ended", () => {
      const [pidFile, ready] = [join(directory, "pid"), join(directory, "ready")];
      const child = `globalThis.held = Buffer.alloc(90 * 2 ** 20, 1); console.log("ready"); setInterval(() => {}, 1000)`;
      const script = [
        `rm -f ${ready}; "${process.execPath}" -e '${child}' > ${ready} & echo $! > ${pidFile}`,
        `while [ ! -s ${ready} ]; do sleep 0.05; done; echo idle >&$PAGERUN_MARK_FD; sleep 5`,
      ].join("\n");
      const { status, figure, stdout } = bench([], ["sh", "-c", script]);
      expect(status, stdout).toBe(0);
      expect(figure("glibc", "peak_rss")).toBeGreaterThan(110 * kMebibyte);
      expect(figure("pagerun", "rest_rss_0.2s")).toBeGreaterThan(110 * kMebibyte);
      expect(isRunning(Number(readFileSync(pidFile, "utf8")))).toBe(false);
    });

    test("a child that Node.js gives no descriptor marks through the file", () => {
      const child = `require("fs").appendFileSync(process.env.PAGERUN_MARK_FILE, "idle\\n"); setInterval(() => {}, 1000)`;
      const parent = `require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(child)}])`;
      const { status, figure } = bench([], [process.execPath, "-e", parent]);
      expect(status).toBe(0);
      expect(figure("glibc", "rest_rss_0.2s")).toBeGreaterThan(40 * kMebibyte);
    });

    test("without a mark and a rest there is a wall time, and a word that says why nothing was read at rest", () => {
      const { status, stdout, rows } = bench([], [process.execPath, "-e", "0"]);
      expect(status).toBe(0);
      expect(new Set(rows.map(({ metric }) => metric))).toEqual(new Set(["wall", "cpu", "peak_rss", "faults"]));
      expect(stdout).toContain('pagerun.mark("idle")');
    });

    test("the wall time begins before the command does", () => {
      const { figure } = bench([], ["sleep", "0.3"]);
      expect(figure("glibc", "wall")).toBeGreaterThanOrEqual(0.3);
      expect(figure("pagerun", "wall")).toBeGreaterThanOrEqual(0.3);
    });

    test("without a mark, what it holds when it has nothing to do is its rest", () => {
      const script = "const t = Date.now(); while (Date.now() < t + 400); setTimeout(() => {}, 2000)";
      const { status, stdout, figure } = bench([], [process.execPath, "-e", script]);
      expect(status).toBe(0);
      expect(figure("glibc", "rest_rss_0.2s")).toBeGreaterThan(20 * kMebibyte);
      expect(stdout).toContain("last kept the processor busy");
    });

    test("a server is ended after --seconds", () => {
      const { status, figure } = bench(["--seconds", "0.6"], [process.execPath, "-e", "setInterval(() => {}, 1000)"]);
      expect(status).toBe(0);
      expect(figure("pagerun", "peak_rss")).toBeGreaterThan(20 * kMebibyte);
      expect(figure("pagerun", "wall")).toBeUndefined();
    });

    test("rows alone go to standard output when told to", () => {
      const { status, stdout, stderr } = bench(["--json", "-"], [process.execPath, "-e", "0"]);
      expect(status).toBe(0);
      expect((JSON.parse(stdout) as CommandRow[]).map(({ metric }) => metric)).toContain("peak_rss");
      expect(stderr).toMatch(/^allocator +wall/m);
    });
  },
  kLimitMs,
);

describe(
  "what goes wrong",
  () => {
    test("a command that fails everywhere is told with its last words, once, and there is no table", () => {
      const { status, stdout, stderr, rows } = bench(["--trials", "3"], ["sh", "-c", "echo no luck >&2; exit 3"]);
      expect(status).toBe(1);
      expect(stderr.match(/FAILED on glibc: exit code 3: no luck/g)).toHaveLength(1);
      expect(stdout).toContain("nothing to compare");
      expect(stdout).not.toContain("allocator ");
      expect(rows).toEqual([]);
    });

    test("a command that fails on one allocator has no figure there, and the exit code says so", () => {
      const { status, stdout, figure } = bench([], ["sh", "-c", '[ -z "$LD_PRELOAD" ] || kill -SEGV $$']);
      expect(status).toBe(1);
      expect(stdout).toContain("FAILED on pagerun: signal SIGSEGV");
      expect(figure("glibc", "wall")).toBeGreaterThan(0);
      expect(figure("pagerun", "wall")).toBeUndefined();
    });

    test("one that takes longer than the limit has failed", () => {
      const { status, stderr } = bench(["--limit", "0.5"], ["sleep", "60"]);
      expect(status).toBe(1);
      expect(stderr).toContain("did not end within 0.5 s");
    });

    test("a static program is not measured as if it ran on the library", () => {
      const source = join(directory, "still.c");
      writeFileSync(source, "#include <unistd.h>\nint main(void) { usleep(600000); return 0; }\n");
      const program = join(directory, "still");
      expect(spawnSync("gcc", ["-static", "-o", program, source]).status).toBe(0);
      const { status, stdout, figure } = bench([], [program]);
      expect(status).toBe(1);
      expect(stdout).toMatch(/FAILED on pagerun: the command does not load .*libpagerun\.so/);
      expect(figure("pagerun", "wall")).toBeUndefined();
    });

    test("a program that is not there, or may not be run, ends with 127 and one line", () => {
      const file = join(directory, "text");
      writeFileSync(file, "text");
      for (const program of ["no-such-program-here", file]) {
        const { status, stdout, stderr } = bench([], [program]);
        expect({ status, stdout }).toEqual({ status: 127, stdout: "" });
        expect(stderr).toContain(`pagerun bench: ${program} cannot be started`);
      }
    });

    test.each([
      [["--trials", "x"], "--trials"],
      [["--contenders", "malloc"], '"malloc"'],
      [["--so", "mine=/no/such/library.so"], "/no/such/library.so"],
      [["--report", "/dev/null/report.html"], "--report"],
      [["--json", "/tmp"], "is a folder"],
    ])("%j ends with 2 and names what is wrong", (options, named) => {
      const { status, stdout, stderr } = bench(options, ["true"]);
      expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
      expect(stderr).toContain(named);
      expect(stderr).not.toContain("    at ");
    });

    test("Control-C ends the command, shows what there is and leaves nothing behind", async () => {
      const pidFile = join(directory, "interrupted");
      const report = join(directory, "interrupted.html");
      const script = `if [ -z "$LD_PRELOAD" ]; then exit 0; fi; echo $$ > ${pidFile}; sleep 60`;
      const args = [
        cli,
        "bench",
        "--trials",
        "1",
        "--contenders",
        "pagerun",
        "--report",
        report,
        "--",
        "sh",
        "-c",
        script,
      ];
      const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
      let output = "";
      child.stdout.on("data", (text: Buffer) => {
        output += text;
      });
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      while (!existsSync(pidFile) || readFileSync(pidFile, "utf8") === "")
        await new Promise((resolve) => setTimeout(resolve, 20));
      child.kill("SIGINT");
      expect(await ended).toBe(130);
      expect(output).toContain("Interrupted");
      expect(output).toMatch(/^glibc +\d/m);
      expect(existsSync(report)).toBe(true);
      expect(isRunning(Number(readFileSync(pidFile, "utf8")))).toBe(false);
    });

    test("--help tells every option", () => {
      const { status, stdout } = spawnSync(process.execPath, [cli, "bench", "--help"], { encoding: "utf8" });
      expect(status).toBe(0);
      const names = [
        "trials",
        "rest",
        "contenders",
        "so",
        "variant",
        "seconds",
        "limit",
        "name",
        "json",
        "report",
        "show-output",
      ];
      for (const name of names) expect(stdout).toContain(`--${name}`);
    });
  },
  kLimitMs,
);
