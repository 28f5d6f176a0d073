// The launcher with real runtimes: `pagerun verify` tells which of them run on the library, and sharp uses all cores.
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { folder, library, plainEnvironment, root } from "./preload.js";

const cli = join(root, "dist/cjs/cli.js");
const runtimes = join(folder, "runtimes/node_modules");

function pagerun(args: readonly string[], cwd = root, node = process.execPath) {
  const env = plainEnvironment();
  delete env.MALLOC_ARENA_MAX;
  const { status, stdout, stderr } = spawnSync(node, [cli, ...args], { cwd, env, encoding: "utf8", timeout: 120_000 });
  return { status, stdout, stderr };
}

const yes = { status: 0, stdout: expect.stringContaining(`runs on ${library}`), stderr: "" };
const no = (reason: string) => ({ status: 1, stdout: expect.stringContaining(reason), stderr: "" });

describe("verify says", () => {
  test.each([20, 22, 24, 26])("yes of Node.js %i", (version) => {
    expect(pagerun(["verify", "--", join(runtimes, `node${version}/bin/node`), "-e", "0"])).toEqual(yes);
  });

  test("yes of Deno, python3, perl, git and bash", () => {
    expect(pagerun(["verify", "--", join(runtimes, "deno/deno"), "eval", "1"])).toEqual(yes);
    expect(pagerun(["verify", "--", "python3", "-c", "1"])).toEqual(yes);
    expect(pagerun(["verify", "--", "perl", "-e", "1"])).toEqual(yes);
    expect(pagerun(["verify", "--", "git", "--version"])).toEqual(yes);
    expect(pagerun(["verify", "--", "bash", "-c", "exit 0"])).toEqual(yes);
  });

  test("no of Bun, by itself and behind a shell", () => {
    const bun = join(runtimes, "bun/bin/bun");
    expect(pagerun(["verify", "--", bun, "-e", "0"])).toEqual(no("it has an allocator of its own in it"));
    expect(pagerun(["verify", "--", "sh", "-c", `exec '${bun}' -e 0`])).toEqual(
      no("it has an allocator of its own in it"),
    );
  });
});

test.each([20, 22, 24, 26])("the launcher itself runs on Node.js %i", (version) => {
  const node = join(runtimes, `node${version}/bin/node`);
  const line = "echo out; echo err >&2; grep -c -m1 libpagerun.so /proc/self/maps; exit 5";
  expect(pagerun(["sh", "-c", line], root, node)).toEqual({ status: 5, stdout: "out\n1\n", stderr: "err\n" });
});

test("sharp uses all cores", () => {
  const args = ["node", "-p", "require('sharp').concurrency()"];
  const { status, stdout } = pagerun(args, join(folder, "users"));
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${availableParallelism()}\n` });
});
