// Owns where other allocators are on this machine: their libraries, versions, and the package that would bring one.
// Does not own what is run on them. Reads only.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { basename } from "node:path";

/** An allocator that a program can be run on by preload. */
export interface PeerLibrary {
  name: string;
  library: string;
  version: string;
}

/** An allocator that is not installed, and the command that would install it. */
export interface Missing {
  name: string;
  hint: string;
}

interface Peer {
  name: string;
  /** File names to look for, best first. */
  files: RegExp[];
  debianPackage: string;
}

export const kPeers: readonly Peer[] = [
  { name: "jemalloc", files: [/^libjemalloc\.so\.\d+$/], debianPackage: "libjemalloc2" },
  { name: "mimalloc", files: [/^libmimalloc\.so\.\d+(\.\d+)*$/], debianPackage: "libmimalloc2.0" },
  {
    name: "tcmalloc",
    files: [/^libtcmalloc_minimal\.so\.\d+$/, /^libtcmalloc\.so\.\d+$/],
    debianPackage: "libtcmalloc-minimal4",
  },
];

/** Directories that hold shared libraries where the loader's own list cannot be read. */
const kLibraryDirectories = [
  "/usr/local/lib",
  `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`,
  "/usr/lib64",
  "/usr/lib",
];

/** Absolute paths in the loader's list (`ldconfig -p`): "name (details) => path" lines. */
export function parseLoaderList(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.split(" => ")[1]?.trim() ?? "")
    .filter((path) => path.startsWith("/"));
}

export function libraryPaths(): string[] {
  for (const command of ["ldconfig", "/sbin/ldconfig"]) {
    try {
      return parseLoaderList(execFileSync(command, ["-p"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
    } catch {
      // Not every system has it on the path; the directories are the way left.
    }
  }
  return kLibraryDirectories
    .filter((directory) => existsSync(directory))
    .flatMap((directory) => readdirSync(directory).map((file) => `${directory}/${file}`));
}

/** The first path whose file name is one of the peer's; undefined when the peer is not installed. */
export function findPeer(peer: Peer, paths: readonly string[]): string | undefined {
  for (const pattern of peer.files) {
    const path = paths.find((candidate) => pattern.test(basename(candidate)));
    if (path) return path;
  }
  return undefined;
}

function debianVersion(debianPackage: string): string | undefined {
  try {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query fills it in.
    const args = ["-W", "-f=${Version}", debianPackage];
    return execFileSync("dpkg-query", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }) || undefined;
  } catch {
    return undefined;
  }
}

export function libcVersion(): string {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return `glibc ${report?.header?.glibcVersionRuntime ?? "of unknown version"}`;
}

/** The peers of these names, split into those whose library is one of `paths` and those that are not installed. */
export function findPeers(
  isWanted: (name: string) => boolean,
  paths: readonly string[] = libraryPaths(),
): { found: PeerLibrary[]; missing: Missing[] } {
  const found: PeerLibrary[] = [];
  const missing: Missing[] = [];
  for (const peer of kPeers.filter(({ name }) => isWanted(name))) {
    const library = findPeer(peer, paths);
    if (library)
      found.push({ name: peer.name, library, version: debianVersion(peer.debianPackage) ?? basename(library) });
    else missing.push({ name: peer.name, hint: `apt-get install ${peer.debianPackage}` });
  }
  return { found, missing };
}
