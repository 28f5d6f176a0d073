// Owns what the programs are made of: installed on demand, at the versions of the lock file, outside of what is committed.
// Does not know which program needs which. Runs npm.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The last better-sqlite3 that runs on Node.js 20 brings no binary in its package: it is compiled here. */
const kOldSqlite = "better-sqlite3-12";
const kOldNode = 22;

function npm(root: string, args: readonly string[]): void {
  const { status, error, stderr } = spawnSync("npm", [...args], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status === 0) return;
  const reason = error?.message ?? stderr.trim().split("\n").slice(-3).join("\n");
  throw new Error(`npm ${args.join(" ")} failed: ${reason}`);
}

function majorOf(node: string): number {
  const { stdout } = spawnSync(node, ["-p", "process.versions.node"], { encoding: "utf8" });
  return Number.parseInt(stdout ?? "", 10);
}

/** Installs the packages where they are not there as the lock file has them. Throws with npm's own words. */
export function installPackages(root: string, note: (text: string) => void): void {
  const folder = join(root, "bench", "apps");
  const lock = readFileSync(join(folder, "package-lock.json"), "utf8");
  const stamp = join(folder, "node_modules", ".pagerun-lock.json");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  note("installing what the programs are made of (bench/apps/package-lock.json)");
  npm(root, ["ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"]);
  writeFileSync(stamp, lock);
}

/** Compiles the old better-sqlite3 for a Node.js that needs it. Throws with the compiler's last words. */
export function compileSqlite(root: string, node: string, note: (text: string) => void): void {
  if (majorOf(node) >= kOldNode) return;
  const folder = join(root, "bench", "apps", "node_modules", kOldSqlite);
  if (existsSync(join(folder, "build", "Release", "better_sqlite3.node"))) return;
  note("compiling better-sqlite3 for this Node.js; this takes a few minutes");
  npm(root, ["exec", "--", "node-gyp", "rebuild", "--release", "-C", folder]);
}
