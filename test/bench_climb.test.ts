// The picture of the climb: which workloads its means are over, what is left out, and that it shows all of it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { climbOf, drawClimb } from "../bench/climb.js";
import type { Row } from "../bench/rows.js";
import { root } from "./structure/tree.js";

function row(workload: string, contender: string, median: number, suite: Row["suite"] = "core"): Row {
  return { suite, workload, contender, metric: "time", unit: "s", trials: [median], median };
}

const rows: Row[] = [
  ...["libc", "free-list", "arenas", "bucket-pages", "pagerun"].map((name, i) => row("quick", name, 2 ** i)),
  ...["libc", "free-list", "arenas", "bucket-pages", "pagerun"].map((name, i) => row("gcc", name, 4 ** i, "traces")),
  row("long", "libc", 1),
  row("long", "bucket-pages", 3),
  row("long", "pagerun", 0.5),
  row("gcc-ts", "pagerun", 100, "traces"),
];

describe("the climb", () => {
  const climb = climbOf(rows);

  test("means are over the workloads that all steps ended, from C++ alone", () => {
    expect(climb).toMatchObject({ workloads: 3, common: 2 });
    const means = climb.steps.map(({ name, mean }) => [name, mean?.toFixed(3)]);
    expect(means).toEqual([
      ["free-list", Math.sqrt(2 * 4).toFixed(3)],
      ["arenas", Math.sqrt(4 * 16).toFixed(3)],
      ["bucket-pages", Math.sqrt(8 * 64).toFixed(3)],
      ["pagerun", Math.sqrt(16 * 256).toFixed(3)],
    ]);
  });

  test("has a dot for each workload that a step ended, and says how many it did not", () => {
    const svg = drawClimb(climb);
    expect(svg.match(/<circle class="dot"/g)).toHaveLength(2 + 2 + 3 + 3);
    expect(svg.match(/1 of 3 not ended/g)).toHaveLength(2);
    expect(svg.match(/all ended/g)).toHaveLength(2);
    expect(svg).not.toMatch(/(?:src|href)\s*=|url\(|@import|script/);
  });

  test("needs rows of every step", () => {
    expect(() => climbOf(rows.filter(({ contender }) => contender !== "arenas"))).toThrow(/rows of arenas/);
  });
});

test("the picture in the README is there, told in words, and of this command", () => {
  expect(readFileSync(join(root, "README.md"), "utf8")).toMatch(/!\[[^\]]{40,}\]\(docs\/climb\.svg\)/);
  const svg = readFileSync(join(root, "docs", "climb.svg"), "utf8");
  for (const title of ["one free list", "many arenas", "bucket pages", "pagerun"])
    expect(svg).toContain(`>${title}</text>`);
});
