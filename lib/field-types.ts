// The types that a field of a structure can have: numbers, pointers, strings, and arrays of them, with size and alignment
// as C has them on 64-bit Linux. Owns how each is read and written in place. Thread rule: as the accessors.
//
// A field is reached by the address of its structure and its own distance from there, so that the accessors' check is
// that of the block which holds the structure: every read and write is checked.
import { invalidArgument } from "./errors.js";
import { toString as textAt } from "./exchange.js";
import {
  getFloat32,
  getFloat64,
  getInt8,
  getInt16,
  getInt32,
  getInt64,
  getUint8,
  getUint16,
  getUint32,
  getUint64,
} from "./getters.js";
import {
  setFloat32,
  setFloat64,
  setInt8,
  setInt16,
  setInt32,
  setInt64,
  setUint8,
  setUint16,
  setUint32,
  setUint64,
} from "./setters.js";
import { copyIn, copyOut } from "./view.js";

/** How a type reaches a field. Hidden behind symbols: a program has the accessors of its structures for that. */
export const readField = Symbol("readField");
export const writeField = Symbol("writeField");

/**
 * The type of a field: `Value` is what a program reads and writes, `Input` what `assign` and `alloc` also take.
 * Types are made by pagerun alone.
 */
export abstract class FieldType<Value, Input = Value> {
  /** Name for messages, as in C where C has one. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Its address in a structure that is not packed is a multiple of this. */
  readonly align: number;
  /** Tells types of ours from everything else, which no program can imitate. */
  readonly #isType = true;

  constructor(name: string, size: number, align: number) {
    this.name = name;
    this.size = size;
    this.align = align;
  }

  /** @internal */
  static isType(value: unknown): boolean {
    return typeof value === "object" && value !== null && #isType in value && value.#isType;
  }

  abstract [readField](ptr: bigint, offset: number): Value;
  abstract [writeField](ptr: bigint, offset: number, value: Input): void;
}

type Get<Value> = (ptr: bigint, offset: number) => Value;
type Set<Value> = (ptr: bigint, offset: number, value: Value) => void;

/** A type that has a getter and a setter. */
class ScalarType<Value> extends FieldType<Value> {
  readonly [readField]: Get<Value>;
  readonly [writeField]: Set<Value>;

  constructor(name: string, size: number, get: Get<Value>, set: Set<Value>) {
    super(name, size, size);
    this[readField] = get;
    this[writeField] = set;
    Object.freeze(this);
  }
}

function setBool(ptr: bigint, offset: number, value: boolean): void {
  if (typeof value !== "boolean") throw invalidArgument("value", "true or false", value);
  setUint8(ptr, offset, value ? 1 : 0);
}

/**
 * int8_t
 *
 * @example
 * ```ts
 * import { addressOf, free, i8, struct } from "pagerun";
 *
 * const One = struct({ value: i8 });
 * const one = One.alloc({ value: -8 });
 * console.assert(one.value === -8 && One.size === 1);
 * free(addressOf(one));
 * ```
 */
export const i8: FieldType<number> = new ScalarType("int8_t", 1, getInt8, setInt8);
/**
 * uint8_t
 *
 * @example
 * ```ts
 * import { addressOf, free, struct, u8 } from "pagerun";
 *
 * const One = struct({ value: u8 });
 * const one = One.alloc({ value: 200 });
 * console.assert(one.value === 200 && One.size === 1);
 * free(addressOf(one));
 * ```
 */
export const u8: FieldType<number> = new ScalarType("uint8_t", 1, getUint8, setUint8);
/**
 * int16_t
 *
 * @example
 * ```ts
 * import { addressOf, free, i16, struct } from "pagerun";
 *
 * const One = struct({ value: i16 });
 * const one = One.alloc({ value: -300 });
 * console.assert(one.value === -300 && One.size === 2);
 * free(addressOf(one));
 * ```
 */
