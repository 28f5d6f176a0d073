// The errors that pagerun throws, and what each says. Owns codes and messages; finds no fault itself.
// Thread rule: none; an error belongs to the thread that it was thrown on.

/** What an error of each code carries beside its message. */
export interface PagerunFailures {
  /** An argument of the wrong type or range. Nothing was done. */
  ERR_INVALID_ARGUMENT: {
    /** Name of the parameter. */
    readonly argument: string;
    readonly expected: string;
    /** The value as it was given. */
    readonly received: unknown;
  };
  /** No memory or address space for the size. Every block is as it was. */
  ERR_OUT_OF_MEMORY: {
    /** The function that was called. */
    readonly call: string;
    /** Bytes asked for. */
    readonly size: number | bigint;
  };
  /** The pointer is of a block that is free already. Nothing was done. */
  ERR_DOUBLE_FREE: {
    readonly call: string;
    readonly ptr: bigint;
  };
  /** The pointer is not the first byte of a block. Nothing was done. */
  ERR_INTERIOR_POINTER: {
    readonly call: string;
    readonly ptr: bigint;
    /** First byte of the live block that holds the pointer; undefined when it lies between blocks. */
    readonly block: bigint | undefined;
  };
  /** The pointer is to memory that pagerun never handed out, or no address at all. Nothing was done. */
  ERR_FOREIGN_POINTER: {
    readonly call: string;
    readonly ptr: bigint;
  };
  /** Hardened profile: somebody has written behind the block's last byte. The block is as it was, and is not freed. */
  ERR_WRITE_PAST_END: {
    readonly call: string;
    readonly ptr: bigint;
  };
  /** Hardened profile: somebody has written to a block that was free. It is not handed out again. */
  ERR_WRITE_AFTER_FREE: {
    /** The function that found it. */
    readonly call: string;
    /** The block that was written to. */
    readonly ptr: bigint;
  };
  /** The bytes asked for are not all in one live block. Nothing was read or written. */
  ERR_OUT_OF_BOUNDS: {
    readonly call: string;
    readonly ptr: bigint;
    /** Bytes asked for, from `ptr` on. */
    readonly length: number;
    /** Bytes that the live block has from `ptr` on; undefined when `ptr` is in none. */
    readonly available: number | undefined;
  };
  /** A TextbookHeap whose fields were overwritten. Nothing was done. */
  ERR_HEAP_BROKEN: {
    readonly call: string;
    /** The invariant that does not hold. */
    readonly invariant: string;
    /** Address of the block or page where it does not. */
    readonly address: bigint;
  };
  /** A TextbookHeap that is destroyed, or never was. */
  ERR_HEAP_DESTROYED: {
    readonly call: string;
  };
  /** The OS pages are mapped, and their protection does not allow the access. Nothing was read or written. */
  ERR_PROTECTED_PAGES: {
    readonly call: string;
    readonly ptr: bigint;
    /** Bytes asked for, from `ptr` on. */
    readonly length: number;
  };
  /** Views or copies of other threads, or an ArrayBuffer that was transferred, still reach the OS pages. Nothing was done. */
  ERR_PAGES_IN_USE: {
    readonly call: string;
    readonly ptr: bigint;
    readonly length: number;
  };
  /** The process may not lock so much memory (RLIMIT_MEMLOCK). Nothing was mapped. */
  ERR_LOCK_LIMIT: {
    readonly call: string;
    /** Bytes asked for. */
    readonly size: number | bigint;
    /** Bytes that the process may lock, those locked already included. */
    readonly limit: number;
  };
  /** The system refused for a reason of its own. Nothing was done. */
  ERR_SYSTEM_REFUSED: {
    readonly call: string;
    readonly ptr: bigint;
    readonly length: number;
    /** Name of the system's error, such as EINVAL. */
    readonly reason: string;
  };
  /** The runtime has no SharedArrayBuffers over memory that is not its own. See capabilities.sharedViews. */
  ERR_SHARED_VIEWS_UNSUPPORTED: {
    readonly call: string;
    readonly ptr: bigint;
    readonly length: number;
  };
  /** An arena has no room for the block under its limit. Every block is as it was. */
  ERR_ARENA_LIMIT: {
    readonly call: string;
    /** Bytes asked for. */
    readonly size: number | bigint;
    /** Bytes that the arena may hand out. */
    readonly limit: number;
    /** Of these, in use. */
    readonly used: number;
  };
  /** The arena has been destroyed, and all its blocks are free. Nothing was done. */
  ERR_ARENA_DESTROYED: {
    readonly call: string;
  };
  /** The block is live, and not of the arena that was called. Nothing was done. */
  ERR_OTHER_ARENA: {
    readonly call: string;
    readonly ptr: bigint;
  };
  /** The runtime has no ArrayBuffers over memory that is not its own. Use copyIn and copyOut. */
  ERR_EXTERNAL_VIEWS_UNSUPPORTED: {
    readonly call: string;
    readonly ptr: bigint;
    readonly length: number;
  };
}

