// The preloaded library at the moments when an allocator is easily not there, and under the limits of the system.
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, library, runPlain, runPreloaded } from "./programs.js";

const done = { output: "ok\n", errors: "", end: "exit 0" };

describe("malloc works", () => {
  let program: string;
  beforeAll(() => {
    program = compile("moments.c");
  });

  test.each([
    ["before main: in constructors, the earliest included, with a function that the loader chooses", "before-main"],
    ["in every round of the destructors of thread-specific data, also of threads that never allocated", "thread-ends"],
    ["while timer signals come ten thousand times a second", "timer-signals"],
    ["on the smallest stacks that threads can have", "small-stacks"],
  ])("%s", (_, moment) => {
    expect(runPreloaded(program, [moment])).toEqual(done);
  });

  test("in exit handlers and destructors, after main has ended", () => {
    expect(runPreloaded(program, ["exit-handlers"])).toEqual({ ...done, output: "ok\nexit handler " });
  });

  test("in libraries that are opened and closed a thousand times, and in their constructors and destructors", () => {
    const guests = [compile("guest.c", ["-shared"], "guest-c"), compile("guest.cc", ["-shared"], "guest-cc")];
    expect(runPreloaded(program, ["libraries", ...guests])).toEqual(done);
  });

  test("in a library that is opened with RTLD_DEEPBIND, and found by the search path of who opens it", () => {
    const guest = compile("guest.c", ["-shared"], "guest-c");
    const opener = compile("moments.c", [`-Wl,-rpath,${dirname(guest)}`], "moments-opener");
    expect(runPreloaded(opener, ["deep-library", basename(guest)])).toEqual(done);
  });

  test("where the program was linked with the library, and nothing is preloaded", () => {
    const linked = compile("moments.c", [library, `-Wl,-rpath,${library.replace(/\/[^/]*$/, "")}`], "moments-linked");
    expect(runPlain(linked, ["thread-ends"])).toEqual(done);
    expect(runPlain(linked, ["before-main"])).toEqual(done);
  });
});

describe("malloc fails with ENOMEM, loses nothing and works again afterwards", () => {
  let program: string;
  beforeAll(() => {
    program = compile("limits.c");
  });

  test.each([
    ["under a limit on address space", "address-space"],
    ["under a limit on data size", "data"],
    ["when the kernel's map count is exhausted", "maps"],
  ])("%s", (_, limit) => {
    expect(runPreloaded(program, [limit])).toEqual(done);
  });

  test.each(["fast", "hardened"])("and most of the addresses that it may have are its blocks' (%s)", (profile) => {
    const script = `ulimit -v 300000 && exec "$0" most`;
    expect(runPreloaded("/bin/sh", ["-c", script, program], { env: { PAGERUN_PROFILE: profile } })).toEqual(done);
  });

  test("and a stack without a limit changes nothing", () => {
    const script = `ulimit -s unlimited && exec "$0" plain`;
    expect(runPreloaded("/bin/sh", ["-c", script, program])).toEqual(done);
  });
});

describe("the library", () => {
  test.runIf(process.getuid?.() === 0)("reads no environment in a program with more rights than its caller", () => {
    // Where everybody may read: the program looks for the library as somebody else.
    const folder = mkdtempSync(join(tmpdir(), "pagerun-setuid-"));
    chmodSync(folder, 0o755);
    const copy = join(folder, "libpagerun.so");
    copyFileSync(library, copy);
    chmodSync(copy, 0o755);
    const program = join(folder, "moments");
    copyFileSync(compile("moments.c", [copy, `-Wl,-rpath,${folder}`], "moments-setuid"), program);
    const run = () => runPlain(program, ["thread-ends"], { env: { PAGERUN_PROFILE: "wrong" } });
    expect(run().errors).toContain("PAGERUN_PROFILE=wrong is ignored");
    const nobody = 65534;
    chownSync(program, nobody, nobody);
    chmodSync(program, 0o4755);
    expect(run()).toEqual(done);
    rmSync(folder, { recursive: true });
  });

  test("needs no other library than the C library and its loader", () => {
    const needed =
      execFileSync("readelf", ["--dynamic", library], { encoding: "utf8" }).match(/NEEDED.*\[(.*)\]/g) ?? [];
    const names = needed.map((line) => line.replace(/.*\[(.*)\]/, "$1"));
    expect(names.filter((name) => !name.startsWith("ld-linux"))).toEqual(["libc.so.6"]);
  });
});
