// The accessors of a Block: values of C in its memory, at any offset in bytes, in the machine's order, which is little
// endian. Owns the DataView that they go through; whose memory that is, and for how long, is lib/block.ts. Those of most
// Blocks are the quicker ones of lib/heap-block.ts, which come here with what they refuse.
//
// It matters that no code of the program runs between the check of an access and the access: offset and value are
// numbers, or not used.
// Thread rule: an object belongs to the thread that made it.
import { invalidArgument, type PagerunError } from "./errors.js";
import { Life } from "./ledger.js";

const noMemory = new DataView(new ArrayBuffer(0));
const shut = new Life();
shut.isOver = true;

/** The slow way of an access: memory that has `bytes` from `offset` on, or an error as from `call`. */
export const reach: unique symbol = Symbol("reach");

function wrongValue(expected: "number" | "bigint", value: unknown): PagerunError {
  return invalidArgument("value", `a ${expected}`, value);
}

/**
 * Gives the accessors `memory`, which starts `start` bytes into theirs, until `gate` is over. Where it is not all of
 * their memory `gate` is undefined: every access takes the slow way.
 */
export let openMemory: (accessors: Accessors, memory: DataView, start: number, gate: Life | undefined) => void;

/** Takes all memory away again. */
export let shutMemory: (accessors: Accessors) => void;

/** Gives the accessors of lib/heap-block.ts all of their memory. */
export let openQuickly: (accessors: Accessors, memory: DataView) => void;
let quickOf: (accessors: Accessors) => DataView;

export abstract class Accessors {
  #memory: DataView = noMemory;
  #quick: DataView = noMemory;
  #bytes = 0;
  #start = 0;
  #gate: Life = shut;

  static {
    openMemory = (accessors, memory, start, gate) => {
      accessors.#memory = memory;
      accessors.#bytes = memory.byteLength;
      accessors.#start = start;
      accessors.#gate = gate ?? shut;
    };
    openQuickly = (accessors, memory) => {
      accessors.#quick = memory;
    };
    quickOf = (accessors) => accessors.#quick;
    shutMemory = (accessors) => {
      accessors.#memory = noMemory;
      accessors.#quick = noMemory;
      accessors.#gate = shut;
    };
  }

  /** @internal */
  abstract [reach](call: string, offset: number, bytes: number): DataView;

