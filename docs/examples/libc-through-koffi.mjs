// strlen, memcpy and qsort of libc on memory of pagerun, called through koffi. A pointer is a bigint on both sides;
// qsort calls back into JavaScript with pointers into the block, which checked accessors read.
import assert from "node:assert/strict";
import koffi from "koffi";
import { exportString, free, getFloat64, malloc, setFloat64, toString as stringAt, verify } from "pagerun";

const libc = koffi.load("libc.so.6");
const strlen = libc.func("size_t strlen(void *text)");
const memcpy = libc.func("void *memcpy(void *to, void *from, size_t bytes)");
koffi.proto("int Compare(void *one, void *other)");
const qsort = libc.func("void qsort(void *array, size_t count, size_t bytes, Compare *compare)");

const text = malloc(64);
const copy = malloc(64);
exportString("Speicher für alle", text, 64);
assert.equal(Number(strlen(text)), Buffer.byteLength("Speicher für alle"));
memcpy(copy, text, 64);
assert.equal(stringAt(copy), "Speicher für alle");

const count = 1000;
const numbers = Array.from({ length: count }, (_, i) => Math.sin(i * 7.3) * 1e6);
const array = malloc(8 * count);
for (const [i, number] of numbers.entries()) setFloat64(array, 8 * i, number);
let calls = 0;
qsort(array, count, 8, (one, other) => {
  calls++;
  return Math.sign(getFloat64(one) - getFloat64(other));
});
const sorted = numbers.toSorted((one, other) => one - other);
for (const [i, number] of sorted.entries()) assert.equal(getFloat64(array, 8 * i), number);

for (const ptr of [text, copy, array]) free(ptr);
assert.deepEqual(verify(), { ok: true });
console.log(`libc sorted ${count} numbers of ours with ${calls > count ? "our own comparison" : "nothing"}`);
