// node:ffi, which Node.js 26 has: the oracle of our accessors, and a real caller of libc on our memory.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { execute, folder, jobFile, plainEnvironment, root } from "./preload.js";

const node = join(folder, "runtimes/node_modules/node26/bin/node");
const flags = ["--experimental-ffi", "--no-warnings"];
const seed = Number(process.env.PAGERUN_TEST_SEED ?? Date.now() % 2 ** 31);
const steps = 60_000;
console.log(`node:ffi as an oracle: PAGERUN_TEST_SEED=${seed}`);

function oracle(...args: (string | number)[]): ReturnType<typeof execute> {
  const job = { command: node, args: [...flags, jobFile("ffi-oracle.mjs"), ...args.map(String)] };
  return execute(job, { cwd: root, env: plainEnvironment() });
}

describe("accessors and those of node:ffi", () => {
  test("give the same results and refuse the same values in random programs", async () => {
    const outcome = await oracle(seed, steps);
    expect(outcome).toMatchObject({ status: 0, stderr: "" });
    const { counts, refused, sameReason, verdict } = JSON.parse(outcome.stdout) as {
      counts: Record<string, number>;
      refused: number;
      sameReason: number;
      verdict: object;
    };
    expect(Object.keys(counts)).toHaveLength(28);
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(steps / 100);
    expect(refused).toBeGreaterThan(steps / 10);
    expect(sameReason).toBeGreaterThan(refused * 0.99);
    expect(verdict).toEqual({ ok: true });
  });

  test.each(["getUint8", "setUint16", "getUint64"])("a %s that is another one would be seen", async (name) => {
    const { status, stderr } = await oracle(1, steps, name);
    expect(status).toBe(1);
    expect(stderr).toContain(`of seed 1: ${name}(`);
  });
});
