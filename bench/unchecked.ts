// Builds libpagerun.so without its checks: what the shipped one is compared with, to say what they cost. Misuse breaks
// the heap of such a library: nobody is to use it for anything else, and no package has it. Owns the folder of the build.
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { kUncheckedName, UsageError } from "./options.js";

/** In the repository, and out of git. */
const kFolder = "build-unchecked";

function cmake(root: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync("cmake", args, { cwd: root, encoding: "utf8" });
  if (error) throw new UsageError(`Expected cmake in PATH, to build ${kUncheckedName} (apt-get install cmake).`);
  if (status !== 0) throw new UsageError(`${kUncheckedName} could not be built:\n${stderr}`);
}

/** Brings the library up to date, which takes a minute the first time; returns its file. Throws UsageError. */
export function buildUnchecked(root: string): string {
  console.error(`building ${kUncheckedName}, which is for the comparison alone, in ${kFolder}`);
  cmake(root, ["-S", ".", "-B", kFolder, "-DPAGERUN_WITHOUT_CHECKS=ON"]);
  const parallel = String(availableParallelism());
  cmake(root, ["--build", kFolder, "--parallel", parallel, "--target", "pagerun_preload"]);
  return join(root, kFolder, "Release", "libpagerun.so");
}