export const i16: FieldType<number> = new ScalarType("int16_t", 2, getInt16, setInt16);
/**
 * uint16_t
 *
 * @example
 * ```ts
 * import { addressOf, free, struct, u16 } from "pagerun";
 *
 * const One = struct({ value: u16 });
 * const one = One.alloc({ value: 60_000 });
 * console.assert(one.value === 60_000 && One.size === 2);
 * free(addressOf(one));
 * ```
 */
export const u16: FieldType<number> = new ScalarType("uint16_t", 2, getUint16, setUint16);
/**
 * int32_t, and int
 *
 * @example
 * ```ts
 * import { addressOf, free, i32, struct } from "pagerun";
 *
 * const One = struct({ value: i32 });
 * const one = One.alloc({ value: -70_000 });
 * console.assert(one.value === -70_000 && One.size === 4);
 * free(addressOf(one));
 * ```
 */
export const i32: FieldType<number> = new ScalarType("int32_t", 4, getInt32, setInt32);
/**
 * uint32_t, and unsigned int
 *
 * @example
 * ```ts
 * import { addressOf, free, struct, u32 } from "pagerun";
 *
 * const One = struct({ value: u32 });
 * const one = One.alloc({ value: 4_000_000_000 });
 * console.assert(one.value === 4_000_000_000 && One.size === 4);
 * free(addressOf(one));
 * ```
 */
export const u32: FieldType<number> = new ScalarType("uint32_t", 4, getUint32, setUint32);
/**
 * int64_t, and long, ssize_t and ptrdiff_t on 64-bit Linux
 *
 * @example
 * ```ts
 * import { addressOf, free, i64, struct } from "pagerun";
 *
 * const One = struct({ value: i64 });
 * const one = One.alloc({ value: -(2n ** 40n) });
 * console.assert(one.value === -(2n ** 40n) && One.size === 8);
 * free(addressOf(one));
 * ```
 */
export const i64: FieldType<bigint> = new ScalarType("int64_t", 8, getInt64, setInt64);
/**
 * uint64_t, and unsigned long on 64-bit Linux
 *
 * @example
 * ```ts
 * import { addressOf, free, struct, u64 } from "pagerun";
 *
 * const One = struct({ value: u64 });
 * const one = One.alloc({ value: 2n ** 63n });
 * console.assert(one.value === 2n ** 63n && One.size === 8);
 * free(addressOf(one));
 * ```
 */
export const u64: FieldType<bigint> = new ScalarType("uint64_t", 8, getUint64, setUint64);
/**
 * size_t
 *
 * @example
 * ```ts
 * import { addressOf, free, struct, usize } from "pagerun";
 *
 * const One = struct({ value: usize });
 * const one = One.alloc({ value: 4096n });
 * console.assert(one.value === 4096n && One.size === 8);
 * free(addressOf(one));
 * ```
 */
export const usize: FieldType<bigint> = new ScalarType("size_t", 8, getUint64, setUint64);
/**
 * float
 *
 * @example
 * ```ts
 * import { addressOf, f32, free, struct } from "pagerun";
 *
 * const One = struct({ value: f32 });
 * const one = One.alloc({ value: 0.5 });
 * console.assert(one.value === 0.5 && One.size === 4);
 * free(addressOf(one));
 * ```
 */
export const f32: FieldType<number> = new ScalarType("float", 4, getFloat32, setFloat32);
/**
 * double
 *
 * @example
 * ```ts
 * import { addressOf, f64, free, struct } from "pagerun";
 *
 * const One = struct({ value: f64 });
 * const one = One.alloc({ value: 0.1 });
 * console.assert(one.value === 0.1 && One.size === 8);
 * free(addressOf(one));
 * ```
 */
export const f64: FieldType<number> = new ScalarType("double", 8, getFloat64, setFloat64);
/**
 * bool; any byte but 0 reads as true.
 *
 * @example
 * ```ts
 * import { addressOf, bool, free, struct } from "pagerun";
 *
 * const One = struct({ value: bool });
 * const one = One.alloc({ value: true });
 * console.assert(one.value === true && One.size === 1);
 * free(addressOf(one));
 * ```
 */
