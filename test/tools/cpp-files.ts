// Which files are the project's C++ files. One answer for the formatter and the linter.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./steps.js";

/** Paths, relative to the root, of the C++ files whose name ends in one of `endings`, sorted. */
export function cppFiles(endings: readonly string[] = [".cc", ".h"]): string[] {
  return ["native", "test/native", "bench/native"]
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => endings.some((ending) => name.endsWith(ending)))
        .map((name) => join(folder, name)),
    )
    .sort();
}
