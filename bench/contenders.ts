// Owns the contenders by preload: where each library is, its version, and the proof that a preload took.
// Does not own the contenders in JavaScript (js/contenders.ts) and runs no trial.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { isWanted, kTextbookNames, type Options, UsageError } from "./options.js";

export interface PreloadContender {
  name: string;
  /** The library to preload; undefined for libc, which needs none. */
  library: string | undefined;
  version: string;
  /** Which of the allocators in its library, where there are several. */
  environment?: Record<string, string>;
  /** A trial that takes longer than so many times its length on libc is ended, and told as left out. */
  mostSlowdown?: number;
}

/** A list of n blocks takes n steps for a malloc: where a program has many, there is no end to wait for. */
const kTextbookSlowdown = 50;

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

function libraryPaths(): string[] {
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

function libcVersion(): string {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return `glibc ${report?.header?.glibcVersionRuntime ?? "of unknown version"}`;
}

/** The teaching allocators that were named: one library, which an environment variable tells which to be. */
function findTextbooks(options: Options, library: string): PreloadContender[] {
  return kTextbookNames
    .filter((name) => isWanted(options, name))
    .map((name) => ({
      name,
      library,
      version: "of this project",
      environment: { PAGERUN_TEXTBOOK: name },
      mostSlowdown: kTextbookSlowdown,
    }));
}

/**
 * The contenders by preload that were asked for, split into those that are here and those that are not installed:
 * those whose library is none of `paths`.
 * Throws UsageError when a library that was given by path does not exist.
 */
export function findPreloadContenders(
  options: Options,
  pagerun: { library: string; version: string },
  paths: readonly string[] = libraryPaths(),
): { found: PreloadContender[]; missing: Missing[] } {
  const found: PreloadContender[] = [{ name: "libc", library: undefined, version: libcVersion() }];
  const missing: Missing[] = [];
  found.push(...findTextbooks(options, join(dirname(pagerun.library), "libtextbook.so")));
  if (isWanted(options, "pagerun")) found.push({ name: "pagerun", ...pagerun });
  for (const peer of kPeers.filter(({ name }) => isWanted(options, name))) {
    const library = findPeer(peer, paths);
    if (library) {
      const version = debianVersion(peer.debianPackage) ?? basename(library);
      found.push({ name: peer.name, library, version });
    } else {
      missing.push({ name: peer.name, hint: `apt-get install ${peer.debianPackage}` });
    }
  }
  for (const { name, path } of options.libraries) {
    const library = resolve(path);
    if (!existsSync(library))
      throw new UsageError(`Expected a shared library for --so ${name} but ${path} is not there.`);
    found.push({ name, library, version: basename(realpathSync(library)) });
  }
  return { found, missing };
}

/** Environment of a trial that runs on `contender`. A preload of the caller's own would make every contender that one. */
export function preloadEnvironment(contender: PreloadContender): NodeJS.ProcessEnv {
  const { LD_PRELOAD: _, ...rest } = process.env;
  return contender.library === undefined ? rest : { ...rest, ...contender.environment, LD_PRELOAD: contender.library };
}

/** Whether `provider`, the file that malloc came from, is the one that `contender` should have brought. */
export function isProvidedBy(provider: string, contender: PreloadContender): boolean {
  if (contender.library === undefined) return /^libc[.-]/.test(basename(provider));
  return realpathSync(provider) === realpathSync(contender.library);
}

/**
 * Runs `whoami` of the bench program on the contender. Throws UsageError when malloc does not come from its library:
 * the loader only warns about a preload that it cannot use, and the trial would silently measure libc.
 */
export function provePreload(benchProgram: string, contender: PreloadContender): void {
  const provider = execFileSync(benchProgram, ["whoami"], {
    encoding: "utf8",
    env: preloadEnvironment(contender),
  }).trim();
  if (!isProvidedBy(provider, contender)) {
    throw new UsageError(
      `malloc of ${contender.name} comes from ${provider} and not from ${contender.library ?? "libc"}.`,
    );
  }
}
