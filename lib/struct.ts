// Structures laid on memory as C lays them: struct() and union(). Owns the layout and the classes of accessors.
// Reads and writes go to the memory itself; nothing is kept but the address. Thread rule: as the accessors; two threads
// that write the same field race, as in C.
import { checkPointer } from "./arguments.js";
import { invalidArgument } from "./errors.js";
import {
  type CStringType,
  checkType,
  checkTypeBytes,
  countFrom,
  FieldType,
  FixedArray,
  readField,
  writeField,
} from "./field-types.js";
import { calloc, free } from "./heap.js";
import { placeOf } from "./misuse.js";
import { boundsError, copyIn, copyOut } from "./view.js";

/** Names and types of a structure's fields, in the order of C. */
export type Fields = Readonly<Record<string, FieldType<unknown, never>>>;

type AnyType = FieldType<unknown, unknown>;
type ValueOf<Type> = Type extends FieldType<infer Value, never> ? Value : never;
type InputOf<Type> = Type extends FieldType<unknown, infer Input> ? Input : never;
type TextNames<F extends Fields> = { [Name in keyof F]: F[Name] extends CStringType ? Name : never }[keyof F];

/** A structure in memory: a property for each field. Text behind a pointer is read only; `assign` takes its address. */
export type StructValue<F extends Fields> = {
  -readonly [Name in Exclude<keyof F, TextNames<F>>]: ValueOf<F[Name]>;
} & { readonly [Name in TextNames<F>]: ValueOf<F[Name]> };

/** What `alloc` and `assign` take: some of the fields, structures as objects, arrays as anything to iterate over. */
export type StructInput<F extends Fields> = { readonly [Name in keyof F]?: InputOf<F[Name]> | undefined };

/** How `struct` lays out. */
export interface StructOptions {
  /**
   * Without padding, as `__attribute__((packed))` does.
   * @defaultValue false
   */
  readonly packed?: boolean | undefined;
}

interface Field {
  readonly name: string;
  readonly type: AnyType;
  readonly offset: number;
}

/** What every structure in memory is, whatever its fields are called: an address. Its fields are its prototype's. */
class Placed {
  readonly #ptr: bigint;
  readonly #type: StructType<Fields>;

  constructor(ptr: bigint, type: StructType<Fields>) {
    this.#ptr = ptr;
    this.#type = type;
    Object.freeze(this);
  }

  static isPlaced(value: unknown): value is Placed {
    return typeof value === "object" && value !== null && #ptr in value;
  }

  static ptrOf(value: Placed): bigint {
    if (Placed.isPlaced(value)) return value.#ptr;
    throw invalidArgument("value", "a structure in memory", value);
  }

  static typeOf(value: Placed): StructType<Fields> {
    Placed.ptrOf(value);
    return value.#type;
  }
}

const plainName = /^[A-Za-z_$][\w$]*$/;

/** The fields as a program gave them, each read once and checked. */
function entriesOf(fields: Fields): [string, AnyType][] {
  if (typeof fields !== "object" || fields === null) throw invalidArgument("fields", "an object of types", fields);
  const entries: [string, unknown][] = Object.entries(fields);
  if (entries.length === 0) throw invalidArgument("fields", "at least one field", fields);
  return entries.map(([name, type]) => {
    // Others, such as "1", would not keep the order that they were written in.
    if (!plainName.test(name) || name === "__proto__") throw invalidArgument("fields", "names that C allows", name);
    checkType(type, name);
    return [name, type];
  });
}

/** The fields with their distances, and the number of bytes up to the end of the last one. */
function layOut(entries: [string, AnyType][], isUnion: boolean, isPacked: boolean): { placed: Field[]; end: number } {
  let end = 0;
  const placed = entries.map(([name, type]) => {
    const align = isPacked ? 1 : type.align;
    const offset = isUnion ? 0 : Math.ceil(end / align) * align;
    end = Math.max(end, offset + type.size);
    checkTypeBytes(end);
    return { name, type, offset };
  });
  return { placed, end };
}

