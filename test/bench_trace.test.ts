// Recording, converting and replaying: what a program does reaches the trace, and the replayer takes nothing else for one.
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root } from "./tools/steps.js";

const bench = join(root, "build/Release/pagerun_bench");
const recorder = join(root, "build/Release/librecorder.so");
const traces = join(root, "bench/traces");
const kinds = ["malloc", "calloc", "aligned", "realloc", "free"] as const;

interface TraceInfo extends Record<(typeof kinds)[number], number> {
  name: string;
  program: string;
  command: string;
  events: number;
  threads: number;
  blocks: number;
  peak_live_bytes: number;
  peak_live_blocks: number;
}

interface Conversion extends TraceInfo {
  unknown_frees: number;
  implied_frees: number;
}

interface Result {
  workload: string;
  ops: number;
  time: number;
  ns_per_op: number;
  p50_ns: number | null;
  p99_ns: number | null;
  p999_ns: number | null;
  peak_rss: number;
  locks_per_million: number | null;
  rest_rss: number;
  threads: number;
}

const work = mkdtempSync(join(tmpdir(), "pagerun-trace-test-"));

afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Runs the bench's program on libc's malloc, whatever is preloaded here. */
function run(...args: string[]): { code: number | null; signal: string | null; out: string; err: string } {
  const env = { ...process.env, LD_PRELOAD: "" };
  const { status, signal, stdout, stderr } = spawnSync(bench, args, { encoding: "utf8", timeout: 60_000, env });
  return { code: status, signal, out: stdout, err: stderr };
}

/** The last line of a run that must succeed. */
function json<Value>(...args: string[]): Value {
  const { code, out, err } = run(...args);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out.trim().split("\n").at(-1)!) as Value;
}

/** Records a command into a new directory and returns that; a command that fails is the test's business. */
function record(command: string[], env: Record<string, string> = {}): { directory: string; code: number | null } {
  const directory = mkdtempSync(join(work, "recording-"));
  const { status } = spawnSync(command[0]!, command.slice(1), {
    cwd: work,
    env: { ...process.env, PAGERUN_RECORD: directory, LD_PRELOAD: recorder, ...env },
    // Not a socket: an outermost bash would take it for a remote shell's, and read the user's ~/.bashrc.
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
  return { directory, code: status };
}

function convert(source: string, ...flags: string[]): { info: Conversion; trace: string } {
  const trace = join(work, `${basename(source)}.trace`);
  return { info: json<Conversion>("convert", source, trace, ...flags), trace };
}

function sumOfKinds(info: TraceInfo): number {
  return kinds.reduce((sum, kind) => sum + info[kind], 0);
}

/** CRC-32 as in zlib, so that a test can make a corrupt trace whose checksum is right. */
function crc32(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 0x80))];
}

function text(value: string): number[] {
  return [...varint(value.length), ...Buffer.from(value)];
}

interface Handmade {
  threads?: number;
  blocks: number;
  peak: [bytes: number, blocks: number];
  counts: [number, number, number, number, number];
  columns: [kinds: number[], threads: number[], sizes: number[], alignments: number[], distances: number[]];
}

/** A trace written by hand after bench/traces/README.md. */
function handmade({ threads = 1, blocks, peak, counts, columns }: Handmade): string {
  const numbers = [threads, columns[0].length, blocks, ...peak, ...counts, ...columns.map((column) => column.length)];
  const body = Uint8Array.from([
    ...text("handmade"),
    ...text("none"),
    ...text("none"),
    ...numbers.flatMap(varint),
    ...columns.flat(),
  ]);
  const head = Buffer.alloc(12);
  head.write("prtrace\x01", "latin1");
  head.writeUInt32LE(crc32(body), 8);
  const path = join(mkdtempSync(join(work, "handmade-")), "a.trace");
  writeFileSync(path, Buffer.concat([head, body]));
  return path;
}

