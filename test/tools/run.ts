// npm test: everything that can be checked of a working copy, from formatting to the C++ tests, and one closing line.
// Owns the order of the steps. The sanitizers, which take longer, are sanitize.ts.
import { createRequire } from "node:module";
import { isBuilt, nodeGyp } from "./native-build.js";
import { check, count, finish, handOnSignals, heading } from "./steps.js";
import { cppTests, vitest } from "./suites.js";
import { ensure } from "./system-tools.js";

const require = createRequire(import.meta.url);
const node = process.execPath;
const biome = require.resolve("@biomejs/biome/bin/biome");

// Of the bindings' tests those that meet blocks of every kind: run once more where all are under the hardened profile.
const hardenedTests = "access arena block. exchange faults hardened heap hostile misuse shadow- view"
  .split(" ")
  .map((name) => `test/bindings/${name}`)
  .concat("test/workers/workers");

handOnSignals();
heading("programs that the tests need");
const missing = ensure(["cmake", "clang-tidy"]);
console.log(missing.length === 0 ? "all there" : "the steps that need them will fail");
count("programs that the tests need", { failed: missing.length });

if (!isBuilt()) await check("native build (node-gyp)", node, nodeGyp);
await check("TypeScript build (ESM and CJS)", "npm", ["run", "--silent", "build:ts"]);
await check("types of all TypeScript, type tests included", "npm", ["run", "--silent", "typecheck"]);
await check("TypeScript and JSON are formatted and linted", node, [biome, "check", "--error-on-warnings", "."]);
await check("C++ is formatted", node, ["build-test/tools/format-cpp.js"]);
await check("C++ is linted", node, ["build-test/tools/lint-cpp.js"]);
await vitest("vitest");
await vitest("bindings in the hardened profile", [...hardenedTests, "--testTimeout=300000"], {
  env: { PAGERUN_PROFILE: "hardened" },
});
await cppTests("C++ tests", "build-test/cpp");
finish();
