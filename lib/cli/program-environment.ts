// Owns the environment that puts a program on the preload library: what is added, and that nothing of the user's is lost.
// Does not own where the library is. Reads only. Thread rule: any.
//
// What a process gets from the kernel is bytes, and not always UTF-8. Here a text has one character for each byte, so
// that every one goes through unchanged.
import { readFileSync, realpathSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname } from "node:path";

/** Text as bytes, one character each. */
export function asBytes(text: string): string {
  return Buffer.from(text).toString("latin1");
}

function asText(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString();
}

/** The texts of a file of /proc in which each ends with a zero; undefined where there is no /proc. */
function readTexts(path: string): string[] | undefined {
  try {
    return readFileSync(path, "latin1").split("\0").slice(0, -1);
  } catch {
    return undefined;
  }
}

/**
 * The environment that this process was started with, as `NAME=value`. Not `process.env`: Node.js takes the channel to a
 * parent that forked it out of there, and the program that comes in its place may want it.
 */
export function startedWith(): string[] {
  const now = () => Object.entries(process.env).map(([name, value]) => asBytes(`${name}=${value}`));
  return readTexts("/proc/self/environ") ?? now();
}

/** The last `count` arguments of this process. */
export function lastArguments(count: number): string[] {
  if (count === 0) return [];
  const all = readTexts("/proc/self/cmdline") ?? [];
  return (all.length >= count ? all : process.argv.map(asBytes)).slice(-count);
}

/** The value of the first entry of that name. */
export function valueIn(environment: readonly string[], name: string): string | undefined {
  return environment.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

function isSameFile(path: string, library: string): boolean {
  try {
    return realpathSync(asText(path)) === library;
  } catch {
    return false;
  }
}

export class LibraryPathError extends Error {}

/**
 * LD_PRELOAD with the library in front, so that it is the one that malloc is found in whatever else is preloaded; and
 * once only, however often this is done. The loader takes spaces and colons for ends of paths.
 */
function preloadList(library: string, before: string): string {
  const name = /\s/.test(library) ? basename(library) : asBytes(library);
  const kept = before.split(/[ :]+/).filter((path) => path !== "" && path !== name && !isSameFile(path, library));
  return [name, ...kept].join(":");
}

/** Where the loader looks for a library that is preloaded by name, because its path has spaces. */
function searchPath(library: string, before: string | undefined): string | undefined {
  if (!/\s/.test(library)) return undefined;
  const folder = asBytes(dirname(library));
  const kept = (before ?? "").split(":").filter((path) => path !== "" && path !== folder);
  return [...kept, folder].join(":");
}

/**
 * What is added to `environment` for a program on `library`. `settings` are those of the command line, which come before
 * the environment's own.
 *
 * sharp works on one thread where malloc is glibc's, and looks at MALLOC_ARENA_MAX to find out. The value is glibc's own
 * default, so that nothing changes for a child that runs on glibc after all.
 */
function additions(environment: readonly string[], library: string, settings: Readonly<Record<string, string>>) {
  const arenas = valueIn(environment, "MALLOC_ARENA_MAX") ?? String(8 * availableParallelism());
  return {
    LD_PRELOAD: preloadList(library, valueIn(environment, "LD_PRELOAD") ?? ""),
    LD_LIBRARY_PATH: searchPath(library, valueIn(environment, "LD_LIBRARY_PATH")),
    MALLOC_ARENA_MAX: arenas,
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, asBytes(value)])),
  };
}

/** The environment of a program on `library`. Throws LibraryPathError where the loader cannot be told of it. */
export function environmentOn(
  library: string,
  environment: readonly string[],
  settings: Readonly<Record<string, string>>,
): string[] {
  const path = realpathSync(library);
  if (/[:;$]/.test(path)) {
    throw new LibraryPathError(`the loader cannot preload ${path}: its path must not hold a colon, a semicolon or a $`);
  }
  const added = Object.entries(additions(environment, path, settings)).filter(([, value]) => value !== undefined);
  const isReplaced = (entry: string) => added.some(([name]) => entry.startsWith(`${name}=`));
  return [...environment.filter((entry) => !isReplaced(entry)), ...added.map(([name, value]) => `${name}=${value}`)];
}
