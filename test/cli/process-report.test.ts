// What a process says when it ends: the lines of --report, the file of --stats-file, and which processes say it; and marks.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { root } from "../tools/steps.js";
import { cli, pagerun, plainEnvironment } from "./launch.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pagerun-report-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const figures = [
  ...["process", "seconds", "cpuSeconds", "minorFaults", "majorFaults", "peakRssBytes", "rssBytes", "liveBlocks"],
  ...["liveBytes", "committedBytes", "metadataBytes", "freeRunBytes", "mappingBytes", "reservedBytes", "arenas"],
  ...["misuses", "signal", "purgedBytes", "purges", "retakenBytes", "purgePasses"],
];

/** Keeps 20 MB and has had 60 MB more. */
const program = `
  const kept = Buffer.alloc(20e6, 1);
  for (let i = 0; i < 6; i++) Buffer.alloc(10e6, 2);
  process.exitCode = kept[0] + 4;`;

function read(file: string): Record<string, unknown> {
  return JSON.parse(readFileSync(file, "utf8"));
}

describe("--stats-file", () => {
  test("has the figures of the program when it ends, as JSON", () => {
    const file = join(folder, "stats.json");
    const { status, stderr } = pagerun(["--stats-file", file, "node", "-e", program]);
    expect({ status, stderr }).toEqual({ status: 5, stderr: "" });
    const stats = read(file);
    expect(Object.keys(stats).sort()).toEqual([...figures, "program", "profile", "hasEnded"].sort());
    for (const figure of figures) expect(stats[figure], figure).toEqual(expect.any(Number));
    const figure = (name: string) => stats[name] as number;
    expect(stats.program).toMatch(/node/);
    expect(stats.profile).toBe("fast");
    expect(stats).toMatchObject({ misuses: 0, hasEnded: true, signal: 0 });
    expect(figure("peakRssBytes")).toBeGreaterThan(40e6);
    expect(figure("peakRssBytes")).toBeGreaterThanOrEqual(figure("rssBytes"));
    expect(figure("committedBytes")).toBeGreaterThanOrEqual(figure("liveBytes"));
    expect(figure("cpuSeconds")).toBeGreaterThan(0);
    expect(figure("minorFaults")).toBeGreaterThan(1000);
    expect(readdirSync(folder)).toEqual(["stats.json"]);
  });

  test("tells of the program alone, not of the launcher whose process it is", () => {
    const file = join(folder, "stats.json");
    pagerun(["--stats-file", file, "/bin/true"]);
    expect(read(file).peakRssBytes).toBeLessThan(16e6);
    expect(read(file).minorFaults).toBeLessThan(2000);
  });

  test("with %p has a file for each process, without it that of the first", () => {
    const line = "/bin/true; /bin/true; (exit 0)";
    pagerun(["--stats-file", join(folder, "%p-%p.json"), "bash", "-c", `${line}; exit 0`]);
    const files = readdirSync(folder).map((name) => read(join(folder, name)));
    expect(files.map(({ program }) => String(program).replace(/.*\//, "")).sort()).toEqual(
      expect.arrayContaining(["bash", "bash", "true", "true"]),
    );
    expect(new Set(files.map(({ process }) => process)).size).toBe(files.length);
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
    pagerun(["--stats-file", join(folder, "one.json"), "bash", "-c", `${line}; exit 0`]);
    expect(read(join(folder, "one.json")).program).toMatch(/bash$/);
    expect(readdirSync(folder)).toEqual(["one.json"]);
  });

  test("may be a pipe", () => {
    const line = '"$0" "$1" --stats-file /proc/self/fd/1 /bin/true | cat';
    const options = { encoding: "utf8", env: plainEnvironment() } as const;
    const { stdout, stderr } = spawnSync("sh", ["-c", line, process.execPath, cli], options);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout).program).toMatch(/true$/);
  });

  test("that cannot be written is said, and changes nothing else", () => {
    const { status, stderr } = pagerun(["--stats-file", join(folder, "no/where.json"), "bash", "-c", "exit 3"]);
    expect(status).toBe(3);
    expect(stderr).toBe(
      `pagerun: PAGERUN_STATS_FILE=${join(folder, "no/where.json")} cannot be written: No such file or directory\n`,
    );
  });
});

