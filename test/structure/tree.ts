// The tree as the structure tests see it: which files there are, and what is in them. Reads only.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Folders that hold what is made or brought, not what is written. */
const notOurs = new Set(["node_modules", "build", "dist", ".git", "out"]);

function isOurs(name: string): boolean {
  return !notOurs.has(name) && !name.startsWith("build-");
}

/** Paths, relative to the root, of all files below `folder` whose name matches, sorted. */
export function filesBelow(folder: string, matching: RegExp = /./): string[] {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => isOurs(entry.name))
    .flatMap((entry) => {
      const inside = join(folder, entry.name);
      if (entry.isDirectory()) return filesBelow(inside, matching);
      return matching.test(entry.name) ? [inside] : [];
    })
    .sort();
}

export function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

export function exists(path: string): boolean {
  return existsSync(join(root, path));
}

/** Every document that a reader may take at its word. */
export function documents(): string[] {
  return filesBelow("", /\.md$/);
}

/** Every file of code that the project's own people write. */
export function codeFiles(): string[] {
  return ["native", "lib", "test", "bench"].flatMap((folder) => filesBelow(folder, /\.(cc|h|c|ts|mjs|js)$/));
}