/** A class whose instances have these fields, and no property else that could be in a field's way. */
function accessorsOf(type: StructType<Fields>, fields: readonly Field[]): new (ptr: bigint) => Placed {
  class Accessors extends Placed {
    constructor(ptr: bigint) {
      super(ptr, type);
    }
  }
  const { prototype } = Accessors;
  Reflect.deleteProperty(prototype, "constructor");
  Object.setPrototypeOf(prototype, null);
  for (const { name, type: fieldType, offset } of fields) {
    Object.defineProperty(prototype, name, {
      enumerable: true,
      get(this: Placed) {
        return fieldType[readField](Placed.ptrOf(this), offset);
      },
      set(this: Placed, value: unknown) {
        fieldType[writeField](Placed.ptrOf(this), offset, value);
      },
    });
  }
  Object.defineProperty(prototype, Symbol.for("nodejs.util.inspect.custom"), {
    value(this: Placed) {
      return type.toObject(this as never);
    },
  });
  Object.freeze(prototype);
  return Accessors;
}

/** Throws unless `length` bytes from `ptr` on are in one live block or mapping. */
function checkBounds(call: string, ptr: bigint, length: number): void {
  checkPointer(ptr, call);
  const place = placeOf(ptr);
  if (place === undefined || length > place.end - place.address) throw boundsError(call, ptr, length);
}

/** A field's value as plain data: structures as objects, elements as arrays. */
function plainOf(value: unknown): unknown {
  if (Placed.isPlaced(value)) return Placed.typeOf(value).toObject(value as never);
  return value instanceof FixedArray ? Array.from(value, plainOf) : value;
}

/** The layout of a structure or union, and its accessors. Made by `struct` and `union`; a field's type itself. */
export class StructType<F extends Fields> extends FieldType<StructValue<F>, StructInput<F>> {
  readonly #fields: ReadonlyMap<string, Field>;
  readonly #accessors: new (
    ptr: bigint,
  ) => Placed;

  /** @internal */
  constructor(fields: F, kind: "struct" | "union", isPacked: boolean) {
    const { placed, end } = layOut(entriesOf(fields), kind === "union", isPacked);
    const align = isPacked ? 1 : Math.max(...placed.map(({ type }) => type.align));
    super(kind, Math.ceil(end / align) * align, align);
    this.#fields = new Map(placed.map((field) => [field.name, field]));
    this.#accessors = accessorsOf(this as unknown as StructType<Fields>, placed);
    Object.freeze(this);
  }

  /** Names of the fields, in the order of C. */
  get fields(): readonly (keyof F & string)[] {
    return [...this.#fields.keys()];
  }

  /**
   * Distance of a field from the structure's first byte, as C's offsetof.
   * @throws PagerunError ERR_INVALID_ARGUMENT
   */
  offsetOf(name: keyof F & string): number {
    const field = this.#fields.get(name);
    if (field !== undefined) return field.offset;
    throw invalidArgument("name", `one of ${this.fields.join(", ")}`, name);
  }

  /**
   * The structure at an address. All of it must lie in one live block or in one mapping of `mapPages`; the address need
   * not be aligned. Every later read and write is checked again.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER
   */
  at(ptr: bigint): StructValue<F> {
    checkBounds("at", ptr, this.size);
    return this[readField](ptr, 0);
  }

  /**
   * Structures in a row, as C's array of them, at an address; checked as by `at`.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_BOUNDS, ERR_FOREIGN_POINTER
   */
  arrayAt(ptr: bigint, length: number): FixedArray<StructValue<F>, StructInput<F>> {
    const count = countFrom(length, "length");
    checkBounds("arrayAt", ptr, this.size * count);
    return new FixedArray(this, count, ptr);
  }

  /**
   * A new structure in a block of its own, zero but for what is given; `free(addressOf(it))` frees it.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY
   */
  alloc(initial?: StructInput<F>): StructValue<F> {
    const ptr = calloc(1, this.size);
    try {
      if (initial !== undefined) this[writeField](ptr, 0, initial);
    } catch (error) {
      free(ptr);
      throw error;
    }
    return this[readField](ptr, 0);
  }

  /**
   * New structures in a row, all zero, in one block; `free(them.ptr)` frees it.
   * @throws PagerunError ERR_INVALID_ARGUMENT, ERR_OUT_OF_MEMORY
   */
  allocArray(length: number): FixedArray<StructValue<F>, StructInput<F>> {
    const count = countFrom(length, "length");
    return new FixedArray(this, count, calloc(count, this.size));
  }

  /**
   * Writes some of the fields, in the order of the structure; or all, from a structure of the same type.
   * @throws PagerunError ERR_INVALID_ARGUMENT (what stands before the wrong value is written)
   */
  assign(target: StructValue<F>, input: StructInput<F>): void {
    this.#checkOwn(target);
    this[writeField](Placed.ptrOf(target as unknown as Placed), 0, input);
  }

  /** A copy of the fields as plain data: structures as objects, arrays as arrays. */
  toObject(value: StructValue<F>): { [Name in keyof F]: unknown } {
    this.#checkOwn(value);
    const entries = this.fields.map((name) => [name, plainOf(value[name as keyof StructValue<F>])]);
    return Object.fromEntries(entries);
  }

  #checkOwn(value: unknown): void {
    const isOwn = Placed.isPlaced(value) && (Placed.typeOf(value) as unknown) === this;
    if (!isOwn) throw invalidArgument("value", "a structure of this type", value);
  }

  [readField](ptr: bigint, offset: number): StructValue<F> {
    return new this.#accessors(offset === 0 ? ptr : ptr + BigInt(offset)) as unknown as StructValue<F>;
  }

  [writeField](ptr: bigint, offset: number, value: StructInput<F>): void {
    if (typeof value !== "object" || value === null) throw invalidArgument("value", "an object of fields", value);
    if (Placed.isPlaced(value) && (Placed.typeOf(value) as unknown) === this) {
      copyIn(ptr + BigInt(offset), copyOut(Placed.ptrOf(value), this.size));
      return;
    }
    const given: Readonly<Record<string, unknown>> = { ...value };
    const unknownName = Object.keys(given).find((name) => !this.#fields.has(name));
    if (unknownName !== undefined) throw invalidArgument("value", `only ${this.fields.join(", ")}`, unknownName);
    for (const { name, type, offset: distance } of this.#fields.values()) {
      if (given[name] !== undefined) type[writeField](ptr, offset + distance, given[name]);
    }
  }
}

