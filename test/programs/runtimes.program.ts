// The bindings on other runtimes with Node-API: what a worker leaves behind, and views that end with their arena. Each of
// them calls finalizers and hooks at other moments than Node.js does.
import { join } from "node:path";
import { expect, test } from "vitest";
import { execute, folder, jobFile, plainEnvironment, root } from "./preload.js";

const runtimes = join(folder, "runtimes/node_modules");
const commands: Record<string, [command: string, ...args: string[]]> = {
  "Node.js 20": [join(runtimes, "node20/bin/node")],
  "Node.js 26": [join(runtimes, "node26/bin/node")],
  Deno: [join(runtimes, "deno/deno"), "run", "--allow-all"],
  Bun: [join(runtimes, "bun/bin/bun")],
};

test.each(Object.keys(commands))("workers that end, and arenas, leave nothing behind: %s", async (runtime) => {
  const [command, ...args] = commands[runtime]!;
  const job = { command, args: [...args, jobFile("leaving-worker.mjs")] };
  const { status, stdout, stderr } = await execute(job, { cwd: root, env: plainEnvironment() });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(JSON.parse(stdout)).toEqual({ stale: 0, left: 0, ranges: 0, verdict: { ok: true } });
});
