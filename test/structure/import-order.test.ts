// Who may import whom in TypeScript. The order in lib/ is read from lib/README.md, so that page and files cannot part.
import { describe, expect, test } from "vitest";
import { importFaults, importsOf, orderIn, targetOf } from "./import-order.js";
import { circleIn } from "./include-order.js";
import { exists, filesBelow, read } from "./tree.js";

const script = /\.[cm]?ts$/;
const order = orderIn(read("lib/README.md"));
const libFiles = filesBelow("lib", script);
const benchFiles = filesBelow("bench", script);
const testFiles = filesBelow("test", script);

describe("the import order", () => {
  test("the files in lib/README.md are the files of lib/", () => {
    expect([...order].sort()).toEqual(libFiles);
  });

  test("every file of lib/ imports only files above it in the table, and no package", () => {
    expect(libFiles.flatMap((file) => importFaults(file, read(file), order))).toEqual([]);
  });

  test("the bench and the tests reach the package by its name, or by what lib/internal/ holds for them", () => {
    const faults = [...benchFiles, ...testFiles].flatMap((file) =>
      importsOf(read(file))
        .filter((name) => name.startsWith("."))
        .map((name) => targetOf(file, name))
        .filter((target) => target.startsWith("lib/") && target !== "lib/index.ts" && isInner(file, target))
        .map((target) => `${file}: ${target}`),
    );
    expect(faults).toEqual([]);
  });

  test("neither lib/ nor bench/ imports anything of test/", () => {
    const faults = [...libFiles, ...benchFiles].filter((file) =>
      importsOf(read(file)).some((name) => name.startsWith(".") && targetOf(file, name).startsWith("test/")),
    );
    expect(faults).toEqual([]);
  });

  test("every relative import names a file that exists", () => {
    const faults = [...libFiles, ...benchFiles, ...testFiles].flatMap((file) =>
      importsOf(read(file))
        .filter((name) => name.startsWith(".") && !exists(targetOf(file, name)))
        .map((name) => `${file}: ${name}`),
    );
    expect(faults).toEqual([]);
  });

  test("there is no circle of imports", () => {
    const graph = new Map(
      [...libFiles, ...benchFiles, ...testFiles].map((file) => [
        file,
        importsOf(read(file))
          .filter((name) => name.startsWith("."))
          .map((name) => targetOf(file, name)),
      ]),
    );
    expect(circleIn(graph)).toBeUndefined();
  });
});

/** Tests may look inside a module that they test alone; the bench is a user and may not. */
function isInner(file: string, target: string): boolean {
  return file.startsWith("bench/") && !target.startsWith("lib/internal/");
}

describe("the rule itself", () => {
  const three = ["lib/low.ts", "lib/internal/testing.ts", "lib/high.ts"];

  test("refuses an import of a file below, of a package, and of lib/internal/", () => {
    expect(importFaults("lib/low.ts", 'import { a } from "./high.js";\n', three)).toHaveLength(1);
    expect(importFaults("lib/high.ts", 'import { a } from "./low.js";\nimport "node:fs";\n', three)).toEqual([]);
    expect(importFaults("lib/high.ts", 'import koffi from "koffi";\n', three)).toHaveLength(1);
    expect(importFaults("lib/high.ts", 'export * from "./internal/testing.js";\n', three)).toHaveLength(1);
    expect(importFaults("lib/new.ts", "", three)).toHaveLength(1);
  });

  test("sees imports over several lines, re-exports and calls, and not the examples in comments", () => {
    const text =
      'import {\n  a,\n} from "./a.js";\nexport { b } from "./b.js";\nawait import("node:c");\nimport "./d.js";\n';
    expect(importsOf(`/** import { x } from "pagerun"; */\n${text}`).sort()).toEqual([
      "./a.js",
      "./b.js",
      "./d.js",
      "node:c",
    ]);
  });
});