/** Every code that an error of pagerun can have. */
export type PagerunErrorCode = keyof PagerunFailures;

/** An error of one code, with the values that it is about. */
export type PagerunErrorOf<Code extends PagerunErrorCode> = Error & {
  readonly name: "PagerunError";
  readonly code: Code;
} & PagerunFailures[Code];

/**
 * An error thrown by pagerun: a union over the literal `code`, so that checking the code tells which values are there.
 *
 * @example
 * ```ts
 * import { free, malloc, PagerunError } from "pagerun";
 *
 * const ptr = malloc(24);
 * free(ptr);
 * try {
 *   free(ptr);
 * } catch (error) {
 *   if (error instanceof PagerunError && error.code === "ERR_DOUBLE_FREE") {
 *     console.assert(error.ptr === ptr);
 *   }
 * }
 * ```
 */
export type PagerunError = { [Code in PagerunErrorCode]: PagerunErrorOf<Code> }[PagerunErrorCode];

const errorClass = class PagerunError extends Error {
  readonly code: PagerunErrorCode;

  constructor(code: PagerunErrorCode, message: string, values: object) {
    super(message);
    this.code = code;
    Object.assign(this, values);
  }
};
Object.defineProperty(errorClass.prototype, "name", { value: "PagerunError", configurable: true, writable: true });

/** The class of pagerun's errors, for `instanceof`. They are made by pagerun alone. */
export const PagerunError = errorClass as unknown as {
  readonly prototype: PagerunError;
} & (abstract new () => PagerunError);

function error<Code extends PagerunErrorCode>(
  code: Code,
  message: string,
  values: PagerunFailures[Code],
): PagerunError {
  return new errorClass(code, message, values) as PagerunError;
}

/** Longest bigint that is printed digit by digit. */
const printableBits = 256;

function describeBigint(value: bigint): string {
  if (BigInt.asIntN(printableBits, value) === value) return `${value}n`;
  return value < 0n ? "a huge negative bigint" : "a huge bigint";
}

/** Longest piece of a string that is printed. */
const printableLength = 40;

/** Says what a value is without calling any code of its own: no valueOf, toString or getter. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "bigint":
      return describeBigint(value);
    case "string":
      return value.length > printableLength
        ? `${JSON.stringify(value.slice(0, printableLength))}...`
        : JSON.stringify(value);
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : "an object";
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    default:
      return String(value);
  }
}

/** A pointer as people write it. */
export function describePointer(ptr: bigint): string {
  return ptr >= 0n && BigInt.asUintN(64, ptr) === ptr ? `0x${ptr.toString(16)}` : describeBigint(ptr);
}

export function invalidArgument(argument: string, expected: string, received: unknown): PagerunError {
  const message = `Expected ${expected} for ${argument} but received ${describe(received)}`;
  return error("ERR_INVALID_ARGUMENT", message, { argument, expected, received });
}

export function outOfMemory(call: string, size: number | bigint): PagerunError {
  const message = `Expected memory for ${size} bytes in ${call} but the system has none to give`;
  return error("ERR_OUT_OF_MEMORY", message, { call, size });
}

export function writePastEnd(call: string, ptr: bigint): PagerunError {
  const message = `Expected a block that nobody has written behind for ptr in ${call} but received ${describePointer(ptr)}`;
  return error("ERR_WRITE_PAST_END", message, { call, ptr });
}

export function writeAfterFree(call: string, ptr: bigint): PagerunError {
  const message = `Expected that nobody has written to a freed block but ${call} found one at ${describePointer(ptr)}`;
  return error("ERR_WRITE_AFTER_FREE", message, { call, ptr });
}