describe("a recording of a small program", () => {
  // It allocates more than the shell scripts that stand before python3 on some machines, for the largest is taken.
  const script =
    "import json; print(len(json.dumps([{'a': [1.5] * n} for n in range(200)]))); [bytearray(600 + n % 900) for n in range(100_000)]";
  let info: Conversion;
  let trace: string;

  beforeAll(() => {
    ({ info, trace } = convert(record(["python3", "-c", script]).directory, "--name", "small"));
  });

  test("becomes a trace whose counts add up", () => {
    expect(info.events).toBeGreaterThan(1000);
    expect(sumOfKinds(info)).toBe(info.events);
    expect(info.malloc + info.calloc + info.aligned).toBe(info.blocks);
    expect(info.free).toBeLessThanOrEqual(info.blocks);
    expect(info).toMatchObject({ name: "small", implied_frees: 0 });
  });

  test("names the program, and no directory", () => {
    expect(info.program).toMatch(/^python3/);
    expect(info.command).toMatch(/^python3/);
    expect(info.command).not.toContain("/");
    expect(readFileSync(trace).includes(work)).toBe(false);
  });

  test("says the same when it is read back", () => {
    const { unknown_frees: _, implied_frees: __, ...written } = info;
    expect(json<TraceInfo>("info", trace)).toEqual(written);
  });

  test("is replayed call by call", () => {
    const result = json<Result>("replay", trace);
    expect(result).toMatchObject({ workload: "small", ops: info.events, threads: info.threads, p50_ns: null });
    expect(result.ns_per_op).toBeCloseTo((result.time / result.ops) * 1e9, 1);
    expect(result.peak_rss).toBeGreaterThan(info.peak_live_bytes / 4);
    expect(result.rest_rss).toBeLessThanOrEqual(result.peak_rss);
  });

  test("is replayed several times on request, with latencies on request", () => {
    const result = json<Result>("replay", trace, "--passes", "3", "--latency");
    expect(result.ops).toBe(3 * info.events);
    expect(result.p50_ns).toBeGreaterThanOrEqual(0);
    expect(result.p99_ns).toBeGreaterThanOrEqual(result.p50_ns!);
    expect(result.p999_ns).toBeGreaterThanOrEqual(result.p99_ns!);
  });

  test("is cut where it is told to be, and is still sound", () => {
    const source = record(["python3", "-c", script]).directory;
    const cut = convert(source, "--max-events", "500", "--command", "a command");
    expect(cut.info).toMatchObject({ events: 500, command: "a command" });
    expect(json<Result>("replay", cut.trace).ops).toBe(500);
  });
});

