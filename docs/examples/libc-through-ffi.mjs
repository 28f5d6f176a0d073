// strlen, memcpy and qsort of libc on memory of pagerun, called through node:ffi (Node.js 26, --experimental-ffi).
// node:ffi brings calls and pagerun the memory: both write pointers as bigint.
import assert from "node:assert/strict";
import { dlopen } from "node:ffi";
import { exportString, free, getInt32, malloc, setInt32, toString as stringAt, verify } from "pagerun";

const { lib, functions } = dlopen("libc.so.6", {
  strlen: { arguments: ["pointer"], return: "uint64" },
  memcpy: { arguments: ["pointer", "pointer", "uint64"], return: "pointer" },
  qsort: { arguments: ["pointer", "uint64", "uint64", "pointer"], return: "void" },
});
const { strlen, memcpy, qsort } = functions;

const text = malloc(64);
const copy = malloc(64);
exportString("Speicher für alle", text, 64);
assert.equal(Number(strlen(text)), Buffer.byteLength("Speicher für alle"));
assert.equal(memcpy(copy, text, 64n), copy);
assert.equal(stringAt(copy), "Speicher für alle");

const count = 1000;
const numbers = Array.from({ length: count }, (_, i) => (i * 7919) % count);
const array = malloc(4 * count);
for (const [i, number] of numbers.entries()) setInt32(array, 4 * i, number);
let calls = 0;
const compare = lib.registerCallback({ arguments: ["pointer", "pointer"], return: "int32" }, (one, other) => {
  calls++;
  return getInt32(one) - getInt32(other);
});
qsort(array, BigInt(count), 4n, compare);
lib.unregisterCallback(compare);
for (let i = 0; i < count; i++) assert.equal(getInt32(array, 4 * i), i);

for (const ptr of [text, copy, array]) free(ptr);
assert.deepEqual(verify(), { ok: true });
console.log(`libc sorted ${count} numbers of ours with ${calls > count ? "our own comparison" : "nothing"}`);
