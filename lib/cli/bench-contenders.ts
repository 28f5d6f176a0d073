// Owns the contenders of `pagerun bench`: which there are here, and the environment that puts a command on each.
// Does not own where peers are installed (peers.ts) and runs no trial. Reads only.
import { existsSync, realpathSync } from "node:fs";
import { basename, resolve } from "node:path";
import { findPeers, libcVersion, type Missing } from "../figures/peers.js";
import { type BenchOptions, BenchUsageError } from "./bench-options.js";
import type { OwnLibrary } from "./own-library.js";
import { asBytes, environmentOn } from "./program-environment.js";

export const kBaseline = "glibc";
export const kOwn = "pagerun";

export interface Contender {
  name: string;
  version: string;
  /** The library to preload; undefined for the system's own allocator. */
  library: string | undefined;
  /** What it needs in the environment beside that. */
  environment: Readonly<Record<string, string>>;
  /** Whether it is pagerun, in any form: the others are what it is compared with. */
  isOwn: boolean;
}

/**
 * What operators set against resident sets that stay: two arenas instead of eight a core, and thresholds that do not
 * grow. Naming a threshold, even with its default, ends the growth of both.
 * Sources: https://devcenter.heroku.com/articles/tuning-glibc-memory-behavior, and mallopt(3).
 */
const kTuning = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_TRIM_THRESHOLD_: "131072",
  MALLOC_MMAP_THRESHOLD_: "131072",
};

/** Settings of allocators: with one of the caller's, a contender would not be what its name says. */
const kSettings = /^(LD_PRELOAD|MALLOC_\w+|_RJEM_MALLOC_CONF|MIMALLOC_\w+|TCMALLOC_\w+|GLIBC_TUNABLES|PAGERUN_\w+)$/;

/** Names of variables in `environment` that no contender gets. */
export function leftOutOf(environment: NodeJS.ProcessEnv): string[] {
  return Object.keys(environment)
    .filter((name) => kSettings.test(name))
    .sort();
}

/** As `pagerun <command>` would have it, with what known packages need beside the preload. */
function environmentOnOwn(library: string, contender: Contender, rest: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const entries = Object.entries(rest).map(([name, value]) => asBytes(`${name}=${value}`));
  const added = environmentOn(library, entries, contender.environment).map((entry) => {
    const text = Buffer.from(entry, "latin1").toString();
    const split = text.indexOf("=");
    return [text.slice(0, split), text.slice(split + 1)];
  });
  return Object.fromEntries(added);
}

/** The environment of the command on `contender`. */
export function environmentOf(contender: Contender, environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const rest = Object.fromEntries(Object.entries(environment).filter(([name]) => !kSettings.test(name)));
  const { library, isOwn } = contender;
  if (library === undefined) return { ...rest, ...contender.environment };
  if (isOwn) return environmentOnOwn(library, contender, rest);
  return { ...rest, ...contender.environment, LD_PRELOAD: library };
}

function isWanted({ contenders }: BenchOptions, name: string): boolean {
  return name === kBaseline || contenders === undefined || contenders.includes(name);
}

function ownContenders({ variants }: BenchOptions, own: OwnLibrary): Contender[] {
  const base = { version: own.version, library: realpathSync(own.library), isOwn: true };
  return [
    { ...base, name: kOwn, environment: {} },
    { ...base, name: "pagerun-hardened", environment: { PAGERUN_PROFILE: "hardened" } },
    ...variants.map(({ name, environment }) => ({ ...base, name, environment })),
  ];
}

function namedContenders({ libraries }: BenchOptions): Contender[] {
  return libraries.map(({ name, path }) => {
    const library = resolve(path);
    if (!existsSync(library))
      throw new BenchUsageError(`Expected a shared library for --so ${name} but ${path} is not there.`);
    return {
      name,
      version: basename(realpathSync(library)),
      library: realpathSync(library),
      environment: {},
      isOwn: false,
    };
  });
}

/**
 * The contenders that were asked for, split into those that are here and the peers that are not installed.
 * Throws BenchUsageError when a library that was given by path does not exist.
 */
export function findContenders(options: BenchOptions, own: OwnLibrary): { found: Contender[]; missing: Missing[] } {
  const version = libcVersion();
  const peers = findPeers((name) => isWanted(options, name));
  const found = [
    { name: kBaseline, version, library: undefined, environment: {}, isOwn: false },
    { name: "glibc-tuned", version, library: undefined, environment: kTuning, isOwn: false },
    ...ownContenders(options, own),
    ...peers.found.map((peer) => ({ ...peer, library: realpathSync(peer.library), environment: {}, isOwn: false })),
    ...namedContenders(options),
  ];
  return { found: found.filter(({ name }) => isWanted(options, name)), missing: peers.missing };
}