describe("--report", () => {
  test("has a few lines on standard error for each program that ends", () => {
    const { status, stdout, stderr } = pagerun(["--report", "bash", "-c", "/bin/true; (:); exit 4"]);
    expect({ status, stdout }).toEqual({ status: 4, stdout: "" });
    const heads = stderr.split("\n").filter((line) => line.startsWith("pagerun: "));
    expect(heads).toHaveLength(2);
    expect(heads[0]).toMatch(/^pagerun: true \(process \d+\), \d+\.\d s, \d+\.\d s of processor time$/);
    const body = /\n {2}resident .*\n {2}in use .* blocks, .*\n {2}purged .*\n {2}faults .*\n {2}misuse {4}0\n/g;
    expect(stderr.match(body)).toHaveLength(2);
  });

  test("counts the misuses that were refused", () => {
    const source = "#include <stdlib.h>\nint main(void) { int x; free(&x); free(&x); return 0; }\n";
    const file = join(folder, "misuser");
    const flags = ["-x", "c", "-O0", "-w", "-fno-builtin", "-o", file, "-"];
    expect(spawnSync("gcc", flags, { input: source }).status).toBe(0);
    const { status, stderr } = pagerun(["--report", "--on-misuse", "report", file]);
    expect(status).toBe(0);
    expect(stderr).toMatch(/\n {2}misuse {4}2\n$/);
  });

  test("is not there when nobody asked for it", () => {
    expect(pagerun(["bash", "-c", ":"]).stderr).toBe("");
  });
});

