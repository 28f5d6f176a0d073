// Heartbleed from C: what a block held before is read out by a server that believes a length. libc gives it away; so does
// every allocator that hands blocks out as they are, the fast profile among them; the hardened profile has zeroed it.
import { spawnSync } from "node:child_process";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, library } from "./programs.js";

const secret = "PRIVATE-KEY-7f3a91c4";
const requests = `login ${secret}\nheartbeat 1000 hello\n`.repeat(5);

let server: string;

beforeAll(() => {
  server = compile("heartbleed.c");
});

function answers(env: Record<string, string>): string {
  const { LD_PRELOAD: _, ...rest } = process.env;
  const { stdout, status } = spawnSync(server, { input: requests, env: { ...rest, ...env }, encoding: "latin1" });
  expect(status).toBe(0);
  expect(stdout.length).toBe(5000);
  return stdout;
}

describe("a server in C with the size-field bug", () => {
  test("leaks the secret with libc", () => {
    expect(answers({})).toContain(secret);
  });

  test("leaks it in the fast profile, which never touches a free block", () => {
    expect(answers({ LD_PRELOAD: library, PAGERUN_PROFILE: "fast" })).toContain(secret);
  });

  test("keeps it in the hardened profile", () => {
    expect(answers({ LD_PRELOAD: library, PAGERUN_PROFILE: "hardened" })).not.toContain(secret);
  });
});
