// Which files are the project's C++ files. One answer for the formatter, the linter and the structure test.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const folders = ["native", "test/native", "bench/native"];

/** Paths, relative to `root`, of the C++ files whose name ends in one of `endings`, sorted. */
export function cppFiles(root, endings = [".cc", ".h"]) {
  return folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1)),
    )
    .sort();
}
