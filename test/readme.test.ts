// What README.md promises: its example runs and prints what it says, its tables list what the package really has, and
// its test command is the one that CI runs.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as pagerun from "pagerun";
import { describe, expect, test } from "vitest";
import { root } from "./tools/steps.js";

const readme = readFileSync(join(root, "README.md"), "utf8");

function sectionOf(title: string): string {
  return readme.split(/^#+ /m).find((part) => part.startsWith(`${title}\n`)) ?? "";
}

describe("the README", () => {
  test("its first example compiles under strict settings and prints what its comments say", () => {
    const folder = join(root, "build-test/readme");
    mkdirSync(folder, { recursive: true });
    const example = /^```ts\n([\s\S]*?)^```/m.exec(readme)?.[1] ?? "";
    expect(example).toContain("malloc(5000)");
    writeFileSync(join(folder, "first.ts"), example);
    const options = [
      "--ignoreConfig",
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2022",
      "--types",
      "node",
      "first.ts",
    ];
    execFileSync(join(root, "node_modules/.bin/tsc"), options, { cwd: folder });
    const output = execFileSync(process.execPath, ["first.js"], { cwd: folder, encoding: "utf8" });
    expect(output).toMatch(/^0x[0-9a-f]+ has room for \d+ bytes\ntrue\nERR_DOUBLE_FREE\n$/);
  });

  test("every call of its API table is exported", () => {
    const cells = [...sectionOf("API").matchAll(/^\| (`.*?`) \|/gm)].map((match) => match[1] as string);
    const names = cells.flatMap((cell) => [...cell.matchAll(/`(\w+)(?:\(.*?\))?`/g)].map((match) => match[1]));
    expect(names.length).toBeGreaterThan(8);
    expect(names.filter((name) => !(String(name) in pagerun))).toEqual([]);
  });

  test("its table of errors lists the codes that the sources know, and no other", () => {
    const told = [...sectionOf("Errors").matchAll(/^\| `(ERR_\w+)` \|/gm)].map((match) => match[1]);
    const sources = execFileSync("grep", ["-rhoE", '"ERR_[A-Z_]+"', "lib"], { cwd: root, encoding: "utf8" });
    const known = new Set(sources.trim().replaceAll('"', "").split("\n"));
    expect([...told].sort()).toEqual([...known].sort());
  });

  test("its test command is what CI runs in a clean clone", () => {
    expect(readme).toContain("git clone <repository> pagerun && cd pagerun && npm install && npm test");
    const script = readFileSync(join(root, ".ci/run"), "utf8");
    expect(script).toMatch(/git clone .* && cd "\$clone\/pagerun" && npm install && npm test/);
  });
});
