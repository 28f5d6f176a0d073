// Owns the traces of a comparison: which there are, and their decompressed files in a temporary directory.
// Does not read what is in them. The directory lives until close().
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { UsageError } from "./options.js";

export interface TraceFile {
  name: string;
  path: string;
}

const kTraceName = /\.trace(\.br|\.gz)?$/;

/** The trace's name: its file's name without what says how it is packed. */
export function traceName(path: string): string {
  return basename(path).replace(kTraceName, "");
}

/** The names of the trace files in a directory, in order; none when there is no such directory. */
export function listTraces(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((file) => kTraceName.test(file))
      .sort()
      .map((file) => join(directory, file));
  } catch {
    return [];
  }
}

function unpack(path: string): Buffer {
  const bytes = readFileSync(path);
  if (path.endsWith(".br")) return brotliDecompressSync(bytes);
  return path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

export class TraceDirectory {
  private readonly directory = mkdtempSync(join(tmpdir(), "pagerun-traces-"));

  /** Decompresses the traces. Throws UsageError for one that cannot be read, or two of one name. */
  open(paths: readonly string[]): TraceFile[] {
    const names = new Set<string>();
    return paths.map((path) => {
      const name = traceName(path);
      if (names.has(name)) throw new UsageError(`Expected traces of different names but "${name}" is there twice.`);
      names.add(name);
      const target = join(this.directory, `${name}.trace`);
      try {
        writeFileSync(target, unpack(path));
      } catch (error) {
        throw new UsageError(`Expected a trace file but received ${path}: ${(error as Error).message}`);
      }
      return { name, path: target };
    });
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
