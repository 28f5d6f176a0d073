// C++ compilers on pagerun compile this project's core: the same bytes come out as without it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { which } from "../tools/system-tools.js";
import { compare, jobFile, root } from "./preload.js";

const { core } = JSON.parse(readFileSync(join(root, "native/sources.json"), "utf8")) as { core: string[] };
const sources = core.map((file) => join(root, file));

test("g++ compiles and links the core to the same bytes", async () => {
  const args = [jobFile("compile.sh"), "g++", ...sources];
  const { stdout } = await compare({ name: "gcc", command: "bash", args }, ["g++", "cc1plus", "as", "ld"]);
  expect(stdout.trim().split("\n")).toHaveLength(sources.length + 1);
});

test.runIf(which("clang++"))("clang++ compiles and links the core to the same bytes", async () => {
  const args = [jobFile("compile.sh"), "clang++", ...sources];
  const { stdout } = await compare({ name: "clang", command: "bash", args }, ["clang++", "ld"]);
  expect(stdout.trim().split("\n")).toHaveLength(sources.length + 1);
});
