// Owns what can be known of a program from its file: where it is, what interprets it, and why it would not take memory of
// a preloaded library. Does not run it. Reads only. Thread rule: any.
import { accessSync, closeSync, constants, openSync, readSync, realpathSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";

const kMostInterpreters = 5; // as the kernel
const kHeadBytes = 4096;

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The file that a command is, found as a shell finds it. */
export function findExecutable(command: string): string | undefined {
  if (command.includes("/")) return isExecutable(command) ? command : undefined;
  const folders = (process.env.PATH ?? "/usr/bin:/bin").split(delimiter);
  return folders.map((folder) => join(folder === "" ? "." : folder, command)).find(isExecutable);
}

/** Bytes of the file; fewer where it ends before. */
function readAt(file: number, offset: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  return buffer.subarray(0, readSync(file, buffer, 0, bytes, offset));
}

function withFile<T>(path: string, use: (file: number) => T): T {
  const file = openSync(path, "r");
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}

/** Whether what the file says can be read. */
export function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** The words behind `#!`. */
function interpreterOf(path: string): string[] {
  if (!isReadable(path)) return [];
  const head = withFile(path, (file) => readAt(file, 0, kHeadBytes)).toString();
  if (!head.startsWith("#!")) return [];
  return head.slice(2, head.indexOf("\n")).trim().split(/\s+/);
}

/** What env(1) runs: its first word that is neither an option nor a variable. */
function programOfEnv(words: readonly string[]): string | undefined {
  const name = words.slice(1).find((word) => !word.startsWith("-") && !word.includes("="));
  return name === undefined ? undefined : findExecutable(name);
}

/** The file that is run in the end when `path` is a script; `path` itself otherwise. */
export function programBehind(path: string): string {
  let at = path;
  for (let i = 0; i < kMostInterpreters; i++) {
    const words = interpreterOf(at);
    if (words[0] === undefined || words[0] === "") return at;
    const next = words[0].endsWith("/env") ? programOfEnv(words) : words[0];
    if (next === undefined) return at;
    at = next;
  }
  return at;
}

interface ElfPart {
  type: number;
  offset: number;
  address: number;
  fileBytes: number;
}

const kPart = { load: 1, dynamic: 2, interpreter: 3 };
const kTag = { needed: 1, names: 5, namesBytes: 10 };

/** An ELF file for 64-bit addresses, as far as it matters here. */
interface Elf {
  machine: number;
  interpreter: string | undefined;
  needed: string[];
  /** The names of all that it takes from libraries or gives to them, each between two zeros. */
  names: string;
}

function elfParts(file: number, head: Buffer): ElfPart[] {
  const [start, bytes, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)];
  const table = readAt(file, start, bytes * count);
  return Array.from({ length: count }, (_, i) => ({
    type: table.readUInt32LE(i * bytes),
    offset: Number(table.readBigUInt64LE(i * bytes + 8)),
    address: Number(table.readBigUInt64LE(i * bytes + 16)),
    fileBytes: Number(table.readBigUInt64LE(i * bytes + 32)),
  }));
}

function dynamicEntries(file: number, part: ElfPart | undefined): [tag: number, value: number][] {
  if (part === undefined) return [];
  const table = readAt(file, part.offset, part.fileBytes);
  return Array.from({ length: Math.floor(table.length / 16) }, (_, i) => [
    Number(table.readBigInt64LE(i * 16)),
    Number(table.readBigUInt64LE(i * 16 + 8)),
  ]);
}

function dynamicNames(file: number, parts: readonly ElfPart[], entries: readonly [number, number][]): string {
  const value = (wanted: number) => entries.find(([tag]) => tag === wanted)?.[1] ?? 0;
  const address = value(kTag.names);
  const home = parts.find(
    (part) => part.type === kPart.load && address >= part.address && address < part.address + part.fileBytes,
  );
  if (home === undefined) return "";
  return readAt(file, home.offset + address - home.address, value(kTag.namesBytes)).toString("latin1");
}

function readElf(file: number): Elf | "no ELF" | "32-bit" {
  const head = readAt(file, 0, 64);
  if (head.length < 64 || head.readUInt32BE(0) !== 0x7f454c46) return "no ELF";
  if (head[4] !== 2) return "32-bit";
  const parts = elfParts(file, head);
  const named = parts.find(({ type }) => type === kPart.interpreter);
  const entries = dynamicEntries(
    file,
    parts.find(({ type }) => type === kPart.dynamic),
  );
  const names = dynamicNames(file, parts, entries);
  const nameAt = (at: number) => names.slice(at, names.indexOf("\0", at));
  return {
    machine: head.readUInt16LE(18),
    interpreter: named && readAt(file, named.offset, named.fileBytes).toString().replace(/\0.*$/, ""),
    needed: entries.filter(([tag]) => tag === kTag.needed).map(([, at]) => nameAt(at)),
    names: `\0${names}`,
  };
}

const kAllocatorNames = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign", "_Znwm"];
const kOfTheCLibrary = /^(libc|libpthread|libdl|libm|librt|libgcc_s|ld-linux.*)\.so/;

/**
 * Takes no memory from any library: it calls no malloc itself, and nothing that it needs would do so on its behalf but
 * the C library.
 */
function hasOwnAllocator({ names, needed }: Elf): boolean {
  const takes = kAllocatorNames.some((name) => names.includes(`\0${name}\0`));
  return !takes && needed.every((name) => kOfTheCLibrary.test(name));
}

function isOfMusl(elf: Elf): boolean {
  return [elf.interpreter ?? "", ...elf.needed].some((name) => name.includes("musl"));
}

function hasMoreRights(path: string): boolean {
  const { mode, uid, gid } = statSync(path);
  return (
    ((mode & 0o4000) !== 0 && uid !== process.geteuid?.()) || ((mode & 0o2000) !== 0 && gid !== process.getegid?.())
  );
}

/** Why the program in this file does not take its memory from `library`; undefined when nothing speaks against it. */
export function whyNot(path: string, library: string): string | undefined {
  const program = withFile(path, readElf);
  const own = withFile(library, readElf);
  if (program === "no ELF" || typeof own === "string") return undefined;
  if (program === "32-bit") return "it is a 32-bit program, and the library is a 64-bit one";
  if (program.machine !== own.machine) return "it is a program for another kind of processor";
  if (program.interpreter === undefined) return "it is a static binary, which loads no library";
  if (isOfMusl(program) !== isOfMusl(own)) {
    const [its, ours] = isOfMusl(program) ? ["musl", "glibc"] : ["glibc", "musl"];
    return `its C library is ${its}, and the library was built for ${ours}`;
  }
  if (hasMoreRights(path)) return "it is setuid or setgid, and the loader preloads nothing into such a program";
  if (hasOwnAllocator(program)) return "it has an allocator of its own in it and calls no malloc of a library";
  return undefined;
}

/** The path with all links followed; as it is where that is not possible. */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
