// The seeded faults of test/mutations: each still applies to the sources, is one, and names tests that are there.
// That they are killed is told by npm run test:mutations, which builds and runs them.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { exists, read, root } from "./structure/tree.js";
import { applied, type Mutation, readMutations } from "./tools/mutation.js";

const mutations = readMutations(root);

function fault(changes: Mutation["changes"]): Mutation {
  return { name: "a", says: "", file: "a.cc", underThreadSanitizer: false, killers: [], changes };
}

describe("seeded faults", () => {
  test("there are at least forty, and no two have one name", () => {
    expect(mutations.length).toBeGreaterThanOrEqual(40);
    expect(new Set(mutations.map(({ name }) => name)).size).toBe(mutations.length);
  });

  test.each(mutations.map((mutation) => [mutation.name, mutation] as const))("%s still applies", (_, mutation) => {
    const before = read(mutation.file);
    expect(applied(mutation, before)).not.toBe(before);
    expect(mutation.says.length).toBeGreaterThan(10);
    for (const { program, filter } of mutation.killers) {
      const file = `test/native/${program}.cc`;
      expect(exists(file), `${file} is there`).toBe(true);
      const sentences = read(file).match(/TEST\("[^"]*"/g) ?? [];
      expect(
        sentences.some((sentence) => sentence.includes(filter)),
        `${program} has a test of: ${filter}`,
      ).toBe(true);
    }
  });

  test("a fault whose place is gone, or is there twice, is refused", () => {
    const change = fault([{ from: ["  one();"], to: ["  two();"] }]);
    expect(applied(change, "a\n    one();\nb")).toBe("a\n  two();\nb");
    expect(() => applied(change, "a\nb")).toThrow("0 places");
    expect(() => applied(change, "one();\none();")).toThrow("2 places");
  });

  test("the format is told where it is read, by an example that is read as it says", () => {
    const example = readFileSync(`${root}/test/tools/mutation.ts`, "utf8");
    expect(example).toContain("killed by page_test: words of a sentence; model_test");
    const first = mutations.find(({ name }) => name === "free-of-a-free-block");
    expect(first?.killers).toEqual([{ program: "misuse_test", filter: "a double free" }]);
    expect(first?.changes).toHaveLength(1);
  });
});
