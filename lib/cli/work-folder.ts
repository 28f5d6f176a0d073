// Owns the choice of a folder for what a subcommand writes while it runs: the system's own for such files, or another
// one where that is not there or cannot be written to, as in a container with a read-only root. Thread rule: any thread.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** A new, empty folder, whose name tells of `purpose`. */
export function makeWorkFolder(purpose: string): string {
  const places = [...new Set([tmpdir(), "/tmp", "/dev/shm", "."])];
  for (const place of places) {
    try {
      return mkdtempSync(join(resolve(place), `pagerun-${purpose}-`));
    } catch {
      // Perhaps the next one.
    }
  }
  throw new Error(`Expected a folder for temporary files, but none of these can be written to: ${places.join(", ")}`);
}
