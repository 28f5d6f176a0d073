// The reader of traces in JavaScript, against a trace made byte by byte and against the reader in C++.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync, gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { kCalloc, kFree, kMalloc, kRealloc, readTrace } from "../bench/js/trace.js";
import { listTraces, TraceDirectory, traceName } from "../bench/traces.js";

const benchProgram = join("build", "Release", "pagerun_bench");
const directory = mkdtempSync(join(tmpdir(), "pagerun-test-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function number(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...number(Math.floor(value / 128))];
}

function text(value: string): number[] {
  return [...number(value.length), ...Buffer.from(value)];
}

/** malloc(24), calloc(5000) on another thread, realloc of the first to 100, free of the second. */
function smallTrace(blocks = 2): Uint8Array {
  const columns = [[kMalloc, kCalloc | 8, kRealloc, kFree], [1], [24, 5000, 100].flatMap(number), [], [1, 0]];
  const header = [
    ...text("small"),
    ...text("program"),
    ...text("program -x"),
    ...[2, 4, blocks, 5100, 2, 1, 1, 0, 1, 1].flatMap(number),
    ...columns.flatMap((column) => number(column.length)),
  ];
  return Uint8Array.from([...Buffer.from("prtrace\u0001"), 0, 0, 0, 0, ...header, ...columns.flat()]);
}

describe("a trace", () => {
  test("is read event by event, with the sizes and blocks of each", () => {
    expect(readTrace(smallTrace())).toEqual({
      name: "small",
      threads: 2,
      blocks: 2,
      operations: Uint8Array.of(kMalloc, kCalloc, kRealloc, kFree),
      sizes: Float64Array.of(24, 5000, 100, 0),
      ids: Uint32Array.of(0, 1, 0, 1),
    });
  });

  test("that is cut off at any byte, or longer than it says, is refused", () => {
    const whole = smallTrace();
    for (let size = 0; size < whole.length; size++) expect(() => readTrace(whole.subarray(0, size))).toThrow();
    expect(() => readTrace(Uint8Array.from([...whole, 0]))).toThrow(/do not fill/);
  });

  test("of another version, or with a wrong count of blocks, is refused", () => {
    expect(() => readTrace(smallTrace().fill(2, 7, 8))).toThrow(/version 1/);
    expect(() => readTrace(smallTrace(3))).toThrow(/makes 2 blocks and says 3/);
  });

  test.each(listTraces(join("bench", "traces")))("%s has the events that the C++ reader finds", (path) => {
    const bytes = brotliDecompressSync(readFileSync(path));
    const plain = join(directory, `${traceName(path)}.trace`);
    writeFileSync(plain, bytes);
    const info = JSON.parse(execFileSync(benchProgram, ["info", plain], { encoding: "utf8" }));
    const { operations, blocks, threads } = readTrace(bytes);
    const counts = [0, 0, 0, 0, 0];
    for (const operation of operations) counts[operation]! += 1;
    expect({ blocks, threads, counts }).toEqual({
      blocks: info.blocks,
      threads: info.threads,
      counts: [info.malloc, info.calloc, info.aligned, info.realloc, info.free],
    });
  });
});

describe("trace files", () => {
  test("are named after their file, however they are packed", () => {
    expect(["a/gcc.trace.br", "gcc.trace.gz", "gcc.trace"].map(traceName)).toEqual(["gcc", "gcc", "gcc"]);
  });

  test("are unpacked for as long as they are needed", () => {
    const packed = join(directory, "small.trace.gz");
    writeFileSync(packed, gzipSync(smallTrace()));
    const traces = new TraceDirectory();
    const [file] = traces.open([packed]);
    expect(file?.name).toBe("small");
    expect(readTrace(readFileSync(file!.path)).name).toBe("small");
    traces.close();
    expect(() => readFileSync(file!.path)).toThrow(/ENOENT/);
  });

  test("that are missing, broken or of one name are refused by name", () => {
    const traces = new TraceDirectory();
    const broken = join(directory, "broken.trace.br");
    writeFileSync(broken, "no brotli");
    expect(() => traces.open([join(directory, "none.trace")])).toThrow(/none\.trace/);
    expect(() => traces.open([broken])).toThrow(/broken\.trace\.br/);
    expect(() => traces.open(["a/x.trace", "b/x.trace"])).toThrow();
    traces.close();
  });
});