  /** Whether all of a value is in the memory. */
  #has(offset: number, bytes: number): boolean {
    return typeof offset === "number" && offset >>> 0 === offset && offset <= this.#bytes - bytes && !this.#gate.isOver;
  }

  getInt8(offset = 0): number {
    if (this.#has(offset, 1)) {
      try {
        return this.#memory.getInt8(offset);
      } catch {}
    }
    return this[reach]("getInt8", offset, 1).getInt8(offset - this.#start);
  }

  getUint8(offset = 0): number {
    if (this.#has(offset, 1)) {
      try {
        return this.#memory.getUint8(offset);
      } catch {}
    }
    return this[reach]("getUint8", offset, 1).getUint8(offset - this.#start);
  }

  getInt16(offset = 0): number {
    if (this.#has(offset, 2)) {
      try {
        return this.#memory.getInt16(offset, true);
      } catch {}
    }
    return this[reach]("getInt16", offset, 2).getInt16(offset - this.#start, true);
  }

  getUint16(offset = 0): number {
    if (this.#has(offset, 2)) {
      try {
        return this.#memory.getUint16(offset, true);
      } catch {}
    }
    return this[reach]("getUint16", offset, 2).getUint16(offset - this.#start, true);
  }

  getInt32(offset = 0): number {
    if (this.#has(offset, 4)) {
      try {
        return this.#memory.getInt32(offset, true);
      } catch {}
    }
    return this[reach]("getInt32", offset, 4).getInt32(offset - this.#start, true);
  }

  getUint32(offset = 0): number {
    if (this.#has(offset, 4)) {
      try {
        return this.#memory.getUint32(offset, true);
      } catch {}
    }
    return this[reach]("getUint32", offset, 4).getUint32(offset - this.#start, true);
  }

  getInt64(offset = 0): bigint {
    if (this.#has(offset, 8)) {
      try {
        return this.#memory.getBigInt64(offset, true);
      } catch {}
    }
    return this[reach]("getInt64", offset, 8).getBigInt64(offset - this.#start, true);
  }

  getUint64(offset = 0): bigint {
    if (this.#has(offset, 8)) {
      try {
        return this.#memory.getBigUint64(offset, true);
      } catch {}
    }
    return this[reach]("getUint64", offset, 8).getBigUint64(offset - this.#start, true);
  }

  getFloat32(offset = 0): number {
    if (this.#has(offset, 4)) {
      try {
        return this.#memory.getFloat32(offset, true);
      } catch {}
    }
    return this[reach]("getFloat32", offset, 4).getFloat32(offset - this.#start, true);
  }

  getFloat64(offset = 0): number {
    if (this.#has(offset, 8)) {
      try {
        return this.#memory.getFloat64(offset, true);
      } catch {}
    }
    return this[reach]("getFloat64", offset, 8).getFloat64(offset - this.#start, true);
  }

  setInt8(offset: number, value: number): void {
    if (typeof value !== "number") throw wrongValue("number", value);
    if (this.#has(offset, 1)) {
      try {
        this.#memory.setInt8(offset, value);
        return;
      } catch {}
    }
    this[reach]("setInt8", offset, 1).setInt8(offset - this.#start, value);
  }

  setUint8(offset: number, value: number): void {
    if (typeof value !== "number") throw wrongValue("number", value);
    if (this.#has(offset, 1)) {
      try {
        this.#memory.setUint8(offset, value);
        return;
      } catch {}
    }
    this[reach]("setUint8", offset, 1).setUint8(offset - this.#start, value);
  }

  setInt16(offset: number, value: number): void {
    if (typeof value !== "number") throw wrongValue("number", value);
    if (this.#has(offset, 2)) {
      try {
        this.#memory.setInt16(offset, value, true);
        return;
      } catch {}
    }
    this[reach]("setInt16", offset, 2).setInt16(offset - this.#start, value, true);
  }

  setUint16(offset: number, value: number): void {
    if (typeof value !== "number") throw wrongValue("number", value);
    if (this.#has(offset, 2)) {
      try {
        this.#memory.setUint16(offset, value, true);
        return;
      } catch {}
    }
    this[reach]("setUint16", offset, 2).setUint16(offset - this.#start, value, true);
  }

  setInt32(offset: number, value: number): void {
    if (typeof value !== "number") throw wrongValue("number", value);
    if (this.#has(offset, 4)) {
      try {
        this.#memory.setInt32(offset, value, true);
        return;
      } catch {}
    }
    this[reach]("setInt32", offset, 4).setInt32(offset - this.#start, value, true);
  }

  setUint32(offset: number, value: number): void {
    if (typeof value !== "number") throw wrongValue("number", value);
    if (this.#has(offset, 4)) {
      try {
        this.#memory.setUint32(offset, value, true);
        return;
      } catch {}
    }
    this[reach]("setUint32", offset, 4).setUint32(offset - this.#start, value, true);
  }

  setInt64(offset: number, value: bigint): void {
    if (typeof value !== "bigint") throw wrongValue("bigint", value);
    if (this.#has(offset, 8)) {
      try {
        this.#memory.setBigInt64(offset, value, true);
        return;
      } catch {}
    }
    this[reach]("setInt64", offset, 8).setBigInt64(offset - this.#start, value, true);
  }

  setUint64(offset: number, value: bigint): void {
    if (typeof value !== "bigint") throw wrongValue("bigint", value);
    if (this.#has(offset, 8)) {
      try {
        this.#memory.setBigUint64(offset, value, true);
        return;
      } catch {}
    }
    this[reach]("setUint64", offset, 8).setBigUint64(offset - this.#start, value, true);
  }

  setFloat32(offset: number, value: number): void {
    if (typeof value !== "number") throw wrongValue("number", value);
    if (this.#has(offset, 4)) {
      try {
        this.#memory.setFloat32(offset, value, true);
        return;
      } catch {}
    }
    this[reach]("setFloat32", offset, 4).setFloat32(offset - this.#start, value, true);
  }

  setFloat64(offset: number, value: number): void {
    if (typeof value !== "number") throw wrongValue("number", value);
    if (this.#has(offset, 8)) {
      try {
        this.#memory.setFloat64(offset, value, true);
        return;
      } catch {}
    }
    this[reach]("setFloat64", offset, 8).setFloat64(offset - this.#start, value, true);
  }
}

/** What the accessors of lib/heap-block.ts go through; without bytes where there is none. */
export const quickMemoryOf = quickOf!;
