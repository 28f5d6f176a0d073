// The examples of the docstrings: each runs, with its assertions, and every public function has one.
import { spawnSync } from "node:child_process";
import * as pagerun from "pagerun";
import { describe, expect, test } from "vitest";
import { filesBelow, read, root } from "../structure/tree.js";

interface Example {
  name: string;
  code: string;
}

/** The name that an exported declaration gives. */
const declaration = /^export (?:declare )?(?:async )?(?:function|const|class|type|interface) (\w+)/;

/** The examples of a file, each with the name of the declaration below its docstring. */
function examplesIn(text: string): Example[] {
  return [...text.matchAll(/\/\*\*(?<comment>(?:(?!\*\/)[\s\S])*)\*\/\n(?<line>[^\n]*)/g)].flatMap(({ groups }) => {
    const name = declaration.exec(groups?.line ?? "")?.[1];
    const comment = (groups?.comment ?? "").replaceAll(/^ \* ?/gm, "");
    const code = /@example\s+```ts\n([\s\S]*?)```/.exec(comment)?.[1];
    return name === undefined || code === undefined ? [] : [{ name, code }];
  });
}

const examples = filesBelow("lib", /\.ts$/).flatMap((file) => examplesIn(read(file)));

/** Runs a program as a user's file would; a failed console.assert writes to standard error. */
function runExample(code: string): { status: number | null; stderr: string } {
  const args = ["--input-type=module", "-e", `${code}\n`];
  return spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
}

describe("the examples in lib/", () => {
  test("there is one for every public value, and none for others", () => {
    expect(examples.map(({ name }) => name).sort()).toEqual(Object.keys(pagerun).sort());
  });

  test.each(examples)("$name", ({ code }) => {
    expect(code).toContain("console.assert(");
    expect(runExample(code)).toMatchObject({ status: 0, stderr: "" });
  });

  test("an example whose assertion does not hold would be seen", () => {
    expect(runExample("console.assert(1 === 2)").stderr).toContain("Assertion failed");
  });
});
