// The fields of memory that accessors read and write: their sizes, values that fit and do not, and how a DataView does
// the same.
import * as names from "pagerun";

const pagerun = { ...names };

export type Value = number | bigint;

export interface Field {
  name: string;
  size: number;
  get: (ptr: bigint, offset?: number) => Value;
  set: (ptr: bigint, offset: number, value: never) => void;
  read: (memory: DataView, at: number) => Value;
  fitting: readonly Value[];
  unfit: readonly unknown[];
}

const notFinite = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const notNumbers: unknown[] = [undefined, null, "1", true, {}, [1], { valueOf: () => 1 }, Symbol("1"), () => 1];

function integerField(bits: 8 | 16 | 32, isSigned: boolean): Field {
  const name = `${isSigned ? "Int" : "Uint"}${bits}` as "Int8";
  const least = isSigned ? -(2 ** (bits - 1)) : 0;
  const most = isSigned ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  return {
    name,
    size: bits / 8,
    get: pagerun[`get${name}`],
    set: pagerun[`set${name}`],
    read: (memory, at) => memory[`get${name}`](at, ...((bits === 8 ? [] : [true]) as [])),
    fitting: [0, -0, 1, least, most, most - 1, 85],
    unfit: [least - 1, most + 1, 0.5, 2 ** 32, 2 ** 53, -(2 ** 53), 1n, ...notFinite, ...notNumbers],
  };
}

function wordField(isSigned: boolean): Field {
  const name = isSigned ? "Int64" : "Uint64";
  const least = isSigned ? -(2n ** 63n) : 0n;
  const most = isSigned ? 2n ** 63n - 1n : 2n ** 64n - 1n;
  const safe = isSigned ? [-1, Number.MIN_SAFE_INTEGER] : [];
  const unsafe = [2 ** 53, -(2 ** 53), 0.5, ...(isSigned ? [] : [-1])];
  return {
    name,
    size: 8,
    get: pagerun[`get${name}`],
    set: pagerun[`set${name}`],
    read: (memory, at) => (isSigned ? memory.getBigInt64(at, true) : memory.getBigUint64(at, true)),
    fitting: [0n, 1n, least, most, most - 1n, 2n ** 53n, 0, -0, 7, Number.MAX_SAFE_INTEGER, ...safe],
    unfit: [least - 1n, most + 1n, 2n ** 200n, ...unsafe, ...notFinite, ...notNumbers],
  };
}

function floatField(name: "Float32" | "Float64"): Field {
  return {
    name,
    size: name === "Float32" ? 4 : 8,
    get: pagerun[`get${name}`],
    set: pagerun[`set${name}`],
    read: (memory, at) => memory[`get${name}`](at, true),
    fitting: [0, -0, 1, -1.5, Math.PI, 2 ** 53, 1e300, -1e300, Number.MIN_VALUE, Number.MAX_VALUE, ...notFinite],
    unfit: [1n, ...notNumbers],
  };
}

export const fields: readonly Field[] = [
  integerField(8, true),
  integerField(8, false),
  integerField(16, true),
  integerField(16, false),
  integerField(32, true),
  integerField(32, false),
  wordField(true),
  wordField(false),
  floatField("Float32"),
  floatField("Float64"),
];

/** Writes whatever the value is: what the types would not allow. */
export function write(field: Field, ptr: bigint, offset: unknown, value: unknown): void {
  (field.set as (ptr: bigint, offset: unknown, value: unknown) => void)(ptr, offset, value);
}
