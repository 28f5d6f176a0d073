// The command that measures the launcher: what it prints, and what it refuses. No time is judged here.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "./tools/steps.js";

function run(...args: string[]) {
  const command = [join(root, "dist/bench/launcher.js"), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8", timeout: 60_000 });
  return { status, stdout, stderr };
}

test("one line for each Node.js says what the launcher adds, and how much of it is a start of Node.js", () => {
  const { status, stdout } = run("--rounds", "3", "--node", process.execPath, "--node", "node");
  expect(status).toBe(0);
  const lines = stdout.trim().split("\n").slice(1);
  expect(lines).toHaveLength(2);
  for (const line of lines) {
    expect(line).toMatch(
      /^(met|missed) +v\d+\.\d+\.\d+: the launcher adds \d+\.\d ms, of which a start of Node\.js is \d/,
    );
    const [added, start] = [...line.matchAll(/(\d+\.\d) ms/g)].map(([, figure]) => Number(figure));
    expect(line.startsWith("met")).toBe(added! < 60);
    expect(start).toBeGreaterThan(1);
  }
});

test.each([
  [["--rounds", "0"], 2, "--rounds"],
  [["--nonsense"], 2, "--nonsense"],
  [["--node", "no-such-node"], 2, 'Expected a Node.js for --node but received "no-such-node".'],
  [["--node", "/bin/cat"], 2, "Expected a Node.js for --node"],
])("%j is refused with one line", (args, status, message) => {
  const refused = run(...args);
  expect(refused).toMatchObject({ status, stderr: expect.stringMatching(/^bench:launcher: .*\n$/) });
  expect(refused.stderr).toContain(message);
});