export function doubleFree(call: string, ptr: bigint): PagerunError {
  const message = `Expected a live block for ptr in ${call} but received ${describePointer(ptr)}, which is free already`;
  return error("ERR_DOUBLE_FREE", message, { call, ptr });
}

export function interiorPointer(call: string, ptr: bigint, block: bigint | undefined): PagerunError {
  const where =
    block === undefined
      ? "which lies between blocks"
      : `${ptr - block} bytes into the block at ${describePointer(block)}`;
  const message = `Expected the first byte of a block for ptr in ${call} but received ${describePointer(ptr)}, ${where}`;
  return error("ERR_INTERIOR_POINTER", message, { call, ptr, block });
}

export function foreignPointer(call: string, ptr: bigint, expected = "a block of pagerun"): PagerunError {
  const message = `Expected ${expected} for ptr in ${call} but received ${describePointer(ptr)}, which it never handed out`;
  return error("ERR_FOREIGN_POINTER", message, { call, ptr });
}

export function outOfBounds(call: string, ptr: bigint, length: number, available: number | undefined): PagerunError {
  const message =
    available === undefined
      ? `Expected a pointer into a live block for ptr in ${call} but received ${describePointer(ptr)}, which is in none`
      : `Expected at most ${available} bytes, which the block has from ${describePointer(ptr)} on, for length in ${call} but received ${length}`;
  return error("ERR_OUT_OF_BOUNDS", message, { call, ptr, length, available });
}

export function heapBroken(call: string, invariant: string, address: bigint): PagerunError {
  const message = `Expected that ${invariant} in ${call} but it is not so at ${describePointer(address)}`;
  return error("ERR_HEAP_BROKEN", message, { call, invariant, address });
}

export function heapDestroyed(call: string): PagerunError {
  return error("ERR_HEAP_DESTROYED", `Expected a heap for ${call} but it is destroyed`, { call });
}

export function protectedPages(call: string, ptr: bigint, length: number): PagerunError {
  const message = `Expected OS pages that allow ${call} for ptr but received ${describePointer(ptr)}, whose next ${length} bytes are protected`;
  return error("ERR_PROTECTED_PAGES", message, { call, ptr, length });
}

export function pagesInUse(call: string, ptr: bigint, length: number): PagerunError {
  const message = `Expected OS pages that nobody reaches for ptr in ${call} but received ${describePointer(ptr)}, of which other threads or transferred ArrayBuffers have views`;
  return error("ERR_PAGES_IN_USE", message, { call, ptr, length });
}

export function lockLimit(call: string, size: number | bigint, limit: number): PagerunError {
  const message = `Expected leave to lock ${size} bytes in memory in ${call} but the system gives none; the process may lock ${limit} bytes in all (ulimit -l)`;
  return error("ERR_LOCK_LIMIT", message, { call, size, limit });
}

export function systemRefused(call: string, ptr: bigint, length: number, reason: string): PagerunError {
  const message = `Expected the system to do ${call} for ${length} bytes at ${describePointer(ptr)} but it said ${reason}`;
  return error("ERR_SYSTEM_REFUSED", message, { call, ptr, length, reason });
}

export function sharedViewsUnsupported(call: string, ptr: bigint, length: number): PagerunError {
  const message = `Expected a runtime with external SharedArrayBuffers for ${call}, which this one has not`;
  return error("ERR_SHARED_VIEWS_UNSUPPORTED", message, { call, ptr, length });
}

export function arenaLimit(call: string, size: number | bigint, limit: number, used: number): PagerunError {
  const message = `Expected room for ${size} bytes in ${call} but ${used} of the arena's ${limit} bytes are in use`;
  return error("ERR_ARENA_LIMIT", message, { call, size, limit, used });
}

export function arenaDestroyed(call: string): PagerunError {
  return error("ERR_ARENA_DESTROYED", `Expected a live arena for ${call} but it is destroyed`, { call });
}

export function otherArena(call: string, ptr: bigint): PagerunError {
  const message = `Expected a block of this arena for ptr in ${call} but received ${describePointer(ptr)}, which is another's`;
  return error("ERR_OTHER_ARENA", message, { call, ptr });
}

export function externalViewsUnsupported(call: string, ptr: bigint, length: number): PagerunError {
  const message = `Expected a runtime with external ArrayBuffers for ${call}, which this one has not; use copyIn and copyOut`;
  return error("ERR_EXTERNAL_VIEWS_UNSUPPORTED", message, { call, ptr, length });
}
