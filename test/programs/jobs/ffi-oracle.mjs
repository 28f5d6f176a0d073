// Random programs of accessor calls on two blocks with the same content: one reached by pagerun, the other by node:ffi.
// Every call must give the same result or be refused for the same reason, and the blocks must stay the same.
// Prints one line of JSON. Arguments: a seed, a number of steps, the calls that are put wrong on purpose (or nothing).
import assert from "node:assert/strict";
import ffi from "node:ffi";
import * as names from "pagerun";

const pagerun = { ...names };

const [seedText = "1", stepsText = "1000", wrongOne = ""] = process.argv.slice(2);
const blockBytes = 256;
const mine = pagerun.calloc(blockBytes);
const theirs = pagerun.calloc(blockBytes);

let state = Number(seedText) >>> 0 || 1;
function below(count) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % count;
}
const pick = (list) => list[below(list.length)];

const integers = [0, -0, 1, -1, 127, 128, -128, -129, 255, 256, 32767, 32768, -32768, -32769, 65535, 65536];
integers.push(2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 32 - 1, 2 ** 32);
integers.push(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 53, -(2 ** 53), 2 ** 63, 2 ** 64);
const floats = [0.5, -1.5, Math.PI, Number.NaN, Infinity, -Infinity, 1e300, -1e-300, Number.MIN_VALUE, 3.4e38, 3.5e38];
const bigints = [0n, 1n, -1n, 2n ** 31n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), -(2n ** 63n) - 1n];
bigints.push(2n ** 64n - 1n, 2n ** 64n, 2n ** 200n);
const others = [undefined, null, true, "1", "", {}, [], Symbol("value"), () => 1];
const strings = ["", "abc", "Grüße", "\u{1f600}", "a\0b", "\ud800", "x".repeat(300), "\ufeffmark"];
const encodings = [undefined, "utf8", "utf-8", "latin1", "ascii", "utf16le", "ucs2", "UCS-2", "hex", "base64", "none"];

const types = ["Int8", "Uint8", "Int16", "Uint16", "Int32", "Uint32", "Int64", "Uint64", "Float32", "Float64"];

const wrongPointers = [0n, -1n, 2n ** 64n, -(2n ** 64n), 2n ** 200n, 5, "5", null, undefined, {}];
const wrongOffsets = [-1, 0.5, Number.NaN, Infinity, 1n, "1", null, {}];
const wrongLengths = [-1, 0.5, Number.NaN, "8", null, {}];

/** An address for both: inside both blocks at the same offset, or the same wrong one. */
function pointers(offset) {
  if (below(25) === 0) {
    const wrong = pick(wrongPointers);
    return { mine: wrong, theirs: wrong };
  }
  return { mine: mine + BigInt(offset), theirs: theirs + BigInt(offset) };
}

function valueFor() {
  return pick(pick([integers, integers, floats, bigints, others]));
}

function randomBytes() {
  return Uint8Array.from({ length: below(40) }, () =>
    pick([0, 0, 65, 97, 0xc3, 0xa9, 0xef, 0xbb, 0xbf, 0xff, below(256)]),
  );
}

