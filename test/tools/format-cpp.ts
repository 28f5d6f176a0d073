// Formats the C++ files (--write), or says which are not formatted and fails.
import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, chmodSync, constants } from "node:fs";
import clangFormat from "clang-format-node";
import { cppFiles } from "./cpp-files.mjs";
import { root } from "./steps.mjs";

const program = clangFormat.clangFormatPath;
try {
  accessSync(program, constants.X_OK);
} catch {
  // npm does not run the install script that would have done this.
  chmodSync(program, 0o755);
}

const files = cppFiles(root);
if (process.argv.includes("--write")) {
  execFileSync(program, ["-i", ...files], { cwd: root, stdio: "inherit" });
} else {
  const result = spawnSync(program, ["--dry-run", "--Werror", ...files], { cwd: root, stdio: "inherit" });
  if (result.status === 0) console.log(`${files.length} C++ files are formatted`);
  else console.error("Run: npm run format");
  process.exit(result.status ?? 1);
}
