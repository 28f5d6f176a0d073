// Real users of our memory: the examples of `docs/examples/`, on every version of Node.js, with the addon alone and with
// libpagerun.so preloaded.
import { copyFileSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { compare, execute, folder, plainEnvironment, root } from "./preload.js";

const versions = [20, 22, 24, 26].map((version) => ({
  version,
  node: join(folder, `runtimes/node_modules/node${version}/bin/node`),
}));

/** Where sharp is, and pagerun beside it as a user's project has both. */
const project = join(folder, "users");

function example(name: string): string {
  return join(root, "docs/examples", `${name}.mjs`);
}

beforeAll(() => {
  mkdirSync(join(project, "node_modules"), { recursive: true });
  const link = join(project, "node_modules/pagerun");
  rmSync(link, { force: true });
  symlinkSync(root, link);
  copyFileSync(example("sharp"), join(project, "sharp.mjs"));
});

describe.each(versions)("Node.js $version", ({ version, node }) => {
  test("koffi calls qsort, strlen and memcpy of libc on a block", async () => {
    const { stdout } = await compare(
      { name: `node${version}-koffi`, command: node, args: [example("libc-through-koffi")] },
      ["node"],
    );
    expect(stdout).toBe("libc sorted 1000 numbers of ours with our own comparison\n");
  });

  test("sharp reads pixels in place", async () => {
    const job = { name: `node${version}-sharp`, command: node, args: [join(project, "sharp.mjs")] };
    const { stdout } = await compare(job, ["node"]);
    expect(stdout).toBe("sharp read pixels that were painted after it had been given them\n");
  });
});

test("node:ffi calls qsort, strlen and memcpy of libc on a block", async () => {
  const { node } = versions.at(-1)!;
  const args = ["--experimental-ffi", "--no-warnings", example("libc-through-ffi")];
  const { stdout } = await compare({ name: "node26-ffi", command: node, args }, ["node"]);
  expect(stdout).toBe("libc sorted 1000 numbers of ours with our own comparison\n");
});

test("the proof that sharp makes no copy does not hold for a copy", async () => {
  const { node } = versions.at(-1)!;
  const args = ["--input-type=module", "-e", await copying()];
  const outcome = await execute({ command: node, args }, { cwd: project, env: plainEnvironment() });
  expect(outcome.status).toBe(1);
  expect(outcome.stderr).toContain("AssertionError");
});

/** The example, but that sharp gets a copy of the pixels. */
async function copying(): Promise<string> {
  const { readFile } = await import("node:fs/promises");
  const code = await readFile(example("sharp"), "utf8");
  const changed = code.replace("sharp(pixels, ", "sharp(Buffer.from(pixels), ");
  expect(changed).not.toBe(code);
  return changed;
}
