// Finds pagerun.node and loads it. Owns where it is looked for and what is said when it is not there.
// Thread rule: each thread loads it for itself; the shared library behind it is one for the process.
//
// This file is CommonJS in both builds of the package, because `__dirname` says where the package is installed and
// `import.meta`, its ESM twin, does not compile for CommonJS. In a bundle neither helps: then the package is looked up
// from the current directory.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join } from "node:path";

const packageName = "pagerun";
const builtPath = join("build", "Release", "pagerun.node");
const builtLibrary = join("build", "Release", "libpagerun.so");

/** The folder of this file, or undefined inside an ESM bundle. */
function ownFolder(): string | undefined {
  return typeof __dirname === "string" ? __dirname : undefined;
}

function isPackageRoot(folder: string): boolean {
  const manifest = join(folder, "package.json");
  if (!existsSync(manifest)) return false;
  try {
    return JSON.parse(readFileSync(manifest, "utf8")).name === packageName;
  } catch {
    return false;
  }
}

/** The package's root at or above `folder`, or undefined. */
function rootAbove(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    if (isPackageRoot(at)) return at;
    if (at === dirname(at)) return undefined;
  }
}

/** The root of the package as a program in the current directory would find it, or undefined. */
function rootFromCurrentFolder(): string | undefined {
  try {
    return dirname(createRequire(join(process.cwd(), "program.js")).resolve(`${packageName}/package.json`));
  } catch {
    return undefined;
  }
}

/** The package's roots that there may be, the one of this file first: a program that is started waits for each look. */
export function* findRoots(): Generator<string> {
  const folder = ownFolder();
  const own = folder === undefined ? undefined : rootAbove(folder);
  if (own !== undefined) yield own;
  const other = rootFromCurrentFolder();
  if (other !== undefined && other !== own) yield other;
}

/** Where the preload library is; undefined where it was not built. */
export function findLibrary(): string | undefined {
  for (const root of findRoots()) {
    const path = join(root, builtLibrary);
    if (existsSync(path)) return path;
  }
  return undefined;
}

/** Where pagerun.node may be, best first. PAGERUN_NODE_PATH rules out every other place. */
function* places(): Generator<string> {
  const chosen = process.env.PAGERUN_NODE_PATH;
  if (chosen === undefined || chosen === "") {
    for (const root of findRoots()) yield join(root, builtPath);
    return;
  }
  if (!isAbsolute(chosen))
    throw new Error(`Expected an absolute path for PAGERUN_NODE_PATH but received ${JSON.stringify(chosen)}`);
  yield chosen;
}

function loadFailure(looked: string[], cause: unknown): Error {
  const where = looked.length === 0 ? "its package was not found" : `looked for ${looked.join(" and ")}`;
  const reason = cause === undefined ? "" : `: ${cause instanceof Error ? cause.message : String(cause)}`;
  return new Error(
    `pagerun cannot load its native addon (${where})${reason}. ` +
      `Run "npm rebuild ${packageName}" to build it; it needs a C++20 compiler. ` +
      "In a bundle, keep pagerun external or set PAGERUN_NODE_PATH to the path of pagerun.node.",
    cause === undefined ? undefined : { cause },
  );
}

function loadFrom(path: string): unknown {
  try {
    return createRequire(path)(path);
  } catch (cause) {
    throw loadFailure([path], cause);
  }
}

/** Loads pagerun.node for the calling thread. Throws an error that says what to do when it cannot be loaded. */
export function loadAddon(): unknown {
  const looked: string[] = [];
  for (const path of places()) {
    if (existsSync(path)) return loadFrom(path);
    looked.push(path);
  }
  throw loadFailure(looked, undefined);
}