export const bool: FieldType<boolean> = new ScalarType(
  "bool",
  1,
  (ptr: bigint, offset: number) => getUint8(ptr, offset) !== 0,
  setBool,
);
/**
 * void *, a pointer to anything: 0n is NULL.
 *
 * @example
 * ```ts
 * import { addressOf, free, pointer, struct } from "pagerun";
 *
 * const One = struct({ value: pointer });
 * const one = One.alloc({ value: 0xffff0n });
 * console.assert(one.value === 0xffff0n && One.size === 8);
 * free(addressOf(one));
 * ```
 */
export const pointer: FieldType<bigint> = new ScalarType("void *", 8, getUint64, setUint64);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Text behind a pointer: what the structure holds is the address. */
export class CStringType extends FieldType<string | null, bigint | null> {
  constructor() {
    super("const char *", 8, 8);
    Object.freeze(this);
  }

  [readField](ptr: bigint, offset: number): string | null {
    const text = getUint64(ptr, offset);
    return text === 0n ? null : textAt(text);
  }

  [writeField](ptr: bigint, offset: number, value: bigint | null): void {
    if (typeof value !== "bigint" && value !== null)
      throw invalidArgument("value", "the address of the text as a bigint, or null,", value);
    setUint64(ptr, offset, value ?? 0n);
  }
}

/**
 * const char *, a pointer to text that ends with a zero byte. It reads as a string (UTF-8), null where the pointer is, and
 * is written as a pointer by `assign`: who holds the text's memory is the program's business. Text in memory of others is
 * refused, as everywhere: `unchecked.toString(getUint64(addressOf(it, "name")))` reads it on trust.
 *
 * @example
 * ```ts
 * import { addressOf, calloc, cString, exportString, free, struct } from "pagerun";
 *
 * const Named = struct({ name: cString });
 * const text = calloc(8);
 * exportString("Ada", text, 8);
 * const named = Named.alloc({ name: text });
 * console.assert(named.name === "Ada");
 * free(addressOf(named));
 * free(text);
 * ```
 */
export const cString: CStringType = new CStringType();

class CharsType extends FieldType<string> {
  constructor(length: number) {
    super(`char[${length}]`, length, 1);
    Object.freeze(this);
  }

  [readField](ptr: bigint, offset: number): string {
    const bytes = copyOut(ptr + BigInt(offset), this.size);
    const end = bytes.indexOf(0);
    return decoder.decode(end === -1 ? bytes : bytes.subarray(0, end));
  }

  [writeField](ptr: bigint, offset: number, value: string): void {
    if (typeof value !== "string") throw invalidArgument("value", "a string", value);
    const bytes = encoder.encode(value);
    if (bytes.length > this.size) throw invalidArgument("value", `at most ${this.size} bytes of UTF-8`, value);
    const padded = new Uint8Array(this.size);
    padded.set(bytes);
    copyIn(ptr + BigInt(offset), padded);
  }
}

/** A count of elements as a safe integer of at least 1. */
export function countFrom(value: unknown, argument: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  throw invalidArgument(argument, "an integer of at least 1", value);
}

/** Largest type: what C compilers take, and more than any memory. */
const maxTypeBytes = 2 ** 47;

export function checkTypeBytes(size: number): void {
  if (size > maxTypeBytes) throw invalidArgument("fields", `a type of at most ${maxTypeBytes} bytes`, size);
}

/**
 * char[length]: text inside the structure, in UTF-8. It reads up to the first zero byte, or all of it where there is none;
 * what is written is filled up with zero bytes, and refused when it is longer.
 *
 * @param length - bytes.
 * @throws PagerunError ERR_INVALID_ARGUMENT
 * @example
 * ```ts
 * import { addressOf, chars, free, struct } from "pagerun";
 *
 * const Tag = struct({ label: chars(8) });
 * const tag = Tag.alloc({ label: "blue" });
 * console.assert(tag.label === "blue" && Tag.size === 8);
 * free(addressOf(tag));
 * ```
 */