describe("what happens to a process", () => {
  test("every process of a command gets a file of its own, and the largest is taken", () => {
    // Far more than the shell scripts that stand before python3 on some machines.
    const child = "for n in range(200_000): a = bytearray(1000)";
    const { directory, code } = record(["bash", "-c", `ls /; python3 -c '${child}'`]);
    expect(code).toBe(0);
    expect(readdirSync(directory).length).toBeGreaterThan(2);
    expect(convert(directory).info.program).toMatch(/^python3/);
  });

  test("threads are told apart, and no block is given out twice", () => {
    const code = `
      import threading
      def work(n):
        for i in range(3000): held[i % 64] = bytearray(600 + i % 3000)
      held = [None] * 64
      threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
      for t in threads: t.start()
      for t in threads: t.join()`;
    const { info, trace } = convert(record(["python3", "-c", code.replaceAll("\n      ", "\n")]).directory);
    expect(info.threads).toBe(5);
    expect(info.implied_frees).toBe(0);
    expect(json<Result>("replay", trace, "--passes", "2").ops).toBe(2 * info.events);
  });

  test("a child made by fork does not write into its parent's file", () => {
    const code = `
      import os
      held = [bytearray(2000) for n in range(100)]
      if os.fork() == 0:
        held.clear()
        for n in range(7000): bytearray(2000)
        os._exit(0)
      os.wait()`;
    const { directory } = record(["python3", "-c", code.replaceAll("\n      ", "\n")]);
    const child = convert(directory).info;
    expect(child.malloc + child.calloc).toBeGreaterThanOrEqual(7000);
    expect(child.unknown_frees).toBeGreaterThanOrEqual(100);
  });

  test.each([
    ["SIGKILL", "os.kill(os.getpid(), 9)"],
    ["SIGSEGV", "os.kill(os.getpid(), 11)"],
    ["_exit", "os._exit(0)"],
    ["exec", "os.execv('/bin/true', ['true'])"],
  ])("nothing recorded is lost when it ends by %s", (_, end) => {
    const code = `import os; a = [bytearray(5000 + n) for n in range(3000)]; ${end}`;
    const { info } = convert(record(["python3", "-c", code]).directory);
    expect(info.peak_live_blocks).toBeGreaterThan(3000);
    expect(info.peak_live_bytes).toBeGreaterThan(3000 * 5000);
  });

  test("a recording stops at its limit, and the program does not notice", () => {
    const { directory, code } = record(["python3", "-c", "a = [bytearray(5000) for n in range(20000)]"], {
      PAGERUN_RECORD_EVENTS: "5000",
    });
    expect(code).toBe(0);
    expect(convert(directory).info.events).toBeLessThanOrEqual(5000);
  });

  test("without a directory a program runs as if nothing were there", () => {
    const env = { ...process.env, LD_PRELOAD: recorder };
    expect(execFileSync("bash", ["-c", "echo $((6 * 7))"], { env, encoding: "utf8" })).toBe("42\n");
  });
});

