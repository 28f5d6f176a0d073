// Runs clang-tidy (checks in .clang-tidy) over the C++ files, a few at a time, and fails on any finding.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { cppFiles } from "./cpp-files.mjs";
import { root } from "./steps.mjs";
import { ensure } from "./system-tools.mjs";

const require = createRequire(import.meta.url);
if (ensure(["clang-tidy"]).length > 0) process.exit(1);

const sources = JSON.parse(readFileSync(join(root, "native/sources.json"), "utf8"));
const compileFlags = [
  ...sources.standard,
  "-fno-exceptions",
  "-fno-rtti",
  "-Inative",
  `-isystem${require("node-api-headers").include_dir}`,
  `-isystem${require("node-addon-api").include_dir}`,
  "-DNAPI_VERSION=9",
  "-DNAPI_DISABLE_CPP_EXCEPTIONS",
  "-DNODE_ADDON_API_DISABLE_DEPRECATED",
];

function lint(file) {
  return new Promise((resolve) => {
    execFile(
      "clang-tidy",
      ["--quiet", "--warnings-as-errors=*", file, "--", ...compileFlags],
      { cwd: root, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        if (error) console.error(`${file}\n${stdout}${stderr}`);
        resolve(error === null);
      },
    );
  });
}

const named = process.argv.slice(2);
const files = named.length > 0 ? named : cppFiles(root, [".cc"]);
const waiting = [...files];
let failed = 0;

async function worker() {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    if (!(await lint(file))) failed += 1;
  }
}

await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
console.log(`${files.length - failed} of ${files.length} C++ files have no findings`);
process.exit(failed > 0 ? 1 : 0);
