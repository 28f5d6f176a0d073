// Programs that the tests need and npm does not bring. Owns: which Debian package has them, and what is said without it.
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Program, and the Debian package that brings it. */
const packages = {
  cmake: "cmake",
  "clang-tidy": "clang-tidy",
  awk: "mawk",
  bash: "bash",
  chromium: "chromium",
  clang: "clang",
  "g++": "g++",
  gcc: "gcc",
  git: "git",
  gzip: "gzip",
  make: "make",
  perl: "perl",
  "python3 with its own tests": `lib${debianPython()}-testsuite`,
  "redis-benchmark": "redis-tools",
  "redis-server": "redis-server",
  spin: "spin",
  sqlite3: "sqlite3",
  tar: "tar",
  valgrind: "valgrind",
  xz: "xz-utils",
};
export type SystemTool = keyof typeof packages;

/** The path of a program that is in PATH, or undefined. */
export function which(program: string): string | undefined {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((directory) => join(directory, program))
    .find(isExecutable);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Debian's python3 with its version, which is in the names of packages: python3.11. */
function debianPython(): string {
  const { stdout } = spawnSync("/usr/bin/python3", ["--version"], { encoding: "utf8" });
  return `python${/(\d+\.\d+)/.exec(stdout ?? "")?.[1] ?? "3.11"}`;
}

/** The path of a python3 that has the package of its own tests, or undefined. */
export function pythonWithTests(): string | undefined {
  const program = "import sys, test.test_list, test.test_dict; print(sys.executable)";
  return ["python3", "/usr/bin/python3"]
    .map((python) => spawnSync(python, ["-c", program], { encoding: "utf8" }))
    .find(({ status }) => status === 0)
    ?.stdout.trim();
}

function isThere(program: SystemTool): boolean {
  if (program === "python3 with its own tests") return pythonWithTests() !== undefined;
  return which(program) !== undefined;
}

/**
 * Makes sure that the programs are there: as root on a system with apt they are installed, else the command that
 * would do it is printed. Returns the programs that are still missing.
 */
export function ensure(programs: readonly SystemTool[]): SystemTool[] {
  const missing = programs.filter((program) => !isThere(program));
  if (missing.length === 0) return [];
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...missing.map((name) => packages[name])];
  if (process.getuid?.() === 0 && which("apt-get") !== undefined) {
    console.log(`missing: ${missing.join(", ")}; running: ${install.join(" ")}`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    spawnSync("apt-get", ["update", "-q"], { env, stdio: "ignore" });
    spawnSync("apt-get", install.slice(1), { env, stdio: ["ignore", "ignore", "inherit"] });
  }
  const still = missing.filter((program) => !isThere(program));
  if (still.length > 0) console.error(`missing: ${still.join(", ")}. Install with: sudo ${install.join(" ")}`);
  return still;
}