function detached() {
  const bytes = Buffer.alloc(64).fill(1);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

/** What a program may export, and what not. */
function source() {
  const bytes = randomBytes();
  const { buffer } = bytes;
  const shared = new SharedArrayBuffer(8);
  const views = [bytes, new DataView(buffer), Buffer.from(bytes), new Uint8ClampedArray(buffer), shared, buffer];
  views.push(new Uint8Array(shared), new Float64Array([below(9)]), new Uint16Array([1, 2, 3]).subarray(1));
  return below(12) === 0 ? pick([...others, detached(), detached().buffer]) : pick(views);
}

/** A length of at least what is wanted, too small, or none at all; it stays inside the block. */
function lengthFor(room) {
  if (below(20) === 0) return pick(wrongLengths);
  return below(room + 1);
}

/** One call, as a name and the arguments for each side. */
function step() {
  const kind = pick([
    "get",
    "get",
    "set",
    "set",
    "toString",
    "toBuffer",
    "toArrayBuffer",
    "export",
    "exportString",
    "raw",
  ]);
  const at = below(blockBytes - 80);
  const ptr = pointers(at);
  const both = (name, ...rest) => ({ name, mine: [ptr.mine, ...rest], theirs: [ptr.theirs, ...rest] });
  const offset = below(30) === 0 ? pick(wrongOffsets) : pick([undefined, 0, -0, below(60)]);
  switch (kind) {
    case "get":
      return both(`get${pick(types)}`, offset);
    case "set":
      return both(`set${pick(types)}`, offset, valueFor());
    case "toString":
      return both("toString");
    case "toBuffer":
    case "toArrayBuffer":
      return both(kind, lengthFor(60), pick([undefined, true, false, 1, 0, null]));
    case "raw":
      return { name: "getRawPointer", ...sameFor([source()]) };
    case "exportString": {
      const rest = [lengthFor(blockBytes - at), ...pick([[], [pick(encodings)]])];
      const text = below(20) === 0 ? pick(others) : pick(strings);
      return { name: kind, mine: [text, ptr.mine, ...rest], theirs: [text, ptr.theirs, ...rest] };
    }
    default: {
      const name = pick(["exportBuffer", "exportArrayBuffer", "exportArrayBufferView"]);
      const [bytes, length] = [source(), lengthFor(blockBytes - at)];
      return { name, mine: [bytes, ptr.mine, length], theirs: [bytes, ptr.theirs, length] };
    }
  }
}

function sameFor(args) {
  return { mine: args, theirs: args };
}

/** What node:ffi's codes are in pagerun. */
const codes = {
  ERR_INVALID_ARG_TYPE: ["ERR_INVALID_ARGUMENT"],
  ERR_INVALID_ARG_VALUE: ["ERR_INVALID_ARGUMENT", "ERR_FOREIGN_POINTER"],
  ERR_OUT_OF_RANGE: ["ERR_INVALID_ARGUMENT"],
  ERR_UNKNOWN_ENCODING: ["ERR_INVALID_ARGUMENT"],
  ERR_FFI_INVALID_POINTER: ["ERR_FOREIGN_POINTER"],
};

/** Two things are wrong at times, and each side may tell another one of them. */
const refusals = ["ERR_INVALID_ARGUMENT", "ERR_FOREIGN_POINTER"];

function outcomeOf(call) {
  try {
    return { value: call() };
  } catch (error) {
    return { code: error.code };
  }
}

/** As something to compare: ArrayBuffers and Buffers by their bytes. node:ffi's Buffer of nothing at 0n is detached. */
function comparable({ value }) {
  if (value instanceof ArrayBuffer) return ["ArrayBuffer", ...new Uint8Array(value)];
  return Buffer.isBuffer(value) ? ["Buffer", value.toString("latin1")] : value;
}

function describe(value) {
  if (typeof value === "object" && value !== null) return value.constructor?.name ?? "an object";
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

const counts = Object.create(null);
let refused = 0;
let sameReason = 0;
for (let i = 0; i < Number(stepsText); i++) {
  const { name, mine: mineArguments, theirs: theirArguments } = step();
  const used = wrongOne === name ? pagerun[name.replace("Uint", "Int")] : pick([pagerun, pagerun.unchecked])[name];
  const expected = outcomeOf(() => ffi[name](...theirArguments));
  const found = outcomeOf(() => used(...mineArguments));
  const told = `step ${i} of seed ${seedText}: ${name}(${theirArguments.map(describe).join(", ")})`;
  // No block is at address 0, not even one of no bytes: the one thing that node:ffi lets pass and checked calls do not.
  const isNull =
    used !== pagerun.unchecked[name] && theirArguments.includes(0n) && found.code === "ERR_FOREIGN_POINTER";
  if (expected.code === undefined && !isNull) {
    assert.equal(found.code, undefined, told);
    assert.deepStrictEqual(comparable(found), comparable(expected), told);
  } else {
    assert.ok(refusals.includes(found.code), `${told}: ${expected.code}, but ${found.code}`);
    if (isNull || codes[expected.code].includes(found.code)) sameReason++;
    refused++;
  }
  assert.deepEqual(pagerun.copyOut(mine, blockBytes), pagerun.copyOut(theirs, blockBytes), told);
  counts[name] = (counts[name] ?? 0) + 1;
  if (below(50) === 0) {
    const bytes = Uint8Array.from({ length: blockBytes }, () => pick([0, 65, 0xc3, 0xa9, below(256)]));
    bytes[blockBytes - 1] = 0;
    pagerun.copyIn(mine, bytes);
    pagerun.copyIn(theirs, bytes);
  }
}
pagerun.free(mine);
pagerun.free(theirs);
console.log(JSON.stringify({ counts, refused, sameReason, verdict: pagerun.verify() }));
