// Owns where this package's preload library is, and its version. Reads only.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findLibrary, findRoots } from "../native/loader.cjs";

export interface OwnLibrary {
  library: string;
  version: string;
}

function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
}

/** Where the library is. Throws where it was not built. */
export function ownLibraryPath(): string {
  const library = findLibrary();
  if (library === undefined) throw new Error('libpagerun.so is not there; "npm rebuild pagerun" builds it');
  return library;
}

/** Throws where the library was not built. */
export function ownLibrary(): OwnLibrary {
  const library = ownLibraryPath();
  return { library, version: versionOf(join(library, "../../..")) };
}

/** The version of this package. */
export function ownVersion(): string {
  const [root] = findRoots();
  return versionOf(root!);
}
