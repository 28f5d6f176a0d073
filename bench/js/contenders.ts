// Owns the ways to get memory from JavaScript that the js suite compares: one adapter each, and how to load it.
// Does not own what is done with them (workloads.ts). An adapter is loaded once a process, by the trial that needs it.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { kScriptNames, type ScriptName } from "../options.js";

/** Single values in memory, by the pointer to a block and an offset. */
export interface Accessors {
  getInt32(pointer: bigint, offset: number): number;
  setInt32(pointer: bigint, offset: number, value: number): void;
  getFloat64(pointer: bigint, offset: number): number;
  getUint8(pointer: bigint, offset: number): number;
}

/** Memory that is owned, and given back by its own method. */
export interface OwnedMemory {
  readonly bytes: Uint8Array;
  free(): void;
  getInt32(offset: number): number;
  setInt32(offset: number, value: number): void;
  getFloat64(offset: number): number;
  getUint8(offset: number): number;
}

/** Memory that is asked for and given back by hand. A pointer is what the contender says it is: bigint, or number. */
export interface ManualContender<Pointer = bigint | number> {
  kind: "manual";
  malloc(size: number): Pointer;
  free(pointer: Pointer): void;
  calloc?(size: number): Pointer;
  realloc?(pointer: Pointer, size: number): Pointer;
  view?(pointer: Pointer, size: number): Uint8Array;
  alloc?(size: number): OwnedMemory;
  accessors?: Accessors;
  /** A block, as a DataView. */
  memory?(size: number): DataView;
}

/** Memory that comes as a view and goes when the garbage collector finds it unreachable. */
export interface CollectedContender {
  kind: "collected";
  allocate(size: number): Uint8Array;
}

export type ScriptContender = ManualContender | CollectedContender;

/**
 * What a contender can do. "collected" memory goes with the garbage collector and not by a call, "zeroed" memory of that
 * kind is promised to be zero, "remote" pointers can be freed by another worker thread, and "access" is to single values.
 */
export type Ability =
  | "malloc"
  | "calloc"
  | "realloc"
  | "view"
  | "owned"
  | "remote"
  | "access"
  | "collected"
  | "zeroed"
  | "external";

/** Known without loading anything, so that a comparison can be planned first. */
export const kAbilities: Record<ScriptName, readonly Ability[]> = {
  pagerun: ["malloc", "calloc", "realloc", "view", "owned", "remote", "access"],
  "napi-libc": ["malloc", "calloc", "realloc", "remote"],
  koffi: ["malloc", "calloc", "view", "remote"],
  "buffer-unsafe": ["collected"],
  "buffer-unsafe-slow": ["collected"],
  uint8array: ["collected", "zeroed"],
  "thi-malloc": ["malloc", "calloc", "realloc", "view"],
  dataview: ["access"],
  "node-ffi": ["malloc"],
  "napi-external": ["external"],
};

/** What the addon exports beside the allocator: libc's own functions through the plainest N-API call there is. */
interface LibcCalls {
  libcMalloc(size: number): bigint;
  libcFree(pointer: bigint): void;
  libcCalloc(count: number, size: number): bigint;
  libcRealloc(pointer: bigint, size: number): bigint;
  libcBuffer(size: number): ArrayBuffer;
}

const kRoot = fileURLToPath(new URL("../../../", import.meta.url));
/** Room for the largest workload; the pool cannot grow. */
const kPoolBytes = 64 * 2 ** 20;

async function loadPagerun(): Promise<ScriptContender> {
  const { malloc, calloc, realloc, free, view, alloc, getInt32, setInt32, getFloat64, getUint8 } = await import(
    "pagerun"
  );
  return {
    kind: "manual",
    malloc,
    free,
    calloc: (size: number) => calloc(1, size),
    realloc,
    view,
    alloc: (size: number) => alloc(size, { zero: false }),
    accessors: { getInt32, setInt32, getFloat64, getUint8 },
  } as ScriptContender;
}

/** A DataView over a block of pagerun: the memory that the accessors reach, without their checks. */
async function loadDataView(): Promise<ScriptContender> {
  const { malloc, free, view } = await import("pagerun");
  const memory = (size: number): DataView => {
    const { buffer, byteOffset } = view(malloc(size), size);
    return new DataView(buffer, byteOffset, size);
  };
  return { kind: "manual", malloc, free, memory } as ScriptContender;
}

function loadLibcCalls(): LibcCalls {
  return createRequire(import.meta.url)(`${kRoot}build/Release/pagerun.node`) as LibcCalls;
}