/**
 * Describes a structure of C: the fields in order, each aligned as the C compiler of 64-bit Linux aligns it. What it
 * returns lays such structures on memory, tells sizes and distances, and is a type for fields of further ones.
 *
 * Cost: a class for each call; make one for each structure, once.
 *
 * @param fields - types by name.
 * @param options - see StructOptions.
 * @throws PagerunError ERR_INVALID_ARGUMENT
 * @example
 * ```ts
 * import { addressOf, free, i32, malloc, struct } from "pagerun";
 *
 * const Hat = struct({ size: i32, colorCode: i32 });
 * const ptr = malloc(Hat.size);
 * const hat = Hat.at(ptr);
 * hat.size = 60;
 * hat.colorCode = 0xff8800;
 * console.assert(hat.size === 60 && Hat.offsetOf("colorCode") === 4);
 * console.assert(addressOf(hat) === ptr && addressOf(hat, "size") === ptr);
 * free(ptr);
 * ```
 */
export function struct<F extends Fields>(fields: F, options: StructOptions = {}): StructType<F> {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object", options);
  const { packed = false } = options;
  if (typeof packed !== "boolean") throw invalidArgument("packed", "true or false", packed);
  return new StructType(fields, "struct", packed);
}

/**
 * Describes a union of C: all fields at the same place, as long as the longest.
 *
 * @param fields - types by name.
 * @throws PagerunError ERR_INVALID_ARGUMENT
 * @example
 * ```ts
 * import { addressOf, f32, free, u32, union } from "pagerun";
 *
 * const Bits = union({ number: f32, bits: u32 });
 * const one = Bits.alloc({ number: 1 });
 * console.assert(one.bits === 0x3f800000 && Bits.size === 4);
 * free(addressOf(one));
 * ```
 */
export function union<F extends Fields>(fields: F): StructType<F> {
  return new StructType(fields, "union", false);
}

/**
 * The address of a structure in memory, or of one of its fields: what native functions take.
 *
 * @param value - a structure that `at`, `alloc` or a field gave.
 * @param field - a field's name; without, the address of the structure, which is that of its first field.
 * @throws PagerunError ERR_INVALID_ARGUMENT
 * @example
 * ```ts
 * import { addressOf, f64, free, i8, struct } from "pagerun";
 *
 * const Point = struct({ tag: i8, x: f64 });
 * const point = Point.alloc();
 * console.assert(addressOf(point, "x") - addressOf(point) === 8n);
 * free(addressOf(point));
 * ```
 */
export function addressOf<Value extends object>(value: Value, field?: keyof Value & string): bigint {
  const placed = value as unknown as Placed;
  const ptr = Placed.ptrOf(placed);
  return field === undefined ? ptr : ptr + BigInt(Placed.typeOf(placed).offsetOf(field));
}