describe("what is no trace", () => {
  let sound: string;

  beforeAll(() => {
    sound = convert(record(["/bin/ls", "/"]).directory).trace;
  });

  function expectFailure(path: string, message: RegExp): void {
    for (const command of ["replay", "info"]) {
      const { code, err } = run(command, path);
      expect(code).toBe(1);
      expect(err).toMatch(message);
    }
  }

  test("a truncated trace is refused, wherever it ends", () => {
    const size = readFileSync(sound).length;
    const copy = join(work, "truncated.trace");
    for (const share of [0, 0.001, 0.1, 0.5, 0.9]) {
      copyFileSync(sound, copy);
      truncateSync(copy, Math.floor(size * share));
      expectFailure(copy, share === 0 ? /is not a trace/ : /is truncated|is not a trace/);
    }
    copyFileSync(sound, copy);
    truncateSync(copy, size - 1);
    expectFailure(copy, /is truncated/);
  });

  test("a changed byte is found by the checksum", () => {
    const bytes = readFileSync(sound);
    const copy = join(work, "changed.trace");
    bytes[bytes.length - 3]! ^= 4;
    writeFileSync(copy, bytes);
    expectFailure(copy, /is corrupt: its checksum differs/);
  });

  test("a trace goes on behind its end, is of another version, or is something else", () => {
    const bytes = readFileSync(sound);
    const copy = join(work, "other.trace");
    writeFileSync(copy, Buffer.concat([bytes, Buffer.from([0])]));
    expectFailure(copy, /goes on behind its last column/);
    bytes[7] = 2;
    writeFileSync(copy, bytes);
    expectFailure(copy, /version 2/);
    expectFailure(join(traces, "README.md"), /is not a trace/);
    expectFailure(join(work, "nowhere.trace"), /cannot open/);
    expectFailure(work, /is not a file/);
  });

  const [malloc, calloc, aligned, realloc, free, otherThread] = [0, 1, 2, 3, 4, 8];

  test("a trace written by hand after the description is replayed", () => {
    const path = handmade({
      threads: 2,
      blocks: 3,
      peak: [100 + 300 + 5000, 3],
      counts: [1, 1, 1, 1, 2],
      columns: [
        [malloc, calloc | otherThread, aligned, realloc | otherThread, free, free | otherThread],
        [1, 0, 1],
        [100, ...varint(300), ...varint(4000), ...varint(5000)],
        [12],
        [0, 2, 1],
      ],
    });
    const expected = { malloc: 1, calloc: 1, aligned: 1, realloc: 1, free: 2, threads: 2, peak_live_bytes: 5400 };
    expect(json<TraceInfo>("info", path)).toMatchObject(expected);
    expect(json<Result>("replay", path, "--passes", "4")).toMatchObject({ workload: "handmade", ops: 24, threads: 2 });
  });

  test.each<[string, RegExp, Handmade]>([
    [
      "a free of a block that was freed",
      /after its end/,
      { blocks: 1, peak: [8, 1], counts: [1, 0, 0, 0, 2], columns: [[malloc, free, free], [], [8], [], [0, 0]] },
    ],
    [
      "a free of a block that is not made yet",
      /before it is made/,
      { blocks: 1, peak: [8, 1], counts: [1, 0, 0, 0, 1], columns: [[malloc, free], [], [8], [], [1]] },
    ],
    [
      "a thread that is not there",
      /a thread is out of range/,
      { blocks: 1, peak: [8, 1], counts: [1, 0, 0, 0, 0], columns: [[malloc | otherThread], [1], [8], [], []] },
    ],
    [
      "an unknown operation",
      /operation is unknown/,
      { blocks: 0, peak: [0, 0], counts: [0, 0, 0, 0, 1], columns: [[5], [], [], [], []] },
    ],
    [
      "counts that are not those of its events",
      /counts differ/,
      { blocks: 1, peak: [8, 1], counts: [0, 1, 0, 0, 0], columns: [[malloc], [], [8], [], []] },
    ],
    [
      "a peak that its events do not reach",
      /peaks differ/,
      { blocks: 1, peak: [9, 1], counts: [1, 0, 0, 0, 0], columns: [[malloc], [], [8], [], []] },
    ],
    [
      "an alignment beyond reason",
      /alignment is out of range/,
      { blocks: 1, peak: [8, 1], counts: [0, 0, 1, 0, 0], columns: [[aligned], [], [8], [31], []] },
    ],
  ])("a right checksum does not let through %s", (_, message, trace) => {
    expectFailure(handmade(trace), message);
  });

  test("a recording that is none, or that holds nothing, is not converted", () => {
    const empty = join(work, "empty");
    mkdirSync(empty);
    const target = join(work, "none.trace");
    expect(run("convert", empty, target)).toMatchObject({ code: 1, err: expect.stringContaining("no recording") });
    expect(run("convert", sound, target)).toMatchObject({ code: 1, err: expect.stringContaining("not a recording") });
    expect(run("convert", join(work, "absent"), target).code).toBe(1);
  });

  test("a recording that was cut short is converted as far as it goes", () => {
    const { directory } = record(["/bin/ls", "/"]);
    const file = join(directory, readdirSync(directory)[0]!);
    const whole = convert(file).info.events;
    truncateSync(file, 4096 + 24 * 20 + 7);
    const cut = convert(file);
    expect(cut.info.events).toBeGreaterThan(0);
    expect(cut.info.events).toBeLessThan(whole);
    expect(json<Result>("replay", cut.trace).ops).toBe(cut.info.events);
  });
});

