// Owns where this package's preload library is, and its version. Reads only.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findLibrary } from "../native/loader.cjs";

export interface OwnLibrary {
  library: string;
  version: string;
}

/** Throws where the library was not built. */
export function ownLibrary(): OwnLibrary {
  const library = findLibrary();
  if (library === undefined) throw new Error('libpagerun.so is not there; "npm rebuild pagerun" builds it');
  const manifest = readFileSync(join(library, "../../../package.json"), "utf8");
  return { library, version: (JSON.parse(manifest) as { version: string }).version };
}
