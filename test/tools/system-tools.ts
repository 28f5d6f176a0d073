// Programs that the tests need and npm does not bring. Owns: which Debian package has them, and what is said without it.
import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const packages = { cmake: "cmake", "clang-tidy": "clang-tidy" };

/** The path of a program that is in PATH, or undefined. */
export function which(program) {
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(directory, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}

/**
 * Makes sure that the programs are there: as root on a system with apt they are installed, else the command that
 * would do it is printed.
 * @returns the programs that are still missing
 */
export function ensure(programs) {
  const missing = programs.filter((program) => which(program) === undefined);
  if (missing.length === 0) return [];
  const names = missing.map((program) => packages[program]);
  const command = `apt-get install -y --no-install-recommends ${names.join(" ")}`;
  if (process.getuid?.() === 0 && which("apt-get") !== undefined) {
    console.log(`missing: ${missing.join(", ")}; installing with: ${command}`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    spawnSync("apt-get", ["update", "-q"], { env, stdio: "ignore" });
    try {
      execFileSync("apt-get", command.split(" ").slice(1), { env, stdio: ["ignore", "ignore", "inherit"] });
    } catch {
      // What is still missing is said below.
    }
  }
  const still = missing.filter((program) => which(program) === undefined);
  if (still.length > 0) console.error(`missing: ${still.join(", ")}. Install with: sudo ${command}`);
  return still;
}
