// How the addon is found, in both module formats, and what is said when it is not there.
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root } from "../structure/tree.js";

const folder = mkdtempSync(join(tmpdir(), "pagerun-loader-"));
const built = process.env.PAGERUN_NODE_PATH ?? join(root, "build/Release/pagerun.node");

const formats = [
  {
    format: "ESM",
    args: ["--input-type=module", "-e"],
    use: (path: string) => `import { malloc } from ${JSON.stringify(path)};`,
    dist: "esm",
  },
  {
    format: "CommonJS",
    args: ["--input-type=commonjs", "-e"],
    use: (path: string) => `const { malloc } = require(${JSON.stringify(path)});`,
    dist: "cjs",
  },
];

function execute(
  args: string[],
  env: Record<string, string> = {},
  cwd = folder,
): { stdout: string; stderr: string; status: number | null } {
  const { PAGERUN_NODE_PATH: _, ...inherited } = process.env;
  return spawnSync(process.execPath, args, { cwd, encoding: "utf8", env: { ...inherited, ...env } });
}

/** A copy of the compiled package in a folder of its own, without an addon. */
const copy = join(folder, "copy");

beforeAll(() => {
  mkdirSync(copy);
  for (const part of ["package.json", "dist"]) cpSync(join(root, part), join(copy, part), { recursive: true });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(formats)("$format", ({ args, use, dist }) => {
  const entry = (at: string) => join(at, "dist", dist, "index.js");
  const program = (at: string) => [...args, `${use(entry(at))} console.log(typeof malloc(8));`];

  test("finds the addon in build/Release of its package, whatever the current directory is", () => {
    mkdirSync(join(copy, "build/Release"), { recursive: true });
    copyFileSync(built, join(copy, "build/Release/pagerun.node"));
    const { stdout, stderr } = execute(program(copy), {}, tmpdir());
    expect(stderr).toBe("");
    expect(stdout).toBe("bigint\n");
    rmSync(join(copy, "build"), { recursive: true });
  });

  test("takes the addon that PAGERUN_NODE_PATH names", () => {
    const other = join(folder, "other.node");
    copyFileSync(built, other);
    const { stdout, stderr } = execute(program(copy), { PAGERUN_NODE_PATH: other });
    expect(stderr).toBe("");
    expect(stdout).toBe("bigint\n");
  });

  test("says what to do where there is no addon", () => {
    const { status, stderr } = execute(program(copy));
    expect(status).not.toBe(0);
    expect(stderr).toContain('Run "npm rebuild pagerun"');
    expect(stderr).toContain(join(copy, "build/Release/pagerun.node"));
  });

  test("says what to do where the addon cannot be loaded, and why it cannot", () => {
    const broken = join(folder, "broken.node");
    writeFileSync(broken, "no shared object");
    const { status, stderr } = execute(program(copy), { PAGERUN_NODE_PATH: broken });
    expect(status).not.toBe(0);
    expect(stderr).toContain('Run "npm rebuild pagerun"');
    expect(stderr).toContain(broken);
    expect(stderr).toMatch(/too short|invalid ELF header/);
  });

  test("looks nowhere else when PAGERUN_NODE_PATH names no file, and refuses a relative one", () => {
    const missing = execute(program(root), { PAGERUN_NODE_PATH: join(folder, "missing.node") });
    expect(missing.stderr).toContain(join(folder, "missing.node"));
    const relative = execute(program(root), { PAGERUN_NODE_PATH: "build/Release/pagerun.node" });
    expect(relative.stderr).toContain("Expected an absolute path for PAGERUN_NODE_PATH");
  });
});

test("in a bundle far from the package, the package is found from the current directory", () => {
  const project = join(folder, "project");
  const installed = join(project, "node_modules/pagerun");
  mkdirSync(join(installed, "build/Release"), { recursive: true });
  copyFileSync(join(root, "package.json"), join(installed, "package.json"));
  copyFileSync(built, join(installed, "build/Release/pagerun.node"));
  // The loader alone, elsewhere: what is left of the package's files in a bundle.
  const bundle = join(folder, "bundle.cjs");
  copyFileSync(join(root, "dist/cjs/native/loader.cjs"), bundle);
  const program = `console.log(typeof require(${JSON.stringify(bundle)}).loadAddon().malloc)`;
  expect(execute(["-e", program], {}, project)).toMatchObject({ stdout: "function\n", stderr: "" });
  expect(execute(["-e", program], {}, tmpdir()).stderr).toContain("In a bundle, keep pagerun external");
});

test("ESM and CommonJS in one program share one heap", () => {
  const program = `
    import { createRequire } from "node:module";
    import { free, malloc, view } from "pagerun";
    const other = createRequire(${JSON.stringify(join(root, "program.js"))})("pagerun");
    const ptr = malloc(100);
    other.view(ptr, 100).fill(7);
    console.log(view(ptr, 100)[99], other.usableSize(ptr) >= 100, other.free === free);
    other.free(ptr);
    try { free(ptr) } catch (error) { console.log(error.code) }`;
  const { stdout, stderr } = execute(["--input-type=module", "-e", program], { PAGERUN_NODE_PATH: built }, root);
  expect(stderr).toBe("");
  expect(stdout).toBe("7 true false\nERR_DOUBLE_FREE\n");
});
