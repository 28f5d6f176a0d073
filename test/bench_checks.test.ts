// What the checks cost: how that is told, and that the build it is told of can still be made.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { formatCosts } from "../bench/checks.js";
import { root } from "./tools/steps.js";

const kBuild = "g++ 12.2.0, x64";

test("costs are told by operation, with their mean, of what both builds do", () => {
  const checked = {
    build: kBuild,
    counts: new Map([
      ["malloc", 50],
      ["calloc", 80],
      ["new", 7],
    ]),
  };
  const unchecked = {
    build: kBuild,
    counts: new Map([
      ["malloc", 40],
      ["calloc", 80],
    ]),
  };
  const lines = formatCosts(checked, unchecked).split("\n");
  expect(lines).toHaveLength(4);
  expect(lines[1]).toMatch(/^malloc +50\.0 +40\.0 +1\.25 x$/);
  expect(lines[3]).toMatch(/^geometric mean +1\.12 x$/);
});

const kCompileMs = 600_000;

test(
  "the paths of malloc and free compile without their checks, and without a warning",
  () => {
    const sources = JSON.parse(readFileSync(join(root, "native/sources.json"), "utf8")) as Record<string, string[]>;
    const flags = ["standard", "warnings"].flatMap((key) => sources[key] as string[]);
    const files = ["core/allocator.cc", "core/arena.cc", "core/run_list.cc", "preload/malloc.cc"];
    const args = [...flags, "-Werror", "-fsyntax-only", "-Inative", "-DPAGERUN_WITHOUT_CHECKS"];
    const paths = files.map((file) => join("native", file));
    const compiler = process.env.CXX ?? "c++";
    const { status, stderr } = spawnSync(compiler, [...args, ...paths], { cwd: root, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  },
  kCompileMs,
);
