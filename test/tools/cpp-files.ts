// Which files are the project's C++ files. One answer for the formatter and the linter.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./steps.js";

/** Folders of C++ in the house's own dialect, without exceptions. */
const ours = ["native", "test/native", "bench/native"];

/** Programs in the words of others, C among them: formatted, but not held to the dialect. */
export const foreign = ["test/fuzz", "test/preload", "test/programs"];

/** Paths, relative to the root, of the files in `folders` whose name ends in one of `endings`, sorted. */
export function cppFiles(endings: readonly string[] = [".cc", ".h"], folders: readonly string[] = ours): string[] {
  return folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => endings.some((ending) => name.endsWith(ending)))
        .map((name) => join(folder, name)),
    )
    .sort();
}
