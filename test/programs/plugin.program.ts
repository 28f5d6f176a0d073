// A C++ program on pagerun that opens and closes a C++ library, with memory, threads and exceptions on both sides.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { compare, execute, folder, jobFile, plainEnvironment, root } from "./preload.js";

const built = join(folder, "plugin");
const host = join(built, "host");
const plugin = join(built, "plugin.so");

async function compile(...args: string[]): Promise<void> {
  const command = { command: "g++", args: ["-std=c++20", "-O2", "-pthread", ...args] };
  expect(await execute(command, { cwd: root, env: plainEnvironment() })).toMatchObject({ status: 0, stderr: "" });
}

beforeAll(async () => {
  mkdirSync(built, { recursive: true });
  // Without unique symbols, which would keep the library from being closed.
  await compile("-fPIC", "-shared", "-fno-gnu-unique", jobFile("plugin.cc"), "-o", plugin);
  await compile(jobFile("host.cc"), "-o", host);
});

test("a program opens and closes a library 500 times and uses it from threads", async () => {
  const { stdout, lines } = await compare({ name: "plugin-run", command: host, args: [plugin, "500"] }, ["host"]);
  expect(stdout).toMatch(/^500 rounds: [1-9]\d+\n$/);
  // What the rounds allocated is gone: one round alone holds more.
  expect(lines.find(({ event }) => event === "end")?.liveBlocks).toBeLessThan(500);
});
