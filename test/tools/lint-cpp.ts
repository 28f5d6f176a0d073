// Runs clang-tidy (checks in .clang-tidy) over the C++ files, a few at a time, and fails on any finding.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { cppFiles } from "./cpp-files.js";
import { root, run } from "./steps.js";
import { ensure } from "./system-tools.js";

const require = createRequire(import.meta.url);
const includeDir = (name: string) => (require(name) as { include_dir: string }).include_dir;

function compileFlags(): string[] {
  const sources = JSON.parse(readFileSync(join(root, "native/sources.json"), "utf8")) as Record<string, string[]>;
  return [
    ...(sources.standard ?? []),
    // Of the flags only those that change the language: the others are for another compiler.
    "-fno-exceptions",
    "-fno-rtti",
    "-Inative",
    `-isystem${includeDir("node-api-headers")}`,
    `-isystem${includeDir("node-addon-api")}`,
    "-DNAPI_VERSION=9",
    "-DNAPI_DISABLE_CPP_EXCEPTIONS",
    "-DNODE_ADDON_API_DISABLE_DEPRECATED",
  ];
}

if (ensure(["clang-tidy"]).length > 0) process.exit(1);

const flags = compileFlags();
const named = process.argv.slice(2);
const files = named.length > 0 ? named : cppFiles([".cc"]);
const waiting = [...files];
let failed = 0;

async function worker(): Promise<void> {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const args = ["--quiet", "--warnings-as-errors=*", file, "--", ...flags];
    const { code, output } = await run("clang-tidy", args, { quiet: true });
    if (code === 0) continue;
    failed += 1;
    console.error(`${file}\n${output}`);
  }
}

await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
console.log(`${files.length - failed} of ${files.length} C++ files have no findings`);
process.exit(failed > 0 ? 1 : 0);
