// Memory that goes back to the system from programs in C that know nothing of the library.
import { beforeAll, describe, expect, test } from "vitest";
import { compile, runPreloaded } from "./programs.js";

const done = { output: "ok\n", errors: "", end: "exit 0" };
let program: string;

beforeAll(() => {
  program = compile("purging.c");
});

describe("a program that has freed most of its memory gives it back", () => {
  test.each([
    ["while it sleeps", "idle", { PAGERUN_PURGE_DELAY: "100" }],
    ["in a child of fork, which has threads of its own to start", "child", { PAGERUN_PURGE_DELAY: "100" }],
    ["in a child of fork that only frees, at once", "alone", {}],
    ["also when its blocks are large", "alone-runs", {}],
    ["at malloc_trim, however long the delay", "trim", { PAGERUN_PURGE_DELAY: "off" }],
    [
      "long before the delay, when it has used up its budget",
      "idle",
      { PAGERUN_PURGE_DELAY: "60000", PAGERUN_RSS_TARGET: "20M" },
    ],
    ["out of pages that keep some of their blocks", "idle-small", { PAGERUN_PURGE_DELAY: "100" }],
    ["in the hardened profile", "idle", { PAGERUN_PURGE_DELAY: "100", PAGERUN_PROFILE: "hardened" }],
    [
      "out of pages that keep some of their blocks in the hardened profile, too",
      "idle-small",
      { PAGERUN_PURGE_DELAY: "100", PAGERUN_PROFILE: "hardened" },
    ],
  ])("%s", (_, mode, env) => {
    expect(runPreloaded(program, [mode], { env: env as Record<string, string> })).toEqual(done);
  });
});

test("a busy program keeps what it takes and frees all the time", () => {
  const { output, errors, end } = runPreloaded(program, ["busy"]);
  expect({ errors, end }).toEqual({ errors: "", end: "exit 0" });
  // Four seconds, in which it might be given back sixteen times by its own frees and eight times by the background thread.
  expect(Number(output)).toBeLessThan(8);
});