describe("the traces in the repository", () => {
  const files = readdirSync(traces).filter((name) => name.endsWith(".trace.br"));
  const readme = readFileSync(join(traces, "README.md"), "utf8");

  test("are of five programs at least, and of some MB in all", () => {
    expect(new Set(files.map((name) => name.split(/[-.]/)[0])).size).toBeGreaterThanOrEqual(5);
    const bytes = files.reduce((sum, name) => sum + readFileSync(join(traces, name)).length, 0);
    expect(bytes).toBeLessThan(6 * 2 ** 20);
  });

  test.each(files)("%s is sound, and is what its line in the README says", (name) => {
    const path = join(work, name.slice(0, -".br".length));
    writeFileSync(path, brotliDecompressSync(readFileSync(join(traces, name))));
    const info = json<TraceInfo>("info", path);
    expect(`${info.name}.trace.br`).toBe(name);
    expect(info.command).not.toMatch(/(^|[\s=])\//);
    const line = readme.split("\n").find((each) => each.startsWith(`| ${info.name} |`));
    const figures = [info.events, info.threads, info.peak_live_bytes].map((count) => count.toLocaleString("en-US"));
    expect(
      line
        ?.split("|")
        .slice(-4, -1)
        .map((part) => part.trim()),
    ).toEqual(figures);
    expect(line).toContain(`\`${info.command}\``);
    expect(json<Result>("replay", path)).toMatchObject({ ops: info.events, threads: info.threads });
  });
});

describe("the command line", () => {
  test.each([
    [[]],
    [["dance"]],
    [["replay"]],
    [["replay", "a", "b"]],
    [["replay", "a", "--speed"]],
    [["replay", "a", "--passes"]],
    [["replay", "a", "--passes", "0"]],
    [["replay", "a", "--passes", "-1"]],
    [["replay", "a", "--passes", "2x"]],
    [["replay", "a", "--passes", "99999999999999999999"]],
    [["run"]],
    [["run", "no-such-workload"]],
    [["list", "all"]],
    [["whoami", "--loud"]],
    [["convert", "a"]],
    [["info"]],
  ])("refuses %j with its usage and exit code 2", (args) => {
    const { code, out, err } = run(...args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("usage: pagerun_bench");
  });

  test("says which malloc is in the process", () => {
    expect(basename(run("whoami").out.trim())).toMatch(/^libc\.so/);
    const library = join(root, "build/Release/libpagerun.so");
    const out = execFileSync(bench, ["whoami"], { env: { ...process.env, LD_PRELOAD: library }, encoding: "utf8" });
    expect(out.trim()).toBe(library);
  });

  const workloads =
    json<{ name: string; question: string; threads: number; source: string; operations: number }[]>("list");

  test("lists workloads, each with its question", () => {
    expect(workloads.length).toBeGreaterThanOrEqual(10);
    expect(new Set(workloads.map(({ name }) => name)).size).toBe(workloads.length);
    for (const { question, source, threads } of workloads) {
      expect(question).toMatch(/\?$/);
      expect(source).not.toBe("");
      expect(threads).toBeGreaterThan(0);
    }
  });

  test.each(workloads)("runs $name, about as long as it is told to", ({ name, threads, operations }) => {
    const wanted = Math.ceil(operations / 20);
    const result = json<Result>("run", name, "--ops", String(wanted));
    expect(result).toMatchObject({ workload: name, threads, p50_ns: null, locks_per_million: null });
    expect(result.ops).toBeGreaterThan(wanted / 2);
    expect(result.ops).toBeLessThanOrEqual(wanted * 2);
    expect(result.peak_rss).toBeGreaterThan(0);
    expect(json<Result>("run", name, "--ops", String(wanted), "--latency").p999_ns).toBeGreaterThan(0);
  });

  test("counts the locks that pagerun takes, and those of the measured part only", () => {
    const library = join(root, "build/Release/libpagerun.so");
    const count = (workload: string) => {
      const env = { ...process.env, LD_PRELOAD: library };
      const out = execFileSync(bench, ["run", workload, "--ops", "200000"], { env, encoding: "utf8" });
      return JSON.parse(out).locks_per_million * (JSON.parse(out).ops / 1e6);
    };
    // Each block of larger-than-bucket size is a run, and a run is taken and given under the lock of the run list.
    expect(count("large-runs")).toBeGreaterThan(0);
    // 256 blocks are there before the clock starts: what follows needs a few new pages at most.
    expect(count("small-churn-256")).toBeLessThan(200);
  });
});
