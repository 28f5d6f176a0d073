// Values that a program should never pass, each with a name. None may crash the process or be called by a check.

function neverCalled(): never {
  throw new Error("a check called code of its argument");
}

/** No bigint and no number: nothing that is a pointer or a size, however it could be converted to one. */
export const notNumeric: readonly { name: string; value: unknown }[] = [
  { name: "undefined", value: undefined },
  { name: "null", value: null },
  { name: "true", value: true },
  { name: "an empty string", value: "" },
  { name: "a string of digits", value: "16" },
  { name: "a long string", value: "9".repeat(10_000) },
  { name: "a symbol", value: Symbol("ptr") },
  { name: "a symbol without a name", value: Symbol() },
  { name: "a function", value: neverCalled },
  { name: "a class", value: class {} },
  { name: "an empty array", value: [] },
  { name: "an array of one number", value: [16] },
  { name: "an object with valueOf", value: { valueOf: () => 16 } },
  { name: "an object with a valueOf that gives a bigint", value: { valueOf: () => 16n } },
  { name: "an object with conversions that throw", value: { valueOf: neverCalled, toString: neverCalled } },
  { name: "an object with Symbol.toPrimitive", value: { [Symbol.toPrimitive]: neverCalled } },
  {
    name: "an object with getters that throw",
    value: Object.defineProperties({}, { valueOf: { get: neverCalled }, constructor: { get: neverCalled } }),
  },
  { name: "an object without a prototype", value: Object.create(null) },
  { name: "a boxed number", value: Object(16) },
  { name: "a boxed bigint", value: Object(16n) },
  {
    name: "a proxy whose every trap throws",
    value: new Proxy({}, new Proxy({}, { get: () => neverCalled })),
  },
  { name: "a revoked proxy", value: revokedProxy() },
  { name: "a date", value: new Date(16) },
  { name: "a typed array", value: new Uint8Array(8) },
  { name: "an ArrayBuffer", value: new ArrayBuffer(8) },
  { name: "a promise", value: Promise.resolve(16) },
];

function revokedProxy(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

export const wrongNumbers = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  -0.5,
  0.5,
  1.5,
  Number.MIN_VALUE,
  -Number.MAX_SAFE_INTEGER,
  2 ** 53,
  2 ** 64,
  Number.MAX_VALUE,
];

export const wrongSizes = [-1n, -(2n ** 63n), 2n ** 64n, 2n ** 64n + 16n, 2n ** 200n, -(2n ** 200n), 1n << 100_000n];

/** Sizes that are sizes, and more than any machine has. */
export const impossibleSizes = [
  2 ** 47,
  2 ** 50,
  Number.MAX_SAFE_INTEGER,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Bigints that are no address of any program. */
export const wrongPointers = [
  -1n,
  -(2n ** 63n),
  2n ** 64n,
  2n ** 64n + 16n,
  2n ** 65n - 1n,
  2n ** 200n,
  -(2n ** 200n),
  1n << 100_000n,
];

/** Addresses that pagerun never hands out. */
export const foreignPointers = [
  1n,
  8n,
  16n,
  4096n,
  2n ** 32n,
  2n ** 46n,
  2n ** 47n - 16n,
  2n ** 48n,
  2n ** 63n,
  2n ** 64n - 16n,
  2n ** 64n - 1n,
];
