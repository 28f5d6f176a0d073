// fork, vfork and posix_spawn of a process whose threads allocate all the time: no child hangs, and each has a whole heap.
import { beforeAll, expect, test } from "vitest";
import { compile, library, runPlain, runPreloaded } from "./programs.js";

const done = { output: "ok\n", errors: "", end: "exit 0" };
let program: string;

beforeAll(() => {
  program = compile("forks.c");
});

test("ten thousand children, their threads and their children use and free what the parent's threads had", () => {
  expect(runPreloaded(program, ["10000", "main", "10"], { seconds: 240 })).toEqual(done);
}, 250_000);

test("a thread that forks and is alone in the child finds its heap there", () => {
  expect(runPreloaded(program, ["1000", "thread"], { seconds: 110 })).toEqual(done);
}, 120_000);

test("fork handlers that were registered before the first malloc allocate and free", () => {
  for (const profile of ["fast", "hardened"]) {
    expect(runPreloaded(program, ["200", "handlers"], { env: { PAGERUN_PROFILE: profile }, seconds: 60 })).toEqual(
      done,
    );
  }
}, 130_000);

test("so do those of a library whose constructor runs before any of ours", () => {
  const handlers = compile("forks.c", ["-shared", "-DWHEN_LOADED"], "handlers");
  const env = { LD_PRELOAD: `${library} ${handlers}` };
  expect(runPlain(program, ["100", "thread"], { env, seconds: 60 })).toEqual(done);
}, 70_000);

test("vfork and posix_spawn start programs, which have the library as well", () => {
  expect(runPreloaded(program, ["500", "spawn"], { seconds: 60 })).toEqual(done);
});