describe("a program that does not end by itself", () => {
  const waiting = 'console.log("ready"); setInterval(() => {}, 1000);';

  /** Starts it, calls `when` once it says that it is ready, and tells how it ended. */
  async function ended(args: readonly string[], when: (pid: number, said: Buffer) => Promise<void> | void) {
    const child = spawn(process.execPath, [cli, ...args], {
      env: plainEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const closed = once(child, "close");
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    await when(child.pid!, said);
    const [code, signal] = (await closed) as [number | null, NodeJS.Signals | null];
    return { code, signal, stderr };
  }

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "reports when %s ends Node.js, which ends by it all the same",
    async (name) => {
      const file = join(folder, "stats.json");
      const program = ["node", "-e", waiting];
      const end = await ended(["--report", "--stats-file", file, ...program], (pid) => void process.kill(pid, name));
      expect(end).toMatchObject({ code: null, signal: name });
      const number = constants.signals[name];
      expect(end.stderr).toMatch(new RegExp(`^pagerun: node \\(process \\d+\\), .*, ended by signal ${number}\\n`));
      expect(read(file)).toMatchObject({ hasEnded: true, signal: number });
    },
  );

  test("reports when its own handler sends it the signal again, as programs do that clean up before", async () => {
    const again = 'process.once("SIGTERM", () => { console.error("cleaned"); process.kill(process.pid, "SIGTERM"); });';
    const end = await ended(["--report", "node", "-e", again + waiting], (pid) => void process.kill(pid, "SIGTERM"));
    expect(end).toMatchObject({ code: null, signal: "SIGTERM" });
    expect(end.stderr).toMatch(/^cleaned\npagerun: node .*, ended by signal 15\n/);
  });

  test.each([
    ["by SIGTERM, a shell without children", "echo ready; while :; do :; done", "SIGTERM"],
    ["by a signal that it sends itself", "echo ready; kill -USR1 $$; while :; do :; done", undefined],
  ] as const)("reports when it ends %s", async (_, line, name) => {
    const file = join(folder, "stats.json");
    const args = ["--stats-file", file, "bash", "-c", line];
    const end = await ended(args, (pid) => void (name && process.kill(pid, name)));
    const wanted = name ?? "SIGUSR1";
    expect(end).toMatchObject({ code: null, signal: wanted, stderr: "" });
    expect(read(file)).toMatchObject({ hasEnded: true, signal: constants.signals[wanted] });
  });

  test("reports once when it ends by _exit and by abort", () => {
    const heads = (stderr: string) => stderr.split("\n").filter((line) => line.startsWith("pagerun: "));
    const fast = pagerun(["--report", "python3", "-S", "-c", "import os; os._exit(4)"]);
    expect({ status: fast.status, heads: heads(fast.stderr).at(-1) }).toEqual({
      status: 4,
      heads: expect.stringMatching(/^pagerun: python\S* \(process \d+\), .* of processor time$/),
    });
    const aborted = pagerun(["--report", "node", "-e", "process.abort()"]);
    expect(aborted).toMatchObject({ status: null, signal: "SIGABRT" });
    expect(heads(aborted.stderr)).toEqual([expect.stringMatching(/, ended by signal 6$/)]);
  });

  test("reports nothing of a signal that it survives", async () => {
    const survives = 'process.on("SIGTERM", () => process.exit(3));';
    const end = await ended(["--report", "node", "-e", survives + waiting], (pid) => void process.kill(pid, "SIGTERM"));
    expect(end.code).toBe(3);
    expect(end.stderr).not.toContain("ended by signal");
    expect(end.stderr.match(/^pagerun: /gm)).toHaveLength(1);
  });

  test("sees of that what it would see without: nothing handles the signals, and Python has its KeyboardInterrupt", async () => {
    const asks = `
      import signal, sys, time
      try:
        print([signal.getsignal(each) == signal.SIG_DFL for each in (signal.SIGTERM, signal.SIGHUP)], flush=True)
        time.sleep(60)
      except KeyboardInterrupt: print("interrupted", file=sys.stderr)`.replaceAll("\n      ", "\n");
    let stdout = "";
    const interrupts = (pid: number, text: Buffer) => {
      stdout = text.toString().trim();
      process.kill(pid, "SIGINT");
    };
    const end = await ended(["--report", "/usr/bin/python3", "-S", "-c", asks], interrupts);
    expect({ code: end.code, stdout }).toEqual({ code: 0, stdout: "[True, True]" });
    expect(end.stderr).toMatch(/^interrupted\npagerun: python/);
  });

  test.each(["signal", "sigaction"])("that keeps its last handler by %s ends as it would", async (name) => {
    const source = `
      #include <signal.h>
      #include <stdio.h>
      #include <unistd.h>
      static void* last;
      static void handle(int number) { printf("handled\\n"); fflush(stdout); signal(number, last); raise(number); }
      int main(void) {
        struct sigaction mine = {.sa_handler = handle}, before;
        if (${name === "signal" ? 1 : 0}) last = signal(SIGTERM, handle);
        else { sigaction(SIGTERM, &mine, &before); last = before.sa_handler; }
        if (last == SIG_DFL) { printf("ready\\n"); fflush(stdout); }
        for (;;) pause();
      }`;
    const program = join(folder, "keeps");
    execFileSync("gcc", ["-x", "c", "-w", "-o", program, "-"], { input: source });
    const end = await ended(["--report", program], (pid) => void process.kill(pid, "SIGTERM"));
    expect(end).toMatchObject({
      code: null,
      signal: "SIGTERM",
      stderr: expect.stringMatching(/^pagerun: keeps .*15\n/),
    });
  });

  test("leaves a file with %p that is no older than its last seconds, when nothing else could be said", async () => {
    const written = async () => {
      while (readdirSync(folder).filter((name) => name.endsWith(".json")).length === 0)
        await new Promise((resolve) => setTimeout(resolve, 50));
    };
    const end = await ended(["--stats-file", join(folder, "%p.json"), "node", "-e", waiting], async (pid) => {
      await written();
      process.kill(pid, "SIGKILL");
    });
    expect(end).toMatchObject({ signal: "SIGKILL", stderr: "" });
    const [name] = readdirSync(folder).filter((file) => file.endsWith(".json"));
    const stats = read(join(folder, name!));
    expect(stats).toMatchObject({ hasEnded: false, signal: 0, program: expect.stringMatching(/node/) });
    expect(stats.liveBlocks).toBeGreaterThan(1000);
  });
});

describe("mark", () => {
  const marking = `import { mark } from "${join(root, "dist/esm/index.js")}"; mark("one"); mark("idle");`;
  const run = (env: Record<string, string>) =>
    spawnSync(process.execPath, ["--input-type=module", "-e", marking], {
      env: plainEnvironment(env),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });

  test("writes a line to the descriptor that PAGERUN_MARK_FD names", () => {
    const { status, output, stderr } = run({ PAGERUN_MARK_FD: "3" });
    expect({ status, stderr, marks: output[3] }).toEqual({ status: 0, stderr: "", marks: "one\nidle\n" });
  });

  test("writes to the file that PAGERUN_MARK_FILE names, when it is there, and not to the descriptor", () => {
    const file = join(folder, "marks");
    expect(run({ PAGERUN_MARK_FD: "3", PAGERUN_MARK_FILE: file })).toMatchObject({ status: 0, stderr: "" });
    expect(readdirSync(folder)).toEqual([]);
    writeFileSync(file, "before\n");
    const { output } = run({ PAGERUN_MARK_FD: "3", PAGERUN_MARK_FILE: file });
    expect({ marks: readFileSync(file, "utf8"), output: output[3] }).toEqual({
      marks: "before\none\nidle\n",
      output: "",
    });
  });

  test.each([{}, { PAGERUN_MARK_FD: "" }, { PAGERUN_MARK_FD: "77" }, { PAGERUN_MARK_FD: "x" }])(
    "does nothing with %j",
    (env) => {
      const { status, output, stdout, stderr } = run(env as Record<string, string>);
      expect({ status, stdout, stderr, marks: output[3] }).toEqual({ status: 0, stdout: "", stderr: "", marks: "" });
    },
  );

  test("refuses what is no name", async () => {
    const { mark } = await import("pagerun");
    vi.stubEnv("PAGERUN_MARK_FD", "");
    for (const wrong of ["", "a\nb", "a\0", "x".repeat(201), 5, undefined]) {
      expect(() => mark(wrong as string)).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
    }
    expect(() => mark("x".repeat(200))).not.toThrow();
    vi.unstubAllEnvs();
  });
});
