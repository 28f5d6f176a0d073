// Types of the public interface, checked by the compiler alone (npm run typecheck): this file is never run.
// A line below `@ts-expect-error` must be an error; the compiler says so where it is none.
import {
  type AllocOptions,
  Arena,
  addressOf,
  type alignedAlloc,
  alloc,
  array,
  Block,
  type Capabilities,
  type calloc,
  capabilities,
  chars,
  copyIn,
  copyOut,
  cString,
  free,
  i32,
  i64,
  type MemoryStats,
  malloc,
  mapPages,
  type mark,
  type memoryStats,
  PagerunError,
  type PagerunErrorCode,
  type PagerunErrorOf,
  type PurgeOptions,
  type purge,
  realloc,
  SecureArena,
  type Snapshot,
  type setBudget,
  type setLeakWarnings,
  type shared,
  snapshot,
  struct,
  type usableSize,
  type Verdict,
  verify,
  view,
} from "pagerun";

/** Compiles only where both types are the same. */
type Same<One, Other> =
  (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : { one: One; other: Other };
function same<One, Other>(_: Same<One, Other>): void {}

// Parameters and results.
same<Parameters<typeof malloc>, [size: number | bigint]>(true);
same<ReturnType<typeof malloc>, bigint>(true);
same<Parameters<typeof calloc>, [count: number | bigint, size?: number | bigint | undefined]>(true);
same<Parameters<typeof realloc>, [ptr: bigint, size: number | bigint]>(true);
same<ReturnType<typeof realloc>, bigint>(true);
same<Parameters<typeof alignedAlloc>, [alignment: number | bigint, size: number | bigint]>(true);
same<Parameters<typeof free>, [ptr: bigint]>(true);
same<ReturnType<typeof free>, void>(true);
same<ReturnType<typeof usableSize>, number>(true);
same<Parameters<typeof view>, [ptr: bigint, length: number | bigint]>(true);
same<ReturnType<typeof copyIn>, void>(true);
same<Parameters<typeof mark>, [name: string]>(true);
same<ReturnType<typeof memoryStats>, MemoryStats>(true);
same<ReturnType<typeof snapshot>, Snapshot>(true);
same<Parameters<typeof purge>, [options?: PurgeOptions | undefined]>(true);
same<ReturnType<typeof purge>, number>(true);
same<Parameters<typeof setBudget>, [bytes: number | bigint]>(true);
same<ReturnType<typeof verify>, Verdict>(true);
same<typeof capabilities, Capabilities>(true);

const bytes: Uint8Array = view(malloc(8), 8);
const copy: Uint8Array = copyOut(malloc(8n), 8n);
copyIn(malloc(8), bytes);
copyIn(malloc(8), new Float64Array(1));
copyIn(malloc(8), new DataView(new ArrayBuffer(8)));
copyIn(malloc(8), new SharedArrayBuffer(8));
copyIn(malloc(8), Buffer.from(copy));

// Structures: each field has the type of its value; text behind a pointer is only read.
const Hat = struct({ size: i32, price: i64, tags: array(chars(4), 2), owner: struct({ name: cString }) });
const hat = Hat.at(malloc(Hat.size));
same<typeof hat.size, number>(true);
same<typeof hat.price, bigint>(true);
same<typeof hat.owner.name, string | null>(true);
same<ReturnType<typeof hat.tags.get>, string>(true);
hat.size = 60;
Hat.assign(hat, { size: 1, tags: ["a", "b"], owner: { name: 16n } });
Hat.alloc({ price: 5n });
same<ReturnType<typeof addressOf>, bigint>(true);
addressOf(hat, "price");
// @ts-expect-error
hat.size = "60";
// @ts-expect-error
hat.owner.name = "text";
// @ts-expect-error
Hat.assign(hat, { sise: 1 });
// @ts-expect-error
Hat.offsetOf("sise");
// @ts-expect-error
addressOf(hat, "sise");
// @ts-expect-error
struct({ size: 4 });
same<ReturnType<typeof mapPages>, bigint>(true);
// @ts-expect-error
mapPages(1, { protection: "write" });
same<ReturnType<typeof shared>, SharedArrayBuffer>(true);

// Pointers are bigint, sizes are not strings, and nothing may be left out.
// @ts-expect-error
free(8);
// @ts-expect-error
free(undefined);
// @ts-expect-error
malloc("8");
// @ts-expect-error
malloc();
// @ts-expect-error
view(8, 8);
// @ts-expect-error
view(8n);
// @ts-expect-error
realloc(8n, null);
// @ts-expect-error
copyIn(8n, [1, 2, 3]);
// @ts-expect-error
const pointer: number = malloc(8);

// A Block is made by alloc alone; 64-bit values are bigint.
const block: Block = alloc(8, { zero: false, align: 64n });
same<Parameters<typeof alloc>, [size: number | bigint, options?: AllocOptions | undefined]>(true);
same<Parameters<typeof setLeakWarnings>, [on: boolean]>(true);
same<typeof block.ptr, bigint>(true);
same<typeof block.size, number>(true);
const blockBytes: Uint8Array = block.bytes;
const blockBuffer: Buffer = block.buffer();
block.resize(16n);
block.setInt64(0, 1n);
same<ReturnType<typeof block.getUint64>, bigint>(true);
same<ReturnType<typeof block.getInt8>, number>(true);
function usesBlock(): number {
  using scoped = alloc(16);
  return scoped.getInt32();
}
// @ts-expect-error
new Block();
// @ts-expect-error
block.size = 4;
// @ts-expect-error
block.setInt64(0, 1);
// @ts-expect-error
block.setFloat32(0, 1n);
// @ts-expect-error
alloc(8, { zero: 1 });

// An Arena has the same calls; its limit and name are read.
const arena: Arena = new Arena({
  name: "x",
  limit: 10n,
  profile: "fast",
  onPressure: ({ used }, { limit }) => used < limit,
});
same<ReturnType<typeof arena.malloc>, bigint>(true);
same<ReturnType<typeof arena.alloc>, Block>(true);
same<ReturnType<typeof arena.view>, Uint8Array>(true);
same<typeof arena.limit, number>(true);
same<typeof arena.used, number>(true);
function usesArena(): bigint {
  using scoped = new Arena();
  return scoped.malloc(16);
}
new Arena({ profile: "hardened" });
// @ts-expect-error
new Arena({ profile: "slow" });
// @ts-expect-error
arena.limit = 4;

// A SecureArena has blocks, views and one ArrayBuffer, and is no Arena: no realloc, no name.
const secure: SecureArena = new SecureArena({ limit: 8192n });
same<ReturnType<typeof secure.malloc>, bigint>(true);
same<ReturnType<typeof secure.view>, Uint8Array>(true);
same<typeof secure.buffer, ArrayBuffer>(true);
same<typeof secure.limit, number>(true);
same<typeof secure.isSealed, boolean>(true);
function usesSecureArena(): ArrayBuffer {
  using scoped = new SecureArena();
  scoped.seal();
  scoped.unseal();
  scoped.free(scoped.malloc(32));
  return scoped.buffer;
}
// @ts-expect-error
new SecureArena({ limit: "8192" });
// @ts-expect-error
secure.realloc(1n, 2);
// @ts-expect-error
secure.isSealed = true;
const notAnArena = {} as Arena;
// @ts-expect-error
const alsoSecure: SecureArena = notAnArena;

// What is reported cannot be changed by accident.
// @ts-expect-error
capabilities.externalViews = false;
// @ts-expect-error
snapshot().totals.liveBytes = 0;
// @ts-expect-error
snapshot().pages.pop();

// A verdict tells more only where it is not ok.
const verdict = verify();
if (!verdict.ok) {
  same<typeof verdict.invariant, string>(true);
  same<typeof verdict.address, bigint>(true);
}
// @ts-expect-error
verdict.invariant;

// The code of an error tells which values it has.
same<
  PagerunErrorCode,
  | "ERR_INVALID_ARGUMENT"
  | "ERR_OUT_OF_MEMORY"
  | "ERR_DOUBLE_FREE"
  | "ERR_INTERIOR_POINTER"
  | "ERR_FOREIGN_POINTER"
  | "ERR_WRITE_PAST_END"
  | "ERR_WRITE_AFTER_FREE"
  | "ERR_OUT_OF_BOUNDS"
  | "ERR_HEAP_BROKEN"
  | "ERR_HEAP_DESTROYED"
  | "ERR_PROTECTED_PAGES"
  | "ERR_PAGES_IN_USE"
  | "ERR_LOCK_LIMIT"
  | "ERR_SYSTEM_REFUSED"
  | "ERR_SHARED_VIEWS_UNSUPPORTED"
  | "ERR_ARENA_LIMIT"
  | "ERR_ARENA_DESTROYED"
  | "ERR_OTHER_ARENA"
  | "ERR_EXTERNAL_VIEWS_UNSUPPORTED"
>(true);

function tell(error: unknown): string {
  if (!(error instanceof PagerunError)) return "not ours";
  same<typeof error, PagerunError>(true);
  same<typeof error.code, PagerunErrorCode>(true);
  const text: string = error.message;
  switch (error.code) {
    case "ERR_INVALID_ARGUMENT":
      same<typeof error.received, unknown>(true);
      return error.argument + error.expected;
    case "ERR_OUT_OF_MEMORY":
      same<typeof error.size, number | bigint>(true);
      // @ts-expect-error
      return error.ptr;
    case "ERR_DOUBLE_FREE":
    case "ERR_FOREIGN_POINTER":
    case "ERR_WRITE_PAST_END":
    case "ERR_WRITE_AFTER_FREE":
      same<typeof error.ptr, bigint>(true);
      return error.call;
    case "ERR_INTERIOR_POINTER":
      same<typeof error.block, bigint | undefined>(true);
      return error.call;
    case "ERR_OUT_OF_BOUNDS":
      same<typeof error.length, number>(true);
      same<typeof error.available, number | undefined>(true);
      return error.call;
    case "ERR_HEAP_BROKEN":
      same<typeof error.address, bigint>(true);
      return error.invariant;
    case "ERR_HEAP_DESTROYED":
    case "ERR_ARENA_DESTROYED":
      return error.call;
    case "ERR_ARENA_LIMIT":
      same<typeof error.limit, number>(true);
      same<typeof error.used, number>(true);
      return error.call;
    case "ERR_OTHER_ARENA":
      same<typeof error.ptr, bigint>(true);
      return error.call;
    case "ERR_LOCK_LIMIT":
      same<typeof error.limit, number>(true);
      return error.call;
    case "ERR_SYSTEM_REFUSED":
      same<typeof error.reason, string>(true);
      return error.call;
    case "ERR_PROTECTED_PAGES":
    case "ERR_PAGES_IN_USE":
      same<typeof error.ptr, bigint>(true);
      same<typeof error.length, number>(true);
      return error.call;
    case "ERR_SHARED_VIEWS_UNSUPPORTED":
    case "ERR_EXTERNAL_VIEWS_UNSUPPORTED":
      return text;
  }
}

const one = {} as PagerunErrorOf<"ERR_OUT_OF_BOUNDS">;
same<typeof one.code, "ERR_OUT_OF_BOUNDS">(true);
const whole: PagerunError = one;
const plain: Error = whole;

// Errors are made by pagerun alone.
// @ts-expect-error
new PagerunError();

export { alsoSecure, blockBuffer, blockBytes, plain, pointer, tell, usesArena, usesBlock, usesSecureArena };
