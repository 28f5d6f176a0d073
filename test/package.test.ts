// The package as a user gets it: packed, unpacked into an empty project, imported and required, with its types.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root } from "./tools/steps.js";

/** With a space, as folders of users have. */
const project = mkdtempSync(join(tmpdir(), "pagerun package-"));
const installed = join(project, "node_modules/pagerun");
let packed: string[] = [];

function execute(program: string, args: string[], cwd = project): string {
  return execFileSync(program, args, { cwd, encoding: "utf8", timeout: 60_000, stdio: ["ignore", "pipe", "pipe"] });
}

beforeAll(() => {
  // Without its scripts, which would make dist/ anew under the feet of other tests.
  execute("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", project], root);
  mkdirSync(installed, { recursive: true });
  execute("tar", ["-xzf", "pagerun-0.1.0.tgz", "--strip-components=1", "-C", installed]);
  packed = execute("tar", ["-tzf", "pagerun-0.1.0.tgz"])
    .trim()
    .split("\n")
    .map((name) => name.replace(/^package\//, ""))
    .sort();
  // What the install script would have built.
  cpSync(join(root, "build/Release/pagerun.node"), join(installed, "build/Release/pagerun.node"));
  for (const name of ["node-addon-api", "@types", "undici-types"]) {
    symlinkSync(join(root, "node_modules", name), join(project, "node_modules", name));
  }
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

describe("the packed package", () => {
  test("holds both module formats with types, the native sources and the build files", () => {
    const needed = ["dist/esm/index.js", "dist/esm/index.d.ts", "dist/cjs/index.js", "dist/cjs/index.d.ts"];
    needed.push("dist/cjs/package.json", "native/sources.json", "binding.gyp", "CMakeLists.txt", "lib/index.ts");
    needed.push("README.md", "CHANGELOG.md", "LICENSE", "package.json");
    expect(needed.filter((name) => !packed.includes(name))).toEqual([]);
  });

  test("holds the pages of docs/ that its README names", () => {
    const named = readFileSync(join(installed, "README.md"), "utf8").match(/docs\/[\w-]+\.md/g) ?? [];
    expect(named).toContain("docs/environment.md");
    expect(named.filter((page) => !packed.includes(page))).toEqual([]);
  });

  test("holds no test, no bench, no trace and nothing built", () => {
    expect(packed.filter((name) => /^(test|bench|build|node_modules|dist\/bench)/.test(name))).toEqual([]);
  });

  test("holds every file that its exports name", () => {
    const manifest = JSON.parse(execute("cat", [join(installed, "package.json")]));
    const targets = JSON.stringify(manifest.exports).match(/\.\/[\w./-]+\.(json|js|ts)\b/g) ?? [];
    expect(targets.length).toBeGreaterThan(3);
    for (const path of [...targets, manifest.main, manifest.types]) {
      expect(existsSync(join(installed, path)), path).toBe(true);
    }
  });

  test("is imported as an ES module", () => {
    writeFileSync(join(project, "user.mjs"), 'import { malloc, free } from "pagerun";\nfree(malloc(24));\n');
    expect(execute(process.execPath, ["user.mjs"])).toBe("");
  });

  test("is required as a CommonJS module", () => {
    writeFileSync(join(project, "user.cjs"), 'const { malloc, free } = require("pagerun");\nfree(malloc(24));\n');
    expect(execute(process.execPath, ["user.cjs"])).toBe("");
  });

  test("shows the same names in both formats", () => {
    const print = "console.log(Object.keys(pagerun).filter((name) => name !== 'default').sort().join())";
    writeFileSync(join(project, "names.mjs"), `import * as pagerun from "pagerun";\n${print};\n`);
    writeFileSync(join(project, "names.cjs"), `const pagerun = require("pagerun");\n${print};\n`);
    const names = execute(process.execPath, ["names.mjs"]);
    expect(names).toBe(execute(process.execPath, ["names.cjs"]));
    expect(names).toContain("malloc");
  });

  test.each(["mts", "cts"])("has types for a .%s file under strict settings", (ending) => {
    const file = `typed.${ending}`;
    const lines = [
      'import { malloc, view } from "pagerun";',
      "const ptr: bigint = malloc(24);",
      "const bytes: Uint8Array = view(ptr, 24);",
      "// @ts-expect-error a pointer is no number",
      "view(24, 24);",
      "console.log(bytes.length);",
    ];
    writeFileSync(join(project, file), `${lines.join("\n")}\n`);
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--types", "node"];
    const tsc = join(root, "node_modules/.bin/tsc");
    const { status, stdout } = spawnSync(tsc, [...options, file], { cwd: project, encoding: "utf8" });
    expect(stdout).toBe("");
    expect(status).toBe(0);
  });

  test("has the command pagerun, which runs where the package is installed", () => {
    const { bin } = JSON.parse(execute("cat", [join(installed, "package.json")]));
    const output = execute(process.execPath, [join(installed, bin.pagerun), "lesson"]);
    expect(output).toContain("malloc(5000), byte by byte");
    expect(output).toContain("size 5000");
  });

  test("can be configured for a build without the bench", () => {
    const program = join(root, "node_modules/node-gyp/bin/node-gyp.js");
    const { status, stderr } = spawnSync(process.execPath, [program, "configure"], {
      cwd: installed,
      encoding: "utf8",
    });
    expect(status, stderr).toBe(0);
    expect(existsSync(join(installed, "build/pagerun.target.mk"))).toBe(true);
    expect(existsSync(join(installed, "build/pagerun_bench.target.mk"))).toBe(false);
    const [, headers = ""] =
      /-isystem(\S+)/.exec(readFileSync(join(installed, "build/pagerun.target.mk"), "utf8")) ?? [];
    expect(existsSync(join(installed, "build", headers, "napi.h")), headers).toBe(true);
  });
});
