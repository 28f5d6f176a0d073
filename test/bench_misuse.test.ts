// The table of misuses: what the command finds is what docs/misuse.md says, and what each allocator says is asserted.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  type Ending,
  formatMisuses,
  kEndings,
  listMisuses,
  misuseContenders,
  type Outcome,
  runMisuse,
  tableIn,
} from "../bench/misuse.js";
import { root } from "./structure/tree.js";

const release = join(root, "build", "Release");
const program = join(release, "pagerun_misuse");
const cases = listMisuses(program);
const contenders = misuseContenders(release);
const page = readFileSync(join(root, "docs", "misuse.md"), "utf8");

function outcomesOf(name: string): Record<string, Outcome> {
  return Object.fromEntries(contenders.map((contender) => [contender.name, runMisuse(program, name, contender)]));
}

/** The table without the column of libc, which is another one on another system. */
function ours(table: string): string[][] {
  const [head = "", ...body] = table.split("\n");
  const column = head.split("|").findIndex((cell) => cell.trim() === "libc");
  return [head, ...body].map((line) => line.split("|").filter((_, index) => index !== column));
}

describe("misuse", () => {
  test("the table in docs/misuse.md is what a run finds", () => {
    const table = formatMisuses(cases, contenders, (name, contender) => runMisuse(program, name, contender));
    expect(ours(tableIn(page))).toEqual(ours(table));
  });

  test("the page explains every ending, and the table has no other", () => {
    for (const ending of Object.keys(kEndings)) expect(page).toContain(`**${ending}**`);
    const found = ours(tableIn(page))
      .slice(2)
      .flatMap((cells) => cells.slice(2, -1));
    for (const ending of found) expect(Object.keys(kEndings)).toContain(ending.trim());
  });

  test.each(cases)(
    "$title: pagerun stops it or is unharmed, but for the one that no allocator can tell",
    ({ name }) => {
      const { pagerun } = outcomesOf(name);
      const expected: Record<string, Ending> = {
        "overflow-into-size": "unharmed",
        "overflow-behind-last": "unharmed",
        "write-after-free": "unharmed",
        "double-free-after-reuse": "two owners",
      };
      expect(pagerun?.ending).toBe(expected[name] ?? "stopped");
      if (pagerun?.ending === "stopped") {
        expect(pagerun.message).toMatch(/^pagerun: (double free|interior pointer|foreign pointer) of 0x… in free/);
      }
    },
  );

  test("the free list hands out memory twice, or memory that is no heap's, whatever is misused but the last block", () => {
    for (const { name } of cases.filter(({ name }) => name !== "overflow-behind-last")) {
      expect(outcomesOf(name)["free list"]?.ending, name).toMatch(/^(two owners|foreign memory)$/);
    }
  });

  test("bucket pages tell wrong pointers, and lose their bitmap to a write behind the last block", () => {
    const endings = Object.fromEntries(cases.map(({ name }) => [name, outcomesOf(name)["bucket pages"]?.ending]));
    expect(endings).toMatchObject({
      "double-free": "stopped",
      "forged-size": "stopped",
      "interior-pointer": "stopped",
      "overflow-into-size": "unharmed",
      "overflow-behind-last": "two owners",
    });
  });
});
