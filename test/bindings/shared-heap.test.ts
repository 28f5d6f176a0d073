// The addon where libpagerun.so is preloaded: one allocator, and every misuse found in the heap of the whole process.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { root } from "../structure/tree.js";

const sanitizer = process.env.PAGERUN_TEST_SANITIZER;

/** Runs a program on the heap that it shares with Node.js. */
function execute(...args: string[]): { status: number | null; signal: string | null; stdout: string; stderr: string } {
  const library = join(root, "build/Release/libpagerun.so");
  const env = { ...process.env, LD_PRELOAD: library };
  return spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", env, timeout: 60_000 });
}

// A sanitizer brings a malloc of its own, which is preloaded too.
describe.skipIf(sanitizer)("with the library preloaded", () => {
  test("a freed block is refused by every call, whatever its kind", () => {
    const { status, stdout, stderr } = execute("--single-threaded", "--expose-gc", "test/support/freed.mjs");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const { found, verdict } = JSON.parse(stdout) as { found: Record<string, string[]>; verdict: object };
    const kinds = 7;
    const expected = (code: string) => Array<string>(kinds).fill(code);
    expect(found).toEqual({
      free: expected("ERR_DOUBLE_FREE"),
      realloc: expected("ERR_DOUBLE_FREE"),
      usableSize: expected("ERR_DOUBLE_FREE"),
      view: expected("ERR_OUT_OF_BOUNDS"),
      copyIn: expected("ERR_OUT_OF_BOUNDS"),
      copyOut: expected("ERR_OUT_OF_BOUNDS"),
    });
    expect(verdict).toEqual({ ok: true });
  });

  test("JavaScript sees the whole process's heap, in the main thread and in workers", () => {
    const { status, stdout, stderr } = execute("test/programs/jobs/one-heap.mjs");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout.trim().split("\n")).toHaveLength(9);
  });
});
