// Owns the contenders by preload: where each library is, its version, and the proof that a preload took.
// Does not own the contenders in JavaScript (js/contenders.ts) and runs no trial.
import { execFileSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { findPeers, libcVersion, type Missing } from "#figures/peers.js";
import { isWanted, kHardenedName, kTextbookNames, kUncheckedName, type Options, UsageError } from "./options.js";

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

export interface OwnLibraries {
  library: string;
  version: string;
  /** Builds the library without checks, and returns its file. */
  unchecked: () => string;
}

/** A list of n blocks takes n steps for a malloc: where a program has many, there is no end to wait for. */
const kTextbookSlowdown = 50;

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
  { unchecked, ...pagerun }: OwnLibraries,
  paths?: readonly string[],
): { found: PreloadContender[]; missing: Missing[] } {
  const found: PreloadContender[] = [{ name: "libc", library: undefined, version: libcVersion() }];
  const peers = findPeers((name) => isWanted(options, name), paths);
  found.push(...findTextbooks(options, join(dirname(pagerun.library), "libtextbook.so")));
  if (isWanted(options, "pagerun")) found.push({ name: "pagerun", ...pagerun });
  if (options.contenders?.includes(kHardenedName))
    found.push({ name: kHardenedName, ...pagerun, environment: { PAGERUN_PROFILE: "hardened" } });
  if (options.contenders?.includes(kUncheckedName))
    found.push({ name: kUncheckedName, library: unchecked(), version: "not for use" });
  found.push(...peers.found);
  for (const { name, path } of options.libraries) {
    const library = resolve(path);
    if (!existsSync(library))
      throw new UsageError(`Expected a shared library for --so ${name} but ${path} is not there.`);
    found.push({ name, library, version: basename(realpathSync(library)) });
  }
  return { found, missing: peers.missing };
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
