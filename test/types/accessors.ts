// Types of the accessors, checked by the compiler alone (npm run typecheck): this file is never run.
// A line below `@ts-expect-error` must be an error; the compiler says so where it is none.
import {
  compare,
  exportBuffer,
  exportString,
  getInt8,
  getInt64,
  getRawPointer,
  setInt8,
  setUint64,
  toString as textAt,
  toArrayBuffer,
  toBuffer,
  type UncheckedAccess,
  unchecked,
} from "pagerun";

const byte: number = getInt8(8n);
const word: bigint = getInt64(8n, 16);
setInt8(8n, 0, byte);
setUint64(8n, 0, word);
setUint64(8n, 0, 5);
const text: string | null = textAt(8n);
const copied: Buffer = toBuffer(8n, 4);
const shown: ArrayBuffer = toArrayBuffer(8n, 4n, false);
const order: -1 | 0 | 1 = compare(8n, 16n, 4);
const address: bigint = getRawPointer(new SharedArrayBuffer(8));
exportString("text", 8n, 5, "latin1");
exportBuffer(copied, 8n, 4);

// Unchecked ones have the same types, name by name.
const access: UncheckedAccess = unchecked;
const other: typeof getInt64 = access.getInt64;

// @ts-expect-error
getInt8(8);
// @ts-expect-error
getInt8(8n, 1n);
// @ts-expect-error
setInt8(8n, 1);
// @ts-expect-error
setInt8(8n, 0, 1n);
// @ts-expect-error
exportBuffer(new ArrayBuffer(8), 8n, 8);
// @ts-expect-error
exportString("text", 8n, 5, "none");
// @ts-expect-error
unchecked.getInt8 = getInt8;

export { address, order, other, shown, text };