function loadNapiLibc(): ScriptContender {
  const { libcMalloc, libcFree, libcCalloc, libcRealloc } = loadLibcCalls();
  return {
    kind: "manual",
    malloc: libcMalloc,
    free: libcFree,
    calloc: (size: number) => libcCalloc(1, size),
    realloc: libcRealloc,
  } as ScriptContender;
}

/** malloc and free of libc through node:ffi, which Node.js 26 has. */
async function loadNodeFfi(): Promise<ScriptContender> {
  const { dlopen } = (await import("node:ffi" as string)) as {
    dlopen(file: string, functions: object): { functions: Record<"malloc" | "free", (value: bigint) => bigint> };
  };
  const { functions } = dlopen("libc.so.6", {
    malloc: { arguments: ["uint64"], return: "pointer" },
    free: { arguments: ["pointer"], return: "void" },
  });
  const { malloc, free } = functions;
  return { kind: "manual", malloc: (size: number) => malloc(BigInt(size)), free } as ScriptContender;
}

function loadNapiExternal(): ScriptContender {
  const { libcBuffer } = loadLibcCalls();
  return { kind: "collected", allocate: (size) => new Uint8Array(libcBuffer(size)) };
}

async function loadKoffi(): Promise<ScriptContender> {
  const { default: koffi } = await import("koffi");
  const malloc = (size: number) => koffi.alloc("uint8_t", size);
  return {
    kind: "manual",
    malloc,
    // koffi.alloc is calloc: there is no other way to ask, and none that skips the zeros.
    calloc: malloc,
    free: koffi.free,
    view: (pointer: bigint, size: number) => new Uint8Array(koffi.view(pointer, size)),
  } as ScriptContender;
}

async function loadThiMalloc(): Promise<ScriptContender> {
  const { MemPool } = await import("@thi.ng/malloc");
  const pool = new MemPool({ size: kPoolBytes, align: 16 });
  return {
    kind: "manual",
    malloc: (size: number) => pool.malloc(size),
    free: (offset: number) => pool.free(offset),
    calloc: (size: number) => pool.calloc(size),
    realloc: (offset: number, size: number) => pool.realloc(offset, size),
    view: (offset: number, size: number) => new Uint8Array(pool.buf, offset, size),
  } as ScriptContender;
}

const kLoaders: Record<ScriptName, () => ScriptContender | Promise<ScriptContender>> = {
  pagerun: loadPagerun,
  "napi-libc": loadNapiLibc,
  koffi: loadKoffi,
  "buffer-unsafe": () => ({ kind: "collected", allocate: Buffer.allocUnsafe }),
  "buffer-unsafe-slow": () => ({ kind: "collected", allocate: Buffer.allocUnsafeSlow }),
  uint8array: () => ({ kind: "collected", allocate: (size) => new Uint8Array(size) }),
  "thi-malloc": loadThiMalloc,
  dataview: loadDataView,
  "node-ffi": loadNodeFfi,
  "napi-external": loadNapiExternal,
};

/** Loads a contender into this process. Rejects when its package or the addon is not there. */
export async function loadScriptContender(name: ScriptName): Promise<ScriptContender> {
  return kLoaders[name]();
}

export function isScriptName(name: string): name is ScriptName {
  return (kScriptNames as readonly string[]).includes(name);
}

/** The npm package behind a contender; undefined for what is part of Node or of this project. */
export const kPackages: Partial<Record<ScriptName, string>> = { koffi: "koffi", "thi-malloc": "@thi.ng/malloc" };

/** What makes a contender available that is not. */
export function installHint(name: ScriptName): string {
  return name === "node-ffi" ? "--node PATH of a Node.js 26" : `npm install ${kPackages[name]}`;
}

/** Flags of Node.js that a contender needs. */
export function scriptFlags(name: ScriptName): string[] {
  return name === "node-ffi" ? ["--experimental-ffi", "--no-warnings"] : [];
}

const kOfNode: readonly ScriptName[] = ["dataview", "node-ffi", "napi-external"];

/** Version of a contender's package, of Node or of this project; undefined when it is not there. */
export function scriptVersion(name: ScriptName): string | undefined {
  if (name === "node-ffi" && !process.allowedNodeEnvironmentFlags.has("--experimental-ffi")) return undefined;
  if (kAbilities[name].includes("collected") || kOfNode.includes(name)) return `Node ${process.version}`;
  const folder = kPackages[name];
  const manifest = folder === undefined ? `${kRoot}package.json` : `${kRoot}node_modules/${folder}/package.json`;
  if (!existsSync(manifest)) return undefined;
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
