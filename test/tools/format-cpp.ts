// Formats the C++ files (--write), or says which are not formatted and fails.
import { spawnSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { createRequire } from "node:module";
import { cppFiles, foreign } from "./cpp-files.js";
import { root } from "./steps.js";
import { isExecutable } from "./system-tools.js";

const require = createRequire(import.meta.url);
const { clangFormatPath } = require("clang-format-node") as { clangFormatPath: string };
// npm does not run the install script that would have done this.
if (!isExecutable(clangFormatPath)) chmodSync(clangFormatPath, 0o755);

const writes = process.argv.includes("--write");
const files = [...cppFiles(), ...cppFiles([".c", ".cc", ".h"], foreign)];
const mode = writes ? ["-i"] : ["--dry-run", "--Werror"];
const { status } = spawnSync(clangFormatPath, [...mode, ...files], { cwd: root, stdio: "inherit" });
if (status === 0) console.log(`${files.length} C++ files are formatted`);
else if (!writes) console.error("Run: npm run format");
process.exit(status ?? 1);
