// The bytes behind a value of JavaScript: what is exported into memory, and what has an address; and text out of bytes.
// Owns how they are found: by the engine's own fields, so that no code of the value decides what memory that is.
// Thread rule: none; an ArrayBuffer belongs to one thread, what a SharedArrayBuffer holds to all.
import { Buffer, constants } from "node:buffer";
import { types } from "node:util";
import { sizeFrom } from "./arguments.js";
import { invalidArgument } from "./errors.js";

type Getter<Result> = (this: unknown) => Result;

function getterOf<Result>(prototype: object, name: string): Getter<Result> {
  return Object.getOwnPropertyDescriptor(prototype, name)!.get as Getter<Result>;
}

/** How the bytes of one kind of view are found. */
function windowOf(prototype: object) {
  const bufferOf = getterOf<ArrayBufferLike>(prototype, "buffer");
  const offsetOf = getterOf<number>(prototype, "byteOffset");
  const lengthOf = getterOf<number>(prototype, "byteLength");
  return (view: ArrayBufferView): Uint8Array =>
    new Uint8Array(bufferOf.call(view), offsetOf.call(view), lengthOf.call(view));
}

const bytesOfTypedArray = windowOf(Object.getPrototypeOf(Uint8Array.prototype) as object);
const bytesOfDataView = windowOf(DataView.prototype);

function attached<Source>(source: Source, bytes: (source: Source) => Uint8Array, expected: string): Uint8Array {
  try {
    return bytes(source);
  } catch {
    throw invalidArgument("source", `${expected} that is not detached`, source);
  }
}

const expectedView = "a typed array or a DataView";
const expectedBuffer = "an ArrayBuffer";

/** All bytes of a typed array or DataView. */
export function bytesOfView(source: unknown): Uint8Array {
  if (types.isTypedArray(source)) return attached(source, bytesOfTypedArray, expectedView);
  if (types.isDataView(source)) return attached(source, bytesOfDataView, expectedView);
  throw invalidArgument("source", expectedView, source);
}

/** All bytes of an ArrayBuffer. */
export function bytesOfArrayBuffer(source: unknown): Uint8Array {
  if (types.isArrayBuffer(source)) return attached(source, (buffer) => new Uint8Array(buffer), expectedBuffer);
  throw invalidArgument("source", expectedBuffer, source);
}

/** All bytes of a Buffer. */
export function bytesOfBuffer(source: unknown): Uint8Array {
  if (types.isUint8Array(source) && Buffer.isBuffer(source)) return bytesOfView(source);
  throw invalidArgument("source", "a Buffer", source);
}

/** All bytes of any of them, shared ones as well. */
export function bytesOfAny(source: unknown): Uint8Array {
  if (types.isArrayBuffer(source)) return bytesOfArrayBuffer(source);
  if (types.isSharedArrayBuffer(source)) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) return bytesOfView(source);
  throw invalidArgument("source", "a typed array, a DataView, an ArrayBuffer or a SharedArrayBuffer", source);
}

/** A string in an encoding, with the zero bytes that end it. */
export function encodedString(text: unknown, encoding: unknown): Uint8Array {
  if (typeof text !== "string") throw invalidArgument("string", "a string", text);
  if (typeof encoding !== "string" || !Buffer.isEncoding(encoding)) {
    throw invalidArgument("encoding", "an encoding of Buffer", encoding);
  }
  const isWide = /^(ucs-?2|utf-?16le)$/i.test(encoding);
  return Buffer.concat([Buffer.from(text, encoding), Buffer.alloc(isWide ? 2 : 1)]);
}

/** The text of UTF-8 bytes. */
export function textOf(bytes: Uint8Array): string {
  if (bytes.length > constants.MAX_STRING_LENGTH) {
    throw invalidArgument("ptr", `a string of at most ${constants.MAX_STRING_LENGTH} bytes`, bytes.length);
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}

/** The length that a caller says is there, which must be enough for all of `source`. */
export function roomFor(source: Uint8Array, length: number | bigint): number {
  const room = sizeFrom(length, "length");
  if (room >= source.length) return room;
  throw invalidArgument("length", `at least ${source.length} bytes, which the source takes,`, length);
}