export function chars(length: number): FieldType<string> {
  const bytes = countFrom(length, "length");
  checkTypeBytes(bytes);
  return new CharsType(bytes);
}

/** Elements of one type in a row, in place: reading and writing one is reading and writing memory. */
export class FixedArray<Value, Input = Value> implements Iterable<Value> {
  /** Number of elements. */
  readonly length: number;
  /** Address of the first one. */
  readonly ptr: bigint;
  readonly #type: FieldType<Value, Input>;

  constructor(type: FieldType<Value, Input>, length: number, ptr: bigint) {
    this.length = length;
    this.ptr = ptr;
    this.#type = type;
  }

  #offsetOf(index: number): number {
    if (Number.isSafeInteger(index) && index >= 0 && index < this.length) return index * this.#type.size;
    throw invalidArgument("index", `an integer from 0 to ${this.length - 1}`, index);
  }

  /** Reads an element. */
  get(index: number): Value {
    return this.#type[readField](this.ptr, this.#offsetOf(index));
  }

  /** Writes an element. */
  set(index: number, value: Input): void {
    this.#type[writeField](this.ptr, this.#offsetOf(index), value);
  }

  /** Writes all elements; there must be as many values. */
  assign(values: Iterable<Input>): void {
    const all = iterated(values);
    if (all.length !== this.length) throw invalidArgument("value", `${this.length} elements`, values);
    for (let i = 0; i < all.length; i++) this.set(i, all[i]!);
  }

  *[Symbol.iterator](): IterableIterator<Value> {
    for (let i = 0; i < this.length; i++) yield this.get(i);
  }
}

function iterated<Value>(values: Iterable<Value>): Value[] {
  if (typeof values === "object" && values !== null && typeof values[Symbol.iterator] === "function")
    return [...values];
  throw invalidArgument("value", "something to iterate over", values);
}

class ArrayType<Value, Input> extends FieldType<FixedArray<Value, Input>, Iterable<Input>> {
  readonly #element: FieldType<Value, Input>;
  readonly #length: number;

  constructor(element: FieldType<Value, Input>, length: number) {
    super(`${element.name}[${length}]`, element.size * length, element.align);
    this.#element = element;
    this.#length = length;
    Object.freeze(this);
  }

  [readField](ptr: bigint, offset: number): FixedArray<Value, Input> {
    return new FixedArray(this.#element, this.#length, ptr + BigInt(offset));
  }

  [writeField](ptr: bigint, offset: number, value: Iterable<Input>): void {
    this[readField](ptr, offset).assign(value);
  }
}

/** Throws unless `type` is one of ours. */
export function checkType(type: unknown, argument: string): asserts type is FieldType<unknown, unknown> {
  if (FieldType.isType(type)) return;
  throw invalidArgument(argument, "a type of pagerun, such as i32 or a struct,", type);
}

/**
 * A fixed number of elements of one type, in place: `int32_t counts[4]` is `array(i32, 4)`.
 *
 * @param type - any type of a field, structures and arrays included.
 * @param length - elements.
 * @throws PagerunError ERR_INVALID_ARGUMENT
 * @example
 * ```ts
 * import { addressOf, array, free, i32, struct } from "pagerun";
 *
 * const Counts = struct({ each: array(i32, 4) });
 * const counts = Counts.alloc({ each: [1, 2, 3, 4] });
 * counts.each.set(3, 40);
 * console.assert([...counts.each].join() === "1,2,3,40");
 * free(addressOf(counts));
 * ```
 */
export function array<Value, Input>(
  type: FieldType<Value, Input>,
  length: number,
): FieldType<FixedArray<Value, Input>, Iterable<Input>> {
  checkType(type, "type");
  const count = countFrom(length, "length");
  checkTypeBytes(type.size * count);
  return new ArrayType(type, count);
}
