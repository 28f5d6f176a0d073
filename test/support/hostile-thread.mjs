// What all hostile calls of a thread share: random numbers, values of every kind, and the count of what was wrong.
// Owns the counts of one kind of calls; what is called is the business of its two heirs. Thread rule: one thread's.
import * as pagerun from "pagerun";

const { PagerunError } = pagerun;

/** A small generator of numbers, the same for the same seed. */
export function numbersFrom(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Values of every kind. Those with code of their own call `strike`. */
export function traps(strike) {
  return [
    { valueOf: strike, toString: strike },
    { [Symbol.toPrimitive]: strike },
    new Proxy({}, { get: () => strike, has: strike, ownKeys: () => [] }),
    Object.defineProperty({}, "length", { get: strike }),
  ];
}

export class HostileThread {
  wrong = new Map();
  refusals = new Map();
  calls = 0;
  next;

  constructor(seed) {
    this.next = numbersFrom(seed);
  }

  one(list) {
    return list[this.next(list.length)];
  }

  fail(what) {
    this.wrong.set(what, (this.wrong.get(what) ?? 0) + 1);
  }

  /** Calls, and expects a result or an error of this package. */
  attempt(name, call) {
    this.calls++;
    try {
      return call();
    } catch (error) {
      const isOurs = error instanceof PagerunError;
      const key = isOurs ? error.code : error?.name;
      this.refusals.set(key, (this.refusals.get(key) ?? 0) + 1);
      if (!isOurs) this.fail(`${name}: ${error}`);
      return undefined;
    }
  }

  /** Calls that must be refused. */
  refused(name, call) {
    this.attempt(name, () => {
      call();
      this.fail(`${name} was not refused`);
    });
  }

  /** Any bigint, `near` an address and not it. */
  bigint(near) {
    const word = (BigInt(this.next(2 ** 32)) << 32n) | BigInt(this.next(2 ** 32));
    const base = near ?? word;
    return this.one([
      word,
      word & 0xffff_ffff_fff0n,
      -word,
      word << 70n,
      0n,
      -1n,
      2n ** 64n,
      base + 2n ** 64n,
      -base,
      base + 2n ** 40n,
    ]);
  }

  /** Anything at all. */
  value(traps, near) {
    return this.one([
      undefined,
      null,
      true,
      "",
      "16",
      Symbol("x"),
      () => 1,
      [],
      {},
      Number.NaN,
      -1,
      0.5,
      2 ** 53,
      2 ** 64,
      -0,
      1n,
      -1n,
      2n ** 64n,
      this.bigint(near),
      this.next(2 ** 32),
      new Uint8Array(3),
      new Date(),
      ...traps,
    ]);
  }
}
