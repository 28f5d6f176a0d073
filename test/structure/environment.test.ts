// Environment variables: what the code reads, what docs/environment.md tells of, and what the library knows are the same.
import { expect, test } from "vitest";
import { codeFiles, filesBelow, read } from "./tree.js";

/** Names of tests and benches are nobody's settings. */
const isOfTests = (name: string) => /^PAGERUN_(TEST|BENCH)_/.test(name);

/** How code asks for a variable. */
const questions = [
  /\bprocess\.env\.(PAGERUN_\w+)/g,
  /\bprocess\.env\[["'](PAGERUN_\w+)["']\]/g,
  /\b(?:secure_)?getenv\("(PAGERUN_\w+)"\)/g,
  /\$ENV\{(PAGERUN_\w+)\}/g,
  /\bk\w+Variable = "(PAGERUN_\w+)"/g,
];

const askers = [...codeFiles(), ...filesBelow("lib", /\.cts$/), "CMakeLists.txt", "binding.gyp"].filter(
  (file) => !file.startsWith("test/"),
);
const plain = askers.flatMap((file) =>
  questions.flatMap((question) => [...read(file).matchAll(question)].map(([, name]) => name!)),
);
/** What is taken out of the environment by name, several at a time. */
const picked = askers.flatMap((file) =>
  [...read(file).matchAll(/\{([^{}]*)\} = process\.env;/g)].flatMap(([, names]) => names!.match(/PAGERUN_\w+/g) ?? []),
);
const asked = [...plain, ...picked];

const table = /kVariables\[\] = \{\n([\s\S]*?)\n\};/.exec(read("native/base/settings.cc"))?.[1] ?? "";
const known = [...table.matchAll(/\{"(\w+)"/g)].map(([, name]) => `PAGERUN_${name}`);

const documented = read("docs/environment.md")
  .split("\n")
  .filter((line) => line.startsWith("| `PAGERUN_"))
  .flatMap((line) => [...line.split("|")[1]!.matchAll(/`(PAGERUN_\w+)`/g)].map(([, name]) => name!));

test("the table of docs/environment.md has each variable once, and is the library's own", () => {
  expect(known.length).toBeGreaterThan(10);
  expect(documented).toHaveLength(new Set(documented).size);
  expect([...documented].sort()).toEqual([...known].sort());
});

test("every variable that the code reads elsewhere stands in it", () => {
  expect(asked).toEqual(expect.arrayContaining(["PAGERUN_NODE_PATH", "PAGERUN_TEXTBOOK", "PAGERUN_WERROR"]));
  expect(asked.filter((name) => !isOfTests(name) && !documented.includes(name))).toEqual([]);
});

test("what the table has is read: by the settings' own reader, or elsewhere", () => {
  const accepted = [...table.matchAll(/\{"(\w+)",\s+(?:accept|is_flag)\b/g)].map(([, name]) => `PAGERUN_${name}`);
  expect(accepted.length).toBeGreaterThan(0);
  expect(accepted.filter((name) => !asked.includes(name))).toEqual([]);
});
