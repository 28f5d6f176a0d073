// `pagerun verify -- <command>`: it says yes only of what runs on the library, and why of everything else.
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { cli, library, pagerun, plainEnvironment } from "./launch.js";

const folder = mkdtempSync(join(tmpdir(), "pagerun-verify-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A program made of C. */
function compiled(name: string, source: string, ...flags: string[]): string {
  const program = join(folder, name);
  execFileSync("gcc", ["-x", "c", "-O1", "-w", "-fno-builtin", "-o", program, "-", ...flags], { input: source });
  return program;
}

function script(name: string, ...lines: string[]): string {
  const path = join(folder, name);
  writeFileSync(path, `${lines.join("\n")}\n`);
  chmodSync(path, 0o755);
  return path;
}

const allocates = "#include <stdlib.h>\nint main(void) { free(malloc(10)); return 0; }\n";
const waits = "#include <stdlib.h>\n#include <unistd.h>\nint main(void) { free(malloc(10)); sleep(60); return 0; }\n";

/** Runs a line of shell where nothing is mounted on /proc; only some users may. */
function withoutProc(line: string) {
  const hide = `mount -t tmpfs none /proc && ${line}`;
  return spawnSync("unshare", ["--mount", "sh", "-c", hide], { env: plainEnvironment(), encoding: "utf8" });
}
const canHideProc = withoutProc("true").status === 0;

function verify(...args: string[]) {
  const { status, stdout, stderr } = pagerun(["verify", ...args]);
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^pagerun: (yes|no): .*\n$/);
  return { status, line: stdout };
}

describe("yes", () => {
  const yes = { status: 0, line: expect.stringContaining(`runs on ${library}`) };

  test.each([
    ["Node.js", [process.execPath, "-e", "0"]],
    ["a shell", ["sh", "-c", "true"]],
    ["a program that fails", ["sh", "-c", "exit 3"]],
    ["a program that ends by a signal", ["sh", "-c", "kill -9 $$"]],
  ])("of %s", (_, command) => {
    expect(verify("--", ...command)).toEqual(yes);
  });

  test("of a script by its interpreter, also where env finds it", () => {
    expect(verify(script("script.sh", "#!/bin/sh", "exit 0"))).toEqual(yes);
    const found = script("script.js", "#!/usr/bin/env node", "0");
    expect(verify(found)).toMatchObject({ status: 0, line: expect.stringMatching(/yes: \S*\/node\S* runs on/) });
  });

  test("of a program of C, whose output is nobody's", () => {
    expect(verify("--", compiled("plain", allocates))).toEqual(yes);
    expect(verify("--", "echo", "not shown")).toEqual(yes);
  });

  test("where the folder for temporary files is not there, as in a container with a read-only root", () => {
    const env = plainEnvironment({ TMPDIR: join(folder, "nowhere") });
    expect(pagerun(["verify", "--", "echo"], { env })).toMatchObject({ status: 0, stdout: yes.line });
  });

  test.runIf(canHideProc)("where there is no /proc", () => {
    const { stdout } = withoutProc(`exec ${process.execPath} ${cli} verify -- /bin/echo`);
    expect(stdout).toMatch(/^pagerun: yes: \S+\/(echo|coreutils) runs on /);
  });

  test("of a server, which is ended when its time is over, with what it started", () => {
    const pids = join(folder, "pids");
    const server = script("server.sh", "#!/bin/sh", `sleep 60 & echo $! > '${pids}'`, "wait");
    expect(verify("--seconds", "0.5", "--", server)).toEqual(yes);
    const state = spawnSync("ps", ["-o", "state=", "-p", readFileSync(pids, "utf8").trim()], { encoding: "utf8" });
    expect(state.stdout.trim()).toMatch(/^Z?$/);
  });

  test("of a program that starts one on something else, which is named", () => {
    const other = compiled("static-child", waits, "-static");
    const { status, line } = verify("--seconds", "1", "--", "sh", "-c", `'${other}' & wait`);
    expect(status).toBe(0);
    expect(line).toContain("of what it started these do not: static-child");
  });
});

describe("no", () => {
  const no = (reason: string) => ({ status: 1, line: expect.stringContaining(reason) });

  test("of a static binary, by itself, behind a shell's exec and as an interpreter", () => {
    const binary = compiled("static", waits, "-static");
    expect(verify("--seconds", "0.5", "--", binary)).toEqual(no("it is a static binary"));
    expect(verify("--seconds", "0.5", "--", "sh", "-c", `exec '${binary}'`)).toEqual(no("it is a static binary"));
    const short = compiled("static-short", allocates, "-static");
    expect(verify("--", short)).toEqual(no("it is a static binary"));
    expect(verify("--", script("by-static", `#!${short}`))).toEqual(no(`${short} does not run on it: it is a static`));
  });

  test("of a static binary that is position-independent", () => {
    expect(verify("--", compiled("static-pie", allocates, "-static-pie"))).toEqual(no("it is a static binary"));
  });

  test.runIf(process.getuid?.() === 0)("of a program with the rights of another user", () => {
    const program = compiled("setuid", allocates);
    chownSync(program, 65534, 65534);
    chmodSync(program, 0o4755);
    expect(verify("--", program)).toEqual(no("it is setuid or setgid"));
  });

  test("of a program that is linked with a malloc of its own", () => {
    const own = `#include <stddef.h>
      static char memory[1 << 20];
      static size_t used;
      void* malloc(size_t bytes) { void* at = memory + used; used += (bytes + 31) & ~15ul; return at; }
      void free(void* ptr) {}
      void* realloc(void* ptr, size_t bytes) { return malloc(bytes); }
      void* calloc(size_t count, size_t bytes) { return malloc(count * bytes); }
      int main(void) { return malloc(1) == NULL; }`;
    expect(verify("--", compiled("own", own))).toEqual(no("it has a malloc of its own"));
  });

  test("of a program that calls no malloc, as one with an allocator of its own under another name", () => {
    const none = "#include <unistd.h>\nint main(void) { return getppid() == 0; }\n";
    expect(verify("--", compiled("none", none))).toEqual(no("it has an allocator of its own in it"));
  });

  test("of a program for another C library", () => {
    const musl = compiled("musl", allocates, "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1");
    expect(verify("--", musl)).toEqual(no("its C library is musl, and the library was built for glibc"));
  });

  test("of what is not there, cannot be executed, or has no interpreter", () => {
    expect(verify("--", "no-such-program")).toEqual(no("no-such-program was not found"));
    const plain = join(folder, "plain-text");
    copyFileSync(script("text", "text"), plain);
    chmodSync(plain, 0o644);
    expect(verify("--", plain)).toEqual(no("was not found, or cannot be executed"));
    expect(verify("--", script("nowhere", "#!/nowhere/x"))).toEqual(no("cannot be run"));
  });
});

test.each([
  [["--seconds", "0", "--", "true"], "Expected more than 0"],
  [["--seconds", "x", "--", "true"], "Expected more than 0"],
  [["--nonsense", "--", "true"], "There is no option --nonsense."],
  [["--"], "Expected a command."],
  [[], "Expected a command."],
])("verify %j is refused with a line that says why", (args, message) => {
  const { status, stdout, stderr } = pagerun(["verify", ...args]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toContain(message);
});
